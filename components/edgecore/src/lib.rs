//! edgecore: everything of KubeEdge that runs on an edge node, beside its pods.
//!
//! Start at [`run()`], the composition root: it opens the database, starts the pod agent from what is stored, and
//! keeps a link to the cloud. Rooms: [`edgehub`] owns the link and moves messages, [`metamanager`] understands them
//! and keeps them on the disk. Neither knows the other's insides; they share the small types of
//! [`edgehub::uplink`].
//!
//! Invariant: nothing is acknowledged before it is committed. Invariant: the database alone starts every pod.

pub mod clock;
pub mod edgehub;
mod errors;
pub mod metamanager;
pub mod neighbours;
mod run;
pub mod settings;

pub use run::{AgentDoors, EdgeCoreError, run, run_with_agent};

#[cfg(test)]
mod testcloud;
