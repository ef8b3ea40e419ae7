//! Rotates the logs of running containers, so that they cannot fill the disk. Source: spec 08 §12.6.
//!
//! `0.log` becomes `0.log.20250301-081530`, older ones `….gz`, the oldest go. The runtime is told to open a new file;
//! readers go on with it when they have finished the old one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The log of one running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningLog {
    /// Runtime ID.
    pub container_id: String,
    /// The file the runtime writes to now.
    pub path: PathBuf,
}

/// What rotation needs from the runtime's side.
#[async_trait]
pub trait LogWriters: Send + Sync + 'static {
    /// The logs being written, from what is already known.
    fn running(&self) -> Vec<RunningLog>;
    /// Makes the runtime close the file it has and open its log path again; the answer says why not.
    async fn reopen(&self, container_id: &str) -> Result<(), String>;
}

/// When a log is rotated and what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationLimits {
    /// Bytes from which a log is rotated.
    pub max_size: u64,
    /// Files kept per container, the one being written included; at least 2.
    pub max_files: u32,
    /// How often sizes are looked at.
    pub interval: Duration,
}

/// Looks at the running logs every interval until `stop`. One `stat` a container when there is nothing to do.
pub async fn run(writers: &dyn LogWriters, limits: RotationLimits, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(limits.interval.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for log in writers.running() {
            if let Err(error) = look_at(writers, &log, limits).await {
                warn!(container.id = log.container_id, error = %error, "log not rotated");
            }
        }
    }
}

async fn look_at(writers: &dyn LogWriters, log: &RunningLog, limits: RotationLimits) -> io::Result<()> {
    match tokio::fs::metadata(&log.path).await {
        Ok(metadata) if metadata.len() < limits.max_size => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Somebody removed it; the runtime still writes into the void.
            return writers.reopen(&log.container_id).await.map_err(io::Error::other);
        }
        Err(error) => return Err(error),
    }
    let path = log.path.clone();
    let rotated = tokio::task::spawn_blocking(move || {
        make_room(&path, limits.max_files)?;
        set_aside(&path, Timestamp::now())
    });
    let rotated = rotated.await??;
    if let Err(reason) = writers.reopen(&log.container_id).await {
        tokio::fs::rename(&rotated, &log.path).await?;
        return Err(io::Error::other(reason));
    }
    debug!(container.id = log.container_id, "log rotated");
    Ok(())
}

/// What to do with the files beside a log before it is rotated.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    remove: Vec<String>,
    compress: Vec<String>,
}

/// `names` are the files of the directory, `current` is the log being written.
fn plan(mut names: Vec<String>, current: &str, max_files: u32) -> Plan {
    let prefix = format!("{current}.");
    names.retain(|name| name.starts_with(&prefix));
    let mut plan = Plan::default();
    // An unfinished compression, or a finished one whose source was not removed.
    let (leftovers, mut rotated): (Vec<_>, Vec<_>) =
        names.iter().cloned().partition(|name| has_suffix(name, "tmp") || names.contains(&format!("{name}.gz")));
    plan.remove = leftovers;
    rotated.sort();
    let keep = usize::try_from(max_files.max(2) - 2).unwrap_or(0);
    let surplus = rotated.len().saturating_sub(keep);
    plan.remove.extend(rotated.drain(..surplus));
    plan.compress = rotated.into_iter().filter(|name| !has_suffix(name, "gz")).collect();
    plan
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == suffix)
}

fn make_room(log: &Path, max_files: u32) -> io::Result<()> {
    let (Some(dir), Some(current)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let plan = plan(names, current, max_files);
    for name in &plan.remove {
        fs::remove_file(dir.join(name))?;
    }
    for name in &plan.compress {
        compress(&dir.join(name))?;
    }
    Ok(())
}

fn compress(path: &Path) -> io::Result<()> {
    let (unfinished, finished) = (with_suffix(path, ".tmp"), with_suffix(path, ".gz"));
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::rename(unfinished, finished)?;
    fs::remove_file(path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Moves the log out of the runtime's way; returns where it is now.
fn set_aside(log: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let rotated = with_suffix(log, &now.strftime(".%Y%m%d-%H%M%S").to_string());
    fs::rename(log, &rotated)?;
    Ok(rotated)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;

    use super::*;

    struct Writer {
        log: RunningLog,
        refuses: bool,
        reopened: Mutex<u32>,
    }

    #[async_trait]
    impl LogWriters for Writer {
        fn running(&self) -> Vec<RunningLog> {
            vec![self.log.clone()]
        }

        async fn reopen(&self, _: &str) -> Result<(), String> {
            if self.refuses {
                return Err("no".to_owned());
            }
            *self.reopened.lock().unwrap() += 1;
            fs::write(&self.log.path, "").map_err(|error| error.to_string())
        }
    }

    const LIMITS: RotationLimits = RotationLimits { max_size: 10, max_files: 3, interval: Duration::from_secs(10) };

    fn writer(dir: &Path, content: &str, refuses: bool) -> Writer {
        let path = dir.join("0.log");
        fs::write(&path, content).unwrap();
        let log = RunningLog { container_id: "c1".to_owned(), path };
        Writer { log, refuses, reopened: Mutex::new(0) }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_oldest_go_and_all_but_the_coming_one_are_compressed() {
        let names = ["0.log", "1.log.1", "0.log.1.gz", "0.log.2.gz", "0.log.2", "0.log.3", "0.log.4", "0.log.3.tmp"];
        let got = plan(strings(&names), "0.log", 5);
        assert_eq!(got.remove, ["0.log.2", "0.log.3.tmp", "0.log.1.gz"]);
        assert_eq!(got.compress, ["0.log.3", "0.log.4"]);
        assert_eq!(plan(strings(&["0.log", "0.log.1"]), "0.log", 2).remove, ["0.log.1"]);
    }

    #[tokio::test]
    async fn a_big_log_is_set_aside_and_a_small_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "short", false);
        look_at(&writer, &writer.log, LIMITS).await.unwrap();
        assert_eq!(*writer.reopened.lock().unwrap(), 0);
        fs::write(&writer.log.path, "long enough to rotate").unwrap();
        fs::write(dir.path().join("0.log.20240101-000000"), "older").unwrap();
        look_at(&writer, &writer.log, LIMITS).await.unwrap();
        assert_eq!(*writer.reopened.lock().unwrap(), 1);
        let names = names(dir.path());
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(names[1], "0.log.20240101-000000.gz");
        assert_eq!(fs::read_to_string(dir.path().join(&names[2])).unwrap(), "long enough to rotate");
        let mut text = String::new();
        let packed = File::open(dir.path().join(&names[1])).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "older");
    }

    #[tokio::test]
    async fn a_runtime_that_refuses_keeps_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "long enough to rotate", true);
        assert!(look_at(&writer, &writer.log, LIMITS).await.is_err());
        assert_eq!(names(dir.path()), ["0.log"]);
    }

    #[tokio::test]
    async fn a_lost_log_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(dir.path(), "", false);
        fs::remove_file(&writer.log.path).unwrap();
        look_at(&writer, &writer.log, LIMITS).await.unwrap();
        assert_eq!(names(dir.path()), ["0.log"]);
    }
}
