use super::*;

const EDGE: &str = "e1";

struct Bench {
    cluster: Cluster,
    version: u64,
}

impl Bench {
    fn new() -> Self {
        Self { cluster: Cluster::default(), version: 100 }
    }

    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn pod(&mut self, name: &str, uid: &str, node: &str, configs: &[&str]) -> Vec<String> {
        let volumes: Vec<String> =
            configs.iter().map(|name| format!(r#"{{"name":"{name}","configMap":{{"name":"{name}"}}}}"#)).collect();
        let text = format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"d","uid":"{uid}","resourceVersion":"{}"}},"spec":{{"nodeName":"{node}","volumes":[{}],"v":{}}}}}"#,
            self.next(),
            volumes.join(","),
            self.version,
        );
        let object = Object::read(&Kind::Pod, &text).expect("reads");
        seen(self.cluster.pod_applied(object).expect("a pod"))
    }

    fn config(&mut self, kind: &Kind, name: &str, uid: &str) -> Vec<String> {
        let text = format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"d","uid":"{uid}","resourceVersion":"{}"}},"data":{{"v":"{}"}}}}"#,
            self.next(),
            self.version,
        );
        seen(self.cluster.config_applied(kind, &Object::read(kind, &text).expect("reads")))
    }

    fn node(&mut self, label: &str) -> Vec<String> {
        let text = format!(
            r#"{{"metadata":{{"name":"{EDGE}","uid":"node-uid","resourceVersion":"{}","labels":{{"{label}":""}}}},"spec":{{"v":{}}}}}"#,
            self.next(),
            self.version,
        );
        seen(self.cluster.node_applied(Object::read(&Kind::Node, &text).expect("reads")))
    }

    fn connect(&mut self, forgetful: bool) -> Vec<String> {
        seen(self.cluster.connected(&EDGE.into(), forgetful))
    }

    /// The node acknowledges the newest state of an object.
    fn ack(&mut self, key: &ObjectKey, uid: &str, version: u64) {
        let version = Version::from(version.to_string().as_str());
        let receipt = Receipt { key: key.clone(), uid: uid.into(), version, deleted: false, answer: false };
        assert!(self.cluster.acknowledged(&EDGE.into(), &receipt).is_empty());
    }

    /// The node acknowledges an answer that holds an object in this version.
    fn ack_answer(&mut self, key: &ObjectKey, uid: &str, version: u64) -> Vec<String> {
        let version = Version::from(version.to_string().as_str());
        let receipt = Receipt { key: key.clone(), uid: uid.into(), version, deleted: false, answer: true };
        seen(self.cluster.acknowledged(&EDGE.into(), &receipt))
    }

    fn gone(&mut self, name: &str) -> Vec<String> {
        seen(self.cluster.pod_gone(&pod_key(name), None))
    }
}

fn pod_key(name: &str) -> ObjectKey {
    ObjectKey::namespaced(Kind::Pod, "d", name)
}

fn config_key(name: &str) -> ObjectKey {
    ObjectKey::namespaced(Kind::ConfigMap, "d", name)
}

/// Deliveries as `<operation> <resource> <uid> <body>`.
fn seen(offers: Offers) -> Vec<String> {
    let text = |delivery: Delivery| {
        let Payload::State { change, body } = &delivery.payload else { panic!("only states are owed") };
        let body = match body {
            Body::Object(_) => "object",
            Body::Minimal => "minimal",
            Body::Fetch => "fetch",
            Body::Refresh => "refresh",
        };
        format!("{change:?} {} {} {body}", delivery.key, delivery.uid)
    };
    offers.into_iter().map(|(_, delivery)| text(delivery)).collect()
}

#[test]
fn a_pod_bound_before_its_node_ever_existed_is_delivered_at_connect() {
    let mut bench = Bench::new();
    assert!(bench.pod("web", "u1", EDGE, &[]).is_empty());
    assert_eq!(bench.connect(false), ["Update d/pod/web u1 fetch"]);
}

#[test]
fn first_sight_is_an_insert_and_a_binding_is_an_update() {
    let mut bench = Bench::new();
    bench.connect(false);
    assert_eq!(bench.pod("made-bound", "u1", EDGE, &[]), ["Insert d/pod/made-bound u1 object"]);
    assert!(bench.pod("scheduled", "u2", "", &[]).is_empty());
    assert_eq!(bench.pod("scheduled", "u2", EDGE, &[]), ["Update d/pod/scheduled u2 object"]);
}

#[test]
fn other_nodes_pods_are_nobodys_business() {
    let mut bench = Bench::new();
    bench.connect(false);
    assert!(bench.pod("web", "u1", "e2", &[]).is_empty());
    assert!(bench.gone("web").is_empty());
}

