//! Writes pod and QoS cgroups below a mounted hierarchy, v1 or v2.
//!
//! Only the cgroupfs driver needs it: with systemd the runtime makes the slices. Everything here is best effort,
//! a pod runs without pod-level limits too (spec 08 §14.1). Callers log the error and go on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::CgroupLimits;

/// Where the kernel mounts the hierarchies.
pub const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// Controllers of v2 that children of a pod cgroup may want. Source: spec 08 §14.1.
const V2_CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "io", "memory", "hugetlb", "pids"];

/// Controllers of v1 that pod limits are written to; the runtime makes the others as it needs them.
const V1_CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// A cgroup file or directory that could not be written.
#[derive(Debug, Error)]
#[error("cgroup {} is not writable", path.display())]
pub struct TreeError {
    /// File or directory.
    pub path: PathBuf,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
}

/// Which hierarchy is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller (also the hybrid layout).
    V1,
    /// The unified hierarchy.
    V2,
    /// No hierarchy: nothing is written.
    Absent,
}

/// A mounted cgroup file system.
#[derive(Debug, Clone)]
pub struct Tree {
    mount_point: PathBuf,
    version: Version,
}

impl Tree {
    /// Looks at what is mounted at `mount_point` (see [`MOUNT_POINT`]).
    pub fn detect(mount_point: impl Into<PathBuf>) -> Self {
        let mount_point = mount_point.into();
        let version = if mount_point.join("cgroup.controllers").exists() {
            Version::V2
        } else if V1_CONTROLLERS.iter().any(|controller| mount_point.join(controller).is_dir()) {
            Version::V1
        } else {
            Version::Absent
        };
        Self { mount_point, version }
    }

    /// Which hierarchy it is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Makes the cgroup `path` (from [`super::pod_parent`] or [`super::class_path`]) and writes its limits; idempotent.
    ///
    /// A `None` limit leaves the kernel's default. `pids` is the most processes.
    ///
    /// # Errors
    /// [`TreeError`] names the first file the kernel refused; the rest is not attempted.
    pub fn ensure(&self, path: &str, limits: Option<&CgroupLimits>, pids: Option<i64>) -> Result<(), TreeError> {
        match self.version {
            Version::V1 => self.ensure_v1(path, limits, pids),
            Version::V2 => self.ensure_v2(path, limits, pids),
            Version::Absent => Ok(()),
        }
    }

    /// Removes the cgroup `path` and empty cgroups below it, deepest first; one that is gone is a success.
    ///
    /// # Errors
    /// [`TreeError`] when processes are still in it (`EBUSY`): kill them and call again.
    pub fn remove(&self, path: &str) -> Result<(), TreeError> {
        match self.version {
            Version::V1 => {
                let Ok(hierarchies) = fs::read_dir(&self.mount_point) else { return Ok(()) };
                for hierarchy in hierarchies.flatten().map(|entry| entry.path()).filter(|p| !p.is_symlink()) {
                    remove_tree(&below(&hierarchy, path))?;
                }
                Ok(())
            }
            Version::V2 => remove_tree(&below(&self.mount_point, path)),
            Version::Absent => Ok(()),
        }
    }

