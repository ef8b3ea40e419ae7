use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Durability, Key, Options, Rk, Store, StoreError,
    read::Range,
    watch::{Change, Op},
};

const START: i64 = 1_700_000_000;

fn options(dir: &Path) -> Options {
    Options {
        path: dir.join("state.db"),
        relaxed: false,
        now: Timestamp::from_second(START).expect("a constant inside the range of time stamps"),
    }
}

fn open(dir: &Path) -> Store {
    Store::open(&options(dir)).unwrap()
}

fn object(name: &str, content: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}, "data": {"v": content}})
}

async fn put(store: &Store, rk: Rk, name: &str, content: u32) -> u64 {
    let key = Key::new(rk, "ns", name);
    let value = object(name, content);
    store.write(Durability::Full, move |tx| tx.put(&key, value)).await.map(|s: super::Stored| s.rev).unwrap()
}

async fn remove(store: &Store, rk: Rk, name: &str) -> Option<u64> {
    let key = Key::new(rk, "ns", name);
    let gone: Result<_, StoreError> = store.write(Durability::Full, move |tx| tx.delete(&key)).await;
    gone.unwrap().map(|s| s.rev)
}

#[tokio::test]
async fn a_new_store_counts_from_the_current_time_and_reads_its_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    assert_eq!(put(&store, rk, "a", 1).await, 1_700_000_001);
    let stored = store.get(&Key::new(rk, "ns", "a")).await.unwrap().unwrap();
    assert_eq!(stored.value().unwrap()["metadata"]["resourceVersion"], "1700000001");
    assert_eq!(store.list(rk, Some("ns")).await.unwrap().items, vec![stored]);
    assert_eq!(store.list(rk, Some("other")).await.unwrap().items, vec![]);
}

#[tokio::test]
async fn a_failing_closure_undoes_only_itself_and_burns_no_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let before = put(&store, rk, "a", 1).await;
    let failed: Result<(), StoreError> = store
        .write(Durability::Full, move |tx| {
            tx.put(&Key::new(rk, "ns", "b"), object("b", 1))?;
            Err(StoreError::NotAnObject)
        })
        .await;
    assert!(matches!(failed, Err(StoreError::NotAnObject)));
    assert_eq!(put(&store, rk, "c", 1).await, before + 1);
    assert_eq!(store.get(&Key::new(rk, "ns", "b")).await.unwrap(), None);
}

#[tokio::test]
async fn a_panicking_closure_leaves_the_store_running() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let failed: Result<(), StoreError> = store.write(Durability::Full, |_| panic!("a bug in a closure")).await;
    assert!(matches!(failed, Err(StoreError::Closed)));
    put(&store, rk, "a", 1).await;
}

#[tokio::test]
async fn the_second_process_is_told_the_store_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    assert!(matches!(Store::open(&options(dir.path())), Err(StoreError::Locked { .. })));
}

#[tokio::test]
async fn a_watch_resumes_after_a_clean_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let first = put(&store, rk, "a", 1).await;
    let second = put(&store, rk, "a", 2).await;
    store.close().await;
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.revision(), second);
    let mut cursor = store.watch(rk, None, first);
    let change = cursor.next().await.unwrap();
    assert_eq!((change.rev, change.op), (second, Op::Update));
    assert!(change.old.is_some());
    assert!(cursor.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn after_an_unclean_stop_no_revision_is_reused_and_lost_ones_are_a_hole() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let durable = put(&store, rk, "a", 1).await;
    for file in ["state.db", "state.db-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let lost = put(&store, rk, "a", 2).await;
    let after = open(copy.path());
    assert!(after.revision() > lost);
    assert!(matches!(after.check_readable(lost), Err(StoreError::Expired { .. })));
    after.check_readable(durable).unwrap();
    assert!(matches!(after.watch(rk, None, lost).next().await, Err(StoreError::Expired { .. })));
    assert!(put(&after, rk, "a", 3).await > lost);
    assert_eq!(after.watch(rk, None, durable).next().await.unwrap().op, Op::Update);
}

#[tokio::test]
async fn compaction_ends_old_watches_and_keeps_current_objects() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let first = put(&store, rk, "a", 1).await;
    let second = put(&store, rk, "a", 2).await;
    remove(&store, rk, "a").await;
    put(&store, rk, "b", 1).await;
    let last = put(&store, rk, "b", 2).await;
    store.compact(last).await.unwrap();
    assert!(matches!(store.check_readable(first), Err(StoreError::Expired { .. })));
    let exact = Range { at: Some(second), ..Range::default() };
    assert!(matches!(store.list_range(rk, exact).await, Err(StoreError::Expired { .. })));
    assert_eq!(store.list(rk, None).await.unwrap().items.len(), 1);
    let future = Range { at: Some(last + 1), ..Range::default() };
    assert!(matches!(store.list_range(rk, future).await, Err(StoreError::Future { .. })));
}

#[tokio::test]
async fn expired_events_are_deleted_unless_they_were_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "events").await.unwrap();
    for (name, expires) in [("old", START + 10), ("new", START + 100)] {
        let key = Key::new(rk, "ns", name);
        let written: Result<_, StoreError> =
            store.write(Durability::Relaxed, move |tx| tx.put_expiring(&key, object("x", 1), expires)).await;
        written.unwrap();
    }
    let now = Timestamp::from_second(START + 50).unwrap();
    assert_eq!(store.expire(now).await.unwrap(), 1);
    let left = store.list(rk, None).await.unwrap().items;
    assert_eq!(left.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["new"]);
}

