//! Response bodies: a finished text or a stream of frames.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

/// The body of every response.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A finished body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body that is written while it is produced; each item is flushed as it comes.
pub fn stream(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures_util::StreamExt as _;
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}
