//! What Kubernetes objects mean: the rules a request body goes through before the store sees it.
//!
//! Everything here is pure: bytes and values in, values and facts out. No I/O, no clock, no task.
//! The order a caller follows for a write (spec 10 §2.4): [`decode`] → [`alias`] → [`defaults`] → admission →
//! metadata preparation → [`validation`] → store. A patch runs [`patch`] on the stored object first and then enters the
//! same line. Answers are shaped by [`table`], [`discovery`] and [`openapi`].
//!
//! All kinds, built-in or custom, are described by one [`resources::ResourceInfo`]; the fields of built-in kinds come
//! from the generated [`schema`] table.

pub mod alias;
mod canonical;
pub mod crd;
pub mod decode;
pub mod defaults;
pub mod discovery;
mod json;
pub mod names;
pub mod openapi;
pub mod patch;
mod protobuf;
pub mod quantity;
pub mod resources;
pub mod schema;
pub mod table;
pub mod validation;
