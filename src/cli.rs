//! What may be typed: clap types only. Help and completions are generated from here.

pub mod certgen;
pub mod completion;
pub mod debug;
pub mod gettoken;
pub mod init;
pub mod join;
pub mod reset;
pub mod version;

use clap::{Parser, Subcommand};

/// KubeEdge in one binary: install, join, inspect and remove.
#[derive(Debug, Parser)]
#[command(name = "keadm", bin_name = "keadm", version = crate::version::VERSION, propagate_version = false)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Log verbosity of what keadm does itself
    #[arg(short, long = "v", global = true, value_name = "LEVEL", default_value_t = 0, hide = true)]
    pub v: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up the cloud side on this host
    Init(init::InitArgs),
    /// Make this host an edge node
    Join(join::JoinArgs),
    /// Print the token that edge nodes join with
    Gettoken(gettoken::GettokenArgs),
    /// Remove what init or join put on this host
    Reset(reset::ResetArgs),
    /// Make certificates for stream servers and external tools
    Certgen(certgen::CertgenArgs),
    /// Look for trouble on this host
    Debug(debug::DebugArgs),
    /// Print the version
    Version(version::VersionArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
