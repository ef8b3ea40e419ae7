//! The API as clients in this process see it.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod site;

use futures_util::{AsyncBufReadExt, StreamExt as _, TryStreamExt as _};
use http::Method;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Pod},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use site::Site;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}})
}

fn pod(name: &str, node: Option<&str>) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]}});
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    pod
}

#[tokio::test]
async fn create_read_update_delete_with_kubernetes_status_codes() {
    let site = Site::up().await;
    let (code, created) = site.post(CONFIG_MAPS, &config_map("a", "1")).await;
    assert_eq!(code, 201);
    assert!(created["metadata"]["uid"].is_string());
    let (code, status) = site.post(CONFIG_MAPS, &config_map("a", "1")).await;
    assert_eq!((code, &status["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(status["message"], "configmaps \"a\" already exists");

    let path = format!("{CONFIG_MAPS}/a");
    let mut changed = created.clone();
    changed["data"]["k"] = "2".into();
    let (code, updated) = site.put(&path, &changed).await;
    assert_eq!(code, 200);
    assert_ne!(updated["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    let (code, status) = site.put(&path, &changed).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));

    let (_, again) = site.put(&path, &updated).await;
    assert_eq!(again["metadata"]["resourceVersion"], updated["metadata"]["resourceVersion"], "no change, no write");

    let (code, status) = site.delete(&path, r#"{"preconditions":{"uid":"other"}}"#).await;
    assert_eq!((code, &status["details"]["kind"]), (409, &json!("ConfigMap")));
    let (code, status) = site.delete(&path, "").await;
    assert_eq!((code, &status["status"], &status["details"]["kind"]), (200, &json!("Success"), &json!("configmaps")));
    let (code, status) = site.get(&path).await;
    assert_eq!(code, 404);
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps"}));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_the_right_status() {
    let site = Site::up().await;
    let missing = "/api/v1/namespaces/nowhere/configmaps";
    let (code, status) = site.post(missing, &config_map("a", "1")).await;
    assert_eq!((code, &status["message"]), (404, &json!("namespaces \"nowhere\" not found")));
    assert_eq!(site.get("/apis/nope/v1/things").await.0, 404);
    let (code, status) = site.get("/api/v1/things").await;
    assert_eq!((code, &status["message"]), (404, &json!("the server could not find the requested resource")));
    let (code, status) = site.put(CONFIG_MAPS, &config_map("a", "1")).await;
    assert_eq!((code, &status["reason"]), (405, &json!("MethodNotAllowed")));
    let (code, _) = site.get(&format!("{CONFIG_MAPS}?resourceVersionMatch=Exact")).await;
    assert_eq!(code, 422);
    let (code, status) = site.get(&format!("{CONFIG_MAPS}?fieldSelector=a%3Db")).await;
    assert_eq!(code, 400);
    assert!(status["message"].as_str().unwrap().contains("is not a known field selector"));
    let (code, status) = site.get(&format!("{CONFIG_MAPS}?resourceVersion=9999999999999")).await;
    assert_eq!((code, &status["details"]["causes"][0]["reason"]), (504, &json!("ResourceVersionTooLarge")));
    let (code, _) = site.send(Method::PATCH, &format!("{CONFIG_MAPS}/a"), "text/plain", "{}").await;
    assert_eq!(code, 415);
    let large = config_map("large", &"x".repeat(3_200_000));
    assert_eq!(site.post(CONFIG_MAPS, &large).await.0, 413);
}

#[tokio::test]
async fn dry_runs_leave_nothing_behind() {
    let site = Site::up().await;
    let before = site.get(CONFIG_MAPS).await.1["metadata"]["resourceVersion"].clone();
    let (code, shown) = site.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a", "1")).await;
    assert_eq!(code, 201);
    assert!(shown["metadata"]["uid"].is_string());
    assert!(shown["metadata"].get("resourceVersion").is_none());
    assert_eq!(site.get(&format!("{CONFIG_MAPS}/a")).await.0, 404);
    assert_eq!(site.get(CONFIG_MAPS).await.1["metadata"]["resourceVersion"], before);
    assert_eq!(site.post(&format!("{CONFIG_MAPS}?dryRun=Some"), &config_map("a", "1")).await.0, 422);
}

#[tokio::test]
async fn pages_are_one_snapshot_even_while_objects_change() {
    let site = Site::up().await;
    for index in 0..7 {
        site.post(CONFIG_MAPS, &config_map(&format!("p{index}"), "1")).await;
    }
    let selector = "fieldSelector=metadata.name%21%3Dkube-root-ca.crt";
    let (_, first) = site.get(&format!("{CONFIG_MAPS}?limit=3&{selector}")).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    site.delete(&format!("{CONFIG_MAPS}/p5"), "").await;
    site.post(CONFIG_MAPS, &config_map("p9", "1")).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (code, rest) = site.get(&format!("{CONFIG_MAPS}?limit=100&{selector}&continue={token}")).await;
    assert_eq!(code, 200);
    let names: Vec<&str> =
        rest["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["p3", "p4", "p5", "p6"]);
    assert!(rest["metadata"].get("continue").is_none());
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let (_, all) = site.get(&format!("{CONFIG_MAPS}?limit=2&resourceVersion=0")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 8, "resourceVersion 0 ignores the limit");
    let (code, _) = site.get(&format!("{CONFIG_MAPS}?continue=bm9uc2Vuc2U")).await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn pods_get_defaults_admission_and_graceful_deletion() {
    let site = Site::up().await;
    let (code, created) = site.post(PODS, &pod("free", None)).await;
    assert_eq!(code, 201, "{created}");
    let spec = &created["spec"];
    assert_eq!(created["status"]["phase"], "Pending");
    assert_eq!(created["status"]["qosClass"], "BestEffort");
    assert_eq!(spec["serviceAccountName"], "default");
    assert_eq!(spec["priority"], 0);
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(spec["volumes"][0]["projected"]["sources"].as_array().unwrap().len(), 3);
    assert_eq!(site.delete(&format!("{PODS}/free"), "").await.0, 200);
    assert_eq!(site.get(&format!("{PODS}/free")).await.0, 404, "nobody runs it, so it goes at once");

    site.post(PODS, &pod("bound", Some("n1"))).await;
    let path = format!("{PODS}/bound");
    let (_, marked) = site.delete(&path, r#"{"gracePeriodSeconds":30}"#).await;
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let (_, longer) = site.delete(&path, r#"{"gracePeriodSeconds":60}"#).await;
    assert_eq!(longer["metadata"]["resourceVersion"], marked["metadata"]["resourceVersion"]);
    let (_, shorter) = site.delete(&path, r#"{"gracePeriodSeconds":5}"#).await;
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    site.delete(&path, r#"{"gracePeriodSeconds":0}"#).await;
    assert_eq!(site.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let site = Site::up().await;
    site.post(PODS, &pod("p", None)).await;
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"}});
    let path = format!("{PODS}/p/binding");
    assert_eq!(site.post(&path, &binding).await.0, 201);
    let (code, status) = site.post(&path, &binding).await;
    assert_eq!(code, 409);
    assert!(status["message"].as_str().unwrap().contains("pod p is already assigned to node \"n1\""));
    let (_, bound) = site.get(&format!("{PODS}/p")).await;
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
}

#[tokio::test]
async fn status_and_spec_have_separate_doors_and_generations_count_spec_changes() {
    let site = Site::up().await;
    let base = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "busybox"}]}}},
        "status": {"replicas": 7}});
    let (code, created) = site.post(base, &deployment).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["metadata"]["generation"], 1);
    assert_ne!(created["status"]["replicas"], 7);
    let path = format!("{base}/d");
    let both = json!({"spec": {"replicas": 2}, "status": {"replicas": 5}});
    let (_, main) = site.merge(&path, &both).await;
    assert_eq!((&main["metadata"]["generation"], &main["spec"]["replicas"]), (&json!(2), &json!(2)));
    assert_ne!(main["status"]["replicas"], 5);
    let (_, status) =
        site.merge(&format!("{path}/status"), &json!({"spec": {"replicas": 9}, "status": {"replicas": 5}})).await;
    assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(2), &json!(5)));
    assert_eq!(status["metadata"]["generation"], 2);
    let (code, scale) = site.merge(&format!("{path}/scale"), &json!({"spec": {"replicas": 4}})).await;
    assert_eq!((code, &scale["spec"]["replicas"], &scale["status"]["selector"]), (200, &json!(4), &json!("a=b")));
}

#[tokio::test]
async fn the_last_finalizer_ends_the_object() {
    let site = Site::up().await;
    let mut object = config_map("f", "1");
    object["metadata"]["finalizers"] = json!(["example.com/wait"]);
    site.post(CONFIG_MAPS, &object).await;
    let path = format!("{CONFIG_MAPS}/f");
    let (code, marked) = site.delete(&path, "").await;
    assert_eq!(code, 200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let add = json!({"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}});
    assert_eq!(site.merge(&path, &add).await.0, 422);
    let (code, last) = site.merge(&path, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!((code, &last["metadata"]["name"]), (200, &json!("f")));
    assert_eq!(site.get(&path).await.0, 404);
}

#[tokio::test]
async fn services_get_addresses_and_ports_and_give_them_back() {
    let site = Site::up().await;
    let base = "/api/v1/namespaces/default/services";
    let service = |name: &str, kind: &str, ip: &str| {
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}}});
        if !ip.is_empty() {
            service["spec"]["clusterIP"] = ip.into();
        }
        service
    };
    let (code, first) = site.post(base, &service("a", "NodePort", "")).await;
    assert_eq!(code, 201, "{first}");
    let ip = first["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(ip.starts_with("10.96."));
    assert!(first["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30086);
    let (code, status) = site.post(base, &service("b", "ClusterIP", &ip)).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("provided IP is already allocated"));
    site.delete(&format!("{base}/a"), "").await;
    assert_eq!(site.post(base, &service("b", "ClusterIP", &ip)).await.0, 201);
    assert_eq!(site.post(base, &service("c", "ClusterIP", "None")).await.1["spec"]["clusterIP"], "None");
}

#[tokio::test]
async fn custom_resources_are_served_when_the_create_returns_and_go_with_their_definition() {
    let site = Site::up().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}});
    let (code, created) = site.post(definitions, &definition).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["status"]["conditions"][1]["type"], "Established");
    assert_eq!(created["status"]["conditions"][1]["status"], "True");
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"},
        "spec": {"unknown": true}, "status": {"x": 1}});
    let (code, made) = site.post(widgets, &widget).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"], json!({"size": 3}), "pruned and defaulted");
    assert!(made.get("status").is_none());
    assert_eq!(site.get(widgets).await.1["kind"], "WidgetList");
    let (_, status) = site.merge(&format!("{widgets}/w/status"), &json!({"status": {"x": 1}})).await;
    assert_eq!(status["status"], json!({"x": 1}));
    let smp = site.send(Method::PATCH, &format!("{widgets}/w"), "application/strategic-merge-patch+json", "{}").await;
    assert_eq!(smp.0, 415);
    site.merge(&format!("{widgets}/w"), &json!({"metadata": {"finalizers": ["example.com/x"]}})).await;
    site.delete(&format!("{definitions}/widgets.example.com"), "").await;
    let (_, waiting) = site.get(&format!("{definitions}/widgets.example.com")).await;
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    site.merge(&format!("{widgets}/w"), &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(site.get(&format!("{definitions}/widgets.example.com")).await.0, 404);
    assert_eq!(site.get(widgets).await.0, 404);
}

