#!/bin/sh
# Builds kube-apiserver, kube-controller-manager and kube-scheduler 1.20.2 from Debian's source package, once a machine,
# into a cache; prints the folder that holds them. The oldest Kubernetes that keadm supports, and the real thing.
set -eu

version=1.20.2
cache=${KEADM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keadm}/kubernetes-$version
programs="kube-apiserver kube-controller-manager kube-scheduler"

complete=yes
for program in $programs; do
    [ -x "$cache/bin/$program" ] || complete=no
done
"$(dirname "$0")/packages.sh" kubernetes >&2
mkdir -p "$cache/bin"
for program in etcd kubectl; do
    cp -Lf "$(command -v $program)" "$cache/bin/$program"
done
if [ $complete = yes ]; then
    echo "$cache/bin"
    exit 0
fi

work=$cache/work
rm -rf "$work"
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/deb"

# A sources file of our own: the machine's are left alone. Where Debian comes from is read from them.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*\) .*/\2/p; s/^URIs: *\(http[^ ]*\).*/\1/p' |
    grep -v security | head -n 1)
[ -n "$mirror" ] || {
    echo "kubernetes.sh: no Debian mirror in the machine's apt sources" >&2
    exit 1
}
{
    echo "deb $mirror bullseye main"
    echo "deb-src $mirror bookworm main"
} >"$work/apt/sources.list"
apt() {
    command "$@" -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache::archives="$work/apt/archives" \
        -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root
}
apt apt-get update -q >&2
cd "$work/deb"
apt apt-get source -q --download-only kubernetes >&2
# Go 1.15: newer ones miscompile this release's vendored reflect library.
apt apt-get download -q golang-1.15-go golang-1.15-src >&2
for package in golang-1.15-*.deb; do dpkg -x "$package" "$work/go"; done
# Debian's GOROOT is a tree of links into /usr/share: give it real folders.
goroot=$work/go/usr/lib/go-1.15
share=$work/go/usr/share/go-1.15
for link in "$goroot"/*; do
    [ -L "$link" ] || continue
    name=$(basename "$link")
    rm "$link"
    ln -s "$share/$name" "$link"
done

gopath=$work/gopath
tree=$gopath/src/k8s.io/kubernetes
mkdir -p "$(dirname "$tree")"
# Debian's version reads "1.20.5+really1.20.2"; the check of --version below is what counts.
dpkg-source --no-check -x kubernetes_*.dsc "$tree" >&2

export GOROOT="$goroot" GOPATH="$gopath" GO111MODULE=off CGO_ENABLED=0 GOFLAGS= GOCACHE="$work/gocache" HOME="${HOME:-/root}"
export PATH="$goroot/bin:$PATH"
cd "$tree"
echo "building kubernetes $version with $(go version)" >&2

# The source package leaves this generated file out.
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rl --include='*.go' '+k8s:openapi-gen=' vendor/k8s.io pkg staging 2>/dev/null |
    xargs -n1 dirname | sed 's#^staging/src/#vendor/#; s#^vendor/##; s#^pkg/#k8s.io/kubernetes/pkg/#' |
    grep -v -e kube-openapi -e code-generator -e sample -e '/testdata' | sort -u | paste -sd, -)
mkdir -p pkg/generated/openapi
touch "$work/boilerplate"
"$work/openapi-gen" -O zz_generated.openapi -h "$work/boilerplate" -i "$inputs" -p k8s.io/kubernetes/pkg/generated/openapi \
    -o "$gopath/src" -r "$work/violations" >&2

component=k8s.io/kubernetes/vendor/k8s.io/component-base/version
flags="-s -w -X $component.gitVersion=v$version -X $component.gitMajor=1 -X $component.gitMinor=20"
for program in $programs; do
    go build -ldflags "$flags" -o "$cache/bin/$program.new" "./cmd/$program"
    "$cache/bin/$program.new" --version | grep -qx "Kubernetes v$version" || {
        echo "kubernetes.sh: $program does not say v$version" >&2
        exit 1
    }
    mv "$cache/bin/$program.new" "$cache/bin/$program"
done
rm -rf "$work"
echo "$cache/bin"
