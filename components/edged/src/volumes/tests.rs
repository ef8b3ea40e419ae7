//! Volumes as a pod sees them, in a temporary directory.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use super::mounts::fake::FakeMounter;
use super::spec::references;
use super::*;
use crate::doors::{ObjectChange, ObjectKind};
use crate::facts::NodeResources;
use crate::fake_api::FakeApi;

const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

struct Site {
    root: tempfile::TempDir,
    api: Arc<FakeApi>,
    mounter: Arc<FakeMounter>,
    volumes: Volumes,
}

impl Site {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let api = Arc::new(FakeApi::new());
        api.state().token_expires = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let mounter = Arc::new(FakeMounter::default());
        let volumes = Volumes::with_mounter(
            root.path(),
            Arc::clone(&api) as Arc<dyn KubeApi>,
            Arc::clone(&mounter) as Arc<dyn Mounter>,
        );
        Self { root, api, mounter, volumes }
    }

    fn volume(&self, plugin: &str) -> PathBuf {
        self.root.path().join("pods").join(UID).join("volumes").join(format!("kubernetes.io~{plugin}")).join("v")
    }

    async fn setup(&self, pod: &Pod) -> Result<MountedVolumes, String> {
        self.volumes.setup(pod, &facts()).await.map_err(|error| error.to_string())
    }

    async fn refresh(&self, pod: &Pod) -> Result<bool, String> {
        self.volumes.refresh(pod, &facts()).await.map_err(|error| error.to_string())
    }

    fn read(&self, plugin: &str, file: &str) -> String {
        fs::read_to_string(self.volume(plugin).join(file)).unwrap()
    }

    fn mode(&self, plugin: &str, file: &str) -> u32 {
        fs::metadata(self.volume(plugin).join(file)).unwrap().mode() & 0o7777
    }
}

fn facts() -> PodFacts {
    let resources = NodeResources { cpu_milli: 2000, memory: 1 << 30, ..NodeResources::default() };
    PodFacts { node_name: "edge-1".to_owned(), resources, ..PodFacts::default() }
}

/// A pod with one volume `v`, mounted, and maybe a security context.
fn pod_with(mut volume: Value, security: &Value) -> Pod {
    volume["name"] = json!("v");
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": UID, "labels": {"app": "web"}},
        "spec": {"securityContext": security, "volumes": [volume, {"name": "unused", "emptyDir": {}}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}
    }))
    .unwrap()
}

fn pod(volume: Value) -> Pod {
    pod_with(volume, &Value::Null)
}

