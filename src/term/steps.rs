//! Numbered steps with a spinner on a terminal, plain lines otherwise.

use std::{
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::note;

/// Narrates the steps of a command on stderr.
#[derive(Debug)]
pub struct Steps {
    state: Mutex<State>,
    animated: bool,
    silent: bool,
}

#[derive(Debug, Default)]
struct State {
    number: usize,
    current: Option<(String, ProgressBar)>,
}

impl Steps {
    /// Steps on stderr.
    pub fn on_stderr() -> Self {
        Self { state: Mutex::default(), animated: io::stderr().is_terminal(), silent: false }
    }

    /// Steps that nobody sees, for tests.
    #[cfg(test)]
    pub fn silent() -> Self {
        Self { state: Mutex::default(), animated: false, silent: true }
    }

    /// Begins the next step; the one before is done.
    pub fn begin(&self, text: &str) {
        self.done();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.number += 1;
        let line = format!("{:>2}. {text}", state.number);
        if self.animated {
            let bar = ProgressBar::new_spinner().with_message(line.clone());
            let style = ProgressStyle::with_template("{msg} {spinner} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            state.current = Some((line, bar));
        } else if !self.silent {
            note(&line);
        }
    }

    /// Says something about the current step.
    pub fn detail(&self, text: &str) {
        self.line(&format!("    {text}"));
    }

    /// Says something that the operator should not miss.
    pub fn warn(&self, text: &str) {
        self.line(&format!("    warning: {text}"));
    }

    /// The current step is done.
    pub fn done(&self) {
        self.end("ok");
    }

    /// The current step failed.
    pub fn failed(&self) {
        self.end("failed");
    }

    fn end(&self, how: &str) {
        let current = self.state.lock().unwrap_or_else(PoisonError::into_inner).current.take();
        if let Some((line, bar)) = current {
            bar.finish_and_clear();
            note(&format!("{line} … {how}"));
        }
    }

    fn line(&self, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.current {
            Some((_, bar)) => bar.suspend(|| note(text)),
            None if self.silent => {}
            None => note(text),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.done();
    }
}
