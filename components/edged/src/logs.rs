//! Container logs in the CRI format: one line parser, one reader with tail, since, limit and follow,
//! and rotation.
//!
//! Source: spec 08 §12.6.

pub mod line;
pub mod reader;
pub mod rotate;
pub mod tail;
pub(crate) mod writers;
