//! The embedded Kubernetes control plane: API server, scheduler and controllers over one SQLite file.
//!
//! The rooms, from the bottom up: [`store`] keeps revisions, [`semantics`] knows what kinds mean, [`security`] knows who
//! may do what, [`admission`] adds and refuses, [`apiserver`] speaks HTTP, [`plane`] puts everything together. Start at
//! [`plane::ControlPlane`].

pub mod admission;
pub mod apiserver;
pub mod bootstrap;
pub mod certificates;
pub mod controllers;
pub mod feed;
pub mod plane;
pub mod scheduler;
pub mod security;
pub mod semantics;
pub mod store;

pub use plane::{ControlPlane, ControlPlaneError, Settings};
