#!/bin/sh
# Writes a docker-archive of one busybox layer under the given names: image.sh OUT NAME...
set -eu

out=${1:?usage: image.sh OUT NAME...}
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/layer/bin" "$work/image"
cp "$(command -v busybox)" "$work/layer/bin/busybox"
for applet in sh cat date echo sleep; do ln -s busybox "$work/layer/bin/$applet"; done
tar -C "$work/layer" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$work/image/layer.tar" .
digest=$(sha256sum "$work/image/layer.tar" | cut -d' ' -f1)
architecture=$(dpkg --print-architecture)
# Run without a command it waits for ever, so the same image serves for pod sandboxes.
printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/bin/sleep"],"Cmd":["2147483647"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$architecture" "$digest" >"$work/image/config.json"
names=$(printf '"%s",' "$@")
printf '[{"Config":"config.json","RepoTags":[%s],"Layers":["layer.tar"]}]' "${names%,}" >"$work/image/manifest.json"
tar -C "$work/image" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$out" manifest.json config.json layer.tar