#[tokio::test]
async fn kube_rs_watchers_follow_objects_and_survive_a_restart_of_the_server() {
    let site = Site::up().await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    let config = watcher::Config::default().labels("app=w");
    let mut events = watcher(maps.clone(), config).applied_objects().boxed();
    let named = |name: &str, value: &str| -> ConfigMap {
        let mut object = config_map(name, value);
        object["metadata"]["labels"] = json!({"app": "w"});
        serde_json::from_value(object).unwrap()
    };
    maps.create(&PostParams::default(), &named("one", "1")).await.unwrap();
    assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "one");
    maps.create(&PostParams::default(), &named("two", "1")).await.unwrap();
    assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "two");
    let patch = Patch::Merge(json!({"data": {"k": "2"}}));
    maps.patch("one", &PatchParams::default(), &patch).await.unwrap();
    let changed = events.try_next().await.unwrap().unwrap();
    assert_eq!(changed.data.unwrap()["k"], "2");
    let revision = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    drop(events);

    maps.delete("two", &DeleteParams::default()).await.unwrap();
    let dir = site.down().await;
    let site = Site::up_in(dir).await;
    let url = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion={revision}&labelSelector=app%3Dw");
    let request = http::Request::get(&url).body(Vec::new()).unwrap();
    let reader = site.client.request_stream(request).await.unwrap();
    let lines: Vec<String> = AsyncBufReadExt::lines(reader).try_collect().await.unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let event: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("two")));
}