#[tokio::test]
async fn an_empty_dir_is_open_to_all_and_keeps_what_containers_made_of_it() {
    let site = Site::new();
    let pod = pod(json!({"emptyDir": {}}));
    let mounted = site.setup(&pod).await.unwrap();
    assert_eq!(mounted.by_name["v"], MountedVolume { host_path: site.volume("empty-dir"), read_only: false });
    assert_eq!(mounted.by_name.len(), 1);
    assert_eq!(site.mode("empty-dir", ""), 0o777);
    assert!(site.root.path().join("pods").join(UID).join("plugins/kubernetes.io~empty-dir/v/ready").exists());
    fs::write(site.volume("empty-dir").join("data"), "kept").unwrap();
    fs::set_permissions(site.volume("empty-dir"), Permissions::from_mode(0o700)).unwrap();
    site.setup(&pod).await.unwrap();
    assert_eq!(site.mode("empty-dir", ""), 0o700);
    assert_eq!(site.read("empty-dir", "data"), "kept");
    assert!(site.mounter.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn memory_is_a_tmpfs_with_the_smallest_bound() {
    let site = Site::new();
    let pod = pod(json!({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}));
    site.setup(&pod).await.unwrap();
    site.setup(&pod).await.unwrap();
    assert_eq!(*site.mounter.log.lock().unwrap(), ["tmpfs v Some(67108864)"]);
}

#[tokio::test]
async fn a_config_map_becomes_files_and_changes_arrive() {
    let site = Site::new();
    site.api.put_config_map("settings", &[("app.yaml", "a: 1"), ("x", "y")]);
    let pod = pod(json!({"configMap": {"name": "settings", "defaultMode": 0o440}}));
    let mounted = site.setup(&pod).await.unwrap();
    assert!(mounted.by_name["v"].read_only);
    assert_eq!(site.read("configmap", "app.yaml"), "a: 1");
    assert_eq!(site.mode("configmap", "app.yaml"), 0o440);
    assert!(site.mounter.log.lock().unwrap().is_empty());
    let before = fs::metadata(site.volume("configmap")).unwrap().ctime_nsec();
    assert_eq!(site.refresh(&pod).await, Ok(false));
    assert_eq!(fs::metadata(site.volume("configmap")).unwrap().ctime_nsec(), before, "an idle refresh wrote to disk");
    site.api.put_config_map("settings", &[("app.yaml", "a: 2")]);
    assert_eq!(site.refresh(&pod).await, Ok(true));
    assert_eq!(site.read("configmap", "app.yaml"), "a: 2");
    assert!(!site.volume("configmap").join("x").exists());
}

#[tokio::test]
async fn other_volumes_can_be_mounted_inside_a_read_only_one() {
    let site = Site::new();
    site.api.put_config_map("settings", &[("k", "v")]);
    let mut pod = pod(json!({"configMap": {"name": "settings"}}));
    let mounts = json!([{"name": "v", "mountPath": "/v"}, {"name": "unused", "mountPath": "/v/cache/x"}]);
    pod.spec.as_mut().unwrap().containers[0].volume_mounts = serde_json::from_value(mounts).unwrap();
    site.setup(&pod).await.unwrap();
    assert!(site.volume("configmap").join("cache/x").is_dir());
    assert_eq!(site.refresh(&pod).await, Ok(false));
}

#[tokio::test]
async fn items_choose_keys_paths_and_modes() {
    let site = Site::new();
    site.api.put_secret("keys", &[("tls.key", "k"), ("tls.crt", "c")]);
    let items = json!([{"key": "tls.key", "path": "private/key.pem", "mode": 0o400}]);
    site.setup(&pod(json!({"secret": {"secretName": "keys", "items": items}}))).await.unwrap();
    assert_eq!(site.read("secret", "private/key.pem"), "k");
    assert_eq!(site.mode("secret", "private/key.pem"), 0o400);
    assert!(!site.volume("secret").join("tls.crt").exists());
    assert_eq!(*site.mounter.log.lock().unwrap(), ["tmpfs v Some(1073741824)"]);
}

#[tokio::test]
async fn failures_have_the_kubelets_words_and_make_no_directory() {
    let site = Site::new();
    site.api.put_config_map("settings", &[]);
    let fails = async |volume| site.setup(&pod(volume)).await.unwrap_err();
    let text = |reason: &str| format!("MountVolume.SetUp failed for volume \"v\" : {reason}");
    assert_eq!(fails(json!({"configMap": {"name": "gone"}})).await, text("configmap \"gone\" not found"));
    assert_eq!(fails(json!({"secret": {"secretName": "gone"}})).await, text("secret \"gone\" not found"));
    assert_eq!(
        fails(json!({"configMap": {"name": "settings", "items": [{"key": "k", "path": "p"}]}})).await,
        text("configmap references non-existent config key: k")
    );
    assert_eq!(
        fails(json!({"projected": {"sources": [{"secret": {"name": "a"}}, {"configMap": {"name": "b"}}]}})).await,
        text("[secret \"a\" not found, configmap \"b\" not found]")
    );
    assert!(fails(json!({"nfs": {"server": "s", "path": "/"}})).await.contains("not supported"));
    assert!(fails(json!({"hostPath": {"path": "/nowhere", "type": "Directory"}})).await.contains("is not a directory"));
    assert!(!site.root.path().join("pods").exists());
}

#[tokio::test]
async fn optional_sources_may_be_missing_and_may_come_later() {
    let site = Site::new();
    let pod = pod(json!({"configMap": {"name": "later", "optional": true}}));
    site.setup(&pod).await.unwrap();
    assert_eq!(fs::read_dir(site.volume("configmap").join("..data")).unwrap().count(), 0);
    site.api.put_config_map("later", &[("k", "v")]);
    assert_eq!(site.refresh(&pod).await, Ok(true));
    assert_eq!(site.read("configmap", "k"), "v");
}

fn kube_api_access() -> Value {
    json!({"projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}})
}

#[tokio::test]
async fn the_default_projected_volume_has_token_ca_and_namespace() {
    let site = Site::new();
    site.api.put_config_map("kube-root-ca.crt", &[("ca.crt", "CA")]);
    site.setup(&pod(kube_api_access())).await.unwrap();
    assert_eq!(site.read("projected", "token"), "default-1");
    assert_eq!(site.read("projected", "ca.crt"), "CA");
    assert_eq!(site.read("projected", "namespace"), "default");
    assert_eq!(site.mode("projected", "token"), 0o644);
}

#[tokio::test]
async fn a_group_may_read_the_token_and_nobody_else() {
    let site = Site::new();
    site.api.put_config_map("kube-root-ca.crt", &[("ca.crt", "CA")]);
    let gid = nix::unistd::getgid().as_raw();
    site.setup(&pod_with(kube_api_access(), &json!({"fsGroup": gid}))).await.unwrap();
    assert_eq!(site.mode("projected", "token"), 0o640);
    assert_eq!(site.mode("projected", "ca.crt"), 0o644);
}

#[tokio::test]
async fn offline_a_volume_written_before_is_used_and_a_new_one_fails() {
    let site = Site::new();
    site.api.put_config_map("kube-root-ca.crt", &[("ca.crt", "CA")]);
    site.setup(&pod(kube_api_access())).await.unwrap();
    // The agent restarts: its token cache is gone, the cloud is too.
    let restarted = Volumes::with_mounter(
        site.root.path(),
        Arc::clone(&site.api) as Arc<dyn KubeApi>,
        Arc::clone(&site.mounter) as Arc<dyn Mounter>,
    );
    site.api.state().token_fails = true;
    let mounted = restarted.setup(&pod(kube_api_access()), &facts()).await.unwrap();
    assert_eq!(mounted.by_name["v"].host_path, site.volume("projected"));
    assert_eq!(site.read("projected", "token"), "default-1");
    let mut other = pod(kube_api_access());
    other.metadata.uid = Some("other".to_owned());
    let error = restarted.setup(&other, &facts()).await.unwrap_err();
    assert_eq!(error.reason, "failed to fetch token: not connected");
}

#[tokio::test]
async fn downward_api_follows_label_changes() {
    let site = Site::new();
    let items = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}}]);
    let mut pod = pod(json!({"downwardAPI": {"items": items}}));
    site.setup(&pod).await.unwrap();
    assert_eq!(site.read("downward-api", "labels"), "app=\"web\"");
    assert_eq!(site.read("downward-api", "cpu"), "2");
    pod.metadata.labels.as_mut().unwrap().insert("tier".to_owned(), "front".to_owned());
    assert_eq!(site.refresh(&pod).await, Ok(true));
    assert_eq!(site.read("downward-api", "labels"), "app=\"web\"\ntier=\"front\"");
}

