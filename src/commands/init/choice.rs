//! Which Kubernetes this cloud uses. A cluster that exists always wins; what was chosen once stays chosen.
//! Source: spec 10 §0 D10.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Surroundings, error::InitError};
use crate::{
    cli::init::InitArgs,
    commands::kubeconfig::{self, ca_data},
};

/// A cluster at a usual place has this long to answer.
const QUICK: Duration = Duration::from_secs(2);
/// A cluster that was named has this long.
const PATIENT: Duration = Duration::from_secs(15);

/// The Kubernetes of this cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one inside cloudcore.
    Embedded,
    /// One that exists.
    External {
        /// How it is reached.
        kubeconfig: PathBuf,
        /// What it runs.
        version: String,
    },
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => formatter.write_str("Kubernetes: built-in control plane"),
            Self::External { kubeconfig, version } => {
                write!(formatter, "Kubernetes: {version}, reached through {}", kubeconfig.display())
            }
        }
    }
}

/// Chooses.
///
/// # Errors
/// A cluster that was named or recorded does not answer.
pub async fn choose(args: &InitArgs, with: &Surroundings<'_>) -> Result<Choice, InitError> {
    if let Some(path) = &args.kube_config {
        return external(&absolute(path), with).await;
    }
    if args.embedded {
        return Ok(Choice::Embedded);
    }
    if let Some(recorded) = kubeconfig::cloudcore_config(with.host) {
        let path = &recorded.kube_api_config.kube_config;
        return match (recorded.control_plane.enable, path.is_empty()) {
            (true, _) => Ok(Choice::Embedded),
            (false, false) => external(Path::new(path), with).await,
            (false, true) => Err(InitError::InCluster),
        };
    }
    for path in kubeconfig::usual_places() {
        let Some(text) = with.host.read(&path)? else { continue };
        if is_ours(&String::from_utf8_lossy(&text), with) {
            continue;
        }
        match with.clusters.version(&path, QUICK).await {
            Ok(version) => return Ok(Choice::External { kubeconfig: path, version }),
            Err(error) => {
                let reason = crate::term::report::chain(&error);
                with.steps.detail(&format!("{} is passed over: {reason}", path.display()));
            }
        }
    }
    Ok(Choice::Embedded)
}

async fn external(path: &Path, with: &Surroundings<'_>) -> Result<Choice, InitError> {
    let version = with.clusters.version(path, PATIENT).await.map_err(InitError::Cluster)?;
    Ok(Choice::External { kubeconfig: path.to_owned(), version })
}

/// Whether a kubeconfig leads to a control plane that cloudcore ran on this host before.
fn is_ours(text: &str, with: &Surroundings<'_>) -> bool {
    let own = Path::new(api::names::CONTROL_PLANE_DIR).join("admin.conf");
    let Ok(Some(admin)) = with.host.read(&own) else { return false };
    let ca = ca_data(&String::from_utf8_lossy(&admin));
    ca.is_some() && ca == ca_data(text)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
