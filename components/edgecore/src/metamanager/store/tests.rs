use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

fn open(path: &Path) -> (Store, StoreThreads) {
    Store::open(path.to_owned()).expect("opens")
}

fn close(store: Store, threads: StoreThreads) {
    drop(store);
    threads.join();
}

fn pod(uid: &str, version: u64) -> Write {
    let value = format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a","namespace":"n","uid":"{uid}","resourceVersion":"{version}"}}}}"#
    );
    Write::Put(crate::metamanager::keys::object_row("n/pod/a", &value, true))
}

fn removal(uid: &str) -> Write {
    Write::RemovePod {
        key: "n/pod/a".into(),
        patch_key: "n/podpatch/a".into(),
        generic_key: "/core/v1/pods/n/a".into(),
        uid: uid.into(),
    }
}

async fn write(store: &Store, write: Write) -> Outcome {
    store.write(vec![write]).await.expect("commits").remove(0)
}

async fn stored_version(store: &Store) -> Option<u64> {
    store.get("n/pod/a".into()).await.expect("reads").and_then(|json| ObjectVersion::of(&json).number())
}

#[tokio::test]
async fn newer_replaces_older_and_never_the_other_way() {
    let dir = TempDir::new().expect("a directory");
    let (store, threads) = open(&dir.path().join("edge.db"));
    assert_eq!(write(&store, pod("u", 9)).await, Outcome::Written);
    assert_eq!(write(&store, pod("u", 9)).await, Outcome::Unchanged);
    assert!(matches!(write(&store, pod("u", 8)).await, Outcome::Stale { .. }));
    assert_eq!(write(&store, pod("u", 10)).await, Outcome::Written, "versions are numbers: 10 is above 9");
    assert_eq!(write(&store, pod("v", 2)).await, Outcome::Written, "another object of the name starts over");
    assert_eq!(stored_version(&store).await, Some(2));

    let log = dir.path().join("edge.db-wal");
    let before = fs::metadata(&log).expect("a log").len();
    write(&store, pod("v", 2)).await;
    write(&store, pod("v", 1)).await;
    write(&store, removal("u")).await;
    assert_eq!(fs::metadata(&log).expect("a log").len(), before, "what changes nothing writes nothing");
    close(store, threads);
}

#[tokio::test]
async fn a_pod_goes_only_with_its_own_uid() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    let (store, threads) = open(&path);
    write(&store, pod("new", 5)).await;
    let last_patch = Row {
        key: "n/podpatch/a".into(),
        kind: "podpatch".into(),
        value: "{}".into(),
        version: ObjectVersion::default(),
        generic: None,
    };
    write(&store, Write::Put(last_patch)).await;

    assert_eq!(write(&store, removal("old")).await, Outcome::Absent);
    assert_eq!(stored_version(&store).await, Some(5));
    assert_eq!(write(&store, removal("new")).await, Outcome::Removed { uid: "new".into() });
    assert_eq!(store.get("n/podpatch/a".into()).await.expect("reads"), None);

    write(&store, pod("third", 6)).await;
    assert_eq!(write(&store, removal("")).await, Outcome::Removed { uid: "third".into() }, "no UID means any");
    close(store, threads);
    let db = Connection::open(&path).expect("opens");
    let rows: i64 = db.query_row("SELECT count(*) FROM meta_v2", [], |row| row.get(0)).expect("counts");
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn tokens_of_a_pod_go_together() {
    let dir = TempDir::new().expect("a directory");
    let (store, threads) = open(&dir.path().join("edge.db"));
    for (key, value) in [
        ("a", r#"{"spec":{"boundObjectRef":{"uid":"gone"}}}"#),
        ("b", r#"{"spec":{"boundObjectRef":{"uid":"stays"}}}"#),
        ("c", "not json"),
    ] {
        let row = Row {
            key: key.into(),
            kind: "serviceaccounttoken".into(),
            value: value.into(),
            version: ObjectVersion::default(),
            generic: None,
        };
        write(&store, Write::Put(row)).await;
    }
    write(&store, Write::RemoveTokens { pod_uid: "gone".into() }).await;
    let left: Vec<_> =
        store.list("serviceaccounttoken").await.expect("lists").into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["b", "c"]);
    close(store, threads);
}

#[tokio::test]
async fn what_was_answered_survives_a_power_cut() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    let (store, threads) = open(&path);
    let generation = store.generation().to_owned();
    write(&store, pod("u", 7)).await;

    // The disk as it is at this instant, with the log not folded in and no orderly end.
    let cut = TempDir::new().expect("a directory");
    for name in ["edge.db", "edge.db-wal"] {
        fs::copy(dir.path().join(name), cut.path().join(name)).expect("copies");
    }
    let (after, after_threads) = open(&cut.path().join("edge.db"));
    assert_eq!(stored_version(&after).await, Some(7));
    assert_eq!(after.generation(), generation, "it is the same database");
    close(after, after_threads);
    close(store, threads);
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_the_cloud_can_tell() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    let (store, threads) = open(&path);
    let generation = store.generation().to_owned();
    write(&store, pod("u", 7)).await;
    close(store, threads);

    let mut bytes = fs::read(&path).expect("reads");
    let half = bytes.len() / 2;
    for byte in &mut bytes[100..half] {
        *byte = 0x5a;
    }
    fs::write(&path, bytes).expect("writes");

    let (store, threads) = open(&path);
    assert_ne!(store.generation(), generation);
    assert_eq!(stored_version(&store).await, None);
    assert!(dir.path().join("edge.db.damaged").exists());
    close(store, threads);

    fs::write(&path, "this is no database at all, but long enough to be looked at as one").expect("writes");
    let (store, threads) = open(&path);
    assert_eq!(stored_version(&store).await, None);
    close(store, threads);
}