#[tokio::test]
async fn teardown_unmounts_removes_and_forgets() {
    let site = Site::new();
    site.api.put_secret("keys", &[("k", "v")]);
    let pod = pod(json!({"secret": {"secretName": "keys"}}));
    site.setup(&pod).await.unwrap();
    assert_eq!(site.volumes.pods_on_disk().await, [UID]);
    site.volumes.teardown(UID).await.unwrap();
    assert!(site.volumes.pods_on_disk().await.is_empty());
    assert!(site.mounter.table.lock().unwrap().is_empty());
    assert_eq!(site.api.state().forgotten, [UID]);
    site.volumes.teardown(UID).await.unwrap();
    site.volumes.teardown("..").await.unwrap();
    assert!(site.root.path().join("pods").exists());
}

#[tokio::test]
async fn sub_paths_are_bound_below_the_pods_directory() {
    let site = Site::new();
    let pod = pod(json!({"emptyDir": {}}));
    let mounted = site.setup(&pod).await.unwrap();
    let mount = |extra: Value| {
        let mut mount = json!({"name": "v", "mountPath": "/v"});
        mount.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value::<VolumeMount>(mount).unwrap()
    };
    let env = [("POD".to_owned(), "web".to_owned())];
    let source = async |mount: VolumeMount| {
        let found = site.volumes.mount_source(&pod, "c", 0, &mount, &mounted, &env).await;
        found.map_err(|error| error.to_string())
    };
    assert_eq!(source(mount(json!({}))).await.unwrap(), site.volume("empty-dir"));
    let target = site.root.path().join("pods").join(UID).join("volume-subpaths/v/c/0");
    assert_eq!(source(mount(json!({"subPathExpr": "logs/$(POD)"}))).await.unwrap(), target);
    assert!(site.volume("empty-dir").join("logs/web").is_dir());
    assert_eq!(source(mount(json!({"subPathExpr": "$(NOPE)"}))).await.unwrap_err(), "missing value for \"NOPE\"");
    assert_eq!(
        source(mount(json!({"subPath": "../x"}))).await.unwrap_err(),
        "failed to prepare subPath for volumeMount \"v\" of container \"c\""
    );
    assert_eq!(
        source(mount(json!({"name": "w"}))).await.unwrap_err(),
        "cannot find volume \"w\" to mount into container \"c\""
    );
    site.volumes.teardown(UID).await.unwrap();
    assert!(site.mounter.table.lock().unwrap().is_empty());
}

