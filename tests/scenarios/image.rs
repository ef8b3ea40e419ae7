//! Container images made here: no registry is needed. A docker-archive tarball of one layer.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::process;

/// The image that the test hosts' containerd uses for sandboxes.
pub const PAUSE: &str = "keadm.test/pause:1";
/// A busybox with its applets, under the name that manifests use.
pub const BUSYBOX: &str = "docker.io/library/busybox:latest";

const PAUSE_SOURCE: &str = r"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }
static void end(int s) { (void)s; _exit(0); }
int main(void) {
    signal(SIGCHLD, reap);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    for (;;) pause();
}
";

/// One archive with every image the scenarios use, built once a run.
pub fn archive(into: &Path) -> PathBuf {
    let pause = into.join("pause");
    let source = into.join("pause.c");
    std::fs::write(&source, PAUSE_SOURCE).expect("the scratch folder is writable");
    let paths = [pause.to_str().expect("UTF-8"), source.to_str().expect("UTF-8")];
    process::run("gcc", &["-static", "-Os", "-o", paths[0], paths[1]]).ok();

    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let applets = process::run("/bin/busybox", &["--list"]).ok();
    let mut layer = Layer::new();
    layer.folder("bin");
    layer.folder("tmp");
    layer.folder("etc");
    layer.file("bin/busybox", &busybox, 0o755);
    for applet in applets.lines().filter(|name| *name != "busybox") {
        layer.link(&format!("bin/{applet}"), "/bin/busybox");
    }
    let busybox = layer.finish();
    let mut layer = Layer::new();
    layer.file("pause", &std::fs::read(&pause).expect("gcc wrote it"), 0o755);
    let pause = layer.finish();

    let path = into.join("images.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&path).expect("the scratch folder is writable"));
    let mut manifest = Vec::new();
    for (name, layer, command) in [(PAUSE, pause, vec!["/pause"]), (BUSYBOX, busybox, vec!["/bin/sh"])] {
        let digest = format!("{:x}", Sha256::digest(&layer));
        let config = serde_json::json!({
            "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
            "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        })
        .to_string();
        let config_name = format!("{:x}.json", Sha256::digest(config.as_bytes()));
        append(&mut tar, &config_name, config.as_bytes());
        append(&mut tar, &format!("{digest}.tar"), &layer);
        manifest.push(serde_json::json!({
            "Config": config_name, "RepoTags": [name], "Layers": [format!("{digest}.tar")],
        }));
    }
    append(&mut tar, "manifest.json", serde_json::Value::Array(manifest).to_string().as_bytes());
    tar.into_inner().and_then(|mut file| file.flush()).expect("the archive is written");
    path
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).expect("the archive is written");
}

/// A layer in the making.
struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn entry(&mut self, name: &str, kind: tar::EntryType, mode: u32, bytes: &[u8], target: Option<&str>) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        match target {
            Some(target) => self.0.append_link(&mut header, name, target),
            None => self.0.append_data(&mut header, name, bytes),
        }
        .expect("a layer in memory is writable");
    }

    fn folder(&mut self, name: &str) {
        let mode = if name == "tmp" { 0o1777 } else { 0o755 };
        self.entry(&format!("{name}/"), tar::EntryType::Directory, mode, &[], None);
    }

    fn file(&mut self, name: &str, bytes: &[u8], mode: u32) {
        self.entry(name, tar::EntryType::Regular, mode, bytes, None);
    }

    fn link(&mut self, name: &str, target: &str) {
        self.entry(name, tar::EntryType::Symlink, 0o777, &[], Some(target));
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("a layer in memory is writable")
    }
}
