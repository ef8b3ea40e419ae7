//! Lists: resourceVersion rules, paging, selectors. Source: spec 10 §3.1, §3.4.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api::{Api, Target, present},
    body::Body,
    encode::{View, partial},
    negotiate::Shape,
    request::Query,
    selectors::Selector,
    status::ApiError,
};
use crate::store::{
    StoreError, Stored,
    read::{After, Listing, Range},
};

/// Objects fetched at once while a page of selected ones is collected.
const CHUNK: usize = 500;

/// How a list was asked for.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    selector: Selector,
    limit: Option<usize>,
    start: Start,
}

#[derive(Clone, Debug, Default)]
enum Start {
    /// Current state, everything that is asked for.
    #[default]
    Current,
    /// Current state, which must have reached this revision.
    NotOlder(u64),
    /// Exactly this state.
    Exact(u64),
    /// The next page.
    Continue { revision: Option<u64>, after: After },
}

/// The readable inside of a continue token.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// Parses a resourceVersion parameter; `None` when unset.
///
/// # Errors
/// 400 for text that is not a number.
pub fn parse_revision(text: Option<&str>) -> Result<Option<u64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

impl ListOptions {
    /// Reads the query of a list.
    ///
    /// # Errors
    /// 400 and 422 for combinations that make no sense.
    pub fn parse(target: &Target, query: &Query) -> Result<Self, ApiError> {
        let selector = Selector::parse(&target.info, query.get("labelSelector"), query.get("fieldSelector"))?;
        let limit = match query.get("limit") {
            None => None,
            Some(text) => {
                let limit: i64 =
                    text.parse().map_err(|_| ApiError::bad_request(format!("limit: Invalid value: {text:?}")))?;
                usize::try_from(limit).ok().filter(|limit| *limit > 0)
            }
        };
        if query.get("sendInitialEvents").is_some() {
            let text = "Forbidden: sendInitialEvents is forbidden for list";
            return Err(ApiError::invalid_options("ListOptions", "sendInitialEvents", text));
        }
        let revision = parse_revision(query.get("resourceVersion"))?;
        let matching = query.get("resourceVersionMatch");
        let refuse = |text: &str| Err(ApiError::invalid_options("ListOptions", "resourceVersionMatch", text));
        if let Some(token) = query.get("continue") {
            if matching.is_some() {
                return refuse("Forbidden: resourceVersionMatch is forbidden when continue is provided");
            }
            if revision.is_some_and(|revision| revision > 0) {
                let text = "specifying resource version is not allowed when using continue";
                return Err(ApiError::bad_request(text));
            }
            let start = parse_token(target, token)?;
            return Ok(Self { selector, limit, start });
        }
        let start = match (matching, revision) {
            (Some(_), None) => {
                return refuse("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            (Some("Exact"), Some(0)) => {
                return refuse("Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
            (Some("Exact"), Some(revision)) => Start::Exact(revision),
            (Some("NotOlderThan"), Some(revision)) => Start::NotOlder(revision),
            (Some(other), _) => {
                return refuse(&format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""));
            }
            (None, None) => Start::Current,
            (None, Some(0)) => Start::NotOlder(0),
            (None, Some(revision)) if limit.is_some() => Start::Exact(revision),
            (None, Some(revision)) => Start::NotOlder(revision),
        };
        // What a watch cache does: rv 0 answers everything and clients rely on no continue token.
        let limit = if matches!(start, Start::NotOlder(0)) { None } else { limit };
        Ok(Self { selector, limit, start })
    }

    /// The selectors.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }
}

fn parse_token(target: &Target, token: &str) -> Result<Start, ApiError> {
    let invalid =
        |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    let bytes = BASE64.decode(token.trim_end_matches('=')).map_err(|_| invalid("not base64"))?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| invalid("not readable"))?;
    let key = token.start.strip_suffix('\0').ok_or_else(|| invalid("no end mark"))?;
    let (ns, name) = key.split_once('/').ok_or_else(|| invalid("no name"))?;
    if !target.ns.is_empty() && target.ns != ns {
        return Err(invalid("it belongs to another collection"));
    }
    let revision = match token.rv {
        -1 => None,
        rv => Some(u64::try_from(rv).map_err(|_| invalid("negative revision"))?),
    };
    Ok(Start::Continue { revision, after: (ns.to_owned(), name.to_owned()) })
}

fn token(revision: Option<u64>, last: &After) -> String {
    let rv = revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
    let token = Token { v: "meta.k8s.io/v1".into(), rv, start: format!("{}/{}\0", last.0, last.1) };
    BASE64.encode(serde_json::to_vec(&token).unwrap_or_default())
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// The revision the page shows.
    pub revision: u64,
    /// Selected objects.
    pub items: Vec<Stored>,
    /// Token of the next page.
    pub next: Option<String>,
    /// Objects behind this page, when that is known.
    pub remaining: Option<usize>,
}

impl Api {
    /// Reads one page.
    ///
    /// # Errors
    /// 410 when the state asked for is compacted, 504 when it does not exist yet.
    pub async fn page(&self, target: &Target, options: &ListOptions) -> Result<Page, ApiError> {
        let ns = (!target.ns.is_empty()).then(|| target.ns.clone());
        let (mut at, mut after, continuing) = match &options.start {
            Start::Current | Start::NotOlder(_) => (None, None, false),
            Start::Exact(revision) => (Some(*revision), None, false),
            Start::Continue { revision, after } => (*revision, Some(after.clone()), true),
        };
        let mut items: Vec<Stored> = Vec::new();
        let mut more = false;
        let revision = loop {
            // One object more than wanted tells whether there is a next page.
            let wanted = options.limit.map(|limit| limit - items.len().min(limit) + 1);
            let chunk = match (&options.limit, options.selector.is_everything()) {
                (None, _) => None,
                (Some(_), true) => wanted,
                (Some(_), false) => wanted.map(|wanted| wanted.max(CHUNK)),
            };
            let range = Range { ns: ns.clone(), after: after.clone(), at, limit: chunk };
            let Listing { revision, items: found } =
                self.store.list_range(target.rk, range).await.map_err(|error| match error {
                    StoreError::Expired { .. } if continuing => expired_continue(after.as_ref()),
                    other => other.into(),
                })?;
            if let Start::NotOlder(asked) = options.start
                && asked > revision
            {
                return Err(StoreError::Future { asked, current: revision }.into());
            }
            let exhausted = chunk.is_none_or(|chunk| found.len() < chunk);
            after = found.last().map(|last| (last.ns.clone(), last.name.clone())).or(after);
            for item in found {
                if !options.selector.matches(&target.info, &item.name, &item.ns, &item.body) {
                    continue;
                }
                if options.limit.is_some_and(|limit| items.len() == limit) {
                    more = true;
                    break;
                }
                items.push(item);
            }
            if more || exhausted {
                break revision;
            }
            // Later chunks come from the same state.
            at = Some(revision);
        };
        let last = items.last().map(|item| (item.ns.clone(), item.name.clone()));
        let inconsistent = matches!(options.start, Start::Continue { revision: None, .. });
        let next = last.filter(|_| more).map(|last| token((!inconsistent).then_some(revision), &last));
        let remaining = match (&next, options.selector.is_everything()) {
            (Some(_), true) => {
                let total = self.store.count(target.rk, ns.as_deref()).await?;
                matches!(options.start, Start::Current).then(|| total.saturating_sub(items.len())).filter(|n| *n > 0)
            }
            _ => None,
        };
        Ok(Page { revision, items, next, remaining })
    }
}

fn expired_continue(after: Option<&After>) -> ApiError {
    let mut error = ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    error.continue_token = after.map(|after| token(None, after));
    error
}

/// The page as a response.
pub fn respond(view: &View, target: &Target, page: &Page) -> Response<Body> {
    match encode(view, target, page) {
        Ok(Encoded::Text(text)) => view.json_text(StatusCode::OK, &text),
        Ok(Encoded::Value(value)) => view.value(StatusCode::OK, &value),
        Err(error) => view.error(&error),
    }
}

enum Encoded {
    Text(Bytes),
    Value(Value),
}

fn list_meta(target: &Target, page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    match &page.next {
        Some(next) => metadata["continue"] = next.as_str().into(),
        None if target.info.is_custom() => metadata["continue"] = "".into(),
        None => {}
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

fn encode(view: &View, target: &Target, page: &Page) -> Result<Encoded, ApiError> {
    let info = &target.info;
    let metadata = list_meta(target, page);
    match view.form.shape {
        Shape::Table(version) => view.table(info, version, &page.items, |_| metadata).map(Encoded::Value),
        Shape::Partial(version) => {
            let mut items = Vec::with_capacity(page.items.len());
            for item in &page.items {
                items.push(partial(&super::api::present_value(info, &item.body)?, version));
            }
            Ok(Encoded::Value(json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata, "items": items,
            })))
        }
        Shape::Full | Shape::Discovery(_) => {
            let size = page.items.iter().map(|item| item.body.len() + 1).sum::<usize>() + 256;
            let mut text = BytesMut::with_capacity(size);
            let head = format!("{{\"apiVersion\":{:?},\"items\":[", info.api_version());
            text.extend_from_slice(head.as_bytes());
            for (index, item) in page.items.iter().enumerate() {
                if index > 0 {
                    text.extend_from_slice(b",");
                }
                text.extend_from_slice(&present(info, &item.body)?);
            }
            let tail = format!("],\"kind\":{:?},\"metadata\":{metadata}}}", info.list_kind);
            text.extend_from_slice(tail.as_bytes());
            Ok(Encoded::Text(text.freeze()))
        }
    }
}
