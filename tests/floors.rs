//! The house rules that a machine can check: who imports whom, no shell, the map is true, module docs exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates a crate may use; the root package may use all.
const FLOORS: [(&str, &[&str]); 9] = [
    ("wire", &[]),
    ("api", &[]),
    ("pki", &["wire", "api"]),
    ("transport", &["wire", "api", "pki"]),
    ("supervisor", &["wire", "api"]),
    ("edged", &["wire", "api", "supervisor"]),
    ("controlplane", &["wire", "api", "pki", "supervisor"]),
    ("cloudcore", &["wire", "api", "pki", "transport", "supervisor"]),
    ("edgecore", &["wire", "api", "pki", "transport", "supervisor", "edged"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn product_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    for (name, _) in FLOORS {
        sources(&root().join("components").join(name).join("src"), &mut found);
    }
    found
}

#[test]
fn arrows_point_down() {
    let crates: BTreeMap<&str, &[&str]> = FLOORS.into();
    let mut folders: Vec<String> = fs::read_dir(root().join("components"))
        .expect("components/")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let mut named: Vec<&str> = crates.keys().copied().collect();
    named.sort_unstable();
    assert_eq!(folders, named, "every crate has its floor");
    for (name, allowed) in &crates {
        let manifest = fs::read_to_string(root().join("components").join(name).join("Cargo.toml")).expect("a manifest");
        let product = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for other in crates.keys() {
            let used = product
                .lines()
                .any(|line| line.strip_prefix(other).is_some_and(|rest| rest.starts_with(['.', ' ', '='])));
            assert!(!used || allowed.contains(other), "{name} must not use {other}");
        }
    }
}

#[test]
fn no_shell_is_run() {
    for path in product_sources() {
        let text = fs::read_to_string(&path).expect("a source file");
        for shell in ["Command::new(\"sh\")", "Command::new(\"bash\")", "Command::new(\"/bin/sh\")"] {
            assert!(!text.contains(shell), "{} runs a shell", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for path in product_sources() {
        let text = fs::read_to_string(&path).expect("a source file");
        let is_tests = path.file_name().is_some_and(|name| name == "tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests");
        assert!(is_tests || text.starts_with("//!"), "{} has no module documentation", path.display());
    }
}

#[test]
fn the_map_has_a_paragraph_for_every_crate() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (name, _) in FLOORS {
        assert!(map.contains(&format!("### components/{name}\n")), "{name} is not on the map");
    }
}
