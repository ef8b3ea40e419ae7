//! What a container finds in its environment.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fake_api::FakeApi;

fn facts() -> PodFacts {
    PodFacts {
        node_name: "edge-1".to_owned(),
        pod_ips: vec!["10.0.0.2".parse().unwrap()],
        service_env: vec![("KUBERNETES_SERVICE_HOST".to_owned(), "169.254.30.10".to_owned())],
        ..PodFacts::default()
    }
}

async fn build(container: serde_json::Value, api: &FakeApi) -> Result<Vec<(String, String)>, EnvError> {
    let container: Container = serde_json::from_value(container).unwrap();
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": []}}))
    .unwrap();
    container_env(&pod, &container, &facts(), api).await
}

fn text(env: &[(String, String)]) -> String {
    env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn sources_are_applied_in_order_and_later_values_win_in_place() {
    let api = FakeApi::new();
    api.put_config_map("settings", &[("COLOR", "red"), ("SIZE", "1")]);
    api.put_secret("keys", &[("TOKEN", "s3cret")]);
    let env = build(
        json!({"name": "c",
            "envFrom": [{"configMapRef": {"name": "settings"}}, {"prefix": "K_", "secretRef": {"name": "keys"}}],
            "env": [{"name": "COLOR", "value": "dark $(COLOR)"}, {"name": "NODE",
                "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "ADDR", "value": "http://$(NODE):$(PORT) $$(NODE)"},
                {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "TOKEN"}}}]}),
        &api,
    )
    .await
    .unwrap();
    assert_eq!(
        text(&env),
        "COLOR=dark red SIZE=1 K_TOKEN=s3cret NODE=edge-1 ADDR=http://edge-1:$(PORT) $(NODE) ONE=s3cret \
         KUBERNETES_SERVICE_HOST=169.254.30.10"
    );
}

#[tokio::test]
async fn a_value_set_by_the_user_is_not_replaced_by_ours() {
    let env = json!([{"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.0.1"}]);
    let env = build(json!({"name": "c", "env": env}), &FakeApi::new()).await.unwrap();
    assert_eq!(text(&env), "KUBERNETES_SERVICE_HOST=10.0.0.1");
}

#[tokio::test]
async fn missing_objects_and_keys_are_named_unless_optional() {
    let api = FakeApi::new();
    api.put_config_map("settings", &[]);
    let fails = async |env_from: serde_json::Value, env: serde_json::Value| {
        build(json!({"name": "c", "envFrom": env_from, "env": env}), &api).await.unwrap_err().to_string()
    };
    let key = |source: &str, name: &str| json!([{"name": "A", "valueFrom": {source: {"name": name, "key": "k"}}}]);
    assert_eq!(fails(json!([{"configMapRef": {"name": "gone"}}]), json!([])).await, "configmap \"gone\" not found");
    assert_eq!(fails(json!([]), key("secretKeyRef", "gone")).await, "secret \"gone\" not found");
    assert_eq!(
        fails(json!([]), key("configMapKeyRef", "settings")).await,
        "couldn't find key k in ConfigMap default/settings"
    );
    let optional = json!({"name": "c",
        "envFrom": [{"configMapRef": {"name": "gone", "optional": true}}],
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k", "optional": true}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "k", "optional": true}}}]});
    assert_eq!(text(&build(optional, &api).await.unwrap()), "KUBERNETES_SERVICE_HOST=169.254.30.10");
}

#[test]
fn expansion_follows_kubernetes() {
    let env = [("A".to_owned(), "1".to_owned()), ("B b".to_owned(), "2".to_owned())];
    let check = |text, expected| assert_eq!(expand(text, &env), expected, "{text}");
    check("$(A)", "1");
    check("$(B b)-$(A)", "2-1");
    check("$$(A)", "$(A)");
    check("$$$(A)", "$1");
    check("$(missing)", "$(missing)");
    check("$(A", "$(A");
    check("$A $", "$A $");
    check("$()", "$()");
    let (_, unknown) = expand_with("$(A)/$(x)/$(y)", |name| (name == "A").then(|| "1".into()));
    assert_eq!(unknown.as_deref(), Some("x"));
}

proptest! {
    #[test]
    fn expansion_never_panics(text in "[$()a-c ]{0,30}") {
        let _ = expand(&text, &[("a".to_owned(), "$(b)".to_owned())]);
    }

    #[test]
    fn text_without_a_dollar_is_unchanged(text in "[^$]{0,30}") {
        prop_assert_eq!(expand(&text, &[]), text);
    }
}
