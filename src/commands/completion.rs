//! `keadm completion`: scripts generated from the grammar.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::{cli::Cli, term};

/// The completion script for a shell.
pub fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "keadm", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Prints it.
pub fn completion(shell: Shell) {
    term::data_text(&script(shell));
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    /// `KEADM_UPDATE_COMPLETIONS=1 cargo test completions` writes them anew.
    #[test]
    fn the_committed_completions_match_the_grammar() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        let files = [
            (Shell::Bash, "keadm.bash"),
            (Shell::Zsh, "_keadm"),
            (Shell::Fish, "keadm.fish"),
            (Shell::Elvish, "keadm.elv"),
            (Shell::PowerShell, "_keadm.ps1"),
        ];
        for (shell, name) in files {
            let path = dir.join(name);
            if env::var_os("KEADM_UPDATE_COMPLETIONS").is_some() {
                fs::write(&path, script(shell)).expect("writes");
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == script(shell), "{name} is stale: run this test with KEADM_UPDATE_COMPLETIONS=1");
        }
    }
}
