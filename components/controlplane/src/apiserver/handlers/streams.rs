//! Logs, exec, attach, port-forward and node proxy: checks here, bytes from the node. Source: spec 10 §9.

use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tracing::debug;

use super::Call;
use crate::apiserver::{
    api::Target,
    body::{Body, full, stream},
    nodes::NodeLink,
    status::ApiError,
};

/// Headers that belong to one connection and are not passed on.
const HOP: &[HeaderName] = &[
    header::AUTHORIZATION,
    header::CONNECTION,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
];

fn containers(pod: &Value) -> Vec<&str> {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .filter_map(|list| pod["spec"][*list].as_array())
        .flatten()
        .filter_map(|container| container["name"].as_str())
        .collect()
}

/// The container a request means.
fn container(pod: &Value, name: &str, asked: Option<&str>) -> Result<String, ApiError> {
    let main = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    match asked {
        Some(asked) if containers(pod).contains(&asked) => Ok(asked.to_owned()),
        Some(asked) => Err(ApiError::bad_request(format!("container {asked} is not valid for pod {name}"))),
        None if main == 1 => Ok(pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default().to_owned()),
        None => {
            let names: Vec<&str> = pod["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|container| container["name"].as_str())
                .collect();
            let text =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", names.join(" "));
            Err(ApiError::bad_request(text))
        }
    }
}

/// Query text with the values escaped.
fn query(pairs: &[(&str, String)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (key, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

impl Call<'_> {
    /// Subresources that a node answers.
    pub(super) async fn stream(self, target: &Target) -> Result<Response<Body>, ApiError> {
        match (target.info.plural.as_ref(), self.path.subresource.as_str()) {
            ("pods", "log") => self.log(target).await,
            ("pods", "exec" | "attach" | "portforward") => self.session(target).await,
            ("nodes", "proxy") => self.node_proxy(target).await,
            (plural, sub) => {
                let text = format!("{plural}/{sub} is not available on this server");
                Err(ApiError::new(503, "ServiceUnavailable", text))
            }
        }
    }

    async fn log(self, target: &Target) -> Result<Response<Body>, ApiError> {
        let pod = self.api.get(target).await?.value()?;
        let name = container(&pod, &target.name, self.request.query.get("container"))?;
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if node.is_empty() {
            let mut response = Response::new(full(""));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return Ok(response);
        }
        let mut pairs = Vec::new();
        for key in
            ["follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"]
        {
            if let Some(value) = self.request.query.get(key) {
                pairs.push((key, value.to_owned()));
            }
        }
        for key in ["tailLines", "sinceSeconds", "limitBytes"] {
            if let Some(value) = self.request.query.get(key)
                && value.parse::<i64>().map_or(true, |number| number < 0)
            {
                let text = format!("Invalid value: {value}: must be greater than or equal to 0");
                let mut error = ApiError::invalid_field(&target.info, &target.name, key, &text);
                error.message = format!("PodLogOptions {:?} is invalid: {key}: {text}", target.name);
                return Err(error);
            }
        }
        let path = format!("/containerLogs/{}/{}/{name}{}", target.ns, target.name, query(&pairs));
        let link = self.api.node_stream(node, None).await?;
        let answer = self.exchange(link, Method::GET, &path, HeaderMap::new(), Bytes::new()).await?;
        let mut response = relay(answer);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Ok(response)
    }

    async fn session(self, target: &Target) -> Result<Response<Body>, ApiError> {
        let pod = self.api.get(target).await?.value()?;
        let kind = self.path.subresource.clone();
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
        if node.is_empty() {
            return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", target.name)));
        }
        if let Some(phase @ ("Succeeded" | "Failed")) = pod["status"]["phase"].as_str() {
            let text = format!("cannot {kind} into a container in a completed pod; current phase is {phase}");
            return Err(ApiError::bad_request(text));
        }
        let protocol = self.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Nodes speak SPDY only; a refused WebSocket makes clients ask again with SPDY at once.
        if !protocol.eq_ignore_ascii_case("SPDY/3.1") {
            return Err(ApiError::bad_request("Upgrade request required"));
        }
        let asked = &self.request.query;
        let path = if kind == "portforward" {
            format!("/portForward/{}/{}", target.ns, target.name)
        } else {
            let name = container(&pod, &target.name, asked.get("container"))?;
            let mut pairs: Vec<(&str, String)> =
                asked.all("command").map(|word| ("command", word.to_owned())).collect();
            for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
                if asked.flag(ours) {
                    pairs.push((theirs, "1".into()));
                }
            }
            format!("/{kind}/{}/{}/{name}{}", target.ns, target.name, query(&pairs))
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        for value in self.headers.get_all("x-stream-protocol-version") {
            headers.append("x-stream-protocol-version", value.clone());
        }
        let Some(client) = self.upgrade.lock().ok().and_then(|mut slot| slot.take()) else {
            return Err(ApiError::bad_request("Upgrade request required"));
        };
        let link = self.api.node_stream(&node, None).await?;
        let answer = self.exchange(link, Method::POST, &path, headers, Bytes::new()).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(relay(answer));
        }
        let mut response = Response::new(full(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        for name in [&header::CONNECTION, &header::UPGRADE, &HeaderName::from_static("x-stream-protocol-version")] {
            for value in answer.headers().get_all(name) {
                response.headers_mut().append(name, value.clone());
            }
        }
        let node_side = hyper::upgrade::on(answer);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = splice(client, node_side) => {}
            }
        });
        Ok(response)
    }

    async fn node_proxy(self, target: &Target) -> Result<Response<Body>, ApiError> {
        let (name, port) = proxy_name(&target.name)?;
        let path = self.request.path.split_once("/proxy").map_or("/", |(_, rest)| rest);
        let path = if path.is_empty() { "/" } else { path };
        let pairs: Vec<(&str, String)> = self.request.query.pairs().map(|(k, v)| (k, v.to_owned())).collect();
        let mut headers = self.headers.clone();
        for name in HOP {
            headers.remove(name);
        }
        let link = self.api.node_stream(name, port).await?;
        let method = self.method.clone();
        let body = self.body.clone();
        let answer = self.exchange(link, method, &format!("{path}{}", query(&pairs)), headers, body).await?;
        Ok(relay(answer))
    }

    /// One HTTP/1.1 exchange with a node on a stream of its own.
    async fn exchange(
        &self,
        link: NodeLink,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, ApiError> {
        let broken = |error: hyper::Error| {
            ApiError::new(503, "ServiceUnavailable", format!("the stream to the node broke: {error}"))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(link.stream)).await.map_err(broken)?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = connection.with_upgrades() => {
                    if let Err(error) = ended {
                        debug!(error = %error, "stream to node ended");
                    }
                }
            }
        });
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| ApiError::bad_request("path is not a valid URI"))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(&link.host).unwrap_or(HeaderValue::from_static("node"));
        request.headers_mut().insert(header::HOST, host);
        sender.send_request(request).await.map_err(broken)
    }
}

