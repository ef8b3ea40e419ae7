//! hostPath volumes: checks that the host has what the pod expects. Source: spec 08 §11.7.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Checks `path` against the volume's `type`, creating what the type says is created.
///
/// # Errors
/// The kubelet's text.
pub fn check(path: &Path, kind: &str) -> Result<(), String> {
    let failed = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", path.display()));
    let found = fs::metadata(path).ok().map(|metadata| metadata.file_type());
    match (kind, found) {
        ("" | "Unset", _) => Ok(()),
        ("Directory" | "DirectoryOrCreate", Some(found)) if found.is_dir() => Ok(()),
        ("DirectoryOrCreate", None) => create_dir(path).map_err(|error| format!("{}: {error}", path.display())),
        ("Directory" | "DirectoryOrCreate", _) => failed("a directory"),
        ("File" | "FileOrCreate", Some(found)) if found.is_file() => Ok(()),
        ("FileOrCreate", None) => create_file(path).map_err(|error| format!("{}: {error}", path.display())),
        ("File" | "FileOrCreate", _) => failed("a file"),
        ("Socket", Some(found)) if found.is_socket() => Ok(()),
        ("Socket", _) => failed("a socket file"),
        ("CharDevice", Some(found)) if found.is_char_device() => Ok(()),
        ("CharDevice", _) => failed("a character device"),
        ("BlockDevice", Some(found)) if found.is_block_device() => Ok(()),
        ("BlockDevice", _) => failed("a block device"),
        (other, _) => Err(format!("{other} is an invalid volume type")),
    }
}

fn create_dir(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_created() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(check(&at("absent"), ""), Ok(()));
        assert_eq!(check(&at("a/b/dir"), "DirectoryOrCreate"), Ok(()));
        assert_eq!(check(&at("a/b/dir"), "Directory"), Ok(()));
        assert_eq!(check(&at("new"), "FileOrCreate"), Ok(()));
        assert_eq!(check(&at("new"), "File"), Ok(()));
        assert_eq!(check(&at("socket"), "Socket"), Ok(()));
        assert_eq!(check(Path::new("/dev/null"), "CharDevice"), Ok(()));
        assert!(check(&at("no/parent"), "FileOrCreate").is_err());
        for (name, kind, what) in [
            ("file", "Directory", "a directory"),
            ("file", "DirectoryOrCreate", "a directory"),
            ("absent", "Directory", "a directory"),
            ("a", "File", "a file"),
            ("file", "Socket", "a socket file"),
            ("file", "CharDevice", "a character device"),
            ("file", "BlockDevice", "a block device"),
        ] {
            let expected = format!("hostPath type check failed: {} is not {what}", at(name).display());
            assert_eq!(check(&at(name), kind), Err(expected));
        }
    }
}
