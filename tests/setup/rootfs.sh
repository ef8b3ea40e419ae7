#!/bin/sh
# Makes the Debian 12 tree that every test host boots from, once a machine, in a cache; prints its path.
set -eu

suite=bookworm
include=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,containerd,runc,containernetworking-plugins,iptables,kmod
cache=${KEADM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keadm}
tree=$cache/debian-12

if [ ! -d "$tree" ]; then
    mkdir -p "$cache"
    rm -rf "$tree.new"
    debootstrap --variant=minbase --include=$include $suite "$tree.new" >&2
    # Every test host starts what it needs itself.
    rm -f "$tree.new"/etc/systemd/system/multi-user.target.wants/containerd.service
    mv "$tree.new" "$tree"
fi
echo "$tree"
