//! The same things users do, with the kubectl they use. Needs `kubectl` in the path.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod site;

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use site::Site;

/// Runs kubectl against a site on a thread of its own; stdin gets `input`.
async fn kubectl(site: &Site, arguments: &str, input: &str) -> Output {
    let (config, arguments, input) = (site.kubeconfig(), arguments.to_owned(), input.to_owned());
    let cache = site.dir.path().join("kubectl-cache");
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(config)
            .arg("--cache-dir")
            .arg(cache)
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

/// Runs kubectl, expects success, returns what it printed.
async fn good(site: &Site, arguments: &str, input: &str) -> String {
    let output = kubectl(site, arguments, input).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments}: {errors}");
    assert!(!errors.contains("Warning"), "kubectl {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs kubectl, expects failure, returns what it complained about.
async fn bad(site: &Site, arguments: &str, input: &str) -> String {
    let output = kubectl(site, arguments, input).await;
    assert!(!output.status.success(), "kubectl {arguments} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: nginx, env: [{name: A, value: '1'}]}
";

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: edge1, labels: {node-role.kubernetes.io/edge: ''}}
";

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {cronSpec: {type: string}, replicas: {type: integer}}}
          status: {type: object, properties: {replicas: {type: integer}}}
---
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: nightly}
spec: {cronSpec: '0 0 * * *'}
";

#[tokio::test]
async fn a_new_user_looks_around() {
    let site = Site::up().await;
    assert!(good(&site, "version", "").await.contains("Server Version: v1.32"));
    assert!(good(&site, "cluster-info", "").await.contains("is running at"));
    assert!(good(&site, "api-versions", "").await.contains("apps/v1"));
    let resources = good(&site, "api-resources -o wide", "").await;
    for plural in ["pods", "deployments", "leases", "customresourcedefinitions", "certificatesigningrequests"] {
        assert!(resources.contains(plural), "{resources}");
    }
    assert!(good(&site, "get namespaces", "").await.contains("kube-node-lease   Active"));
    assert!(good(&site, "get all", "").await.contains("service/kubernetes   ClusterIP   10.96.0.1"));
    assert!(good(&site, "auth whoami", "").await.contains("kubernetes-admin"));
    assert_eq!(good(&site, "auth can-i create pods", "").await.trim(), "yes");
    assert_eq!(bad(&site, "auth can-i create pods --as bob -q", "").await, "");
    assert!(good(&site, "explain pod.spec.containers", "").await.contains("FIELD"));
    assert!(good(&site, "get --raw /readyz?verbose", "").await.contains("[+]storage ok"));
}

#[tokio::test]
async fn apply_changes_prunes_and_reports() {
    let site = Site::up().await;
    assert_eq!(good(&site, "apply -f -", DEPLOYMENT).await.trim(), "deployment.apps/web created");
    assert_eq!(good(&site, "apply -f -", DEPLOYMENT).await.trim(), "deployment.apps/web unchanged");
    let changed =
        DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace("name: A, value: '1'", "name: B, value: '2'");
    assert_eq!(good(&site, "apply -f -", &changed).await.trim(), "deployment.apps/web configured");
    let env = good(&site, "get deploy web -o jsonpath={.spec.template.spec.containers[0].env[*].name}", "").await;
    assert_eq!(env, "B");
    assert!(good(&site, "get deploy web", "").await.contains("web    0/3"));
    assert!(good(&site, "describe deploy web", "").await.contains("RollingUpdateStrategy"));
    let diff = kubectl(&site, "diff -f -", DEPLOYMENT).await;
    assert_eq!(diff.status.code(), Some(1), "{}", String::from_utf8_lossy(&diff.stderr));
    let unknown = DEPLOYMENT.replace("replicas: 2", "replicaz: 2");
    assert!(bad(&site, "apply -f -", &unknown).await.contains("unknown field \"spec.replicaz\""));
    assert_eq!(good(&site, "scale deploy web --replicas=1", "").await.trim(), "deployment.apps/web scaled");
    assert_eq!(good(&site, "set image deploy/web main=busybox", "").await.trim(), "deployment.apps/web image updated");
    assert_eq!(good(&site, "rollout restart deploy web", "").await.trim(), "deployment.apps/web restarted");
    assert!(good(&site, "delete deploy web", "").await.contains("deleted"));
    assert!(bad(&site, "get deploy web", "").await.contains("(NotFound): deployments.apps \"web\" not found"));
}

#[tokio::test]
async fn generators_send_protobuf_and_are_understood() {
    let site = Site::up().await;
    for (command, answer) in [
        ("create namespace shop", "namespace/shop created"),
        ("create configmap c --from-literal=a=b -n shop", "configmap/c created"),
        ("create secret generic s --from-literal=a=b -n shop", "secret/s created"),
        ("create serviceaccount robot -n shop", "serviceaccount/robot created"),
        ("create deployment d --image=nginx -n shop", "deployment.apps/d created"),
        ("create role r --verb=get --resource=pods -n shop", "role.rbac.authorization.k8s.io/r created"),
        (
            "create rolebinding b --role=r --serviceaccount=shop:robot -n shop",
            "rolebinding.rbac.authorization.k8s.io/b created",
        ),
        ("create job j --image=busybox -n shop", "job.batch/j created"),
        ("run p --image=busybox -n shop", "pod/p created"),
        ("expose deploy d --port=80 -n shop", "service/d exposed"),
        ("autoscale deploy d --max=3 -n shop", "horizontalpodautoscaler.autoscaling/d autoscaled"),
        ("create priorityclass high --value=1000", "priorityclass.scheduling.k8s.io/high created"),
    ] {
        assert_eq!(good(&site, command, "").await.trim(), answer, "{command}");
    }
    let token = good(&site, "create token robot -n shop", "").await;
    assert_eq!(token.trim().split('.').count(), 3);
    let server = format!("--server={} --insecure-skip-tls-verify --kubeconfig=/dev/null", site.server);
    let with_token = format!("{server} --token={} get pods -n shop", token.trim());
    let denied = bad(&site, &with_token, "").await;
    assert!(denied.contains("User \"system:serviceaccount:shop:robot\" cannot list resource \"pods\""), "{denied}");
    let allowed = with_token.replace("get pods", "get pod p");
    assert!(good(&site, &allowed, "").await.contains("Pending"));
    assert!(bad(&site, &format!("{server} --token=nonsense get pods"), "").await.contains("Unauthorized"));
}

#[tokio::test]
async fn objects_are_edited_piece_by_piece() {
    let site = Site::up().await;
    good(&site, "create configmap c --from-literal=a=1", "").await;
    assert_eq!(good(&site, "label cm c team=a", "").await.trim(), "configmap/c labeled");
    assert_eq!(good(&site, "annotate cm c note=x", "").await.trim(), "configmap/c annotated");
    assert_eq!(good(&site, "get cm -l team=a -o name", "").await.trim(), "configmap/c");
    assert_eq!(good(&site, "get cm -l team!=a,team -o name", "").await.trim(), "");
    let json = r#"patch cm c --type=json -p [{"op":"replace","path":"/data/a","value":"2"}]"#;
    assert_eq!(good(&site, json, "").await.trim(), "configmap/c patched");
    let again = r#"patch cm c --type=merge -p {"data":{"a":"2"}}"#;
    assert_eq!(good(&site, again, "").await.trim(), "configmap/c patched (no change)");
    let failing = r#"patch cm c --type=json -p [{"op":"test","path":"/data/a","value":"9"}]"#;
    assert!(bad(&site, failing, "").await.contains("the server rejected our request"));
    assert_eq!(
        good(&site, "wait cm c --for=jsonpath={.data.a}=2 --timeout=5s", "").await.trim(),
        "configmap/c condition met"
    );
    let shown = good(&site, "get cm c -o yaml", "").await;
    assert_eq!(good(&site, "replace -f -", &shown).await.trim(), "configmap/c replaced");
    assert!(good(&site, "delete cm c --wait=true", "").await.contains("deleted"));
    assert!(bad(&site, "create configmap Bad_Name", "").await.contains("RFC 1123"));
}

#[tokio::test]
async fn nodes_are_cordoned_tainted_and_drained() {
    let site = Site::up().await;
    assert_eq!(good(&site, "create -f -", NODE).await.trim(), "node/edge1 created");
    assert!(good(&site, "get nodes", "").await.contains("edge1"));
    assert_eq!(good(&site, "cordon edge1", "").await.trim(), "node/edge1 cordoned");
    assert!(good(&site, "get nodes", "").await.contains("SchedulingDisabled"));
    assert_eq!(good(&site, "taint nodes edge1 a=b:NoSchedule", "").await.trim(), "node/edge1 tainted");
    assert!(good(&site, "describe node edge1", "").await.contains("a=b:NoSchedule"));
    good(&site, "run free --image=busybox --restart=Never", "").await;
    assert!(good(&site, "describe pod free", "").await.contains("kube-api-access-"));
    good(&site, "uncordon edge1", "").await;
    assert!(good(&site, "drain edge1 --ignore-daemonsets --force", "").await.contains("drained"));
}

#[tokio::test]
async fn definitions_and_their_objects_apply_from_one_file() {
    let site = Site::up().await;
    // kubectl looks every kind up before it creates anything, so one file takes two runs with any server.
    let first = bad(&site, "apply -f -", DEFINITION).await;
    assert!(first.contains("ensure CRDs are installed first"), "{first}");
    let applied = good(&site, "apply -f -", DEFINITION).await;
    assert!(applied.contains("crontab.stable.example.com/nightly created"), "{applied}");
    let shown = good(&site, "get ct", "").await;
    assert!(shown.contains("SPEC") && shown.contains("0 0 * * *"), "{shown}");
    good(&site, "wait crd crontabs.stable.example.com --for=condition=established --timeout=5s", "").await;
    assert_eq!(
        good(&site, "scale ct nightly --replicas=2", "").await.trim(),
        "crontab.stable.example.com/nightly scaled"
    );
    assert!(good(&site, "explain crontab.spec", "").await.contains("cronSpec"));
    assert!(good(&site, "delete crd crontabs.stable.example.com", "").await.contains("deleted"));
    assert!(bad(&site, "get ct", "").await.contains("(NotFound)"));
}
