#!/bin/sh
# Starts a whole Kubernetes control plane on this test host and leaves /root/.kube/config: cluster.sh BIN ADDRESS
set -eu

bin=${1:?usage: cluster.sh BIN ADDRESS}
address=${2:?usage: cluster.sh BIN ADDRESS}
dir=/var/lib/cluster
mkdir -p $dir /root/.kube
cd $dir

openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj /CN=cluster-ca -days 30 -out ca.crt
openssl genrsa -out sa.key 2048 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out server.key
openssl req -new -key server.key -subj /CN=kube-apiserver -out server.csr
printf 'subjectAltName=IP:%s,IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc' "$address" >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext -out server.crt 2>/dev/null
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$token,admin,admin,system:masters" >tokens.csv
chmod 600 tokens.csv
cat >/root/.kube/config <<CONFIG
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster: {server: "https://$address:6443", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: admin
  user: {token: $token}
contexts:
- name: admin
  context: {cluster: cluster, user: admin}
current-context: admin
CONFIG

start() {
    name=$1
    shift
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
}
start etcd "$bin/etcd" --data-dir $dir/etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
start kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/16 \
    --advertise-address="$address" --tls-cert-file=server.crt --tls-private-key-file=server.key --client-ca-file=ca.crt \
    --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file=sa.key \
    --service-account-key-file=sa.key --token-auth-file=tokens.csv --authorization-mode=Node,RBAC
tries=0
until "$bin/kubectl" get --raw /readyz >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { tail -n 20 $dir/kube-apiserver.log >&2; exit 1; }
    sleep 0.1
done
start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig=/root/.kube/config --root-ca-file=ca.crt \
    --service-account-private-key-file=sa.key --use-service-account-credentials=true --leader-elect=false
start kube-scheduler "$bin/kube-scheduler" --kubeconfig=/root/.kube/config --leader-elect=false
tries=0
until "$bin/kubectl" get serviceaccount default >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { tail -n 20 $dir/kube-controller-manager.log >&2; exit 1; }
    sleep 0.1
done
