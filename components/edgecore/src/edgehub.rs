//! EdgeHub: the edge's end of the cloud link. It moves messages and never reads Kubernetes objects.
//!
//! Start at [`EdgeHub::run`]: it gets the node a certificate ([`enrol`]), dials ([`redial`] says when), runs one
//! [`link`] at a time, and renews the certificate before it ends. What comes in is routed by the table in [`route`];
//! what goes out waits in [`uplink`]. Source: spec 01 §6.
//!
//! Invariant: one connection owns exactly one set of tasks; nothing of a link outlives it.
//! Absent on purpose: a queue of messages for a link that does not exist.

mod bucket;
mod connection;
pub mod credentials;
pub mod enrol;
mod https;
pub mod link;
pub mod liveness;
pub mod redial;
pub mod route;
pub mod uplink;

use std::sync::Arc;
use std::time::Duration;

use supervisor::backoff::Backoff;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span};
use transport::client::Endpoint;
use transport::{Connection, Limits, LinkError, STORE_GENERATION_HEADER};

use self::connection::{Receiving, Sending};
use self::credentials::{Credentials, Found};
use self::enrol::Enrolment;
use self::link::{Link, LinkEnd, LinkSettings};
use self::redial::Redial;
use self::uplink::{Delivery, Lanes, Uplink};
use crate::clock::WallClock;
use crate::errors::Complaint;
use crate::settings::{EdgeHubSettings, ServerAddress};

/// Waits between attempts to enrol.
const ENROL_MIN: Duration = Duration::from_secs(1);
const ENROL_MAX: Duration = Duration::from_secs(30);
/// Waits between attempts to renew.
const RENEW_MIN: Duration = Duration::from_secs(2);
const RENEW_MAX: Duration = Duration::from_mins(5);
/// The wall clock of an edge may jump by years when the network comes up, so a far deadline is looked at this often.
const RENEW_LOOK: Duration = Duration::from_hours(1);
/// A certificate is renewed after this part of its life, plus up to [`RENEW_SPREAD`] by chance.
const RENEW_FROM: f64 = 0.7;
const RENEW_SPREAD: f64 = 0.2;

/// The edge's end of the cloud link.
pub struct EdgeHub {
    node_name: String,
    settings: EdgeHubSettings,
    store_generation: String,
    uplink: Uplink,
    inbox: mpsc::Sender<Delivery>,
    clock: WallClock,
    enrolment: Enrolment,
    random: fn() -> f64,
}

impl EdgeHub {
    /// Wires the hub; nothing is read or dialled yet.
    pub fn new(
        node_name: String,
        settings: EdgeHubSettings,
        store_generation: String,
        uplink: Uplink,
        inbox: mpsc::Sender<Delivery>,
        clock: WallClock,
    ) -> Self {
        let enrolment = Enrolment::new(node_name.clone(), settings.clone(), clock);
        let random = supervisor::backoff::random;
        Self { node_name, settings, store_generation, uplink, inbox, clock, enrolment, random }
    }

    /// Keeps the node connected, and its certificate valid, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.keep_connected(stop) => {}
            () = self.keep_certified() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep_connected(&self, stop: &CancellationToken) {
        let enrol_pause = Backoff::new(ENROL_MIN, ENROL_MAX);
        let mut enrol_failures = 0;
        let mut complaint = Complaint::default();
        let mut redial = Redial::new();
        let mut outage = Instant::now();
        let mut links = 0;
        for server in self.settings.servers.iter().cycle() {
            let wait = redial.next(outage.elapsed(), (self.random)());
            sleep(wait).await;
            let credentials = loop {
                match self.enrolment.credentials().await {
                    Ok(credentials) => break credentials,
                    Err(error) => {
                        enrol_failures += 1;
                        let retry_in = enrol_pause.pause(enrol_failures);
                        complaint.about("cannot enrol", &error, retry_in);
                        sleep(retry_in).await;
                    }
                }
            };
            enrol_failures = 0;
            let connection = match self.dial(server, &credentials).await {
                Ok(connection) => connection,
                Err(error) => {
                    let next = redial.clone().next(outage.elapsed(), 0.0);
                    complaint.about("cannot reach the cloud", &error, next);
                    continue;
                }
            };
            links += 1;
            let up = Instant::now();
            let span = info_span!("link", server = %server);
            let ended = self.link(links, connection, stop).instrument(span).await;
            redial.link_ended(up.elapsed());
            if up.elapsed() >= redial::HELD {
                outage = Instant::now();
                complaint.over();
            }
            match ended {
                Ok(()) => return,
                Err(error) => complaint.about("link lost", &error, Duration::ZERO),
            }
        }
    }

