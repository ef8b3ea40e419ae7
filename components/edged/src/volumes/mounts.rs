//! Mounting and unmounting, behind a trait so that volumes can be tested without root.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// What volumes need from the kernel's mount table.
pub trait Mounter: Send + Sync + Debug + 'static {
    /// Every mount point of this mount namespace, in mount order.
    fn mount_points(&self) -> io::Result<Vec<PathBuf>>;
    /// Mounts a tmpfs of at most `size` bytes (`None`: the kernel's default).
    fn mount_tmpfs(&self, target: &Path, size: Option<u64>) -> io::Result<()>;
    /// Makes `source` visible at `target`.
    fn bind(&self, source: &Path, target: &Path) -> io::Result<()>;
    /// Unmounts the topmost mount at `target`, never following a symlink.
    fn unmount(&self, target: &Path) -> io::Result<()>;

    /// Whether something is mounted at exactly `target`.
    fn is_mount_point(&self, target: &Path) -> io::Result<bool> {
        let real = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        Ok(self.mount_points()?.contains(&real))
    }
}

/// The real thing; needs `CAP_SYS_ADMIN` to mount.
#[derive(Debug, Clone, Copy)]
pub struct Kernel;

impl Mounter for Kernel {
    fn mount_points(&self) -> io::Result<Vec<PathBuf>> {
        Ok(parse(&fs::read("/proc/self/mountinfo")?))
    }

    fn mount_tmpfs(&self, target: &Path, size: Option<u64>) -> io::Result<()> {
        let options = size.map(|bytes| format!("size={bytes}"));
        Ok(mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), options.as_deref())?)
    }

    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        Ok(mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        Ok(umount2(target, MntFlags::UMOUNT_NOFOLLOW)?)
    }
}

/// Mount points (fifth field) of a `/proc/<pid>/mountinfo`.
fn parse(mountinfo: &[u8]) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let fields = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields.map(|field| PathBuf::from(OsString::from_vec(unescape(field)))).collect()
}

/// Blanks, tabs, newlines and backslashes are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        match octal.map(|d| u32::from(d[0] - b'0') * 64 + u32::from(d[1] - b'0') * 8 + u32::from(d[2] - b'0')) {
            Some(code) if code < 256 => {
                plain.push(u8::try_from(code).unwrap_or(b'?'));
                rest = &after[3..];
            }
            Some(_) | None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
pub(crate) mod fake {
    use std::sync::Mutex;

    use super::*;

    /// A mount table that only remembers; bind mounts become copies of nothing.
    #[derive(Debug, Default)]
    pub(crate) struct FakeMounter {
        pub(crate) table: Mutex<Vec<PathBuf>>,
        pub(crate) log: Mutex<Vec<String>>,
        pub(crate) busy: Mutex<bool>,
    }

    impl FakeMounter {
        fn record(&self, line: String) {
            self.log.lock().unwrap().push(line);
        }
    }

    impl Mounter for FakeMounter {
        fn mount_points(&self) -> io::Result<Vec<PathBuf>> {
            Ok(self.table.lock().unwrap().clone())
        }

        fn mount_tmpfs(&self, target: &Path, size: Option<u64>) -> io::Result<()> {
            self.record(format!("tmpfs {} {size:?}", target.file_name().unwrap().display()));
            self.table.lock().unwrap().push(target.to_owned());
            Ok(())
        }

        fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
            let real = fs::canonicalize(source)?;
            self.record(format!("bind {}", real.display()));
            self.table.lock().unwrap().push(target.to_owned());
            Ok(())
        }

        fn unmount(&self, target: &Path) -> io::Result<()> {
            if *self.busy.lock().unwrap() {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            let mut table = self.table.lock().unwrap();
            let at = table.iter().rposition(|point| point == target);
            table.remove(at.ok_or(io::ErrorKind::InvalidInput)?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mount_points_are_the_fifth_field_unescaped() {
        let text = b"22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
            36 35 98:0 /mnt1 /var/lib/a\\040b\\134 rw master:1 - ext3 /dev/root rw\n";
        assert_eq!(parse(text), [Path::new("/sys"), Path::new("/var/lib/a b\\")]);
    }

    #[test]
    fn the_kernels_own_table_is_readable() {
        assert!(Kernel.is_mount_point(Path::new("/proc")).unwrap());
        assert!(!Kernel.is_mount_point(Path::new("/proc/self")).unwrap());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = unescape(&bytes);
        }
    }
}