#[test]
fn repeating_an_event_or_a_plan_owes_nothing() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &[]);
    assert!(seen(bench.cluster.plan(&EDGE.into())).is_empty());
    bench.ack(&pod_key("web"), "u1", bench.version);
    assert!(seen(bench.cluster.plan(&EDGE.into())).is_empty());
    assert!(bench.connect(false).is_empty());
}

#[test]
fn a_reconnect_delivers_what_changed_and_what_vanished_meanwhile() {
    let mut bench = Bench::new();
    bench.connect(false);
    for (name, uid) in [("changed", "u1"), ("same", "u2"), ("deleted", "u3"), ("moved", "u4")] {
        bench.pod(name, uid, EDGE, &[]);
        bench.ack(&pod_key(name), uid, bench.version);
    }
    bench.cluster.disconnected(EDGE);
    bench.pod("changed", "u1", EDGE, &[]);
    bench.gone("deleted");
    bench.gone("moved");
    bench.pod("moved", "u5", EDGE, &[]);
    let mut owed = bench.connect(false);
    owed.sort();
    assert_eq!(
        owed,
        [
            "Delete d/pod/deleted u3 minimal",
            "Delete d/pod/moved u4 minimal",
            "Update d/pod/changed u1 fetch",
            "Update d/pod/moved u5 fetch",
        ]
    );
}

#[test]
fn deletes_come_before_everything_else() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("old", "u1", EDGE, &[]);
    bench.ack(&pod_key("old"), "u1", bench.version);
    bench.cluster.disconnected(EDGE);
    bench.gone("old");
    bench.pod("new", "u2", EDGE, &[]);
    assert_eq!(bench.connect(false), ["Delete d/pod/old u1 minimal", "Update d/pod/new u2 fetch"]);
}

#[test]
fn a_wiped_store_gets_everything_again() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    bench.pod("web", "u1", EDGE, &["cm"]);
    bench.ack(&pod_key("web"), "u1", bench.version);
    bench.ack(&config_key("cm"), "c1", bench.version);
    bench.cluster.disconnected(EDGE);
    assert!(bench.connect(false).is_empty());
    assert_eq!(bench.connect(true), ["Update d/configmap/cm c1 fetch", "Update d/pod/web u1 fetch"]);
}

#[test]
fn a_configmap_is_pushed_to_its_users_but_not_with_the_pod() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    assert_eq!(bench.pod("web", "u1", EDGE, &["cm"]), ["Insert d/pod/web u1 object"]);
    assert_eq!(bench.config(&Kind::ConfigMap, "cm", "c1"), ["Update d/configmap/cm c1 object"]);
    assert!(bench.config(&Kind::ConfigMap, "unused", "c2").is_empty());
}

#[test]
fn a_configmap_made_after_its_pod_is_an_insert_and_a_secret_never_is() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &["cm"]);
    assert_eq!(bench.config(&Kind::ConfigMap, "cm", "c1"), ["Insert d/configmap/cm c1 object"]);
    let pod = r#"{"metadata":{"name":"s","namespace":"d","uid":"u2","resourceVersion":"900"},"spec":{"nodeName":"e1","volumes":[{"name":"s","secret":{"secretName":"s"}}]}}"#;
    bench.cluster.pod_applied(Object::read(&Kind::Pod, pod).expect("reads")).expect("a pod");
    assert_eq!(bench.config(&Kind::Secret, "s", "s1"), ["Update d/secret/s s1 object"]);
}

#[test]
fn references_are_counted() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("a", "u1", EDGE, &["cm"]);
    bench.pod("b", "u2", EDGE, &["cm"]);
    bench.gone("a");
    assert!(bench.cluster.refers(EDGE, &config_key("cm")));
    bench.gone("b");
    assert!(!bench.cluster.refers(EDGE, &config_key("cm")));
    assert!(bench.config(&Kind::ConfigMap, "cm", "c1").is_empty());
}

#[test]
fn a_configmap_that_changed_while_nobody_used_it_is_refreshed_with_its_next_user() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("a", "u1", EDGE, &["cm"]);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    bench.ack(&config_key("cm"), "c1", bench.version);
    bench.gone("a");
    assert!(bench.config(&Kind::ConfigMap, "cm", "c1").is_empty());
    assert_eq!(bench.pod("b", "u2", EDGE, &["cm"]), ["Update d/configmap/cm c1 fetch", "Insert d/pod/b u2 object"]);
}

#[test]
fn a_deleted_configmap_goes_wherever_it_was_delivered() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("a", "u1", EDGE, &["cm"]);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    bench.ack(&config_key("cm"), "c1", bench.version);
    bench.gone("a");
    assert_eq!(seen(bench.cluster.config_gone(&config_key("cm"), None)), ["Delete d/configmap/cm c1 minimal"]);
}