#[tokio::test]
async fn what_is_readable_of_a_damaged_file_is_taken_over() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    let (store, threads) = open(&path);
    assert!(!store.is_incomplete());
    for n in 0..400 {
        let row = Row {
            key: format!("n/configmap/{n:04}"),
            kind: "configmap".into(),
            value: format!("{{\"data\":\"{}\"}}", "x".repeat(500)),
            version: ObjectVersion::default(),
            generic: None,
        };
        write(&store, Write::Put(row)).await;
    }
    write(&store, pod("u", 7)).await;
    close(store, threads);
    let mut bytes = fs::read(&path).expect("reads");
    let half = bytes.len() / 2;
    bytes[half - 4096..half + 4096].fill(0x5a);
    fs::write(&path, bytes).expect("writes");

    let (store, threads) = open(&path);
    assert!(store.is_incomplete());
    assert_eq!(stored_version(&store).await, Some(7));
    let kept = store.list("configmap").await.expect("lists").len();
    assert!((300..400).contains(&kept), "{kept} rows");
    store.completed().await.expect("commits");
    close(store, threads);
    let (store, threads) = open(&path);
    assert!(!store.is_incomplete());
    close(store, threads);
}

#[tokio::test]
async fn an_older_peers_file_is_brought_up_to_date() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    Connection::open(&path)
        .expect("opens")
        .execute_batch(
            "CREATE TABLE `meta` (`key` varchar(256) NOT NULL PRIMARY KEY, `type` varchar(32) NOT NULL, `value` text NOT NULL);
             CREATE TABLE `meta_v2` (`key` varchar(256) NOT NULL PRIMARY KEY, `groupversionresource` varchar(256) NOT NULL DEFAULT '',
                `namespace` varchar(256) NOT NULL DEFAULT '', `name` varchar(256) NOT NULL DEFAULT '',
                `resourceversion` integer NOT NULL DEFAULT 0, `value` text);
             INSERT INTO meta VALUES ('default/node/edge-1', 'node', '{}'), ('default/pod/a', 'pod', '{}');
             INSERT INTO meta_v2 VALUES ('/core/v1/pods/default/a', '/v1, Resource=pods', 'default', 'a', 12, '{}');",
        )
        .expect("an old file");
    let (store, threads) = open(&path);
    assert!(store.get("null/node/edge-1".into()).await.expect("reads").is_some());
    write(&store, pod("u", 3)).await;
    close(store, threads);

    let db = Connection::open(&path).expect("opens");
    let old: (String, i64) = db
        .query_row(
            "SELECT group_version_resource, resource_version FROM meta_v2 WHERE key = '/core/v1/pods/default/a'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("the old row");
    assert_eq!(old, ("/v1, Resource=pods".to_owned(), 12));
}

