//! The HTTP part of a WebSocket handshake as text: no socket, no clock. Source: spec 01 §3.1, RFC 6455 §4.

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longest request or response head accepted, bytes.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// Most headers accepted.
const MAX_HEADERS: usize = 64;

/// What the edge asks the cloud for.
pub(crate) struct Upgrade<'a> {
    pub(crate) authority: &'a str,
    pub(crate) project_id: &'a str,
    pub(crate) node_id: &'a str,
    pub(crate) key: &'a str,
    pub(crate) extra: &'a [(&'a str, String)],
}

impl Upgrade<'_> {
    /// The request: `Host` and `User-Agent`, then all other headers by name, as Go writes them.
    pub(crate) fn request(&self) -> String {
        let mut headers = vec![
            ("Connection", "Upgrade"),
            ("Connectionuse", "msg"),
            ("Node_id", self.node_id),
            ("Project_id", self.project_id),
            ("Sec-WebSocket-Key", self.key),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
        ];
        headers.extend(self.extra.iter().map(|(name, value)| (*name, value.as_str())));
        headers.sort_by_key(|(name, _)| *name);
        let mut text = format!(
            "GET /{}/{}/events HTTP/1.1\r\nHost: {}\r\nUser-Agent: keadm/{}\r\n",
            self.project_id,
            self.node_id,
            self.authority,
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text
    }
}

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Upgraded.
    Switched,
    /// HTTP, but not the upgrade.
    Status { code: u16 },
    /// Status 101 with wrong headers, or not HTTP.
    Nonsense,
}

/// Reads the response head to a request with `key`.
pub(crate) fn read_answer(head: &[u8], key: &str) -> Answer {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut slots);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => return Answer::Nonsense,
    }
    match response.code {
        Some(101) => {}
        Some(code) => return Answer::Status { code },
        None => return Answer::Nonsense,
    }
    let Some(headers) = header_map(response.headers) else { return Answer::Nonsense };
    let accepted =
        headers.get("sec-websocket-accept").is_some_and(|value| value == derive_accept_key(key.as_bytes()).as_str());
    let negotiated = headers.contains_key("sec-websocket-extensions") || headers.contains_key("sec-websocket-protocol");
    if has_token(&headers, "upgrade", "websocket")
        && has_token(&headers, "connection", "upgrade")
        && accepted
        && !negotiated
    {
        Answer::Switched
    } else {
        Answer::Nonsense
    }
}

/// A request the server may answer with 101.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) node_id: String,
    pub(crate) project_id: String,
    pub(crate) headers: HeaderMap,
    key: HeaderValue,
}

impl Request {
    /// The answer that switches protocols: exactly three headers.
    pub(crate) fn response(&self) -> String {
        let accept = derive_accept_key(self.key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }
}

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// 400, 403, 405 or 431.
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) const TOO_LARGE: Self = Self { status: 431, why: "request header too large" };

    fn bad_request(why: &'static str) -> Self {
        Self { status: 400, why }
    }

    /// The answer that refuses.
    pub(crate) fn response(&self) -> String {
        let phrase =
            http::StatusCode::from_u16(self.status).ok().and_then(|code| code.canonical_reason()).unwrap_or("");
        let allow = if self.status == 405 { "Allow: GET\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nSec-WebSocket-Version: 13\r\n{allow}Connection: close\r\nContent-Length: {}\r\n\r\n{}\n",
            self.status,
            self.why.len() + 1,
            self.why
        )
    }
}

/// Reads a request head. The path is ignored; who the peer claims to be stands in the headers.
pub(crate) fn read_request(head: &[u8]) -> Result<Request, Refusal> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TOO_LARGE),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::bad_request("malformed request")),
    }
    let headers = header_map(request.headers).ok_or(Refusal::bad_request("malformed header"))?;
    if !has_token(&headers, "connection", "upgrade") || !has_token(&headers, "upgrade", "websocket") {
        return Err(Refusal::bad_request("this is a websocket endpoint"));
    }
    if request.method != Some("GET") {
        return Err(Refusal { status: 405, why: "method is not GET" });
    }
    if headers.get("sec-websocket-version").is_none_or(|version| version != "13") {
        return Err(Refusal::bad_request("websocket version is not 13"));
    }
    if let Some(origin) = headers.get("origin")
        && !same_host(origin, headers.get("host"))
    {
        return Err(Refusal { status: 403, why: "origin not allowed" });
    }
    let key = match headers.get("sec-websocket-key") {
        Some(key) if !key.is_empty() => key.clone(),
        _ => return Err(Refusal::bad_request("no websocket key")),
    };
    // The header may be repeated; the first value counts.
    if headers.get("connectionuse").is_some_and(|purpose| purpose != "msg") {
        return Err(Refusal::bad_request("connection is not for messages"));
    }
    let node_id = text(&headers, "node_id").ok_or(Refusal::bad_request("no node_id"))?;
    let project_id = text(&headers, "project_id").unwrap_or_default();
    Ok(Request { node_id, project_id, headers, key })
}

/// Whether a project, node or header name can stand in a path segment and a header without being read differently.
pub(crate) fn is_plain(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().any(|c| c != b'.')
        && segment.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

fn header_map(headers: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    headers
        .iter()
        .map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(header.value).ok()?))
        })
        .try_fold(HeaderMap::new(), |mut map, pair| {
            let (name, value) = pair?;
            map.append(name, value);
            Some(map)
        })
}

fn has_token(headers: &HeaderMap, name: &str, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn same_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<http::Uri>().ok());
    match (uri.as_ref().and_then(http::Uri::authority), host.and_then(|host| host.to_str().ok())) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
