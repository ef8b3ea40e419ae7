//! Small replies and the body type they share with streams.

use std::io;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

/// Whole or streamed.
pub(super) type Body = BoxBody<Bytes, io::Error>;

pub(super) fn whole(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    streamed(status, kind, Full::new(bytes.into()).map_err(|never| match never {}).boxed())
}

pub(super) fn streamed(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn text(text: String) -> Response<Body> {
    whole(StatusCode::OK, "text/plain; charset=utf-8", text)
}

pub(super) fn error_text(status: StatusCode, reason: &str) -> Response<Body> {
    whole(status, "text/plain; charset=utf-8", format!("{reason}\n"))
}

pub(super) fn json<T: Serialize>(value: &T) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => whole(StatusCode::OK, "application/json", bytes),
        Err(error) => error_text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
