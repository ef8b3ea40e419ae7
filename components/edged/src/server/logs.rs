//! `/containerLogs/{namespace}/{pod}/{container}`. Source: spec 08 §12.6, §15.2.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::Backend;
use super::reply::{Body, error_text, streamed, whole};
use crate::logs::line::Stream;
use crate::logs::reader::{LogOptions, LogReader};

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    whole(status, "application/json", serde_json::json!({ "message": message }).to_string())
}

/// The path ends too early.
pub(super) fn missing_pod() -> Response<Body> {
    refused(StatusCode::BAD_REQUEST, "Missing podID.")
}

/// Answers with the log, streamed.
pub(super) async fn answer(path: &str, query: &str, backend: Arc<dyn Backend>) -> Response<Body> {
    let mut parts = path.split('/').map(decode);
    let (namespace, name, container) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), Some(container), None) if !container.is_empty() => (namespace, name, container),
        (Some(_), None, ..) => return missing_pod(),
        (Some(_), Some(_), None, _) => return refused(StatusCode::BAD_REQUEST, "Missing container name."),
        _ => return error_text(StatusCode::NOT_FOUND, "404 page not found"),
    };
    let (options, previous) = match parse(query, Timestamp::now()) {
        Ok(parsed) => parsed,
        Err(Unreadable::Query) => return refused(StatusCode::BAD_REQUEST, "Unable to decode query."),
        Err(Unreadable::Value) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request."),
    };
    let pods = backend.pods();
    let is_it = |pod: &&Arc<Pod>| {
        pod.metadata.name.as_deref() == Some(&name)
            && pod.metadata.namespace.as_deref().unwrap_or("default") == namespace
    };
    let Some(pod) = pods.iter().find(is_it) else {
        return error_text(StatusCode::NOT_FOUND, &format!("pod \"{name}\" does not exist"));
    };
    if !has_container(pod, &container) {
        let reason = format!("container \"{container}\" not found in pod \"{name}\"");
        return error_text(StatusCode::NOT_FOUND, &reason);
    }
    let id = match choose(pod, &container, previous) {
        Ok(id) => id,
        Err(reason) => return error_text(StatusCode::BAD_REQUEST, &reason),
    };
    let opened = match backend.log_path(&id).await {
        Some(path) => LogReader::open(path, options).await.ok(),
        None => None,
    };
    let Some(reader) = opened else {
        return error_text(StatusCode::BAD_REQUEST, &format!("unable to retrieve container logs for {id}"));
    };
    streamed(StatusCode::OK, "text/plain", body(reader, backend, id))
}

fn body(reader: LogReader, backend: Arc<dyn Backend>, id: String) -> Body {
    let chunks = stream::unfold((reader, backend, id), async |(mut reader, backend, id)| {
        let chunk = reader.next(&|| backend.is_running(&id)).await.transpose()?;
        let frame: Result<Frame<Bytes>, io::Error> = chunk.map(Frame::data);
        Some((frame, (reader, backend, id)))
    });
    BodyExt::boxed(StreamBody::new(SyncStream::new(chunks)))
}

/// Why a query was refused.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Query,
    Value,
}

/// Options of a query string, and whether the previous container is meant.
fn parse(query: &str, now: Timestamp) -> Result<(LogOptions, bool), Unreadable> {
    let mut options = LogOptions::default();
    let mut previous = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        let number = || value.parse::<u64>().map_err(|_| Unreadable::Value);
        let truth = || match value.as_str() {
            "" | "1" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Unreadable::Query),
        };
        match key {
            "follow" => options.follow = truth()?,
            "previous" => previous = truth()?,
            "timestamps" => options.timestamps = truth()?,
            "tail" if value == "all" => options.tail = None,
            "tailLines" | "tail" if !value.is_empty() => options.tail = Some(number()?),
            "limitBytes" if !value.is_empty() => options.limit_bytes = Some(number()?).filter(|limit| *limit > 0),
            "sinceSeconds" if !value.is_empty() => {
                let seconds = i64::try_from(number()?).map_err(|_| Unreadable::Value)?;
                let since = now.checked_sub(SignedDuration::from_secs(seconds)).map_err(|_| Unreadable::Value)?;
                options.since = Some(since);
            }
            "sinceTime" if !value.is_empty() => options.since = Some(value.parse().map_err(|_| Unreadable::Query)?),
            "stream" => {
                options.stream = match value.as_str() {
                    "" | "All" => None,
                    "Stdout" => Some(Stream::Stdout),
                    "Stderr" => Some(Stream::Stderr),
                    _ => return Err(Unreadable::Value),
                }
            }
            _ => {}
        }
    }
    Ok((options, previous))
}

/// Undoes percent encoding; what is not UTF-8 then cannot be a name of ours.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = hex.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(if first == b'+' { b' ' } else { first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn has_container(pod: &Pod, name: &str) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).any(|c| c.name == name)
            || spec.ephemeral_containers.iter().flatten().any(|c| c.name == name)
    })
}