#[tokio::test]
async fn dependents_follow_owner_references() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "pods").await.unwrap();
    let key = Key::new(rk, "ns", "p");
    let mut pod = object("p", 1);
    pod["metadata"]["ownerReferences"] = json!([{"uid": "u-1", "name": "rs"}]);
    let (at, value) = (key.clone(), pod.clone());
    let _: super::Stored =
        store.write(Durability::Full, move |tx| tx.put(&at, value)).await.unwrap_or_else(|e: StoreError| panic!("{e}"));
    assert_eq!(store.dependents("u-1").await.unwrap(), vec![key.clone()]);
    remove(&store, rk, "p").await;
    assert_eq!(store.dependents("u-1").await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_scan_sees_every_current_object_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    for name in ["b", "a", "c"] {
        put(&store, rk, name, 1).await;
    }
    let last = remove(&store, rk, "b").await.unwrap();
    let collect = |names: &mut Vec<String>, _: &str, name: &str, body: &[u8]| {
        assert!(!body.is_empty());
        names.push(name.to_owned());
    };
    let (names, revision) = store.scan(rk, Some("ns"), Vec::new(), collect).await.unwrap();
    assert_eq!((names, revision), (vec!["a".to_owned(), "c".to_owned()], last));
    let (count, _) = store.scan(rk, None, 0, |count, _, _, _| *count += 1).await.unwrap();
    assert_eq!(count, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u32),
    Remove(u8),
    Compact(u8),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0u8..6, any::<u32>()).prop_map(|(name, content)| Step::Put(name, content)),
        4 => (0u8..6).prop_map(Step::Remove),
        1 => (0u8..30).prop_map(Step::Compact),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

/// What a follower of the log believes, and every state it went through.
#[derive(Default)]
struct Model {
    current: BTreeMap<String, Vec<u8>>,
    history: BTreeMap<u64, BTreeMap<String, Vec<u8>>>,
}

impl Model {
    fn note(&mut self, rev: u64, name: &str, body: Option<Vec<u8>>) {
        match body {
            Some(body) => self.current.insert(name.into(), body),
            None => self.current.remove(name),
        };
        self.history.insert(rev, self.current.clone());
    }

    fn follow(&mut self, change: &Change) {
        let body = (change.op != Op::Delete).then(|| change.body.to_vec());
        self.note(change.rev, &change.name, body);
    }
}

async fn listed(store: &Store, rk: Rk, at: Option<u64>) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let listing = store.list_range(rk, Range { at, ..Range::default() }).await?;
    Ok(listing.items.into_iter().map(|s| (s.name, s.body.to_vec())).collect())
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let start = store.revision();
    let mut model = Model::default();
    let mut follower = Model::default();
    let mut position = start;
    for step in steps {
        match step {
            Step::Put(name, content) => {
                let name = format!("o{name}");
                let rev = put(&store, rk, &name, content).await;
                let body = store.get(&Key::new(rk, "ns", &name)).await.unwrap().unwrap().body.to_vec();
                model.note(rev, &name, Some(body));
            }
            Step::Remove(name) => {
                let name = format!("o{name}");
                if let Some(rev) = remove(&store, rk, &name).await {
                    model.note(rev, &name, None);
                }
            }
            Step::Compact(back) => store.compact(store.revision().saturating_sub(back.into())).await.unwrap(),
            Step::Restart => {
                store.close().await;
                drop(store);
                store = open(dir.path());
            }
        }
        // A follower that keeps up never misses anything, whatever else happens.
        let mut cursor = store.watch(rk, None, position);
        loop {
            match cursor.try_next().await {
                Ok(Some(change)) => follower.follow(&change),
                Ok(None) => break,
                Err(StoreError::Expired { .. }) => {
                    let now = store.list(rk, None).await.unwrap();
                    follower.current = now.items.into_iter().map(|s| (s.name, s.body.to_vec())).collect();
                    cursor = store.watch(rk, None, now.revision);
                }
                Err(other) => panic!("{other}"),
            }
        }
        position = cursor.position();
        assert_eq!(follower.current, model.current);
    }
    // Every remembered state is either exactly readable or honestly expired.
    for (rev, state) in &model.history {
        match listed(&store, rk, Some(*rev)).await {
            Ok(found) => assert_eq!(&found, state),
            Err(StoreError::Expired { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    // A late watcher reconstructs the present from any readable past.
    for (rev, state) in &model.history {
        let mut late = Model { current: state.clone(), ..Model::default() };
        let mut cursor = store.watch(rk, None, *rev);
        loop {
            match cursor.try_next().await {
                Ok(Some(change)) => late.follow(&change),
                Ok(None) => {
                    assert_eq!(late.current, model.current);
                    break;
                }
                Err(StoreError::Expired { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn watches_are_gap_free_and_old_lists_exact(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}

#[tokio::test]
async fn a_waiting_watcher_sees_every_change_of_many_writers_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rk = store.resource("", "configmaps").await.unwrap();
    let mut cursor = store.watch(rk, None, store.revision());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8u32 {
        let store = store.clone();
        writers.spawn(async move {
            for content in 0..50 {
                put(&store, rk, &format!("o{}", (writer + content) % 5), content).await;
            }
        });
    }
    let mut last = 0;
    for _ in 0..400 {
        let change = cursor.next().await.unwrap();
        assert!(change.rev > last);
        last = change.rev;
    }
    writers.join_all().await;
    assert!(cursor.try_next().await.unwrap().is_none());
}
