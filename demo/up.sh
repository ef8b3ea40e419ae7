#!/bin/sh
# Turns this machine into a cloud and an edge that runs a pod. Root; takes away with down.sh (make demo-down).
# usage: up.sh path/to/keadm
set -eu

keadm=${1:?usage: up.sh path/to/keadm}
here=$(cd "$(dirname "$0")" && pwd)
state=/run/keadm-demo
image=docker.io/library/keadm-hello:1
socket=/run/containerd/containerd.sock

[ "$(id -u)" = 0 ] || { echo "the demo installs a cloud and an edge: run it as root" >&2; exit 1; }
mkdir -p "$state"
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

step "container runtime"
if ! ctr --address $socket version >/dev/null 2>&1; then
    if [ -d /run/systemd/system ]; then
        systemctl start containerd
    else
        # No init system here: a containerd of the demo's own, on the usual socket.
        restrict=false
        # Without CAP_SYS_RESOURCE (bit 24) a container cannot lower its OOM score.
        capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
        [ $((0x$capabilities >> 24 & 1)) = 1 ] || restrict=true
        cat >"$state/containerd.toml" <<CONFIG
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = $restrict
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
CONFIG
        setsid containerd --config "$state/containerd.toml" >"$state/containerd.log" 2>&1 </dev/null &
        echo $! >"$state/containerd.pid"
    fi
fi
tries=0
until ctr --address $socket version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "containerd does not answer; see $state/containerd.log" >&2; exit 1; }
    sleep 0.1
done
echo "containerd answers on $socket"

if ! ls /etc/cni/net.d/*.conf* >/dev/null 2>&1; then
    mkdir -p /etc/cni/net.d
    cp "$here/cni.conflist" /etc/cni/net.d/10-keadm-demo.conflist
    echo "pod network: a bridge, written to /etc/cni/net.d/10-keadm-demo.conflist"
fi

step "a tiny image, made here"
pause=$(containerd config dump 2>/dev/null | sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p' | head -n 1)
printf '%s\n' "$image" ${pause:+"$pause"} >"$state/images"
# shellcheck disable=SC2046 # one name a word
"$here/image.sh" "$state/image.tar" $(cat "$state/images")
ctr --address $socket -n k8s.io images import "$state/image.tar"

step "keadm init"
address=$(ip -4 -o addr show scope global | sed -n 's/.* inet \([0-9.]*\)\/.*/\1/p' | head -n 1)
"$keadm" init --advertise-address="${address:-127.0.0.1}"

step "keadm gettoken"
token=$("$keadm" gettoken)
echo "$token" | cut -c1-16 | sed 's/$/… (not shown whole)/'

step "keadm join"
"$keadm" join --cloudcore-ipport="${address:-127.0.0.1}:10000" --token="$token"

step "a pod with a ConfigMap"
kubectl apply -f "$here/hello.yaml"
kubectl wait --for=condition=Ready pod/hello --timeout=30s

step "what there is now"
kubectl get nodes -o wide
kubectl get pods -o wide
echo "what the pod printed:"
tries=0
until cat /var/log/pods/default_hello_*/hello/*.log 2>/dev/null | grep . | sed 's/^/  /'; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || { echo "the pod printed nothing" >&2; exit 1; }
    sleep 0.1
done
printf '\nThe site is up: kubectl works here. "make demo-down" takes everything away again.\n'
