//! Running programs with argument vectors and reading what they said.

use std::process::{Command, Output, Stdio};

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output of a program that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "exit code {}\nstdout: {}\nstderr: {}", self.code, self.out, self.err);
        self.out
    }

    /// The output, or both streams as the error.
    pub fn result(self) -> Result<String, String> {
        if self.code == 0 { Ok(self.out) } else { Err(format!("exit {}: {}{}", self.code, self.out, self.err)) }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `program` to its end.
pub fn run(program: &str, args: &[&str]) -> Said {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    output.into()
}
