//! `keadm certgen`: the certificates of certgen.sh, without openssl and without temporary files. Source: spec 05 §10.

mod files;

use std::{net::IpAddr, path::PathBuf};

use files::CertgenError;
use jiff::Timestamp;
use pki::{Authority, LeafProfile, San, Usage, pem};

use crate::{
    cli::certgen::{CertgenArgs, CertgenCommand},
    commands::kubeconfig,
    host::Host,
    term::{
        data_text, note,
        report::{Exit, Failure},
    },
};

/// Days of a CA of ours, as certgen.sh has it.
const CA_DAYS: u32 = 3650;
/// Days of a stream certificate.
const STREAM_DAYS: u32 = 5000;
/// Days of other certificates.
const LEAF_DAYS: u32 = 365;

/// Runs `keadm certgen`.
///
/// # Errors
/// [`CertgenError`]; nothing is half written: the certificate comes after its key.
pub fn command(args: &CertgenArgs, host: &dyn Host) -> Result<(), Failure> {
    let made = match &args.command {
        CertgenCommand::Stream => stream(args, host),
        CertgenCommand::GenCertAndKey { name, ips } => cert_and_key(args, host, name, ips),
        CertgenCommand::BuildSecret => build_secret(args, host),
    };
    made.map_err(|error| Failure::new(Exit::Failed, "cannot make the certificate", &error))
}

fn stream(args: &CertgenArgs, host: &dyn Host) -> Result<(), CertgenError> {
    let (cert, key) = (args.cert_path.join("stream.crt"), args.cert_path.join("stream.key"));
    files::must_not_exist(&[&cert, &key], args.force, host)?;
    let ca_text = files::read_text(&args.k8s_ca, host)?;
    let authority = files::authority(&args.k8s_ca, &args.k8s_ca_key, host)?;
    let sans = sans(args, &[], host)?;
    let profile = LeafProfile {
        common_name: subject_part(args, "CN").unwrap_or_else(|| "cloudcore".to_owned()),
        organizations: organizations(args),
        days: args.days.unwrap_or(STREAM_DAYS),
        usages: vec![Usage::ServerAuth],
        sans,
    };
    let identity = authority.issue(&profile, Timestamp::now())?;
    let ca_copy = args.ca_path.join("streamCA.crt");
    files::write(&ca_copy, 0o644, ca_text.into_bytes(), host)?;
    files::write_identity(&cert, &key, &identity, host)?;
    told(&[ca_copy, cert, key]);
    Ok(())
}

fn cert_and_key(args: &CertgenArgs, host: &dyn Host, name: &str, ips: &[String]) -> Result<(), CertgenError> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(CertgenError::Name { text: name.to_owned() });
    }
    let (cert, key) = (args.cert_path.join(format!("{name}.crt")), args.cert_path.join(format!("{name}.key")));
    files::must_not_exist(&[&cert, &key], args.force, host)?;
    let sans = sans(args, ips, host)?;
    let authority = root(args, host)?;
    let identity = authority.issue(&leaf(args, name, sans), Timestamp::now())?;
    files::write_identity(&cert, &key, &identity, host)?;
    told(&[cert, key]);
    Ok(())
}

fn build_secret(args: &CertgenArgs, host: &dyn Host) -> Result<(), CertgenError> {
    let sans = sans(args, &[], host)?;
    let authority = root(args, host)?;
    let identity = authority.issue(&leaf(args, "edge", sans), Timestamp::now())?;
    let mut secret = api::config::Node::map();
    let text = |text: &str| api::config::Node::Text(text.to_owned());
    secret.put("apiVersion", text("v1"));
    secret.put("kind", text("Secret"));
    secret.put("metadata.name", text("cloudcore"));
    secret.put("metadata.namespace", text("kubeedge"));
    secret.put("metadata.labels.k8s-app", text("kubeedge"));
    secret.put("metadata.labels.kubeedge", text("cloudcore"));
    let files = [
        ("rootCA.crt", pem::cert_to_pem(authority.cert_der())),
        ("edge.crt", pem::cert_to_pem(&identity.cert_der)),
        ("edge.key", identity.key.to_sec1_pem()),
    ];
    let entries = files.into_iter().map(|(name, content)| (name.to_owned(), text(&content))).collect();
    secret.put("stringData", api::config::Node::Map(entries));
    data_text(&secret.to_yaml());
    Ok(())
}

/// The CA in its directory; made if there is none.
fn root(args: &CertgenArgs, host: &dyn Host) -> Result<Authority, CertgenError> {
    let (cert, key) = (args.ca_path.join("rootCA.crt"), args.ca_path.join("rootCA.key"));
    if host.kind(&cert).is_some() || host.kind(&key).is_some() {
        return files::authority(&cert, &key, host);
    }
    let name = subject_part(args, "CN").unwrap_or_else(|| "kubeedge.io".to_owned());
    let now = Timestamp::now();
    let serial = u64::try_from(now.as_second()).unwrap_or(1);
    let authority = Authority::generate(&name, serial, CA_DAYS, now)?;
    files::write(&key, 0o600, authority.key().to_sec1_pem().into_bytes(), host)?;
    files::write(&cert, 0o644, pem::cert_to_pem(authority.cert_der()).into_bytes(), host)?;
    told(&[cert, key]);
    Ok(authority)
}

fn leaf(args: &CertgenArgs, name: &str, sans: Vec<San>) -> LeafProfile {
    LeafProfile {
        common_name: subject_part(args, "CN").unwrap_or_else(|| name.to_owned()),
        organizations: organizations(args),
        days: args.days.unwrap_or(LEAF_DAYS),
        usages: vec![Usage::ServerAuth, Usage::ClientAuth],
        sans,
    }
}

/// 127.0.0.1, what was typed, and what cloudcore.yaml advertises.
fn sans(args: &CertgenArgs, ips: &[String], host: &dyn Host) -> Result<Vec<San>, CertgenError> {
    let mut sans = vec![San::Ip(IpAddr::from([127, 0, 0, 1]))];
    let split = |text: &str| -> Vec<String> {
        text.split([' ', ',']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    for text in ips.iter().cloned().chain(split(&args.ips)) {
        let ip = text.parse().map_err(|_| CertgenError::Ip { text: text.clone() })?;
        sans.push(San::Ip(ip));
    }
    sans.extend(split(&args.domains).into_iter().map(San::Dns));
    if let Some(config) = kubeconfig::cloudcore_config(host) {
        let hub = config.modules.cloud_hub;
        sans.extend(hub.advertise_address.iter().chain(&hub.dns_names).filter_map(|text| San::parse(text)));
    }
    let mut unique: Vec<San> = Vec::new();
    for san in sans {
        if !unique.contains(&san) {
            unique.push(san);
        }
    }
    Ok(unique)
}

/// A part of `/C=CN/O=KubeEdge/CN=kubeedge.io`.
fn subject_part(args: &CertgenArgs, key: &str) -> Option<String> {
    let subject = args.subject.as_deref()?;
    subject
        .split('/')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
}

fn organizations(args: &CertgenArgs) -> Vec<String> {
    vec![subject_part(args, "O").unwrap_or_else(|| "KubeEdge".to_owned())]
}

fn told(paths: &[PathBuf]) {
    for path in paths {
        note(&format!("wrote {}", path.display()));
    }
}