#[tokio::test]
async fn watches_from_an_impossible_revision_end_with_410() {
    let site = Site::up().await;
    for revision in ["1", "99999999999"] {
        let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={revision}");
        let (code, event) = site.get(&path).await;
        assert_eq!(code, 200);
        assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)), "{revision}");
    }
}

#[tokio::test]
async fn impersonated_users_are_held_to_rbac() {
    let site = Site::up().await;
    let as_user = |user: &str, path: &str| {
        let request = http::Request::get(path).header("impersonate-user", user).body(Vec::new()).unwrap();
        site.client.request_text(request)
    };
    let denied = as_user("bob", "/api/v1/namespaces/default/pods").await.unwrap_err().to_string();
    assert!(denied.contains("cannot list resource \"pods\""), "{denied}");
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "bob"}, "subjects": [{"kind": "User", "name": "bob"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    assert_eq!(site.post(path, &binding).await.0, 201);
    as_user("bob", "/api/v1/namespaces/default/pods").await.unwrap();
    assert!(as_user("bob", "/api/v1/namespaces/default/secrets").await.is_err());
    assert!(as_user("bob", "/api/v1/namespaces/kube-system/pods").await.is_err());
}

#[tokio::test]
async fn service_account_tokens_are_issued_and_end_with_their_account() {
    let site = Site::up().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    site.post(accounts, &account).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let (code, answer) = site.post(&format!("{accounts}/robot/token"), &request).await;
    assert_eq!(code, 201, "{answer}");
    let short =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 60}});
    assert_eq!(site.post(&format!("{accounts}/robot/token"), &short).await.0, 422);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": answer["status"]["token"]}});
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let (_, good) = site.post(reviews, &review).await;
    assert_eq!(good["status"]["user"]["username"], "system:serviceaccount:default:robot");
    site.delete(&format!("{accounts}/robot"), "").await;
    let (_, bad) = site.post(reviews, &review).await;
    assert_eq!(bad["status"]["error"], "invalid bearer token");
}

