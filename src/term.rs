//! What the operator sees. stdout is data; everything else goes to stderr.

pub mod prompt;
pub mod report;
pub mod steps;

use std::io::{self, Write as _};

/// One line of data. A reader that went away is no error: there is nobody left to tell.
pub fn data(line: &str) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Text that already has its line ends.
pub fn data_text(text: &str) {
    let mut stdout = io::stdout().lock();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// One line of narration.
pub fn note(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
