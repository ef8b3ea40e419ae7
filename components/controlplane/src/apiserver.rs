//! The API server: HTTP in front, operations behind, the store below.
//!
//! A request goes through [`http`] (who, may he, what) to [`handlers`] (decode, call, encode), which call the operations
//! of [`api::Api`] in [`ops`]. Controllers in this process call the operations directly.

pub mod api;
pub mod body;
pub mod discovery;
pub mod encode;
pub mod handlers;
pub mod http;
pub mod list;
pub mod listener;
pub mod meta;
pub mod negotiate;
pub mod nodes;
pub mod ops;
pub mod registry;
pub mod request;
pub mod reviews;
pub mod selectors;
pub mod status;
pub mod token_request;
pub mod watch;
