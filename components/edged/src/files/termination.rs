//! Termination messages: the file a container may write its last words to. Source: spec 08 §8.5, §9.4.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::FileError;
use crate::logs::line::LogLine;

/// Bytes of the file that are reported, from its end.
const MAX_FILE: u64 = 4096;
/// Bytes of the log that are reported instead, from its end.
const MAX_LOG: usize = 2048;
/// Lines of the log that are reported instead.
const MAX_LOG_LINES: usize = 80;
/// Bytes of the log that are looked at for those lines (framing included).
const LOG_WINDOW: u64 = 64 * 1024;

/// Makes an empty file for the next start of `container` and returns its host path.
///
/// # Errors
/// [`FileError::Io`].
pub fn create(root_dir: &Path, pod_uid: &str, container: &str) -> Result<PathBuf, FileError> {
    let dir = root_dir.join("pods").join(pod_uid).join("containers").join(container);
    DirBuilder::new().recursive(true).mode(0o750).create(&dir).map_err(FileError::at(&dir))?;
    loop {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = dir.join(&name[..8]);
        match File::options().write(true).create_new(true).mode(0o666).open(&path) {
            Ok(_) => {
                // The container's user is unknown, so everyone may write; the directory keeps others out.
                fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(FileError::at(&path))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::at(&path)(error)),
        }
    }
}

/// Removes files of earlier starts of `container`, all but `keep` of the newest.
pub fn prune(root_dir: &Path, pod_uid: &str, container: &str, keep: usize) {
    let dir = root_dir.join("pods").join(pod_uid).join("containers").join(container);
    let listed = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        listed.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    let surplus = files.len().saturating_sub(keep);
    for (_, path) in files.into_iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
}

/// The last words of a container: its file, or the end of `log` when that is given and the file is empty.
///
/// Pass `log` only with policy `FallbackToLogsOnError` and an exit code other than 0.
pub fn message(file: &Path, log: Option<&Path>) -> String {
    // The container wrote the file: it may be a link, a pipe or gone. Only a plain file is read.
    let from_file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(file);
    let text = from_file.and_then(|file| tail(file, MAX_FILE)).unwrap_or_default();
    match log {
        Some(log) if text.is_empty() => {
            let window = File::open(log).and_then(|file| tail(file, LOG_WINDOW));
            window.map(|bytes| last_lines(&bytes)).unwrap_or_default()
        }
        Some(_) | None => String::from_utf8_lossy(&text).into_owned(),
    }
}

fn tail(mut file: File, most: u64) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Text of the last lines in a piece of a CRI log.
fn last_lines(log: &[u8]) -> String {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    for raw in log.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = LogLine::parse(raw) else { continue };
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.extend_from_slice(line.text),
            None => lines.push(line.text.to_vec()),
        }
        open = line.partial;
        if !open && let Some(last) = lines.last_mut() {
            last.push(b'\n');
        }
    }
    let text = lines[lines.len().saturating_sub(MAX_LOG_LINES)..].concat();
    String::from_utf8_lossy(&text[text.len().saturating_sub(MAX_LOG)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_file_everyone_may_write() {
        let root = tempfile::tempdir().unwrap();
        let first = create(root.path(), "u", "c").unwrap();
        let second = create(root.path(), "u", "c").unwrap();
        assert_ne!(first, second);
        assert_eq!(first.file_name().unwrap().len(), 8);
        assert_eq!(first.parent().unwrap(), root.path().join("pods/u/containers/c"));
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o666);
        prune(root.path(), "u", "c", 1);
        assert_eq!(fs::read_dir(root.path().join("pods/u/containers/c")).unwrap().count(), 1);
    }

    #[test]
    fn the_end_of_the_file_is_the_message() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        fs::write(&file, format!("{}END", "x".repeat(5000))).unwrap();
        let text = message(&file, None);
        assert_eq!(text.len(), 4096);
        assert!(text.ends_with("END"));
        assert_eq!(message(&root.path().join("absent"), None), "");
    }

    #[test]
    fn a_link_the_container_left_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert_eq!(message(&link, None), "");
    }

    #[test]
    fn an_empty_file_falls_back_to_the_log() {
        let root = tempfile::tempdir().unwrap();
        let (file, log) = (root.path().join("f"), root.path().join("0.log"));
        fs::write(&file, "").unwrap();
        let mut text = String::new();
        for number in 0..100 {
            text += "2025-03-01T08:15:30.1Z stdout P li\n";
            text += &["2025-03-01T08:15:30.1Z stdout F ne ", &number.to_string(), "\n"].concat();
        }
        fs::write(&log, text).unwrap();
        let got = message(&file, Some(&log));
        assert_eq!(got.lines().count(), 80);
        assert!(got.starts_with("line 20\n") && got.ends_with("line 99\n"));
        fs::write(&file, "own words").unwrap();
        assert_eq!(message(&file, Some(&log)), "own words");
        assert_eq!(message(&root.path().join("absent"), Some(&root.path().join("absent"))), "");
    }
}