#[tokio::test]
async fn a_terminating_namespace_takes_no_new_content_and_goes_when_finalized() {
    let site = Site::up().await;
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let ns = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}});
    namespaces.create(&PostParams::default(), &serde_json::from_value(ns).unwrap()).await.unwrap();
    let (_, terminating) = site.delete("/api/v1/namespaces/gone", "").await;
    assert_eq!(terminating["status"]["phase"], "Terminating");
    let (code, status) = site.post("/api/v1/namespaces/gone/configmaps", &config_map("a", "1")).await;
    assert_eq!((code, &status["details"]["causes"][0]["reason"]), (403, &json!("NamespaceTerminating")));
    let finalize =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}, "spec": {"finalizers": []}});
    assert_eq!(site.put("/api/v1/namespaces/gone/finalize", &finalize).await.0, 200);
    assert_eq!(site.get("/api/v1/namespaces/gone").await.0, 404);
    assert_eq!(site.delete("/api/v1/namespaces/default", "").await.0, 403);
}

#[tokio::test]
async fn typed_clients_read_what_they_wrote() {
    let site = Site::up().await;
    let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), "default");
    let object = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    deployments.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let found = deployments.get("d").await.unwrap();
    assert_eq!(found.spec.unwrap().replicas, Some(1));
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), "default");
    pods.create(&PostParams::default(), &serde_json::from_value(pod("p", Some("n1"))).unwrap()).await.unwrap();
    let on_node = pods.list(&ListParams::default().fields("spec.nodeName=n1")).await.unwrap();
    assert_eq!(on_node.items.len(), 1);
    assert_eq!(pods.list(&ListParams::default().fields("spec.nodeName=n2")).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_port_is_refused_before_anything_is_touched() {
    let site = Site::up().await;
    let bind = site.server.trim_start_matches("https://").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let settings = controlplane::Settings::new(data_dir.clone(), bind, bind.ip());
    let Err(error) = controlplane::ControlPlane::open(settings).await else { panic!("it opened") };
    assert!(matches!(error, controlplane::ControlPlaneError::AddressInUse { address } if address == bind));
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn over_tls_strangers_see_the_version_and_the_administrator_everything() {
    let site = Site::up().await;
    let mut config = kube::Config::new(site.server.parse().unwrap());
    config.accept_invalid_certs = true;
    let stranger = kube::Client::try_from(config).unwrap();
    assert_eq!(stranger.apiserver_version().await.unwrap().minor, "32");
    let denied = Api::<Pod>::all(stranger).list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(denied.contains("User \"system:anonymous\" cannot list resource \"pods\""), "{denied}");

    let maps: Api<ConfigMap> = Api::namespaced(site.admin_over_tls().await, "default");
    let mut events = watcher(maps.clone(), watcher::Config::default()).applied_objects().boxed();
    assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "kube-root-ca.crt");
    let object = serde_json::from_value(config_map("tls", "1")).unwrap();
    maps.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "tls");
}

