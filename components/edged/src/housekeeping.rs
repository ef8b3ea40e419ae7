//! Removes what pods of earlier runs left on disk: directories, logs and log links of pods nobody knows any more.
//! Rare, because the clean pass of each pod does the same for its own. Source: spec 08 §7.4, §12.5.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::pleg::Snapshot;
use crate::view::View;
use crate::worker::Agent;

/// First sweep after the pods are known.
const FIRST: Duration = Duration::from_mins(1);
/// Pause between sweeps.
const EVERY: Duration = Duration::from_mins(10);

/// Sweeps until `stop`.
pub async fn run(
    agent: Arc<Agent>,
    view: Arc<View>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sweep_forever(&agent, &view, &snapshots) => {}
    }
}

async fn sweep_forever(agent: &Agent, view: &View, snapshots: &watch::Receiver<Option<Arc<Snapshot>>>) {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = EVERY;
        let snapshot = snapshots.borrow().clone();
        let Some(snapshot) = snapshot.filter(|_| view.sources_ready()) else { continue };
        let known = |uid: &str| view.knows(uid) || snapshot.pods.contains_key(uid);
        for uid in agent.volumes.pods_on_disk().await {
            if !known(&uid) {
                match agent.volumes.teardown(&uid).await {
                    Ok(()) => info!(pod.uid = uid, "directory of a forgotten pod removed"),
                    Err(error) => debug!(pod.uid = uid, %error, "directory of a forgotten pod not removed"),
                }
            }
        }
        sweep_logs(&agent.settings.pod_logs_dir, known);
        sweep_links(&agent.settings.container_logs_dir, &agent.settings.pod_logs_dir);
    }
}

/// Log directories are called `<namespace>_<name>_<uid>`.
fn sweep_logs(dir: &Path, known: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let parts: Vec<&str> = name.to_str().unwrap_or_default().split('_').collect();
        if let [_, _, uid] = parts.as_slice()
            && !known(uid)
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Links into our log directory whose log is gone.
fn sweep_links(links: &Path, logs: &Path) {
    for entry in std::fs::read_dir(links).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = std::fs::read_link(&path).is_ok_and(|target| target.starts_with(logs));
        if ours && !path.exists() {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_of_forgotten_pods_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ns_a_known", "ns_b_gone", "unrelated"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        sweep_logs(dir.path(), |uid| uid == "known");
        assert!(dir.path().join("ns_a_known").exists());
        assert!(dir.path().join("unrelated").exists());
        assert!(!dir.path().join("ns_b_gone").exists());
    }

    #[test]
    fn only_dead_links_into_our_logs_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, links) = (dir.path().join("logs"), dir.path().join("links"));
        std::fs::create_dir(&logs).unwrap();
        std::fs::create_dir(&links).unwrap();
        std::fs::write(logs.join("live.log"), "").unwrap();
        std::os::unix::fs::symlink(logs.join("live.log"), links.join("live")).unwrap();
        std::os::unix::fs::symlink(logs.join("dead.log"), links.join("dead")).unwrap();
        std::os::unix::fs::symlink("/elsewhere/dead.log", links.join("foreign")).unwrap();
        sweep_links(&links, &logs);
        let left = |name: &str| links.join(name).symlink_metadata().is_ok();
        assert_eq!([left("live"), left("dead"), left("foreign")], [true, false, true]);
    }
}
