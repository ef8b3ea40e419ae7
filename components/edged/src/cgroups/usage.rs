//! Reads what a cgroup uses: cpu time and memory, v1 and v2. Source: spec 08 §15.3.

use std::fs;
use std::path::{Path, PathBuf};

use super::tree::{Tree, Version};
use crate::doors::CgroupDriver;

/// A limit above this is the kernel's way of saying that there is none.
const NO_LIMIT: u64 = 1 << 60;

/// What a cgroup has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Cpu time in nanoseconds, ever growing.
    pub cpu_nanos: u64,
    /// Bytes, caches included.
    pub memory: u64,
    /// Bytes that cannot be given up easily: usage without inactive file pages.
    pub working_set: u64,
    /// Anonymous memory in bytes.
    pub rss: u64,
    /// Limit in bytes, if there is one.
    pub memory_limit: Option<u64>,
}

/// Reads below one mount point.
#[derive(Debug)]
pub struct Reader {
    mount_point: PathBuf,
    version: Version,
}

impl Reader {
    /// For the hierarchies at `mount_point`.
    pub fn detect(mount_point: impl Into<PathBuf>) -> Self {
        let mount_point = mount_point.into();
        let version = Tree::detect(&mount_point).version();
        Self { mount_point, version }
    }

    /// Usage of the cgroup `path`; `None` if it is gone or not readable.
    pub fn read(&self, path: &str) -> Option<Usage> {
        let path = path.trim_start_matches('/');
        match self.version {
            Version::V1 => self.read_v1(path),
            Version::V2 => read_v2(&self.mount_point.join(path)),
            Version::Absent => None,
        }
    }

    /// Usage of a container below its pod's cgroup, whatever the runtime called its leaf.
    pub fn read_container(&self, pod: &str, driver: CgroupDriver, id: &str) -> Option<Usage> {
        let leaves = match driver {
            CgroupDriver::Cgroupfs => [id.to_owned(), format!("crio-{id}")],
            CgroupDriver::Systemd => [format!("cri-containerd-{id}.scope"), format!("crio-{id}.scope")],
        };
        leaves.iter().find_map(|leaf| self.read(&format!("{pod}/{leaf}")))
    }

    fn read_v1(&self, path: &str) -> Option<Usage> {
        let cpu = ["cpuacct", "cpu,cpuacct", "cpu"];
        let cpu_nanos = cpu.iter().find_map(|c| number(&self.mount_point.join(c).join(path).join("cpuacct.usage")))?;
        let memory_dir = self.mount_point.join("memory").join(path);
        let memory = number(&memory_dir.join("memory.usage_in_bytes"))?;
        let stat = fs::read_to_string(memory_dir.join("memory.stat")).unwrap_or_default();
        Some(Usage {
            cpu_nanos,
            memory,
            working_set: memory.saturating_sub(field(&stat, "total_inactive_file").unwrap_or(0)),
            rss: field(&stat, "total_rss").unwrap_or(0),
            memory_limit: number(&memory_dir.join("memory.limit_in_bytes")).filter(|limit| *limit < NO_LIMIT),
        })
    }
}

fn read_v2(dir: &Path) -> Option<Usage> {
    let cpu = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let memory = number(&dir.join("memory.current"))?;
    let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
    Some(Usage {
        cpu_nanos: field(&cpu, "usage_usec")?.saturating_mul(1000),
        memory,
        working_set: memory.saturating_sub(field(&stat, "inactive_file").unwrap_or(0)),
        rss: field(&stat, "anon").unwrap_or(0),
        memory_limit: number(&dir.join("memory.max")),
    })
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The value of `name` in lines of `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn v1_is_read_from_two_hierarchies() {
        let root = tree(&[
            ("cpuacct/kubepods/podu/abc/cpuacct.usage", "1500\n"),
            ("memory/kubepods/podu/abc/memory.usage_in_bytes", "1000\n"),
            ("memory/kubepods/podu/abc/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/kubepods/podu/abc/memory.stat", "rss 1\ntotal_rss 400\ntotal_inactive_file 300\n"),
        ]);
        let got = Reader::detect(root.path()).read_container("/kubepods/podu", CgroupDriver::Cgroupfs, "abc").unwrap();
        assert_eq!(got, Usage { cpu_nanos: 1500, memory: 1000, working_set: 700, rss: 400, memory_limit: None });
    }

    #[test]
    fn v2_is_read_from_one_directory() {
        let root = tree(&[
            ("cgroup.controllers", "cpu memory"),
            ("k.slice/cri-containerd-abc.scope/cpu.stat", "usage_usec 2\nuser_usec 1\n"),
            ("k.slice/cri-containerd-abc.scope/memory.current", "1000\n"),
            ("k.slice/cri-containerd-abc.scope/memory.max", "4096\n"),
            ("k.slice/cri-containerd-abc.scope/memory.stat", "anon 400\ninactive_file 300\n"),
        ]);
        let reader = Reader::detect(root.path());
        let got = reader.read_container("/k.slice", CgroupDriver::Systemd, "abc").unwrap();
        assert_eq!(got, Usage { cpu_nanos: 2000, memory: 1000, working_set: 700, rss: 400, memory_limit: Some(4096) });
        assert_eq!(reader.read("/gone"), None);
    }
}
