//! Everything that can be known before the host is changed. All that is wrong is found in one go, as far as one
//! finding does not make the next question pointless.

use std::path::{Path, PathBuf};

use api::{config::HostFacts, edgecore::EdgeCoreConfig, names::EDGECORE_CONFIG_FILE};
use jiff::Timestamp;
use pki::{JoinToken, TokenError};

use super::{Surroundings, cloud::Introduction, config, error::JoinError, has_config, settings::JoinSettings};
use crate::{
    commands::{
        ignored::Ignored,
        neighbours,
        runtime::{self, RuntimeFacts},
    },
    host::{Host, service::EDGECORE},
};

/// Clocks may differ by this many seconds.
const CLOCK_TOLERANCE: i64 = 60;

/// What the checks found.
#[derive(Debug)]
pub enum Finding {
    /// The host has joined with these settings already.
    Joined,
    /// It has, but edgecore does not run.
    Stopped,
    /// It can join.
    Ready(Box<Checked>),
}

/// What a join knows after its checks.
#[derive(Debug)]
pub struct Checked {
    /// CA certificate of the cloud, DER; the token vouches for it.
    pub ca_der: Vec<u8>,
    /// The token.
    pub token: JoinToken,
    /// The configuration to write.
    pub config: EdgeCoreConfig,
}

/// Runs all checks.
///
/// # Errors
/// Everything that was found and not ignored.
pub async fn check(
    settings: &JoinSettings,
    ignored: &Ignored,
    with: &Surroundings<'_>,
) -> Result<Finding, Vec<JoinError>> {
    let host = with.host;
    for remark in &settings.remarks {
        with.steps.warn(remark);
    }
    if !host.is_root() && !settings.dry_run {
        return Err(vec![JoinError::NotRoot]); // without root the other answers would be guesses
    }
    match former_join(settings, host) {
        Former::Same { .. } if running_edgecore(host).is_some() => return Ok(Finding::Joined),
        Former::Same { enrolled: true } => {
            // Its certificate lets it in: no token, and the cloud need not even answer.
            let errors: Vec<_> = local(host).into_iter().filter(|error| !ignored.covers(error)).collect();
            return if errors.is_empty() { Ok(Finding::Stopped) } else { Err(errors) };
        }
        Former::Same { enrolled: false } | Former::None => {}
        Former::Other { server, node } => return Err(vec![JoinError::Occupied { server, node }]),
    }

    let mut errors = local(host);
    let mut fatal = Vec::new(); // without these answers there is nothing to join with
    let token = check_token(settings, &mut fatal);
    let runtime = check_runtime(settings, with, &mut errors).await;
    let introduction = match &token {
        Some(token) => check_cloud(settings, token, with, &mut errors, &mut fatal).await,
        None => None,
    };
    errors.retain(|error| !ignored.covers(error));
    errors.extend(fatal);
    let (Some(token), Some(introduction), true) = (token, introduction, errors.is_empty()) else { return Err(errors) };
    let runtime = runtime.unwrap_or_else(|| RuntimeFacts {
        endpoint: settings.runtime_endpoint.clone().unwrap_or_else(|| api::names::CONTAINERD_ENDPOINT.to_owned()),
        ..RuntimeFacts::default()
    });
    let config = config::build(settings, &runtime, &host.facts()).map_err(|error| vec![error])?;
    Ok(Finding::Ready(Box::new(Checked { ca_der: introduction.ca_der, token, config })))
}

enum Former {
    None,
    Same {
        /// The node has its certificate, and the program is there.
        enrolled: bool,
    },
    Other {
        server: String,
        node: String,
    },
}

/// What an earlier join left.
fn former_join(settings: &JoinSettings, host: &dyn Host) -> Former {
    if !has_config(host) {
        return Former::None;
    }
    let text = host.read(Path::new(EDGECORE_CONFIG_FILE)).ok().flatten().unwrap_or_default();
    let Ok((config, _)) = EdgeCoreConfig::from_yaml(&String::from_utf8_lossy(&text), &HostFacts::default()) else {
        return Former::Other { server: "an unreadable configuration".into(), node: "unknown".into() };
    };
    let hub = &config.modules.edge_hub;
    let needed = [&hub.tls_ca_file, &hub.tls_cert_file, &hub.tls_private_key_file].map(PathBuf::from);
    let enrolled = needed.iter().chain([&EDGECORE.program()]).all(|path| host.kind(path).is_some());
    let server = config.modules.edge_hub.websocket.server;
    let node = config.modules.edged.hostname_override;
    if server == settings.cloud.to_string() && node == settings.node {
        Former::Same { enrolled }
    } else {
        Former::Other { server, node }
    }
}

fn running_edgecore(host: &dyn Host) -> Option<i32> {
    host.processes().iter().find(|process| process.is("edgecore")).map(|process| process.pid)
}

