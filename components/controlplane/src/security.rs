//! Who is asking and may he: certificates, tokens, users and RBAC. Source: spec 10 §8.

pub mod authn;
pub mod policy;
pub mod rbac;
pub mod tokens;
pub mod user;
