//! Job and CronJob. Source: spec 10 §2.5.

use serde_json::Value;

use super::pod::{self, Owner};
use super::report::{Report, text};
use super::{schedule, selector};
use crate::semantics::json::Path;

/// Rules of a Job.
pub(super) fn job(object: &Value, old: Option<&Value>, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    job_spec(spec, path, report);
    if spec["selector"].is_null() {
        report.required(path.key("selector"), "");
    } else {
        selector::label_selector(&spec["selector"], path.key("selector"), report);
        let template = path.key("template");
        let labels = &spec["template"]["metadata"]["labels"];
        if !selector::matches(&spec["selector"], labels) {
            let at = template.key("metadata");
            report.invalid(at.key("labels"), labels, "`selector` does not match template `labels`");
        }
    }
    let Some(old) = old else { return };
    let before = &old["spec"];
    for field in ["completions", "selector", "completionMode"] {
        report.immutable(path.key(field), &before[field], &spec[field]);
    }
    let unstarted = before["suspend"] == true && old["status"]["startTime"].is_null();
    let (mut was, mut is) = (before["template"].clone(), spec["template"].clone());
    if unstarted {
        for template in [&mut was, &mut is] {
            scheduling_fields(template);
        }
    }
    if was != is {
        report.invalid(path.key("template"), &spec["template"], "field is immutable");
    }
}

/// Removes what may change while a job is suspended and never ran.
fn scheduling_fields(template: &mut Value) {
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
            spec.remove(field);
        }
    }
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("labels");
        metadata.remove("annotations");
    }
}

/// Rules of a CronJob.
pub(super) fn cron_job(object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let path = Path::Root.key("spec");
    if text(&object["metadata"]["name"]).len() > 52 {
        report.invalid("metadata.name", &object["metadata"]["name"], "must be no more than 52 characters");
    }
    let line = text(&spec["schedule"]);
    if line.is_empty() {
        report.required(path.key("schedule"), "");
    } else if line.contains("TZ") {
        report.invalid(
            path.key("schedule"),
            &spec["schedule"],
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        );
    } else if let Err(why) = schedule::check(line) {
        report.invalid(path.key("schedule"), &spec["schedule"], why);
    }
    if let Some(zone) = spec["timeZone"].as_str() {
        let at = path.key("timeZone");
        if zone.is_empty() {
            report.invalid(at, &spec["timeZone"], "timeZone must be nil or non-empty string");
        } else if zone.eq_ignore_ascii_case("local") || jiff::tz::TimeZone::get(zone).is_err() {
            report.invalid(at, &spec["timeZone"], format_args!("unknown time zone {zone}"));
        }
    }
    report.not_negative(path.key("startingDeadlineSeconds"), &spec["startingDeadlineSeconds"]);
    report.one_of(path.key("concurrencyPolicy"), &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"]);
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    let template = path.key("jobTemplate");
    job_spec(&spec["jobTemplate"]["spec"], template.key("spec"), report);
}

fn job_spec(spec: &Value, path: Path<'_>, report: &mut Report) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        report.not_negative(path.key(field), &spec[field]);
    }
    report.maybe_one_of(path.key("completionMode"), &spec["completionMode"], &["NonIndexed", "Indexed"]);
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        report.required(path.key("completions"), "when completion mode is Indexed");
    }
    pod::template(&spec["template"], path.key("template"), Owner::Job, report);
}
