//! Numbers of this host, read from /proc.

use std::{fs, time::Duration};

use nix::sys::statvfs::statvfs;

/// Bytes in a mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// Share of processor time in use over one second, 0 to 1.
pub async fn cpu_load() -> Option<f64> {
    let before = cpu_times(&fs::read_to_string("/proc/stat").ok()?)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = cpu_times(&fs::read_to_string("/proc/stat").ok()?)?;
    let (idle, total) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    Some(1.0 - ratio(idle, total))
}

/// Idle and total ticks since boot.
fn cpu_times(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<u64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let idle = fields.get(3)? + fields.get(4).copied().unwrap_or_default();
    Some((idle, fields.iter().take(8).sum()))
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs can get without swapping.
    pub available: u64,
}

/// Memory of this host.
pub fn memory() -> Option<Memory> {
    parse_memory(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_memory(text: &str) -> Option<Memory> {
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { total: value("MemTotal:")?, available: value("MemAvailable:")? })
}

/// Total and available bytes of the file system of a path.
pub fn disk(path: &str) -> Option<(u64, u64)> {
    let figures = statvfs(path).ok()?;
    let unit = figures.fragment_size();
    Some((unit * figures.blocks(), unit * figures.blocks_available()))
}

/// Most process ids, and how many are in use.
pub fn pids() -> Option<(u64, u64)> {
    let most = fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()?;
    let used = fs::read_dir("/proc")
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())))
        .count();
    Some((most, u64::try_from(used).unwrap_or_default()))
}

/// A share; 0 of 0 is nothing.
#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(cpu_times("cpu  10 0 20 60 10 0 0 0 0 0\ncpu0 1 2"), Some((70, 100)));
        let memory = parse_memory("MemTotal:  1024 kB\nMemFree: 1 kB\nMemAvailable:  512 kB\n");
        assert_eq!(memory, Some(Memory { total: MIB, available: MIB / 2 }));
        assert!(pids().is_some_and(|(most, used)| used > 0 && used < most));
    }
}
