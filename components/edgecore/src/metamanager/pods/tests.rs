use std::sync::Arc;

use edged::doors::POD_UPDATES_CAPACITY;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::metamanager::keys;
use crate::metamanager::store::Write;

fn pod(name: &str, node: &str) -> String {
    serde_json::json!({"metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}")},
        "spec": {"nodeName": node, "containers": []}})
    .to_string()
}

async fn save(store: &Store, name: &str, json: &str) {
    let row = keys::object_row(&format!("n/pod/{name}"), json, false);
    store.write(vec![Write::Put(row)]).await.expect("commits");
}

fn show(update: Option<PodUpdate>) -> String {
    match update.expect("an update") {
        PodUpdate::Set(pods) => {
            let names: Vec<_> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
            format!("set {}", names.join(" "))
        }
        PodUpdate::Upsert(pod) => format!("upsert {}", pod.metadata.name.unwrap_or_default()),
        PodUpdate::Remove { uid } => format!("remove {uid}"),
    }
}

#[tokio::test]
async fn the_whole_set_comes_first_and_then_the_changes() {
    let dir = TempDir::new().expect("a directory");
    let (store, threads) = Store::open(dir.path().join("edge.db")).expect("opens");
    save(&store, "a", &pod("a", "edge")).await;
    save(&store, "b", &pod("b", "other-node")).await;

    let feed = Arc::new(PodFeed::new("edge".into()));
    feed.remove("from before".into());
    for _life in 0..2 {
        let (agent, mut updates) = mpsc::channel(POD_UPDATES_CAPACITY);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn({
            let (feed, store, stop) = (Arc::clone(&feed), store.clone(), stop.clone());
            async move { feed.run(&store, watch::Sender::new(false).subscribe(), agent, stop).await }
        });
        assert_eq!(show(updates.recv().await), "set a");
        feed.upsert("uid-d".into(), pod("d", "edge"));
        feed.upsert("uid-e".into(), pod("e", "other-node"));
        feed.remove("uid-a".into());
        assert_eq!(show(updates.recv().await), "upsert d");
        assert_eq!(show(updates.recv().await), "remove uid-a");
        stop.cancel();
        task.join_next().await.expect("a task").expect("no panic").expect("no error");
    }
    drop(store);
    threads.join();
}

#[tokio::test]
async fn changes_of_one_pod_collapse_and_too_many_become_the_set() {
    let dir = TempDir::new().expect("a directory");
    let (store, threads) = Store::open(dir.path().join("edge.db")).expect("opens");
    let feed = PodFeed::new("edge".into());
    let (agent, mut updates) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let run = feed.run(&store, watch::Sender::new(false).subscribe(), agent, stop.clone());
    let script = async {
        assert_eq!(show(updates.recv().await), "set ");
        feed.upsert("uid-x".into(), pod("x", "edge"));
        feed.remove("uid-x".into());
        assert_eq!(show(updates.recv().await), "remove uid-x");
        save(&store, "a", &pod("a", "edge")).await;
        for n in 0..=WAITING {
            feed.remove(format!("{n}"));
        }
        assert_eq!(show(updates.recv().await), "set a");
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(run, script);
    outcome.expect("no error");
    drop(store);
    threads.join();
}

#[tokio::test]
async fn a_row_that_is_not_readable_is_no_pod_that_is_gone() {
    let dir = TempDir::new().expect("a directory");
    let (store, threads) = Store::open(dir.path().join("edge.db")).expect("opens");
    save(&store, "a", &pod("a", "edge")).await;
    save(&store, "c", "{\"not\": \"a pod\"").await;
    let feed = PodFeed::new("edge".into());
    let (agent, mut updates) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let run = feed.run(&store, watch::Sender::new(true).subscribe(), agent, stop.clone());
    let script = async {
        assert_eq!(show(updates.recv().await), "upsert a");
        save(&store, "c", &pod("c", "edge")).await;
        feed.upsert("uid-c".into(), pod("c", "edge"));
        assert_eq!(show(updates.recv().await), "upsert c");
        assert_eq!(show(updates.recv().await), "set a c", "the set is given as soon as it is known");
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(run, script);
    outcome.expect("no error");
    drop(store);
    threads.join();
}

#[tokio::test]
async fn after_damage_the_set_waits_for_a_quiet_cloud() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    std::fs::write(&path, "this is no database at all, but long enough to be looked at as one").expect("writes");
    drop(Store::open(path.clone()).map(|(store, threads)| {
        drop(store);
        threads.join();
    }));
    let (store, threads) = Store::open(path).expect("opens");
    assert!(store.is_incomplete(), "a restart does not make it complete");
    let feed = PodFeed::new("edge".into());
    let (agent, mut updates) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let link = watch::Sender::new(false);
    let run = feed.run(&store, link.subscribe(), agent, stop.clone());
    let script = async {
        feed.upsert("uid-a".into(), pod("a", "edge"));
        assert_eq!(show(updates.recv().await), "upsert a");
        save(&store, "a", &pod("a", "edge")).await;
        tokio::time::pause(); // no time passes in the database's threads from here on
        tokio::time::advance(QUIET * 10).await;
        tokio::task::yield_now().await;
        assert!(updates.try_recv().is_err(), "offline there is no set");
        link.send_replace(true);
        for _ in 0..3 {
            tokio::task::yield_now().await;
            tokio::time::advance(QUIET * 2 / 3).await;
            feed.heard();
        }
        assert!(updates.try_recv().is_err(), "the cloud is still talking");
        tokio::task::yield_now().await;
        tokio::time::advance(QUIET * 2).await;
        tokio::time::resume();
        assert_eq!(show(updates.recv().await), "set a");
        assert!(!store.is_incomplete());
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(run, script);
    outcome.expect("no error");
    drop(store);
    threads.join();
}
