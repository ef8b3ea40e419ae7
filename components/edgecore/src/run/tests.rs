//! The whole edge against a cloud of sockets and certificates, with a pod agent that only listens.

use std::path::Path;

use k8s_openapi::api::core::v1::ConfigMap;
use tempfile::TempDir;
use tokio::task::JoinSet;
use transport::server::Accepted;
use transport::{Receiver, Sender};
use wire::message::{Content, Message};
use wire::operation::Operation;

use super::*;
use crate::testcloud::TestCloud;

/// A running edge and the doors of its agent.
struct Edge {
    stop: CancellationToken,
    task: JoinSet<Result<(), EdgeCoreError>>,
    agent: AgentDoors,
}

impl Edge {
    async fn start(settings: EdgeCoreSettings) -> Self {
        let (hand_over, mut agents) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(run_with_agent(settings, token, move |doors, stop| {
            let hand_over = hand_over.clone();
            async move {
                hand_over.send(doors).await.map_err(BoxError::from)?;
                stop.cancelled().await;
                Ok(())
            }
        }));
        let agent = agents.recv().await.expect("the agent starts");
        Self { stop, task, agent }
    }

    async fn update(&mut self) -> String {
        let update = timeout(Duration::from_secs(10), self.agent.pods.recv()).await.expect("in time");
        match update.expect("an update") {
            PodUpdate::Set(pods) => format!("set of {}", pods.len()),
            PodUpdate::Upsert(pod) => format!("upsert {}", pod.metadata.name.unwrap_or_default()),
            PodUpdate::Remove { uid } => format!("remove {uid}"),
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        drop(self.agent);
        self.task.join_next().await.expect("a task").expect("no panic").expect("ends in good order");
    }
}

struct CloudEnd {
    sender: Sender,
    receiver: Receiver,
    generation: String,
}

impl CloudEnd {
    fn new(accepted: Accepted) -> Self {
        assert_eq!(accepted.node_id, "edge1");
        let generation = accepted.headers["Keadm-Store-Generation"].to_str().expect("text").to_owned();
        let (sender, receiver) = accepted.connection.split();
        Self { sender, receiver, generation }
    }

    async fn send(&self, message: &Message) {
        self.sender.send(message).await.expect("sends");
    }

    /// The next message that is no keepalive.
    async fn next(&mut self) -> Message {
        loop {
            let message = timeout(Duration::from_secs(10), self.receiver.next()).await.expect("in time");
            let message = message.expect("no error").expect("a message");
            if message.route.operation != Operation::Keepalive {
                return message;
            }
        }
    }
}

fn pod(name: &str, version: u32) -> Message {
    let json = serde_json::json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "resourceVersion": version.to_string()},
        "spec": {"nodeName": "edge1", "containers": [{"name": "c", "image": "i"}]}});
    let content = Content::json(&json).expect("JSON");
    Message::new("edgecontroller", "resource", Operation::Update, format!("default/pod/{name}"), content, 0)
}

async fn first_link(cloud: &mut TestCloud) -> CloudEnd {
    CloudEnd::new(cloud.link().await)
}

#[tokio::test]
async fn a_node_joins_gets_its_pod_and_keeps_it_without_the_cloud() {
    let (dir, mut cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let settings = cloud.settings(dir.path(), "edge1");
    let mut edge = Edge::start(settings.clone()).await;
    assert_eq!(edge.update().await, "set of 0", "an empty database is an answer too");

    let mut end = first_link(&mut cloud).await;
    let pushed = pod("web", 5);
    end.send(&pushed).await;
    let ack = end.next().await;
    assert_eq!(ack.header.parent_id.as_ref(), Some(&pushed.header.id));
    assert!(ack.content.is_ok());
    assert_eq!(edge.update().await, "upsert web");

    let api = Arc::clone(&edge.agent.api);
    let asking = async move { api.config_map("default", "web-cfg").await };
    let answering = async {
        let request = end.next().await;
        assert_eq!(request.route.resource, "default/configmap/web-cfg");
        let object = ConfigMap {
            metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                name: Some("web-cfg".into()),
                ..Default::default()
            },
            ..Default::default()
        };
        let mut reply = request.response(Content::json(&object).expect("JSON"), 0);
        reply.route.group = "resource".into();
        end.send(&reply).await;
        assert_eq!(end.next().await.header.parent_id, Some(reply.header.id), "acknowledged once stored");
    };
    let (found, ()) = tokio::join!(asking, answering);
    found.expect("found");
    let generation = end.generation.clone();
    edge.end().await;
    drop(cloud);

    // The cloud is gone; the power comes back.
    let mut edge = Edge::start(settings).await;
    assert_eq!(edge.update().await, "set of 1");
    assert!(edge.agent.api.config_map("default", "web-cfg").await.is_ok());
    assert!(matches!(edge.agent.api.secret("default", "none").await, Err(edged::doors::KubeApiError::NotConnected)));
    assert!(!*edge.agent.api.connected().borrow());
    edge.end().await;

    let mut cloud = TestCloud::start().await;
    let wiped = TempDir::new().expect("a directory");
    let edge = Edge::start(cloud.settings(wiped.path(), "edge1")).await;
    assert_ne!(first_link(&mut cloud).await.generation, generation, "a wiped database is noticed");
    edge.end().await;
}