#[test]
fn references_name_the_pods_to_refresh() {
    let change = |kind, name: &str| ObjectChange { kind, namespace: "default".to_owned(), name: name.to_owned() };
    let projected = pod(kube_api_access());
    assert!(references(&projected, &change(ObjectKind::ConfigMap, "kube-root-ca.crt")));
    assert!(!references(&projected, &change(ObjectKind::Secret, "kube-root-ca.crt")));
    let secret = pod(json!({"secret": {"secretName": "keys"}}));
    assert!(references(&secret, &change(ObjectKind::Secret, "keys")));
    let elsewhere = ObjectChange { namespace: "other".to_owned(), ..change(ObjectKind::Secret, "keys") };
    assert!(!references(&secret, &elsewhere));
}

/// The real mount table: a secret on its tmpfs, a subPath bound out of it, and nothing left afterwards.
#[tokio::test]
#[ignore = "needs: root (CAP_SYS_ADMIN)"]
async fn real_mounts_are_made_and_taken_away() {
    let site = Site::new();
    site.api.put_secret("keys", &[("k", "v")]);
    let volumes = Volumes::new(site.root.path(), Arc::clone(&site.api) as Arc<dyn KubeApi>);
    let pod = pod(json!({"secret": {"secretName": "keys"}}));
    let mounted = volumes.setup(&pod, &facts()).await.unwrap();
    let table =
        || mounts::Kernel.mount_points().unwrap().into_iter().filter(|p| p.starts_with(site.root.path())).count();
    assert_eq!(table(), 1);
    volumes.setup(&pod, &facts()).await.unwrap();
    let mount = serde_json::from_value(json!({"name": "v", "mountPath": "/f", "subPath": "k"})).unwrap();
    for _ in 0..2 {
        let bound = volumes.mount_source(&pod, "c", 0, &mount, &mounted, &[]).await.unwrap();
        assert_eq!(fs::read_to_string(bound).unwrap(), "v");
        assert_eq!(table(), 2);
    }
    site.api.put_secret("keys", &[("k", "w")]);
    assert!(volumes.refresh(&pod, &facts()).await.unwrap());
    let bound = volumes.mount_source(&pod, "c", 0, &mount, &mounted, &[]).await.unwrap();
    assert_eq!(fs::read_to_string(bound).unwrap(), "w");
    assert_eq!(table(), 2);
    volumes.teardown(UID).await.unwrap();
    assert_eq!(table(), 0);
    assert!(volumes.pods_on_disk().await.is_empty());
}
