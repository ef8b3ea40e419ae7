//! CloudHub: where edge nodes enrol and connect, and what every connection carries in both directions.
//!
//! Start at [`listener::Listener`] (a connection becomes a session), [`session::machine`] (what a session does next)
//! and [`enrol::Enrolment`] (certificates). Invariant: a node's identity is its certificate's subject, everywhere.
//! CloudHub never reads Kubernetes objects: it moves messages and knows who acknowledged what.

pub mod admission;
pub mod delivery;
pub mod dispatch;
pub mod doors;
pub mod enrol;
pub mod identity;
pub mod lane;
pub mod listener;
pub mod rate;
pub mod registry;
pub mod session;
pub mod token;