    async fn dial(&self, server: &ServerAddress, credentials: &Credentials) -> Result<Connection, DialFailure> {
        let tls = pki::tls::client_config(&credentials.ca_der, Some(&credentials.identity))
            .map_err(DialFailure::Credentials)?;
        let endpoint = Endpoint {
            host: server.host.clone(),
            port: server.port,
            project_id: self.settings.project_id.clone(),
            node_name: self.node_name.clone(),
        };
        let headers = [(STORE_GENERATION_HEADER, self.store_generation.clone())];
        let limits = Limits { write_timeout: self.settings.write_deadline, ..Limits::default() };
        transport::client::dial(&endpoint, tls, &headers, limits, self.settings.handshake_timeout)
            .await
            .map_err(|source| DialFailure::Dial { server: server.clone(), source })
    }

    /// Runs link number `id`; calls reach it from the moment it stands to the moment it ends.
    async fn link(&self, id: u64, connection: Connection, stop: &CancellationToken) -> Result<(), LinkEnd<LinkError>> {
        let (lanes, answers) = Lanes::new(id);
        let link = Link {
            settings: LinkSettings {
                heartbeat: self.settings.heartbeat,
                message_qps: self.settings.message_qps,
                message_burst: self.settings.message_burst,
            },
            lanes: Arc::clone(&lanes),
            inbox: self.inbox.clone(),
            clock: self.clock,
        };
        let (sender, receiver) = connection.split();
        let receiving = Receiving::new(receiver, &sender);
        // Taken down also when this future is dropped.
        let _standing = self.uplink.stand(lanes);
        info!("connected to the cloud");
        link.run(Sending(sender), receiving, answers, stop).await
    }

    /// Renews the certificate when its time has come. The link stays as it is; the next one uses the new certificate.
    async fn keep_certified(&self) {
        if !self.settings.rotate_certificates {
            return std::future::pending().await;
        }
        let part = RENEW_FROM + RENEW_SPREAD * (self.random)();
        let pause = Backoff::new(RENEW_MIN, RENEW_MAX);
        let mut failures = 0;
        let mut complaint = Complaint::default();
        loop {
            // Nothing to renew yet, or nothing readable: enrolment has the word.
            let Ok(Found::Complete(credentials)) = credentials::load(&self.settings.files, &self.node_name) else {
                sleep(RENEW_MAX).await;
                continue;
            };
            let left = self.clock.now().duration_until(credentials.facts.at_fraction(part));
            if let Ok(left) = Duration::try_from(left)
                && !left.is_zero()
            {
                sleep(left.min(RENEW_LOOK)).await;
                continue;
            }
            match self.enrolment.renew(&credentials).await {
                Ok(renewed) => {
                    info!(node = self.node_name, until = %renewed.facts.not_after, "certificate renewed");
                    failures = 0;
                    complaint.over();
                    // A clock that runs ahead makes every new certificate look old: one an hour is enough.
                    sleep(RENEW_LOOK).await;
                }
                Err(error) => {
                    failures += 1;
                    let retry_in = pause.pause(failures);
                    complaint.about("cannot renew the certificate", &error, retry_in);
                    sleep(retry_in).await;
                }
            }
        }
    }
}

/// Why the cloud could not be dialled.
#[derive(Debug, Error)]
pub enum DialFailure {
    /// TLS refuses the credentials.
    #[error("credentials are not usable for TLS")]
    Credentials(#[source] pki::PkiError),
    /// No connection.
    #[error("cannot connect to {server}")]
    Dial {
        /// Where to.
        server: ServerAddress,
        /// What went wrong.
        #[source]
        source: transport::client::DialError,
    },
}