/// `[scheme:]name[:port]` of a proxied node.
fn proxy_name(text: &str) -> Result<(&str, Option<u16>), ApiError> {
    let bad = || ApiError::bad_request(format!("invalid node request {text:?}"));
    let port = |port: &str| if port.is_empty() { Ok(None) } else { port.parse().map(Some).map_err(|_| bad()) };
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] | ["http" | "https", name] => Ok((name, None)),
        [name, number] | ["http" | "https", name, number] => Ok((name, port(number)?)),
        _ => Err(bad()),
    }
}

/// The answer of a node as our answer, chunk by chunk.
fn relay(answer: Response<Incoming>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let chunks = unfold(body, |mut body| async move {
        loop {
            let frame = body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some((data, body));
            }
        }
    });
    let mut response = Response::new(stream(chunks));
    *response.status_mut() = parts.status;
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}

/// Copies both ways until one side ends.
async fn splice(client: OnUpgrade, node: OnUpgrade) {
    let (client, node) = match tokio::try_join!(client, node) {
        Ok(sides) => sides,
        Err(error) => return debug!(error = %error, "upgrade not completed"),
    };
    let (mut client, mut node) = (TokioIo::new(client), TokioIo::new(node));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut node).await {
        debug!(error = %error, "session ended");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_container_must_be_named_when_there_are_several() {
        let pod = json!({"spec": {"containers": [{"name": "c"}, {"name": "d"}]}});
        let error = container(&pod, "lg", None).unwrap_err();
        assert_eq!(error.message, "a container name must be specified for pod lg, choose one of: [c d]");
        assert_eq!(container(&pod, "lg", Some("d")).unwrap(), "d");
        assert_eq!(container(&pod, "lg", Some("zz")).unwrap_err().message, "container zz is not valid for pod lg");
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(query(&[("command", "a b".into()), ("tty", "1".into())]), "?command=a%20b&tty=1");
    }

    #[test]
    fn proxied_names_carry_scheme_and_port() {
        assert_eq!(proxy_name("n1").unwrap(), ("n1", None));
        assert_eq!(proxy_name("n1:10350").unwrap(), ("n1", Some(10350)));
        assert_eq!(proxy_name("https:n1:10350").unwrap(), ("n1", Some(10350)));
        assert!(proxy_name("n1:x").is_err());
    }
}
