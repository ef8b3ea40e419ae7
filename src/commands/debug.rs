//! `keadm debug check`: can this host be an edge node? Source: spec 05 §11.2, thresholds as there; but a failed
//! check ends with exit code 1.

mod checks;
mod measure;

use checks::CheckError;

use super::runtime::CriRuntimes;
use crate::{
    cli::debug::{CheckArgs, DebugArgs, DebugCommand, Item},
    host::Host,
    term::{
        data,
        report::{Exit, Failure},
    },
};

/// All items in the order in which they are checked.
const ALL: [Item; 8] =
    [Item::Arch, Item::Cpu, Item::Mem, Item::Disk, Item::Dns, Item::Network, Item::Pid, Item::Runtime];

/// Runs `keadm debug`.
///
/// # Errors
/// Every check that failed; all are made.
pub async fn command(args: &DebugArgs, host: &dyn Host) -> Result<(), Failure> {
    let DebugCommand::Check(args) = &args.command;
    let items = if args.item == Item::All { ALL.to_vec() } else { vec![args.item] };
    let mut errors: Vec<CheckError> = Vec::new();
    for item in items {
        let outcome = check(item, args, host).await;
        data(&banner(&format!("check {} {}", name(item), if outcome.is_ok() { "succeed" } else { "failed" })));
        errors.extend(outcome.err());
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::of(Exit::Failed, "this host does not pass", &errors))
}

async fn check(item: Item, args: &CheckArgs, host: &dyn Host) -> Result<(), CheckError> {
    match item {
        Item::All => Ok(()),
        Item::Arch => checks::arch(),
        Item::Cpu => checks::cpu().await,
        Item::Mem => checks::memory(),
        Item::Disk => checks::disk(),
        Item::Dns => checks::dns(&args.domain, args.dns_ip).await,
        Item::Network => checks::network(args, host).await,
        Item::Pid => checks::pid(),
        Item::Runtime => checks::runtime(args, host, &CriRuntimes).await,
    }
}

fn name(item: Item) -> &'static str {
    match item {
        Item::All => "all",
        Item::Arch => "arch",
        Item::Cpu => "cpu",
        Item::Mem => "mem",
        Item::Disk => "disk",
        Item::Dns => "dns",
        Item::Network => "network",
        Item::Pid => "pid",
        Item::Runtime => "runtime",
    }
}

/// The frame that scripts look for.
fn banner(text: &str) -> String {
    let line = "-".repeat(text.len());
    format!("\n|{line}|\n|{text}|\n|{line}|")
}

#[cfg(test)]
mod tests {
    use super::banner;

    #[test]
    fn the_banner_is_the_one_that_scripts_know() {
        assert_eq!(banner("check cpu succeed"), "\n|-----------------|\n|check cpu succeed|\n|-----------------|");
    }
}
