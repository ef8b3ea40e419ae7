//! Makes one volume on disk or on a tmpfs. Source: spec 08 §11.1, §11.2.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::atomic;
use super::mounts::Mounter;

/// What a volume lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// The file system of the agent's directory.
    Disk,
    /// A tmpfs of at most `size` bytes; without a size, of what the kernel thinks is right.
    Memory { size: Option<u64> },
}

/// Where a volume goes and what it is made of.
pub(super) struct Place {
    pub(super) pod_dir: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) marker: PathBuf,
    pub(super) medium: Medium,
    pub(super) fs_group: Option<u32>,
    /// Where other volumes are mounted inside this one: the runtime cannot make these in a read-only mount.
    pub(super) nested: BTreeSet<PathBuf>,
    pub(super) mounter: Arc<dyn Mounter>,
}

impl Place {
    /// Makes the directory, on its tmpfs if it wants one.
    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.pod_dir)?;
        DirBuilder::new().recursive(true).mode(0o755).create(&self.dir)?;
        if let Medium::Memory { size } = self.medium
            && !self.mounter.is_mount_point(&self.dir)?
        {
            self.mounter.mount_tmpfs(&self.dir, size)?;
        }
        Ok(())
    }

    fn set_permissions(&self) -> io::Result<()> {
        // The mode is forced, a umask must not narrow it; setgid lets new files inherit the pod's group. Nothing is
        // written when all is well: this runs at every refresh.
        let mode = if self.fs_group.is_some() { 0o2777 } else { 0o777 };
        let now = fs::metadata(&self.dir)?;
        if let Some(gid) = self.fs_group
            && now.gid() != gid
        {
            chown(&self.dir, None, Some(gid))?;
        }
        if now.mode() & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(&self.dir, Permissions::from_mode(mode))
    }

    fn mark_ready(&self) -> io::Result<()> {
        let ready = self.marker.join("ready");
        if ready.exists() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o750).create(&self.marker)?;
        fs::write(ready, "")
    }

    /// An emptyDir.
    pub(super) fn make_empty_dir(&self) -> io::Result<()> {
        let first = !self.marker.join("ready").exists();
        self.make()?;
        // Later the directory belongs to the containers, and they may have changed its mode.
        if first || self.medium != Medium::Disk {
            self.set_permissions()?;
        }
        self.mark_ready()
    }

    /// A volume made of files; returns whether they were rewritten.
    pub(super) fn write(&self, files: &atomic::Payload, now: Timestamp) -> io::Result<bool> {
        self.make()?;
        self.set_permissions()?;
        let changed = atomic::write(&self.dir, files, self.fs_group, now).map_err(io::Error::other)?;
        for inner in &self.nested {
            let dir = self.dir.join(inner);
            if !dir.exists() {
                DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
            }
        }
        self.mark_ready()?;
        Ok(changed)
    }
}
