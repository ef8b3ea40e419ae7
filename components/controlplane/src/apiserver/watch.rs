//! Watches: a cursor of the store as a stream of JSON lines. Source: spec 10 §3.5.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::Response;
use serde_json::{Value, json};
use tokio::{select, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    api::{Api, Target},
    body::{Body, stream},
    encode::View,
    list::parse_revision,
    request::Query,
    selectors::Selector,
    status::ApiError,
};
use crate::store::{
    StoreError, Stored, set_resource_version,
    watch::{Change, Cursor, Op},
};

/// Frames are sent once so many bytes have come together, in bytes.
const BATCH: usize = 64 * 1024;
/// Quiet time between bookmarks.
const BOOKMARK_PERIOD: Duration = Duration::from_mins(1);
/// The last bookmark comes so long before the end.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// Bounds of the life of a watch that names none, in seconds.
const DEFAULT_LIFE: (u64, u64) = (1800, 3600);

/// How a watch was asked for.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    selector: Selector,
    from: Option<u64>,
    initial_end: bool,
    bookmarks: bool,
    life: Duration,
}

impl WatchOptions {
    /// Reads the query of a watch. `chance` picks the life of a watch that names none.
    ///
    /// # Errors
    /// 400 and 422 for parameters that make no sense.
    pub fn parse(target: &Target, query: &Query, chance: u64) -> Result<Self, ApiError> {
        let selector = Selector::parse(&target.info, query.get("labelSelector"), query.get("fieldSelector"))?;
        let revision = parse_revision(query.get("resourceVersion"))?;
        let matching = query.get("resourceVersionMatch");
        let initial = query.get("sendInitialEvents");
        let refuse = |field: &str, text: &str| Err(ApiError::invalid_options("ListOptions", field, text));
        let initial_end = match (initial, matching) {
            (Some(_), Some("NotOlderThan")) => query.flag("sendInitialEvents"),
            (Some(_), _) => {
                let text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                return refuse("resourceVersionMatch", text);
            }
            (None, Some(_)) => {
                let text =
                    "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return refuse("resourceVersionMatch", text);
            }
            (None, None) => false,
        };
        let from = if initial_end { None } else { revision.filter(|revision| *revision > 0) };
        let seconds = query.get("timeoutSeconds").and_then(|text| text.parse::<u64>().ok()).filter(|s| *s > 0);
        let (least, most) = DEFAULT_LIFE;
        let life = Duration::from_secs(seconds.unwrap_or(least + chance % (most - least)));
        Ok(Self { selector, from, initial_end, bookmarks: query.flag("allowWatchBookmarks"), life })
    }
}

/// One running watch.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one stream, none excludes another")]
struct Watch {
    target: Target,
    view: View,
    selector: Selector,
    cursor: Cursor,
    initial: VecDeque<Stored>,
    initial_end: bool,
    bookmarks: bool,
    deadline: Instant,
    next_bookmark: Instant,
    columns_sent: bool,
    failure: Option<ApiError>,
    ended: bool,
    stop: CancellationToken,
}

impl Api {
    /// Starts a watch; the response begins at once, even when nothing has happened yet.
    ///
    /// # Errors
    /// Store errors while reading the initial state.
    pub async fn watch_response(
        self: &Arc<Self>,
        target: Target,
        view: View,
        options: WatchOptions,
        stop: CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        let ns = (!target.ns.is_empty()).then(|| target.ns.clone());
        let mut initial = VecDeque::new();
        let mut failure = None;
        let from = if let Some(from) = options.from {
            failure = self.check_start(from).await?;
            from
        } else {
            let listing = self.store.list(target.rk, ns.as_deref()).await?;
            initial = listing.items.into();
            initial.retain(|item: &Stored| options.selector.matches(&target.info, &item.name, &item.ns, &item.body));
            listing.revision
        };
        let now = Instant::now();
        let deadline = now + options.life;
        let watch = Watch {
            cursor: self.store.watch(target.rk, ns, from),
            target,
            view,
            selector: options.selector,
            initial,
            initial_end: options.initial_end,
            bookmarks: options.bookmarks,
            deadline,
            next_bookmark: next_bookmark(now, deadline),
            columns_sent: false,
            failure,
            ended: false,
            stop,
        };
        let frames = futures_util::stream::unfold(watch, |mut watch| async move {
            let chunk = watch.next().await?;
            Some((chunk, watch))
        });
        let mut response = Response::new(stream(frames));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }

    /// Whether a watch can start behind `from`; the answer is an event, not a status code.
    async fn check_start(&self, from: u64) -> Result<Option<ApiError>, ApiError> {
        if from > self.store.revision() {
            let current = self.store.committed().await?;
            if from > current {
                return Ok(Some(ApiError::expired(format!("too large resource version: {from} ({current})"))));
            }
        }
        Ok(self.store.check_readable(from).err().map(|error| expired(&error)))
    }
}

