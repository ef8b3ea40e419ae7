use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::semantics::resources::builtin;

fn resource(plural: &str) -> ResourceInfo {
    builtin().iter().find(|row| row.plural == plural).map(ResourceInfo::from).unwrap()
}

fn smp(plural: &str, current: &Value, patch: &Value) -> Result<Value, PatchError> {
    apply_patch(&resource(plural), PatchType::StrategicMerge, current, patch.to_string().as_bytes())
}

fn pod(spec: &Value) -> Value {
    json!({ "spec": spec })
}

fn check_pod(current: &Value, patch: &Value, result: &Value) {
    assert_eq!(smp("pods", &pod(current), &pod(patch)).unwrap(), pod(result));
}

fn names(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|name| json!({ "name": name })).collect())
}

#[test]
fn lists_with_a_key_merge_by_it() {
    check_pod(
        &json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
        &json!({"containers": [{"name": "b", "image": "2"}]}),
        &json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}),
    );
}

#[test]
fn order_is_that_of_the_specification() {
    check_pod(
        &json!({"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "B"}]}]}),
        &json!({"containers": [{"name": "c", "env": [{"name": "B", "$patch": "delete"}, {"name": "C"}]}]}),
        &json!({"containers": [{"name": "c", "env": [{"name": "C"}, {"name": "A"}]}]}),
    );
    check_pod(
        &json!({"containers": names(&["c1", "c2"])}),
        &json!({"containers": names(&["c2", "c3"])}),
        &json!({"containers": names(&["c1", "c2", "c3"])}),
    );
    let merged = smp(
        "configmaps",
        &json!({"metadata": {"finalizers": ["a", "b"]}}),
        &json!({"metadata": {"finalizers": ["c"]}}),
    );
    assert_eq!(merged.unwrap()["metadata"]["finalizers"], json!(["c", "a", "b"]));
}

#[test]
fn element_order_rules() {
    check_pod(
        &json!({"containers": names(&["a", "b", "c"])}),
        &json!({"$setElementOrder/containers": names(&["c", "a"]), "containers": [{"name": "a", "image": "2"}]}),
        &json!({"containers": [{"name": "b"}, {"name": "c"}, {"name": "a", "image": "2"}]}),
    );
    check_pod(
        &json!({"containers": names(&["a", "b"])}),
        &json!({"$setElementOrder/containers": names(&["b", "a"])}),
        &json!({"containers": names(&["b", "a"])}),
    );
}

#[test]
fn directives_replace_and_delete() {
    check_pod(
        &json!({"containers": [{"name": "a", "image": "1", "resources": {"limits": {"cpu": "1"}}}]}),
        &json!({"containers": [{"name": "a", "resources": {"$patch": "replace", "requests": {"cpu": "2"}}}]}),
        &json!({"containers": [{"name": "a", "image": "1", "resources": {"requests": {"cpu": "2"}}}]}),
    );
    let node = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n"}]}});
    let patch =
        json!({"status": {"addresses": [{"$patch": "replace"}, {"type": "InternalIP", "address": "10.0.0.2"}]}});
    assert_eq!(
        smp("nodes", &node, &patch).unwrap()["status"]["addresses"],
        json!([{"type": "InternalIP", "address": "10.0.0.2"}])
    );
    check_pod(
        &json!({"nodeSelector": {"a": "1"}, "securityContext": {"runAsUser": 1}}),
        &json!({"securityContext": {"$patch": "delete"}, "nodeSelector": {"a": null, "b": "2"}}),
        &json!({"nodeSelector": {"b": "2"}, "securityContext": {}}),
    );
}

#[test]
fn primitive_sets_unite_and_lose_values() {
    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"]}});
    assert_eq!(smp("configmaps", &current, &patch).unwrap()["metadata"]["finalizers"], json!(["c", "b"]));
}

#[test]
fn retained_keys_switch_union_members() {
    check_pod(
        &json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        &json!({"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}),
        &json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
    );
    let current = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(smp("deployments", &current, &patch).unwrap(), json!({"spec": {"strategy": {"type": "Recreate"}}}));
}

#[test]
fn atomic_lists_and_replaced_maps() {
    check_pod(
        &json!({"tolerations": [{"key": "a"}]}),
        &json!({"tolerations": [{"key": "b"}]}),
        &json!({"tolerations": [{"key": "b"}]}),
    );
    let current = json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}});
    let patch = json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}});
    assert_eq!(smp("poddisruptionbudgets", &current, &patch).unwrap(), patch);
}

#[test]
fn mistakes_are_400_with_the_known_text() {
    let error = smp("pods", &pod(&json!({})), &pod(&json!({"containers": [{"image": "noname"}]}))).unwrap_err();
    assert_eq!(error.status(), 400);
    assert_eq!(error.to_string(), "map: map[image:noname] does not contain declared merge key: name");
    let error = smp("pods", &pod(&json!({})), &pod(&json!({"$patch": "bogus"}))).unwrap_err();
    assert_eq!(error.to_string(), "unknown patch type: bogus in map: map[$patch:bogus]");
}

