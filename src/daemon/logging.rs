//! The log of a component: lines on stderr, where the service manager keeps them.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Libraries that talk much at the levels where we talk about decisions.
const QUIET: [&str; 9] =
    ["h2", "hyper", "hyper_util", "rustls", "tower", "tonic", "kube_client", "tungstenite", "kube_runtime"];

/// Sets up the log. `v` are klog's levels: 0 to 3 say what happens, 4 and 5 why, 6 and more everything. The variable
/// `KEADM_LOG` holds filter directives that take the place of all that.
pub fn init(v: u8) {
    let filter = EnvFilter::try_from_env("KEADM_LOG").unwrap_or_else(|_| EnvFilter::new(directives(v)));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .finish();
    // A second call can only come from a test; the first subscriber stays.
    drop(tracing::subscriber::set_global_default(subscriber));
}

fn directives(v: u8) -> String {
    let level = match v {
        0..=3 => "info",
        4..=5 => "debug",
        _ => "trace",
    };
    let quiet = if v >= 8 { level } else { "warn" };
    QUIET.iter().fold(level.to_owned(), |directives, library| format!("{directives},{library}={quiet}"))
}
