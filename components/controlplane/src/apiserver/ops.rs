//! The write operations, one file each, and what kinds do differently.

pub mod aggregate;
pub mod bind;
pub mod create;
pub mod definitions;
pub mod delete;
pub mod evict;
pub mod services;
pub mod strategy;
pub mod update;
