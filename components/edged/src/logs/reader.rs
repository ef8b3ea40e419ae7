//! Reads a container's log as its users want it: text without framing, from where they ask, while it grows.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::line::{LogLine, Stream};
use super::tail;

/// How often a followed log is looked at. Only while somebody follows.
const FOLLOW_POLL: Duration = Duration::from_millis(200);
/// Bytes read at a time.
const CHUNK: usize = 32 * 1024;
/// Longest raw line that is kept in memory; runtimes cut at 16 KiB. The rest of a longer one is skipped.
const MAX_RAW_LINE: usize = 256 * 1024;

/// What part of a log is wanted. Source: spec 08 §12.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// Goes on until the container stops.
    pub follow: bool,
    /// Only that many lines at the end.
    pub tail: Option<u64>,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// At most that many bytes.
    pub limit_bytes: Option<u64>,
    /// Only one of the outputs.
    pub stream: Option<Stream>,
}

/// A log being read. Pull it with [`LogReader::next`]; dropping it ends everything.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: tokio::fs::File,
    inode: u64,
    options: LogOptions,
    /// Bytes not yet parsed: at most one unfinished line and one chunk.
    raw: Vec<u8>,
    /// The next text begins a line.
    at_line_start: bool,
    /// Rest of a too long line is being skipped.
    skipping: bool,
    /// Bytes that may still be given out.
    allowance: u64,
}