#[tokio::test]
async fn a_broken_link_is_back_at_once_and_its_calls_fail_at_once() {
    let (dir, mut cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let edge = Edge::start(cloud.settings(dir.path(), "edge1")).await;
    let mut end = first_link(&mut cloud).await;
    let mut connected = edge.agent.api.connected();
    connected.wait_for(|up| *up).await.expect("connected");
    let api = Arc::clone(&edge.agent.api);
    let (outcome, ()) = tokio::join!(api.secret("default", "tls"), async {
        end.next().await;
        drop(end);
    });
    drop(api);
    assert!(matches!(outcome, Err(edged::doors::KubeApiError::NotConnected)), "{outcome:?}");

    let started = tokio::time::Instant::now();
    let mut end = first_link(&mut cloud).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    end.send(&pod("a", 1)).await;
    assert!(end.next().await.content.is_ok());
    edge.end().await;
}

#[tokio::test]
async fn whatever_is_not_acknowledged_is_sent_again_until_both_sides_agree() {
    let (dir, mut cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let mut edge = Edge::start(cloud.settings(dir.path(), "edge1")).await;
    assert_eq!(edge.update().await, "set of 0");
    // What the cluster wants in the end: 12 pods, the even ones at version 2.
    let wanted: Vec<_> = (0..12).map(|n| pod(&format!("p{n}"), if n % 2 == 0 { 2 } else { 1 })).collect();
    let mut open: Vec<_> = (0..12).map(|n| pod(&format!("p{n}"), 1)).chain(wanted.iter().cloned()).collect();
    for round in 0.. {
        let mut end = first_link(&mut cloud).await;
        for message in &open {
            end.send(message).await;
        }
        // The link breaks after a few acknowledgements more each time, wherever the others are by then.
        for _ in 0..(round * 7 + 3).min(open.len()) {
            let ack = end.next().await;
            open.retain(|message| Some(&message.header.id) != ack.header.parent_id.as_ref());
        }
        if open.is_empty() {
            break;
        }
    }
    edge.end().await;
    let (store, threads) = Store::open(dir.path().join("edgecore.db")).expect("opens");
    for message in wanted {
        let stored = store.get(message.route.resource).await.expect("reads");
        assert_eq!(stored.as_deref(), Some(message.content.get()));
    }
    drop(store);
    threads.join();
}

#[tokio::test]
async fn a_due_certificate_is_renewed_while_the_node_works() {
    let (dir, mut cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    cloud.age_days.store(340, std::sync::atomic::Ordering::Relaxed);
    let settings = cloud.settings(dir.path(), "edge1");
    let hub = settings.edge_hub.clone().expect("a hub");
    crate::edgehub::enrol::Enrolment::new("edge1".into(), hub, WallClock::system())
        .credentials()
        .await
        .expect("enrols");
    let before = std::fs::read(dir.path().join("server.crt")).expect("a certificate");
    cloud.age_days.store(0, std::sync::atomic::Ordering::Relaxed);
    let edge = Edge::start(settings).await;
    first_link(&mut cloud).await;
    let changed = async {
        while std::fs::read(dir.path().join("server.crt")).expect("a certificate") == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), changed).await.expect("renewed in time");
    edge.end().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_is_a_clear_error() {
    let cloud = TestCloud::start().await;
    let mut settings = cloud.settings(Path::new("/nowhere"), "edge1");
    settings.database = "/proc/version/edgecore.db".into();
    let outcome = run_with_agent(settings, CancellationToken::new(), async |_, _| Ok(())).await;
    assert!(matches!(outcome, Err(EdgeCoreError::Database(StoreError::File { .. }))));
}
