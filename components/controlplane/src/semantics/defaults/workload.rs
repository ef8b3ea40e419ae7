//! Workloads: apps, batch, autoscaling.

use serde_json::{Map, Value, json};

use super::{child, cluster, fill, pod, with, word};

type Object = Map<String, Value>;

fn spec(object: &mut Object) -> Option<&mut Object> {
    child(object, "spec")
}

/// Labels of the template, for kinds that take theirs from it.
fn template_labels(spec: &Object) -> Option<Value> {
    let labels = spec.get("template")?.get("metadata")?.get("labels")?;
    labels.as_object().filter(|labels| !labels.is_empty())?;
    Some(labels.clone())
}

pub(super) fn deployment(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = child(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        if word(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", "25%");
            fill(rolling, "maxSurge", "25%");
        }
    }
    with(spec, "template", pod::template);
}

pub(super) fn replica_set(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "replicas", 1);
    with(spec, "template", pod::template);
}

pub(super) fn replication_controller(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "replicas", 1);
    with(spec, "template", pod::template);
    if let Some(labels) = template_labels(spec) {
        fill(spec, "selector", labels.clone());
        if let Some(metadata) = child(object, "metadata") {
            fill(metadata, "labels", labels);
        }
    }
}

pub(super) fn daemon_set(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = child(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if word(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    with(spec, "template", pod::template);
}

pub(super) fn stateful_set(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "replicas", 1);
    fill(spec, "podManagementPolicy", "OrderedReady");
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = child(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if word(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    super::each(spec, "volumeClaimTemplates", |claim| {
        fill(claim, "apiVersion", "v1");
        fill(claim, "kind", "PersistentVolumeClaim");
        cluster::claim(claim);
    });
    with(spec, "template", pod::template);
}

pub(super) fn job(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        fill(spec, "completions", 1);
    }
    job_spec(spec);
    let manual = spec.get("manualSelector").is_some_and(|manual| *manual == true);
    if !manual {
        own_selector(object);
    }
    let labels = child(object, "spec").and_then(|spec| template_labels(spec));
    if let (Some(labels), Some(metadata)) = (labels, child(object, "metadata")) {
        fill(metadata, "labels", labels);
    }
}

fn job_spec(spec: &mut Object) {
    fill(spec, "parallelism", 1);
    fill(spec, "backoffLimit", 6);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(
        spec,
        "podReplacementPolicy",
        if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" },
    );
    with(spec, "template", pod::template);
}

/// Selector and template labels of a Job from its UID, once it has one.
fn own_selector(object: &mut Object) {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let text = |key: &str| metadata.map(|metadata| word(metadata, key).to_owned()).unwrap_or_default();
    let (uid, name) = (text("uid"), text("name"));
    if uid.is_empty() {
        return;
    }
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
    let owned = spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] == uid.as_str();
    if !owned {
        return;
    }
    if let Some(labels) = child(spec, "template")
        .and_then(|template| child(template, "metadata"))
        .and_then(|metadata| child(metadata, "labels"))
    {
        for (key, value) in [
            ("controller-uid", &uid),
            ("batch.kubernetes.io/controller-uid", &uid),
            ("job-name", &name),
            ("batch.kubernetes.io/job-name", &name),
        ] {
            fill(labels, key, value.as_str());
        }
    }
}

pub(super) fn cron_job(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    with(spec, "jobTemplate", |template| with(template, "spec", |spec| with(spec, "template", pod::template)));
}

pub(super) fn autoscaler(object: &mut Object) {
    let Some(spec) = spec(object) else { return };
    fill(spec, "minReplicas", 1);
    if !spec.contains_key("metrics") {
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        fill(spec, "metrics", cpu);
    }
}
