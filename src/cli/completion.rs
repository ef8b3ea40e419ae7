//! `keadm completion`.

use clap::Args;
use clap_complete::Shell;

/// Flags of `keadm completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
