//! The applet `edgecore`. One thread runs everything; blocking calls get few, small ones.

use std::{convert::Infallible, error::Error, ffi::OsString, process::ExitCode, time::Duration};

use api::{edgecore::EdgeCoreConfig, names::EDGECORE_CONFIG_FILE};
use edgecore::settings::EdgeCoreSettings;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Texts, flags::Flags, load, pages, signals};
use crate::version::VERSION;

/// The Kubernetes release whose node agent we behave like. It must not contain `-`: tools split the node version
/// there (spec 06 §7.8).
const KUBERNETES: &str = "v1.32.10";
/// Threads for blocking calls (file system, name resolution).
const BLOCKING_THREADS: usize = 8;
/// Stack of each of them, bytes.
const STACK: usize = 512 * 1024;
/// How long an idle one is kept.
const IDLE: Duration = Duration::from_secs(5);

/// How long blocking calls that still run may take at the end.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// When starting is over: settings read, enrolled, connected, pods looked at.
const STARTED: Duration = Duration::from_secs(10);

/// Runs edgecore.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let texts = Texts {
        name: "edgecore",
        default_file: EDGECORE_CONFIG_FILE,
        default_config: EdgeCoreConfig::default_config,
        min_config: EdgeCoreConfig::min_config,
    };
    super::main(arguments, &texts, run)
}

fn run(flags: &Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut config = load::config(flags, EdgeCoreConfig::from_yaml)?;
    info!(version = VERSION, "Version");
    use_interface_address(&mut config);
    let mut settings = EdgeCoreSettings::from_config(&config, &format!("{KUBERNETES}-kubeedge-{VERSION}"))?;
    // The peers' switch, for machines that run a kubelet on purpose. Source: spec 05 §9.2.
    settings.check_environment &= std::env::var_os("CHECK_EDGECORE_ENVIRONMENT").is_none_or(|value| value != "false");
    drop(config); // the settings are all that is needed from here on
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .thread_keep_alive(IDLE)
        .build()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let life = async {
            tokio::select! {
                ended = edgecore::run(settings, stop.clone()) => ended.map_err(|error| Box::new(error).into()),
                never = settle() => match never {},
            }
        };
        signals::until_asked(stop.clone(), life).await
    });
    // The database has been closed by now; a blocking call that hangs (a dead disk or name server) is not waited for.
    runtime.shutdown_timeout(LAST_CALLS);
    outcome
}

/// Once everything has started, gives the code back that only starting needed.
async fn settle() -> Infallible {
    tokio::time::sleep(STARTED).await;
    if let Err(error) = pages::give_back_code() {
        debug!(error = %error, "code pages stay resident");
    }
    std::future::pending().await
}

/// `customInterfaceName` names the interface whose address the node reports.
fn use_interface_address(config: &mut EdgeCoreConfig) {
    let edged = &mut config.modules.edged;
    if edged.custom_interface_name.is_empty() {
        return;
    }
    if let Some(ip) = crate::host::net::interface_address(&edged.custom_interface_name) {
        edged.node_ip = ip.to_string();
    } else {
        warn!(interface = edged.custom_interface_name, "interface has no address, nodeIP is used");
    }
}
