//! Which resources are served right now: the built-in table plus what CustomResourceDefinitions add.
//!
//! The custom part changes definition by definition, right after the store committed one and before its writer is
//! answered, so that creating a CRD and then an object of it never races. Source: spec 10 §6.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use crate::semantics::resources::{ResourceInfo, builtin};

/// The API group of CRDs.
pub const EXTENSIONS: &str = "apiextensions.k8s.io";

/// One consistent view of what is served.
#[derive(Default)]
pub struct Snapshot {
    /// Everything served, built-in first.
    pub resources: Vec<Arc<ResourceInfo>>,
    by_path: HashMap<(String, String, String), Arc<ResourceInfo>>,
}

impl Snapshot {
    /// The resource at a path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceInfo>> {
        self.by_path.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The first served version of a group and plural.
    pub fn find_any_version(&self, group: &str, plural: &str) -> Option<&Arc<ResourceInfo>> {
        self.resources.iter().find(|info| info.group == group && info.plural == plural)
    }

    /// The resource of a kind.
    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<ResourceInfo>> {
        self.resources.iter().find(|info| info.group == group && info.version == version && info.kind == kind)
    }

    /// Whether anything is served in a group version.
    pub fn has_group_version(&self, group: &str, version: &str) -> bool {
        self.resources.iter().any(|info| info.group == group && info.version == version)
    }

    fn build(resources: Vec<Arc<ResourceInfo>>) -> Self {
        let by_path = resources
            .iter()
            .map(|info| {
                let key = (info.group.to_string(), info.version.to_string(), info.plural.to_string());
                (key, Arc::clone(info))
            })
            .collect();
        Self { resources, by_path }
    }
}

/// The current [`Snapshot`] and how it changes.
pub struct Registry {
    builtin: Vec<Arc<ResourceInfo>>,
    state: RwLock<State>,
}

struct State {
    custom: BTreeMap<String, Vec<Arc<ResourceInfo>>>,
    snapshot: Arc<Snapshot>,
}

impl Default for Registry {
    fn default() -> Self {
        let builtin: Vec<Arc<ResourceInfo>> = builtin().iter().map(|row| Arc::new(ResourceInfo::from(row))).collect();
        let snapshot = Arc::new(Snapshot::build(builtin.clone()));
        Self { builtin, state: RwLock::new(State { custom: BTreeMap::new(), snapshot }) }
    }
}

impl Registry {
    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    /// Takes over the current state of CRDs: name and definition, `None` when it is gone.
    pub fn apply<'a>(&self, definitions: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (name, definition) in definitions {
            let served = definition.filter(|d| is_established(d)).map(ResourceInfo::from_crd).unwrap_or_default();
            if served.is_empty() {
                state.custom.remove(name);
            } else {
                state.custom.insert(name.to_owned(), served.into_iter().map(Arc::new).collect());
            }
        }
        let resources = self.builtin.iter().chain(state.custom.values().flatten()).cloned().collect();
        state.snapshot = Arc::new(Snapshot::build(resources));
    }
}

/// Whether the definition may be served.
pub fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
}