fn local(host: &dyn Host) -> Vec<JoinError> {
    let mut errors = Vec::new();
    if let Some(pid) = running_edgecore(host) {
        errors.push(JoinError::Running { pid });
        return errors; // its ports would only repeat that
    }
    if let Some(agent) = neighbours::running(host) {
        errors.push(JoinError::OtherAgent { agent });
    }
    let port = api::names::EDGED_PORT;
    if let Some(owner) = host.port_owner(port) {
        errors.push(JoinError::Port { port, owner });
    }
    errors
}

fn check_token(settings: &JoinSettings, errors: &mut Vec<JoinError>) -> Option<JoinToken> {
    let Some(text) = &settings.token else {
        errors.push(JoinError::TokenMissing);
        return None;
    };
    let token = match JoinToken::parse(&text.0) {
        Ok(token) => token,
        Err(error) => {
            errors.push(JoinError::Token(error));
            return None;
        }
    };
    let now = Timestamp::now();
    match token.check_expiry(now) {
        Ok(()) => return Some(token),
        Err(TokenError::Expired { at }) => {
            errors.push(JoinError::TokenExpired { at, ago: in_words(now.as_second() - at.as_second()) });
        }
        Err(error) => errors.push(JoinError::Token(error)),
    }
    None
}

/// `3 h 12 min` and the like.
fn in_words(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

async fn check_runtime(
    settings: &JoinSettings,
    with: &Surroundings<'_>,
    errors: &mut Vec<JoinError>,
) -> Option<RuntimeFacts> {
    let endpoint = match find_endpoint(settings, with.host) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let facts = match with.runtimes.inspect(&endpoint).await {
        Ok(facts) => facts,
        Err(error) => {
            errors.push(JoinError::Runtime(error));
            return None;
        }
    };
    if let Some(reason) = &facts.not_ready {
        errors.push(JoinError::RuntimeNotReady { version: facts.version.clone(), reason: reason.clone() });
    }
    if let (Some(asked), Some(actual)) = (&settings.cgroup_driver, &facts.cgroup_driver)
        && asked != actual
    {
        errors.push(JoinError::CgroupMismatch { asked: asked.clone(), actual: actual.clone() });
    }
    let driver = facts.cgroup_driver.as_deref().unwrap_or("unknown");
    with.steps.detail(&format!("container runtime: {} at {endpoint}, cgroup driver {driver}", facts.version));
    if let Some(reason) = &facts.network_not_ready {
        with.steps.warn(&format!("pod network not ready, only pods on the host network will start: {reason}"));
    }
    Some(facts)
}

/// The socket that was named, else the only one there is.
fn find_endpoint(settings: &JoinSettings, host: &dyn Host) -> Result<String, JoinError> {
    if let Some(endpoint) = &settings.runtime_endpoint {
        return Ok(endpoint.clone());
    }
    let mut found = runtime::candidates(host);
    if found.len() > 1 {
        return Err(JoinError::ManyRuntimes { found });
    }
    found.pop().ok_or(JoinError::NoRuntime)
}

async fn check_cloud(
    settings: &JoinSettings,
    token: &JoinToken,
    with: &Surroundings<'_>,
    errors: &mut Vec<JoinError>,
    fatal: &mut Vec<JoinError>,
) -> Option<Introduction> {
    let introduction = match with.cloud.introduction().await {
        Ok(introduction) => introduction,
        Err(error) => {
            fatal.push(error);
            return None;
        }
    };
    if let Some(error) = clock_skew(settings, introduction.date) {
        errors.push(error);
    }
    let ca_der = &introduction.ca_der;
    if let Err(error) = token.check_authority(ca_der) {
        fatal.push(JoinError::TokenAuthority(error));
        return None; // nothing vouches for this CA, so nothing it signs is worth asking
    }
    match with.cloud.knows_node(ca_der, &settings.node).await {
        Ok(false) => {}
        Ok(true) => errors.push(JoinError::NodeExists { name: settings.node.clone() }),
        Err(error) => {
            fatal.push(error);
            return None; // the same connection would fail again below
        }
    }
    if let Err(error) = with.cloud.takes_token(ca_der, token.bearer(), &settings.node).await {
        errors.push(error);
    }
    if let Err(error) = with.cloud.hub_answers(ca_der).await {
        errors.push(error);
    }
    Some(introduction)
}

fn clock_skew(settings: &JoinSettings, date: Option<Timestamp>) -> Option<JoinError> {
    let ahead = Timestamp::now().as_second() - date?.as_second();
    (ahead.abs() > CLOCK_TOLERANCE).then(|| JoinError::ClockSkew {
        address: settings.cloud.with_port(settings.cert_port),
        seconds: ahead.abs(),
        direction: if ahead > 0 { "ahead of" } else { "behind" },
    })
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn ages_are_told_in_words() {
        assert_eq!(in_words(5), "5 s");
        assert_eq!(in_words(11_520), "3 h 12 min");
        assert_eq!(in_words(200_000), "2 days");
    }
}
