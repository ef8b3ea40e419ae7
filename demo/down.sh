#!/bin/sh
# Takes away what up.sh made. usage: down.sh path/to/keadm
set -eu

keadm=${1:?usage: down.sh path/to/keadm}
state=/run/keadm-demo
socket=/run/containerd/containerd.sock

"$keadm" reset --force
if [ -f "$state/images" ] && ctr --address $socket version >/dev/null 2>&1; then
    # Only the names that the demo imported.
    while read -r name; do
        ctr --address $socket -n k8s.io images rm "$name" >/dev/null 2>&1 || true
    done <"$state/images"
fi
rm -f /etc/cni/net.d/10-keadm-demo.conflist
ip link del keadm-demo0 2>/dev/null || true
if [ -f "$state/containerd.pid" ]; then
    kill "$(cat "$state/containerd.pid")" 2>/dev/null || true
fi
rm -rf "$state"
echo "the demo is gone"