#[tokio::test]
async fn aggregated_roles_follow_the_roles_they_select() {
    let site = Site::up().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "devices-view", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["devices.kubeedge.io"], "resources": ["devices"], "verbs": ["get"]}]});
    assert_eq!(site.post(roles, &role).await.0, 201);
    for aggregated in ["view", "edit", "admin"] {
        let (_, found) = site.get(&format!("{roles}/{aggregated}")).await;
        let has = found["rules"].as_array().unwrap().contains(&role["rules"][0]);
        assert!(has, "{aggregated}");
    }
    site.delete(&format!("{roles}/devices-view"), "").await;
    let (_, view) = site.get(&format!("{roles}/view")).await;
    assert!(!view["rules"].as_array().unwrap().contains(&role["rules"][0]));
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_hold() {
    let site = Site::up().await;
    let base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "ann"}, "subjects": [{"kind": "User", "name": "ann"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}});
    assert_eq!(site.post(&format!("{base}/rolebindings"), &binding).await.0, 201);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "more"},
        "rules": [{"apiGroups": ["example.com"], "resources": ["secrets"], "verbs": ["get"]}]});
    let request = http::Request::post(format!("{base}/roles"))
        .header("impersonate-user", "ann")
        .header("content-type", "application/json")
        .body(role.to_string().into_bytes())
        .unwrap();
    let refused = site.client.request_text(request).await.unwrap_err().to_string();
    assert!(refused.contains("is attempting to grant RBAC permissions not currently held"), "{refused}");
}
