//! Every KubeEdge protocol as pure data: bytes in, values out. No sockets, no clock, no files.
//!
//! Start at [`message::Message`], the JSON envelope that both hubs exchange, and [`resource::ResourceRef`],
//! what such a message is about. Limits live beside the codec that enforces them.

pub mod go_json;
pub mod message;
pub mod operation;
pub mod reply;
pub mod resource;
