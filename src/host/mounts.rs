//! Mount points, read from the kernel's table.

use std::{
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// Mount points below `dir`, deepest first. `dir` itself is not one of them: a disk that an operator mounted there is
/// the operator's.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    select(&String::from_utf8_lossy(&table), dir)
}

fn select(table: &str, dir: &Path) -> Vec<PathBuf> {
    let mut points: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|point| point.starts_with(dir) && point != dir)
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// Whether something is mounted at `dir`.
pub fn is_mount_point(dir: &Path) -> bool {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|field| unescape(field) == dir)
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let octal = (bytes[index] == b'\\')
            .then(|| field.get(index + 1..index + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(octal.unwrap_or(bytes[index]));
        index += if octal.is_some() { 4 } else { 1 };
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_come_deepest_first_and_unescaped() {
        let table = "\
21 1 0:1 / /var/lib/kubelet rw - ext4 /dev/a rw
22 21 0:2 / /var/lib/kubelet/pods/u/volumes/my\\040vol rw - tmpfs tmpfs rw
23 1 0:3 / /var/lib/kubelet2 rw - tmpfs tmpfs rw
";
        assert_eq!(
            select(table, Path::new("/var/lib/kubelet")),
            [PathBuf::from("/var/lib/kubelet/pods/u/volumes/my vol")],
            "the disk mounted at the folder itself is not ours to unmount"
        );
    }
}
