//! Container images made by the test itself, as docker archives: no registry is needed.

use std::fs;
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Name of the sandbox image.
pub const PAUSE: &str = "docker.io/library/pause:test";
/// Names under which the busybox image is imported.
pub const BUSYBOX: [&str; 3] =
    ["docker.io/library/busybox:latest", "docker.io/library/busybox:1", "docker.io/library/nginx:latest"];

/// Applets that get a link in the busybox image.
const APPLETS: [&str; 14] =
    ["sh", "sleep", "echo", "cat", "httpd", "ls", "date", "true", "false", "env", "wget", "nc", "kill", "hostname"];

/// A file of an image.
struct File {
    path: String,
    content: Content,
}

enum Content {
    Program(Vec<u8>),
    Text(&'static str),
    Link(&'static str),
    Directory,
}

/// The program that holds a sandbox's namespaces: waits for SIGTERM or SIGINT.
const PAUSE_SOURCE: &str = r"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void down(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, NULL, WNOHANG) > 0) {} }
int main(void) { signal(SIGINT, down); signal(SIGTERM, down); signal(SIGCHLD, reap); for (;;) pause(); }
";

/// The sandbox image.
pub fn pause() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("pause.c"), dir.path().join("pause"));
    fs::write(&source, PAUSE_SOURCE).unwrap();
    let built = Command::new("gcc").args(["-static", "-Os", "-o"]).arg(&program).arg(&source).status();
    assert!(built.expect("gcc is installed").success());
    let files = [File { path: "pause".to_owned(), content: Content::Program(fs::read(program).unwrap()) }];
    archive(&[PAUSE], &["/pause"], &files)
}

/// A busybox with the usual commands.
pub fn busybox() -> Vec<u8> {
    let program = fs::read("/bin/busybox").expect("busybox-static is installed");
    let directory = |path: &str| File { path: path.to_owned(), content: Content::Directory };
    let mut files = vec![
        directory("bin/"),
        File { path: "bin/busybox".to_owned(), content: Content::Program(program) },
        directory("etc/"),
        File { path: "etc/passwd".to_owned(), content: Content::Text("root:x:0:0:root:/root:/bin/sh\n") },
        directory("tmp/"),
        directory("www/"),
        File { path: "www/index.html".to_owned(), content: Content::Text("hello\n") },
    ];
    let links = APPLETS.iter().map(|applet| File { path: format!("bin/{applet}"), content: Content::Link("busybox") });
    files.extend(links);
    archive(&BUSYBOX, &["/bin/httpd", "-f", "-p", "80", "-h", "/www"], &files)
}

fn archive(names: &[&str], command: &[&str], files: &[File]) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        let bytes: &[u8] = match &file.content {
            Content::Program(bytes) => bytes,
            Content::Text(text) => text.as_bytes(),
            Content::Link(_) | Content::Directory => &[],
        };
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        match &file.content {
            Content::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                layer.append_link(&mut header, &file.path, target).unwrap();
            }
            Content::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                layer.append_data(&mut header, &file.path, bytes).unwrap();
            }
            Content::Program(_) | Content::Text(_) => layer.append_data(&mut header, &file.path, bytes).unwrap(),
        }
    }
    let layer = layer.into_inner().unwrap();
    let digest = Sha256::digest(&layer).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]);
    let mut image = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("layer.tar", layer),
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        image.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    image.into_inner().unwrap()
}
