//! Serves a throw-away control plane for manual play: `serve [DIR] [ADDRESS:PORT]`, then use `DIR/admin.conf`.

use std::{env, net::SocketAddr, path::PathBuf, process::ExitCode};

use controlplane::{ControlPlane, Settings};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let dir = arguments.next().map_or_else(|| env::temp_dir().join("controlplane"), PathBuf::from);
    let bind: SocketAddr = match arguments.next().as_deref().unwrap_or("127.0.0.1:6443").parse() {
        Ok(bind) => bind,
        Err(_) => return ExitCode::from(2),
    };
    let opened = ControlPlane::open(Settings::new(dir, bind, bind.ip())).await;
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    let run = async {
        let plane = opened?;
        let signal = async move {
            let _ = tokio::signal::ctrl_c().await;
            on_signal.cancel();
        };
        let (outcome, ()) = tokio::join!(plane.run(stop), signal);
        outcome
    };
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{error}\n").as_bytes());
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
