//! What this build is called.

use serde::Serialize;

/// The release, with `v`: node versions and scripts rely on the letter (spec 05 §14).
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What `keadm version` tells, in the Go programs' shape and order. Source: spec 05 §2.9.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// First number of the release.
    pub major: &'static str,
    /// Second number of the release.
    pub minor: &'static str,
    /// The release.
    pub git_version: &'static str,
    /// Commit the build was made from, when the builder said so.
    pub git_commit: &'static str,
    /// `clean` or `dirty`, when the builder said so.
    pub git_tree_state: &'static str,
    /// When it was built, when the builder said so.
    pub build_date: &'static str,
    /// Always empty: there is no Go in it. Scripts look for the key.
    pub go_version: &'static str,
    /// The compiler.
    pub compiler: &'static str,
    /// Operating system and architecture, in Go's words.
    pub platform: String,
}

/// A value that the builder may pass in its environment.
macro_rules! from_builder {
    ($name:literal) => {
        match option_env!($name) {
            Some(value) => value,
            None => "",
        }
    };
}

impl Info {
    /// This build.
    pub fn of_this_build() -> Self {
        Self {
            major: env!("CARGO_PKG_VERSION_MAJOR"),
            minor: env!("CARGO_PKG_VERSION_MINOR"),
            git_version: VERSION,
            git_commit: from_builder!("KEADM_GIT_COMMIT"),
            git_tree_state: from_builder!("KEADM_GIT_TREE_STATE"),
            build_date: from_builder!("KEADM_BUILD_DATE"),
            go_version: "",
            compiler: "rustc",
            platform: format!("{}/{}", std::env::consts::OS, go_arch(std::env::consts::ARCH)),
        }
    }

    /// The Go programs' default form; scripts look for `GitVersion:"v…"`.
    pub fn go_syntax(&self) -> String {
        format!(
            "version.Info{{Major:{:?}, Minor:{:?}, GitVersion:{:?}, GitCommit:{:?}, GitTreeState:{:?}, BuildDate:{:?}, \
             GoVersion:{:?}, Compiler:{:?}, Platform:{:?}}}",
            self.major,
            self.minor,
            self.git_version,
            self.git_commit,
            self.git_tree_state,
            self.build_date,
            self.go_version,
            self.compiler,
            self.platform
        )
    }
}

fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
