//! `keadm certgen`: `certgen.sh` without openssl. Source: spec 05 §10.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Flags of `keadm certgen`; the variables are those of certgen.sh.
#[derive(Debug, Args)]
pub struct CertgenArgs {
    /// What to make
    #[command(subcommand)]
    pub command: CertgenCommand,
    /// Directory of the CA
    #[arg(long, global = true, env = "CA_PATH", value_name = "DIR", default_value = "/etc/kubeedge/ca")]
    pub ca_path: PathBuf,
    /// Directory of the certificates
    #[arg(long, global = true, env = "CERT_PATH", value_name = "DIR", default_value = "/etc/kubeedge/certs")]
    pub cert_path: PathBuf,
    /// IP addresses for the certificate, separated by blanks or commas
    #[arg(long, global = true, env = "CLOUDCOREIPS", value_name = "IP …", default_value = "")]
    pub ips: String,
    /// DNS names for the certificate, separated by blanks or commas
    #[arg(long, global = true, env = "CLOUDCORE_DOMAINS", value_name = "NAME …", default_value = "")]
    pub domains: String,
    /// Subject of the certificate
    #[arg(long, global = true, env = "SUBJECT", value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// CA certificate of Kubernetes
    #[arg(long, global = true, env = "K8SCA_FILE", value_name = "FILE", default_value = "/etc/kubernetes/pki/ca.crt")]
    pub k8s_ca: PathBuf,
    /// CA key of Kubernetes
    #[arg(
        long,
        global = true,
        env = "K8SCA_KEY_FILE",
        value_name = "FILE",
        default_value = "/etc/kubernetes/pki/ca.key"
    )]
    pub k8s_ca_key: PathBuf,
    /// Days until the certificate ends
    #[arg(long, global = true, value_name = "DAYS")]
    pub days: Option<u32>,
    /// Replace what is there
    #[arg(long, global = true)]
    pub force: bool,
    /// Accepted; keys are always ECDSA P-256
    #[arg(long, global = true, env = "KEY_TYPE", hide = true)]
    pub key_type: Option<String>,
}

/// What to make.
#[derive(Debug, Subcommand)]
pub enum CertgenCommand {
    /// Certificate of the stream server, signed by the Kubernetes CA
    Stream,
    /// CA if there is none, and a certificate with its key
    #[command(name = "genCertAndKey", alias = "gen-cert-and-key")]
    GenCertAndKey {
        /// Base name of the files
        name: String,
        /// IP addresses
        ips: Vec<String>,
    },
    /// Secret with the CA and an edge certificate, as a manifest on stdout
    #[command(name = "buildSecret", alias = "build-secret")]
    BuildSecret,
}