#[test]
fn a_configmap_recreated_while_the_node_was_away_follows_the_deletion_of_the_old_one() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &["cm"]);
    bench.ack(&pod_key("web"), "u1", bench.version);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    bench.ack(&config_key("cm"), "c1", bench.version);
    bench.cluster.disconnected(EDGE);
    bench.config(&Kind::ConfigMap, "cm", "c2");
    let expected = ["Delete d/configmap/cm c1 minimal", "Update d/configmap/cm c2 fetch"];
    assert_eq!(bench.connect(false), expected);
    assert!(seen(bench.cluster.plan(&EDGE.into())).is_empty());
    // The new one arrived, the deletion of the old one did not: it would take the new one with it.
    bench.ack(&config_key("cm"), "c2", bench.version);
    bench.cluster.disconnected(EDGE);
    assert_eq!(bench.connect(false), expected);
}

#[test]
fn an_answer_that_overwrote_a_newer_state_is_made_up_for() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &["cm"]);
    bench.config(&Kind::ConfigMap, "cm", "c1");
    let old = bench.version;
    assert!(bench.ack_answer(&config_key("cm"), "c1", old).is_empty());
    bench.config(&Kind::ConfigMap, "cm", "c1");
    let new = bench.version;
    bench.ack(&config_key("cm"), "c1", new);
    assert_eq!(bench.ack_answer(&config_key("cm"), "c1", old), ["Update d/configmap/cm c1 fetch"]);
    bench.ack(&config_key("cm"), "c1", new);
    assert!(seen(bench.cluster.plan(&EDGE.into())).is_empty());
}

#[test]
fn a_record_removed_by_somebody_else_is_not_forgotten() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &[]);
    bench.ack(&pod_key("web"), "u1", bench.version);
    let lost = bench.cluster.record_lost(EDGE, "u1").expect("to be written again");
    assert_eq!((&*lost.uid, lost.version.to_string()), ("u1", bench.version.to_string()));
    assert_eq!(bench.gone("web"), ["Delete d/pod/web u1 minimal"]);
    assert_eq!(bench.cluster.record_lost(EDGE, "u1"), None, "it is about to go");
    bench.cluster.disconnected(EDGE);
    assert_eq!(bench.cluster.record_lost(EDGE, "u1"), None, "nobody knows yet");
    assert_eq!(bench.connect(false), ["Delete d/pod/web u1 minimal"]);
    let deleted = Receipt { deleted: true, ..lost };
    bench.cluster.acknowledged(&EDGE.into(), &deleted);
    bench.cluster.record_applied(EDGE, "u1".into(), Record { key: pod_key("web"), version: "".into() });
    assert_eq!(bench.cluster.record_lost(EDGE, "u1"), None);
    assert!(!bench.cluster.is_recorded(EDGE, "u1"), "an echo that came after the deletion");
}

#[test]
fn recreated_under_the_same_name_means_delete_then_insert() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &[]);
    assert_eq!(bench.pod("web", "u2", EDGE, &[]), ["Delete d/pod/web u1 minimal", "Insert d/pod/web u2 object"]);
}

#[test]
fn the_node_object_is_echoed_and_a_foreign_node_gets_nothing() {
    let mut bench = Bench::new();
    bench.connect(false);
    assert_eq!(bench.node(EDGE_LABEL), ["Update null/node/e1 node-uid object"]);
    let mut bench = Bench::new();
    bench.pod("web", "u1", EDGE, &[]);
    bench.node("node-role.kubernetes.io/control-plane");
    assert!(bench.connect(false).is_empty());
    assert_eq!(
        bench.node(EDGE_LABEL),
        ["Update null/node/e1 node-uid fetch", "Update d/pod/web u1 fetch"],
        "once it is an edge node"
    );
}

#[test]
fn a_late_echo_of_a_record_does_not_turn_time_back() {
    let mut bench = Bench::new();
    bench.connect(false);
    bench.pod("web", "u1", EDGE, &[]);
    let version = bench.version;
    bench.ack(&pod_key("web"), "u1", version);
    bench.cluster.record_applied(EDGE, "u1".into(), Record { key: pod_key("web"), version: "".into() });
    assert!(bench.connect(false).is_empty());
}

#[test]
fn kinds_nobody_watches_are_looked_after_at_connect() {
    let mut bench = Bench::new();
    let key = ObjectKey::namespaced(Kind::named("v1", "PersistentVolumeClaim"), "d", "data");
    bench.cluster.record_applied(EDGE, "p1".into(), Record { key, version: "7".into() });
    assert_eq!(bench.connect(false), ["Update d/persistentvolumeclaim/data p1 refresh"]);
}