/// The runtime ID whose log is meant, or why there is none, in the kubelet's words.
fn choose(pod: &Pod, container: &str, previous: bool) -> Result<String, String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref();
    let lists = status.map(|s| [&s.container_statuses, &s.init_container_statuses, &s.ephemeral_container_statuses]);
    let found = lists.into_iter().flatten().flatten().flatten().find(|status| status.name == container);
    let not_available = || format!("container \"{container}\" in pod \"{name}\" is not available");
    let Some(found) = found else { return Err(not_available()) };
    let last = terminated_id(found);
    if previous {
        let missing = || format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
        return last.ok_or_else(missing);
    }
    let Some(state) = &found.state else { return Err(not_available()) };
    if state.running.is_some() {
        return found.container_id.as_deref().and_then(bare_id).ok_or_else(not_available);
    }
    if let Some(terminated) = &state.terminated {
        let own = terminated.container_id.as_deref().and_then(bare_id);
        let gone = || format!("container \"{container}\" in pod \"{name}\" is terminated");
        return own.or(last).ok_or_else(gone);
    }
    if let Some(id) = last {
        return Ok(id);
    }
    let waiting = format!("container \"{container}\" in pod \"{name}\" is waiting to start");
    let reason = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
    Err(match reason {
        Some("ErrImagePull") => format!("{waiting}: image can't be pulled"),
        Some("ImagePullBackOff") => format!("{waiting}: trying and failing to pull image"),
        Some(reason) if !reason.is_empty() => format!("{waiting}: {reason}"),
        Some(_) | None => format!("{waiting} - no logs yet"),
    })
}

fn terminated_id(status: &ContainerStatus) -> Option<String> {
    bare_id(status.last_state.as_ref()?.terminated.as_ref()?.container_id.as_deref()?)
}

/// `<id>` of `containerd://<id>`.
fn bare_id(id: &str) -> Option<String> {
    let bare = id.split_once("://").map_or(id, |(_, bare)| bare);
    (!bare.is_empty()).then(|| bare.to_owned())
}

use self::sync_stream::SyncStream;

mod sync_stream {
    //! Lets a stream that is only ever polled from one place be part of a body that must be `Sync`.

    use std::pin::Pin;
    use std::sync::{Mutex, PoisonError};
    use std::task::{Context, Poll};

    use futures_util::Stream;

    pub(super) struct SyncStream<S>(Mutex<Pin<Box<S>>>);

    impl<S> SyncStream<S> {
        pub(super) fn new(stream: S) -> Self {
            Self(Mutex::new(Box::pin(stream)))
        }
    }

    impl<S: Stream> Stream for SyncStream<S> {
        type Item = S::Item;

        fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        let mut status = status;
        for (key, value) in
            json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0}).as_object().unwrap()
        {
            status[key] = value.clone();
        }
        serde_json::from_value(json!({"metadata": {"name": "web"}, "status": {"containerStatuses": [status]}})).unwrap()
    }

    #[test]
    fn the_container_meant_follows_from_the_status() {
        let last = json!({"terminated": {"exitCode": 1, "containerID": "containerd://old"}});
        let check = |status: Value, previous, expected: Result<&str, &str>| {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(choose(&pod(status), "c", previous), expected);
        };
        check(json!({"state": {"running": {}}, "containerID": "containerd://now"}), false, Ok("now"));
        check(json!({"state": {"running": {}}, "containerID": "containerd://now", "lastState": last}), true, Ok("old"));
        check(json!({"state": {"terminated": {"exitCode": 0, "containerID": "cri-o://end"}}}), false, Ok("end"));
        check(json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last}), false, Ok("old"));
        check(
            json!({"state": {"waiting": {"reason": "ErrImagePull"}}}),
            false,
            Err("container \"c\" in pod \"web\" is waiting to start: image can't be pulled"),
        );
        check(
            json!({"state": {"waiting": {}}}),
            false,
            Err("container \"c\" in pod \"web\" is waiting to start - no logs yet"),
        );
        check(
            json!({"state": {"running": {}}, "containerID": "containerd://now"}),
            true,
            Err("previous terminated container \"c\" in pod \"web\" not found"),
        );
    }

    #[test]
    fn queries_become_options() {
        let now: Timestamp = "2025-03-01T08:00:00Z".parse().unwrap();
        let (options, previous) =
            parse("follow=true&tailLines=10&timestamps=1&limitBytes=5&sinceSeconds=60&previous=false", now).unwrap();
        let since = Some("2025-03-01T07:59:00Z".parse().unwrap());
        assert_eq!(
            options,
            LogOptions { follow: true, tail: Some(10), since, timestamps: true, limit_bytes: Some(5), stream: None }
        );
        assert!(!previous);
        let (options, _) = parse("sinceTime=2025-03-01T07%3A00%3A00Z&tail=all&stream=Stderr&unknown=1", now).unwrap();
        assert_eq!(options.since, Some("2025-03-01T07:00:00Z".parse().unwrap()));
        assert_eq!(options.stream, Some(Stream::Stderr));
        assert_eq!(parse("tailLines=-1", now), Err(Unreadable::Value));
        assert_eq!(parse("follow=maybe", now), Err(Unreadable::Query));
    }

    proptest! {
        #[test]
        fn queries_never_panic(query in "\\PC{0,60}") {
            let _ = parse(&query, Timestamp::UNIX_EPOCH);
        }
    }
}