fn expired(error: &StoreError) -> ApiError {
    match error {
        StoreError::Expired { asked, oldest } => {
            ApiError::expired(format!("too old resource version: {asked} ({oldest})"))
        }
        other => ApiError::internal(other),
    }
}

fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let last = deadline - LAST_BOOKMARK;
    let regular = now + BOOKMARK_PERIOD;
    if last > now { regular.min(last) } else { regular }
}

impl Watch {
    /// The next lines, or `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = BytesMut::new();
        if let Some(failure) = self.failure.take() {
            return Some(self.fail(out, &failure));
        }
        if let Some(chunk) = self.initial_events(&mut out) {
            return Some(chunk);
        }
        loop {
            match self.cursor.try_next().await {
                Ok(Some(change)) => {
                    self.push(&mut out, &change);
                    if out.len() >= BATCH || self.ended {
                        return Some(out.freeze());
                    }
                    continue;
                }
                Ok(None) if !out.is_empty() => return Some(out.freeze()),
                Ok(None) => {}
                Err(error) => return Some(self.fail(out, &expired(&error))),
            }
            select! {
                biased;
                () = self.stop.cancelled() => return None,
                change = self.cursor.next() => match change {
                    Ok(change) => self.push(&mut out, &change),
                    Err(error) => return Some(self.fail(out, &expired(&error))),
                },
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = next_bookmark(Instant::now(), self.deadline);
                    self.push_bookmark(&mut out, false);
                    return Some(out.freeze());
                }
                () = tokio::time::sleep_until(self.deadline) => return None,
            }
        }
    }

    fn initial_events(&mut self, out: &mut BytesMut) -> Option<Bytes> {
        while let Some(item) = self.initial.pop_front() {
            self.push_frame(out, "ADDED", &item.body);
            if out.len() >= BATCH || self.ended {
                return Some(std::mem::take(out).freeze());
            }
        }
        if std::mem::take(&mut self.initial_end) {
            self.push_bookmark(out, true);
        }
        (!out.is_empty()).then(|| std::mem::take(out).freeze())
    }

    fn push(&mut self, out: &mut BytesMut, change: &Change) {
        let selects = |body: &Bytes| self.selector.matches(&self.target.info, &change.name, &change.ns, body);
        let before = change.old.as_ref().is_some_and(selects);
        let after = change.op != Op::Delete && selects(&change.body);
        match (before, after) {
            (false, true) => self.push_frame(out, "ADDED", &change.body),
            (true, true) => self.push_frame(out, "MODIFIED", &change.body),
            (true, false) if change.op == Op::Delete => self.push_frame(out, "DELETED", &change.body),
            (true, false) => {
                // It left the selection: its old content under the revision at which it left.
                let left = change.old.as_ref().and_then(|old| with_revision(old, change.rev));
                if let Some(left) = left {
                    self.push_frame(out, "DELETED", &left);
                }
            }
            (false, false) => {}
        }
    }

    fn push_frame(&mut self, out: &mut BytesMut, kind: &str, body: &Bytes) {
        match self.view.event_object(&self.target.info, body, !self.columns_sent) {
            Ok(object) => {
                self.columns_sent = true;
                push_line(out, kind, &object);
            }
            Err(error) => {
                self.ended = true;
                push_line(out, "ERROR", error.to_status().to_string().as_bytes());
            }
        }
    }

    fn push_bookmark(&mut self, out: &mut BytesMut, initial_end: bool) {
        let info = &self.target.info;
        let revision = self.cursor.position().to_string();
        let mut metadata = json!({"resourceVersion": revision, "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": info.kind, "apiVersion": info.api_version(), "metadata": metadata});
        let text = Bytes::from(object.to_string());
        // Bookmarks of table watches are tables too; kubectl does not ask for any.
        push_line(out, "BOOKMARK", &text);
    }

    fn fail(&mut self, mut out: BytesMut, error: &ApiError) -> Bytes {
        self.ended = true;
        push_line(&mut out, "ERROR", error.to_status().to_string().as_bytes());
        out.freeze()
    }
}

fn with_revision(body: &Bytes, revision: u64) -> Option<Bytes> {
    let mut object: Value = serde_json::from_slice(body).ok()?;
    set_resource_version(&mut object, revision).ok()?;
    serde_json::to_vec(&object).ok().map(Bytes::from)
}

fn push_line(out: &mut BytesMut, kind: &str, object: &[u8]) {
    out.reserve(object.len() + kind.len() + 24);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}