    fn ensure_v1(&self, path: &str, limits: Option<&CgroupLimits>, pids: Option<i64>) -> Result<(), TreeError> {
        for controller in V1_CONTROLLERS {
            let hierarchy = self.mount_point.join(controller);
            if !hierarchy.is_dir() {
                continue;
            }
            let dir = below(&hierarchy, path);
            make_dirs(&dir)?;
            let Some(limits) = limits else { continue };
            match controller {
                "cpu" => {
                    write(&dir, "cpu.shares", &limits.cpu_shares.to_string())?;
                    if limits.cpu_period > 0 {
                        write(&dir, "cpu.cfs_period_us", &limits.cpu_period.to_string())?;
                        let quota = if limits.cpu_quota > 0 { limits.cpu_quota } else { -1 };
                        write(&dir, "cpu.cfs_quota_us", &quota.to_string())?;
                    }
                }
                "memory" if limits.memory_limit > 0 => {
                    write(&dir, "memory.limit_in_bytes", &limits.memory_limit.to_string())?;
                }
                "pids" => {
                    if let Some(most) = pids {
                        write(&dir, "pids.max", &most.to_string())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn ensure_v2(&self, path: &str, limits: Option<&CgroupLimits>, pids: Option<i64>) -> Result<(), TreeError> {
        let mut dir = self.mount_point.clone();
        for element in path.split('/').filter(|part| !part.is_empty()) {
            delegate_controllers(&dir);
            dir.push(element);
            make_dirs(&dir)?;
        }
        delegate_controllers(&dir);
        let Some(limits) = limits else { return Ok(()) };
        write(&dir, "cpu.weight", &weight(limits.cpu_shares).to_string())?;
        if limits.cpu_period > 0 {
            let quota = if limits.cpu_quota > 0 { limits.cpu_quota.to_string() } else { "max".to_owned() };
            write(&dir, "cpu.max", &format!("{quota} {}", limits.cpu_period))?;
        }
        if limits.memory_limit > 0 {
            write(&dir, "memory.max", &limits.memory_limit.to_string())?;
        }
        if let Some(most) = pids {
            write(&dir, "pids.max", &most.to_string())?;
        }
        Ok(())
    }
}

/// v2 weight of v1 shares. Source: spec 08 §14.1.
pub fn weight(shares: i64) -> i64 {
    1 + ((shares.clamp(2, 262_144) - 2) * 9999) / 262_142
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Hands the controllers this kernel has down to the children of `dir`; one that cannot be is left out.
fn delegate_controllers(dir: &Path) {
    let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let enabled = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
    for controller in V2_CONTROLLERS {
        let listed = |list: &str| list.split_ascii_whitespace().any(|name| name == controller);
        if listed(&available) && !listed(&enabled) {
            // Refused in a cgroup that holds processes itself; its children then do without this controller.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

fn make_dirs(dir: &Path) -> Result<(), TreeError> {
    fs::create_dir_all(dir).map_err(|source| TreeError { path: dir.to_owned(), source })
}

fn write(dir: &Path, file: &str, value: &str) -> Result<(), TreeError> {
    let path = dir.join(file);
    fs::write(&path, value).map_err(|source| TreeError { path, source })
}

fn remove_tree(dir: &Path) -> Result<(), TreeError> {
    let Ok(children) = fs::read_dir(dir) else { return Ok(()) };
    for child in children.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&child.path())?;
    }
    match fs::remove_dir(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(TreeError { path: dir.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CgroupLimits =
        CgroupLimits { cpu_shares: 1024, cpu_quota: 50_000, cpu_period: 100_000, memory_limit: 1 << 20 };

    fn read(root: &Path, file: &str) -> String {
        fs::read_to_string(root.join(file)).unwrap()
    }

    #[test]
    fn v1_limits_land_in_each_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory", "cpuset"] {
            fs::create_dir(root.path().join(controller)).unwrap();
        }
        let tree = Tree::detect(root.path());
        assert_eq!(tree.version(), Version::V1);
        tree.ensure("/kubepods/burstable/podu", Some(&LIMITS), Some(100)).unwrap();
        assert_eq!(read(root.path(), "cpu/kubepods/burstable/podu/cpu.shares"), "1024");
        assert_eq!(read(root.path(), "cpu/kubepods/burstable/podu/cpu.cfs_quota_us"), "50000");
        assert_eq!(read(root.path(), "memory/kubepods/burstable/podu/memory.limit_in_bytes"), "1048576");
        assert!(!root.path().join("cpuset/kubepods").exists());
    }

    #[test]
    fn v2_limits_land_in_one_place_and_controllers_are_handed_down() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
        fs::write(root.path().join("cgroup.subtree_control"), "cpu memory").unwrap();
        let tree = Tree::detect(root.path());
        assert_eq!(tree.version(), Version::V2);
        tree.ensure("/kubepods/podu", Some(&CgroupLimits { cpu_quota: 0, ..LIMITS }), Some(100)).unwrap();
        assert_eq!(read(root.path(), "cgroup.subtree_control"), "+pids");
        assert_eq!(read(root.path(), "kubepods/podu/cpu.weight"), "39");
        assert_eq!(read(root.path(), "kubepods/podu/cpu.max"), "max 100000");
        assert_eq!(read(root.path(), "kubepods/podu/memory.max"), "1048576");
        assert_eq!(read(root.path(), "kubepods/podu/pids.max"), "100");
    }

    #[test]
    fn removal_is_deepest_first_and_repeatable() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/kubepods/podu/child")).unwrap();
        let tree = Tree::detect(root.path());
        tree.remove("/kubepods/podu").unwrap();
        assert!(root.path().join("memory/kubepods").exists());
        assert!(!root.path().join("memory/kubepods/podu").exists());
        tree.remove("/kubepods/podu").unwrap();
    }

    #[test]
    fn without_hierarchies_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::detect(root.path());
        assert_eq!(tree.version(), Version::Absent);
        tree.ensure("/kubepods", Some(&LIMITS), None).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn weights_are_those_of_annex_c() {
        assert_eq!(weight(1024), 39);
        assert_eq!(weight(2), 1);
        assert_eq!(weight(262_144), 10_000);
    }
}
