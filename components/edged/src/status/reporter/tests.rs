//! What the reporter sends, and what it does not.

use serde_json::json;

use super::*;
use crate::fake_api::FakeApi;

fn object(status: &Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "status": status});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn deleting(status: &Value) -> Arc<Pod> {
    let mut pod = object(status).as_ref().clone();
    pod.metadata.deletion_timestamp = Some(crate::status::seconds(jiff::Timestamp::UNIX_EPOCH));
    Arc::new(pod)
}

fn status(json: Value) -> Box<PodStatus> {
    Box::new(serde_json::from_value(json).unwrap())
}

fn ready(phase: &str, ready: &str) -> Value {
    json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]})
}

struct Desk {
    api: Arc<FakeApi>,
    reporter: Reporter,
    _tasks: JoinSet<()>,
}

impl Desk {
    fn open(pod: &Arc<Pod>) -> Self {
        let api = Arc::new(FakeApi::new());
        api.state().pod = Some(pod.as_ref().clone());
        let (reporter, task) = new(api.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run(CancellationToken::new()));
        Self { api, reporter, _tasks: tasks }
    }

    async fn report(&self, pod: &Arc<Pod>, json: Value, finished: bool) {
        self.reporter.tell(Note::Status { pod: pod.clone(), status: status(json), finished }).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    fn patches(&self) -> usize {
        self.api.state().patches.len()
    }
}

#[tokio::test(start_paused = true)]
async fn change_of_phase_is_sent_at_once_and_only_once() {
    let pod = object(&json!({"phase": "Pending"}));
    let desk = Desk::open(&pod);
    desk.report(&pod, ready("Running", "True"), false).await;
    assert_eq!(desk.patches(), 1);
    desk.report(&pod, ready("Running", "True"), false).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(desk.patches(), 1);
}

#[tokio::test(start_paused = true)]
async fn small_changes_wait_for_the_next_one() {
    let pod = object(&json!({"phase": "Pending"}));
    let desk = Desk::open(&pod);
    desk.report(&pod, json!({"phase": "Pending", "hostIP": "192.0.2.1"}), false).await;
    assert_eq!(desk.patches(), 0);
    desk.report(&pod, ready("Running", "True"), false).await;
    assert_eq!(desk.patches(), 1, "one patch carries both");
    desk.report(&pod, json!({"phase": "Running", "podIP": "10.0.0.1"}), false).await;
    tokio::time::sleep(COALESCE).await;
    assert_eq!(desk.patches(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_while_the_cloud_is_away_and_the_newest_is_sent_when_it_is_back() {
    let pod = object(&json!({"phase": "Pending"}));
    let desk = Desk::open(&pod);
    desk.api.link.send_replace(false);
    desk.report(&pod, ready("Running", "True"), false).await;
    desk.report(&pod, ready("Running", "False"), false).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(desk.patches(), 0);
    desk.api.link.send_replace(true);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(desk.patches(), 1);
    assert_eq!(desk.api.state().patches[0]["status"]["conditions"][0]["status"], "False");
}

#[tokio::test(start_paused = true)]
async fn status_changed_by_another_is_restored() {
    let pod = object(&ready("Running", "True"));
    let desk = Desk::open(&pod);
    desk.report(&pod, ready("Running", "True"), false).await;
    assert_eq!(desk.patches(), 0);
    // the node controller marks the pod unready while the node is silent
    let marked = object(&ready("Running", "False"));
    desk.api.state().pod = Some(marked.as_ref().clone());
    desk.reporter.tell(Note::Object(marked)).await;
    tokio::time::sleep(RETRY).await;
    assert_eq!(desk.patches(), 1);
}

#[tokio::test(start_paused = true)]
async fn field_the_api_drops_is_not_sent_again() {
    let entry = |acknowledged| Entry {
        pod: object(&json!({})),
        api: *status(json!({"phase": "Running"})),
        wanted: Some(*status(json!({"phase": "Running", "hostIPs": [{"ip": "192.0.2.1"}]}))),
        finished: false,
        acknowledged,
        in_flight: false,
        due: Instant::now(),
    };
    assert!(matches!(entry(None).step(), Step::Patch(_)));
    let first = entry(None);
    let answer = Some(Box::new((first.wanted.clone().unwrap(), first.api.clone())));
    assert_eq!(entry(answer).step(), Step::Nothing);
}

#[tokio::test(start_paused = true)]
async fn deletion_is_confirmed_after_the_final_status_and_the_end_of_everything() {
    let pod = deleting(&json!({"phase": "Running"}));
    let desk = Desk::open(&pod);
    desk.report(&pod, ready("Succeeded", "False"), false).await;
    assert_eq!(desk.patches(), 1);
    assert!(desk.api.state().calls.is_empty(), "volumes are still mounted");
    desk.report(&pod, ready("Succeeded", "False"), true).await;
    assert_eq!(desk.api.state().calls, ["delete_pod u"]);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(desk.api.state().calls.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn finished_pod_that_is_not_deleted_stays() {
    let pod = object(&json!({"phase": "Succeeded"}));
    let desk = Desk::open(&pod);
    desk.report(&pod, json!({"phase": "Succeeded"}), true).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(desk.api.state().calls.is_empty());
}

#[test]
fn conditions_of_others_are_kept() {
    let api = status(json!({"conditions": [{"type": "example.com/x", "status": "True"}]}));
    let wanted = status(json!({"conditions": [{"type": "Ready", "status": "True"}]}));
    let merged = merged(&api, &wanted);
    let types: Vec<_> = merged.conditions.iter().flatten().map(|it| it.type_.as_str()).collect();
    assert_eq!(types, ["example.com/x", "Ready"]);
}

#[tokio::test(start_paused = true)]
async fn final_status_that_was_refused_is_sent_when_the_pod_is_seen_again() {
    let pod = object(&json!({"phase": "Running"}));
    let desk = Desk::open(&pod);
    desk.api.state().pod = None; // the API has lost it for a moment
    desk.report(&pod, json!({"phase": "Succeeded"}), true).await;
    assert_eq!(desk.patches(), 0);
    desk.api.state().pod = Some(pod.as_ref().clone());
    desk.reporter.tell(Note::Object(pod.clone())).await;
    tokio::time::sleep(COALESCE * 2).await;
    assert_eq!(desk.patches(), 1);
    assert_eq!(desk.api.state().patches[0]["status"]["phase"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn status_that_was_refused_is_tried_again_until_the_pod_is_forgotten() {
    let pod = object(&json!({"phase": "Running"}));
    let desk = Desk::open(&pod);
    desk.api.state().pod = None;
    desk.report(&pod, json!({"phase": "Failed"}), true).await;
    desk.api.state().pod = Some(pod.as_ref().clone());
    tokio::time::sleep(REFUSED_RETRY).await;
    assert_eq!(desk.patches(), 1);
    desk.api.state().pod = None;
    desk.reporter.tell(Note::Forget { uid: "u".to_owned() }).await;
    tokio::time::sleep(REFUSED_RETRY * 5).await;
    assert_eq!(desk.patches(), 1);
}