#[tokio::test]
async fn a_file_both_generations_have_used_is_completed() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    Connection::open(&path)
        .expect("opens")
        .execute_batch(
            "CREATE TABLE meta_v2 (key text PRIMARY KEY, groupversionresource text NOT NULL DEFAULT '', namespace text, name text,
                resourceversion integer NOT NULL DEFAULT 0, value text, group_version_resource text, resource_version integer);
             INSERT INTO meta_v2 VALUES ('old', 'g', '', 'a', 12, '{}', NULL, NULL), ('new', '', '', 'b', 0, '{}', 'h', 13);",
        )
        .expect("a mixed file");
    let (store, threads) = open(&path);
    close(store, threads);
    let db = Connection::open(&path).expect("opens");
    let rows: Vec<(String, String, i64)> = db
        .prepare("SELECT key, group_version_resource, resource_version FROM meta_v2 ORDER BY key")
        .expect("prepares")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("queries")
        .collect::<Result<_, _>>()
        .expect("rows");
    assert_eq!(rows, [("new".into(), "h".into(), 13), ("old".into(), "g".into(), 12)]);
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("deep/er/edge.db");
    let (store, threads) = open(&path);
    write(&store, pod("u", 1)).await;
    for name in ["edge.db", "edge.db-wal", "edge.db-shm"] {
        let mode = fs::metadata(path.with_file_name(name)).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    close(store, threads);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("loosens");
    let (store, threads) = open(&path);
    assert_eq!(fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    close(store, threads);
    assert!(!path.with_file_name("edge.db-wal").exists(), "an orderly end leaves one file");
}

#[tokio::test]
async fn one_bad_batch_does_not_take_the_others_with_it() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("edge.db");
    let (store, threads) = open(&path);
    let breaker = Connection::open(&path).expect("opens");
    breaker
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON meta WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .expect("a trigger");
    let row = |key: &str| Row {
        key: key.into(),
        kind: "x".into(),
        value: "{}".into(),
        version: ObjectVersion::default(),
        generic: None,
    };
    let put = |key: &str| Write::Put(row(key));
    let (good, bad, other) = tokio::join!(
        store.write(vec![put("good")]),
        store.write(vec![put("half"), put("bad")]),
        store.write(vec![put("other")])
    );
    assert!(good.is_ok() && other.is_ok());
    assert!(matches!(bad, Err(StoreError::Sqlite(_))));
    assert_eq!(store.get("half".into()).await.expect("reads"), None, "a batch is one");
    assert!(store.get("other".into()).await.expect("reads").is_some());
    close(store, threads);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever order pushes and deletions of two pods of one name come in, and whenever the program restarts: what is
    /// stored is what a plain model says.
    #[test]
    fn any_history_ends_as_the_model_says(steps in prop::collection::vec((0..2u8, 0..6u64, 0..8u8), 1..40)) {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("edge.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut model: Option<(String, u64)> = None;
        let mut open_store = Some(open(&path));
        for (who, version, what) in steps {
            let uid = if who == 0 { "a" } else { "b" };
            let (store, threads) = open_store.take().expect("open");
            match what {
                0 => {
                    close(store, threads);
                    open_store = Some(open(&path));
                    continue;
                }
                1 | 2 => {
                    runtime.block_on(write(&store, removal(uid)));
                    model = model.filter(|(stored, _)| stored != uid);
                }
                _ => {
                    runtime.block_on(write(&store, pod(uid, version)));
                    match &model {
                        Some((stored, newer)) if stored == uid && *newer >= version => {}
                        _ => model = Some((uid.to_owned(), version)),
                    }
                }
            }
            let stored = runtime.block_on(store.get("n/pod/a".into())).expect("reads");
            let stored = stored.map(|json| ObjectVersion::of(&json));
            prop_assert_eq!(stored.map(|found| (found.uid.clone(), found.number().unwrap_or(0))), model.clone());
            open_store = Some((store, threads));
        }
        let (store, threads) = open_store.take().expect("open");
        close(store, threads);
    }
}
