//! Scenarios: the real binary on real hosts with real containerd, read as stories.
//!
//! Each host is a Debian tree in namespaces of its own (`systemd-nspawn`), all on one bridge, so that "two hosts" are
//! two hosts. They need root and are `#[ignore]`d in a plain `cargo test`; `make test` runs them all, and one that
//! cannot run fails.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "numbers and the logs of a failed scenario are for reading"
)]

mod host;
mod image;
mod network;
mod process;
mod site;
mod wait;

mod bench;
mod chaos;
mod isolation;
mod kubernetes;
mod one_machine;
mod refusals;
mod test_hosts;
mod two_hosts;