impl LogReader {
    /// Opens the log at `path` (the file the runtime named) at the place `options` ask for.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub async fn open(path: PathBuf, options: LogOptions) -> io::Result<Self> {
        let mut file = tokio::fs::File::open(&path).await?;
        let inode = file.metadata().await?.ino();
        if let Some(lines) = options.tail {
            let std_file = file.try_clone().await?.into_std().await;
            let offset = tokio::task::spawn_blocking(move || tail::offset(&std_file, lines)).await??;
            file.seek(io::SeekFrom::Start(offset)).await?;
        }
        let allowance = options.limit_bytes.unwrap_or(u64::MAX);
        Ok(Self { path, file, inode, options, raw: Vec::new(), at_line_start: true, skipping: false, allowance })
    }

    /// The next text, `None` at the end. Following, the end is when `is_running` says no and everything is read.
    ///
    /// Cancel-safe: nothing that was read is lost.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn next(&mut self, is_running: &(dyn Fn() -> bool + Send + Sync)) -> io::Result<Option<Bytes>> {
        let mut last_look = false;
        loop {
            let text = self.take_text();
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
            if self.allowance == 0 {
                return Ok(None);
            }
            self.raw.reserve(CHUNK);
            if self.file.read_buf(&mut self.raw).await? > 0 {
                continue;
            }
            if !self.options.follow || (last_look && !self.reopen_if_rotated().await?) {
                return Ok(None);
            }
            if last_look || self.reopen_if_rotated().await? {
                continue;
            }
            // What was written before the container stopped is read once more after seeing it stopped.
            last_look = !is_running();
            if !last_look {
                tokio::time::sleep(FOLLOW_POLL).await;
            }
        }
    }

    /// Goes on with the new file when the log was rotated. The old one has been read to its end.
    async fn reopen_if_rotated(&mut self) -> io::Result<bool> {
        let Ok(metadata) = tokio::fs::metadata(&self.path).await else { return Ok(false) };
        if metadata.ino() == self.inode {
            return Ok(false);
        }
        // The runtime may have written between our last read and the rename.
        if self.file.read_buf(&mut self.raw).await? > 0 {
            return Ok(true);
        }
        self.file = tokio::fs::File::open(&self.path).await?;
        self.inode = self.file.metadata().await?.ino();
        self.raw.clear();
        Ok(true)
    }

    /// Text of all complete lines read so far.
    fn take_text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut used = 0;
        while let Some(length) = self.raw[used..].iter().position(|byte| *byte == b'\n') {
            let line = &self.raw[used..=used + length];
            used += length + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let Some(line) = LogLine::parse(line) else { continue };
            if let Some(since) = self.options.since {
                if line.time().is_some_and(|time| time < since) {
                    continue;
                }
                self.options.since = None; // lines are in order
            }
            if self.options.stream.is_some_and(|stream| stream != line.stream) {
                continue;
            }
            if self.options.timestamps && self.at_line_start {
                text.extend_from_slice(line.timestamp.as_bytes());
                text.push(b' ');
            }
            text.extend_from_slice(line.text);
            if !line.partial {
                text.push(b'\n');
            }
            self.at_line_start = !line.partial;
        }
        self.raw.drain(..used);
        if self.raw.len() > MAX_RAW_LINE {
            self.raw.clear();
            self.skipping = true;
        }
        let keep = usize::try_from(self.allowance).unwrap_or(usize::MAX).min(text.len());
        text.truncate(keep);
        self.allowance -= keep as u64;
        text
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LOG: &str = "2025-03-01T08:15:30.1Z stdout F one\n2025-03-01T08:15:31.2Z stderr P tw\n\
        2025-03-01T08:15:31.3Z stderr F o\nnot a line\n2025-03-01T08:15:32.4Z stdout F three\n";

    async fn read(text: &str, options: LogOptions) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        fs::write(&path, text).unwrap();
        let mut reader = LogReader::open(path, options).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = reader.next(&|| false).await.unwrap() {
            all.extend_from_slice(&chunk);
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn framing_is_removed_and_partial_lines_are_joined() {
        assert_eq!(read(LOG, LogOptions::default()).await, "one\ntwo\nthree\n");
    }

    #[tokio::test]
    async fn options_choose_what_is_read() {
        let none = LogOptions::default();
        assert_eq!(read(LOG, LogOptions { tail: Some(1), ..none }).await, "three\n");
        assert_eq!(read(LOG, LogOptions { limit_bytes: Some(5), ..none }).await, "one\nt");
        assert_eq!(read(LOG, LogOptions { stream: Some(Stream::Stderr), ..none }).await, "two\n");
        let since = Some("2025-03-01T08:15:31Z".parse().unwrap());
        assert_eq!(read(LOG, LogOptions { since, ..none }).await, "two\nthree\n");
        assert_eq!(
            read(LOG, LogOptions { timestamps: true, ..none }).await,
            "2025-03-01T08:15:30.1Z one\n2025-03-01T08:15:31.2Z two\n2025-03-01T08:15:32.4Z three\n"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_bounded() {
        let text = format!("2025-03-01T08:15:30Z stdout F {}\n{LOG}", "x".repeat(3 * MAX_RAW_LINE));
        let got = read(&text, LogOptions::default()).await;
        assert!(got.ends_with("one\ntwo\nthree\n"));
        assert!(got.len() < 100);
    }

    #[tokio::test(start_paused = true)]
    async fn following_sees_growth_and_rotation_and_ends_with_the_container() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        fs::write(&path, LOG).unwrap();
        let options = LogOptions { follow: true, tail: Some(1), ..LogOptions::default() };
        let mut reader = LogReader::open(path.clone(), options).await.unwrap();
        let running = AtomicBool::new(true);
        let is_running = || running.load(Ordering::SeqCst);
        assert_eq!(reader.next(&is_running).await.unwrap().unwrap(), "three\n");

        let mut old = fs::File::options().append(true).open(&path).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), reader.next(&is_running)).await.is_err());
        writeln!(old, "2025-03-01T08:15:33Z stdout F four").unwrap();
        assert_eq!(reader.next(&is_running).await.unwrap().unwrap(), "four\n");

        writeln!(old, "2025-03-01T08:15:34Z stdout F five").unwrap();
        fs::rename(&path, dir.path().join("0.log.20250301-081535")).unwrap();
        fs::write(&path, "2025-03-01T08:15:35Z stdout F six\n").unwrap();
        assert_eq!(reader.next(&is_running).await.unwrap().unwrap(), "five\n");
        assert_eq!(reader.next(&is_running).await.unwrap().unwrap(), "six\n");

        running.store(false, Ordering::SeqCst);
        assert_eq!(reader.next(&is_running).await.unwrap(), None);
    }
}
