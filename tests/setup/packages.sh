#!/bin/sh
# Installs the Debian packages that a target needs and the machine lacks: packages.sh demo|test|kubernetes
set -eu

case "${1:?which set: demo, test or kubernetes}" in
demo) set -- containerd runc containernetworking-plugins kubernetes-client iptables iproute2 busybox-static ca-certificates ;;
test) set -- containerd runc containernetworking-plugins kubernetes-client iptables iproute2 busybox-static \
    ca-certificates systemd-container debootstrap procps gcc libc6-dev ;;
kubernetes) set -- etcd-server dpkg-dev ;;
*) echo "packages.sh: unknown set $1" >&2; exit 2 ;;
esac

missing=
for package; do
    # A kubectl from elsewhere serves as well as Debian's.
    [ "$package" = kubernetes-client ] && command -v kubectl >/dev/null && continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "packages.sh: as root, install:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # the list is split on purpose
apt-get install -qy --no-install-recommends $missing