#[test]
fn merge_patches_follow_rfc_7386() {
    let current = json!({"a": {"b": 1, "c": [1, 2]}});
    let patch = br#"{"a":{"b":null,"c":[3],"d":{"e":null}}}"#;
    let result = apply_patch(&resource("pods"), PatchType::Merge, &current, patch).unwrap();
    assert_eq!(result, json!({"a": {"c": [3], "d": {}}}));
    assert_eq!(apply_patch(&resource("pods"), PatchType::Merge, &current, b"[]").unwrap_err().status(), 400);
}

#[test]
fn json_patches_follow_rfc_6902() {
    let info = resource("configmaps");
    let current = json!({"data": {"a": "1"}, "l": [1]});
    let run = |patch: Value| apply_patch(&info, PatchType::Json, &current, patch.to_string().as_bytes());
    let result =
        run(json!([{"op": "add", "path": "/data/b", "value": "2"}, {"op": "add", "path": "/l/-", "value": 2}]));
    assert_eq!(result.unwrap(), json!({"data": {"a": "1", "b": "2"}, "l": [1, 2]}));
    let error = run(json!([{"op": "test", "path": "/data/a", "value": "x"}])).unwrap_err();
    assert_eq!((error.status(), error), (422, PatchError::Rejected));
    assert_eq!(run(json!([{"op": "remove", "path": "/data/x"}])).unwrap_err().status(), 422);
    assert_eq!(run(json!({})).unwrap_err().status(), 400);
    let many = Value::Array(vec![json!({"op": "test", "path": "/data/a", "value": "1"}); 10_001]);
    let error = run(many).unwrap_err();
    assert_eq!(error.status(), 413);
    assert_eq!(error.to_string(), "The allowed maximum operations in a JSON patch is 10000, got 10001");
    let doubling = (0..64).map(|at| json!({"op": "copy", "from": "/data", "path": format!("/data/k{at}")})).collect();
    assert_eq!(run(Value::Array(doubling)).unwrap_err().status(), 422);
    let step = (0..60).map(|at| {
        let value = (0..100).fold(json!(1), |inner, _| json!({ "x": inner }));
        json!({"op": "add", "path": format!("/data{}", "/x".repeat(at * 100 + 1)), "value": value})
    });
    assert_eq!(run(Value::Array(step.collect())).unwrap_err().status(), 422, "nesting is limited");
}

#[test]
fn apply_is_refused_clearly() {
    let error = apply_patch(&resource("pods"), PatchType::Apply, &json!({}), b"{}").unwrap_err();
    assert_eq!(error.status(), 415);
    assert!(error.to_string().contains("application/strategic-merge-patch+json"));
}

#[test]
fn a_patch_that_names_a_version_is_recognised() {
    assert!(names_resource_version(PatchType::Merge, br#"{"metadata":{"resourceVersion":"7"}}"#));
    assert!(!names_resource_version(PatchType::Merge, br#"{"metadata":{}}"#));
    let patch = br#"[{"op":"test","path":"/metadata/resourceVersion","value":"7"}]"#;
    assert!(names_resource_version(PatchType::Json, patch));
}

fn container() -> impl Strategy<Value = Value> {
    ("[abc]", "[xy]", prop::collection::btree_map("[AB]", "[01]", 0..3)).prop_map(|(name, image, env)| {
        let env: Vec<_> = env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"name": name, "image": image, "env": env})
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let unique = |items: Vec<Value>| {
        let mut seen = std::collections::BTreeSet::new();
        items.into_iter().filter(|item| seen.insert(item["name"].to_string())).collect::<Vec<_>>()
    };
    (prop::collection::vec(container(), 0..4), prop::collection::btree_map("[kl]", "[mn]", 0..3)).prop_map(
        move |(containers, selector)| pod(&json!({"containers": unique(containers), "nodeSelector": selector})),
    )
}

proptest! {
    #[test]
    fn strategic_merge_is_idempotent(current in spec(), patch in spec()) {
        let once = smp("pods", &current, &patch).unwrap();
        let twice = smp("pods", &once, &patch).unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn merging_an_object_into_nothing_gives_the_object(patch in spec()) {
        prop_assert_eq!(smp("pods", &json!({}), &patch).unwrap(), patch);
    }

    #[test]
    fn patches_never_panic(body: Vec<u8>, kind in prop_oneof![Just(PatchType::Json), Just(PatchType::Merge), Just(PatchType::StrategicMerge)]) {
        let _ = apply_patch(&resource("pods"), kind, &json!({"spec": {"containers": [{"name": "a"}]}}), &body);
    }
}
