//! One Kubernetes watch as a stream of [`Change`]s, with the list before it compared to what was known.
//!
//! A watch never ends on its own: lost connections, expired versions and refusals are retried with backoff inside
//! the stream, and every fresh list reports what vanished meanwhile.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::DynamicResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::kind::Kind;
use crate::object::Object;

/// What a watch reports.
#[derive(Debug)]
pub enum Change {
    /// The object exists in this state.
    Applied(Object),
    /// The object is gone; this was its last state.
    Deleted(Object),
    /// The object vanished while nobody was watching.
    Vanished(Name),
    /// The list is complete: everything reported so far is all there is.
    Listed,
}

/// Namespace and name of an object of the watched kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Absent for cluster scope.
    pub namespace: Option<Arc<str>>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Name {
    fn of(object: &Object) -> Self {
        Self { namespace: object.meta.namespace.clone(), name: object.meta.name.clone() }
    }
}

/// Watches every object of `kind` until `stop`, handing each change to `apply` in order.
///
/// `known` lists the names the receiver holds; it is asked at the end of each list, so that nothing that vanished
/// stays behind.
pub async fn watch(
    client: Client,
    kind: Kind,
    stop: CancellationToken,
    known: impl Fn() -> Vec<Name>,
    mut apply: impl FnMut(Change),
) {
    let api = Api::<Watched>::all_with(client, &resource_of(&kind));
    let mut events = Box::pin(watcher::watcher(api, watcher::Config::default()).default_backoff());
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => warn!(kind = kind.kind(), error = %crate::chain(&error), "watch interrupted"),
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(object))) => {
                if let Some(object) = object.read(&kind) {
                    listed.insert(Name::of(&object));
                    apply(Change::Applied(object));
                }
            }
            Some(Ok(Event::InitDone)) => {
                for name in known().into_iter().filter(|name| !listed.contains(name)) {
                    apply(Change::Vanished(name));
                }
                listed = HashSet::new();
                apply(Change::Listed);
            }
            Some(Ok(Event::Apply(object))) => {
                if let Some(object) = object.read(&kind) {
                    apply(Change::Applied(object));
                }
            }
            Some(Ok(Event::Delete(object))) => {
                if let Some(object) = object.read(&kind) {
                    apply(Change::Deleted(object));
                }
            }
        }
    }
}

fn resource_of(kind: &Kind) -> ApiResource {
    let api_version = kind.api_version();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.kind().to_owned(),
        plural: kind.plural(),
    }
}

/// A watched object before it is read: its text, and the one fact the watcher itself needs.
#[derive(Clone)]
struct Watched {
    meta: ObjectMeta,
    raw: Box<RawValue>,
}

impl Watched {
    fn read(&self, kind: &Kind) -> Option<Object> {
        Object::read(kind, self.raw.get())
            .inspect_err(|error| warn!(kind = kind.kind(), error = %crate::chain(&error), "unreadable object skipped"))
            .ok()
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Outer {
            metadata: Inner,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Inner {
            resource_version: Option<String>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let outer: Outer = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        let meta = ObjectMeta { resource_version: outer.metadata.resource_version, ..ObjectMeta::default() };
        Ok(Self { meta, raw })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({} bytes)", self.raw.get().len())
    }
}

impl Resource for Watched {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }
    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }
    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }
    fn api_version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.api_version.as_str().into()
    }
    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
