//! The newest Node object, in memory: a node that only breathes does not wear out the disk.
//!
//! Every status report of a node comes back as a new version of its object that differs in heartbeat times alone.
//! Such a version replaces the one in memory; only a version that says something new goes to the database.
//! Source: spec 02 §7.5.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use serde_json::Value;

use super::store::ObjectVersion;

/// What is known of one node; there is one such object on an edge.
#[derive(Debug, Default)]
pub struct NodeCache(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    name: String,
    json: String,
    version: ObjectVersion,
    /// What the database holds, without heartbeats.
    written: Option<u64>,
    /// The link the newest version came over; `None` when it came from the database.
    link: Option<u64>,
}

/// Whether a version has to go to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It says something new.
    Write,
    /// It differs in heartbeats only, or is older than what is known.
    Skip,
}

impl NodeCache {
    /// Judges a version before it is written.
    pub fn judge(&self, name: &str, json: &str) -> Novelty {
        let known = self.lock();
        let Some(known) = known.as_ref().filter(|known| known.name == name) else { return Novelty::Write };
        if known.is_newer_than(&ObjectVersion::of(json)) || known.written == Some(substance(json)) {
            Novelty::Skip
        } else {
            Novelty::Write
        }
    }

    /// Takes a version that was committed, or that [`NodeCache::judge`] said needs no commit.
    pub fn keep(&self, name: &str, json: &str, committed: bool, link: Option<u64>) {
        let mut slot = self.lock();
        let version = ObjectVersion::of(json);
        let written = match slot.as_ref().filter(|known| known.name == name) {
            Some(known) if known.is_newer_than(&version) => {
                if let Some(known) = slot.as_mut() {
                    known.link = link.or(known.link);
                }
                return;
            }
            Some(known) if !committed => known.written,
            _ => committed.then(|| substance(json)),
        };
        *slot = Some(Known { name: name.to_owned(), json: json.to_owned(), version, written, link });
    }

    /// The newest version, if it is known at all.
    pub fn newest(&self, name: &str) -> Option<String> {
        self.lock().as_ref().filter(|known| known.name == name).map(|known| known.json.clone())
    }

    /// Whether the newest version came over `link`. One from an earlier link may be stale: the cloud changes a node
    /// that it does not hear from.
    pub fn is_from_link(&self, name: &str, link: u64) -> bool {
        self.lock().as_ref().is_some_and(|known| known.name == name && known.link == Some(link))
    }

    /// Forgets a deleted node.
    pub fn forget(&self, name: &str) {
        let mut slot = self.lock();
        if slot.as_ref().is_some_and(|known| known.name == name) {
            *slot = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Known {
    fn is_newer_than(&self, other: &ObjectVersion) -> bool {
        self.version.uid == other.uid
            && matches!((self.version.number(), other.number()), (Some(mine), Some(theirs)) if mine > theirs)
    }
}

/// A digest of a Node without what changes when it only breathes: versions, managed fields, heartbeat times.
fn substance(json: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match serde_json::from_str::<Value>(json) {
        Ok(mut node) => {
            if let Some(metadata) = node.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("resourceVersion");
                metadata.remove("managedFields");
            }
            if let Some(conditions) = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
                for condition in conditions {
                    if let Some(condition) = condition.as_object_mut() {
                        condition.remove("lastHeartbeatTime");
                    }
                }
            }
            if let Some(node) = node.as_object_mut() {
                // Answers to calls come without these two.
                node.remove("kind");
                node.remove("apiVersion");
            }
            node.to_string().hash(&mut hasher); // maps are sorted by key
        }
        Err(_) => json.hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: u32, heartbeat: &str, ready: &str) -> String {
        serde_json::json!({"kind": "Node", "apiVersion": "v1",
            "metadata": {"name": "e", "uid": "u", "resourceVersion": version.to_string(), "managedFields": [heartbeat]},
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}]}})
        .to_string()
    }

    #[test]
    fn heartbeats_stay_in_memory_and_news_is_written() {
        let cache = NodeCache::default();
        let first = node(1, "a", "True");
        assert_eq!(cache.judge("e", &first), Novelty::Write);
        cache.keep("e", &first, true, Some(1));

        let breath = node(2, "b", "True");
        assert_eq!(cache.judge("e", &breath), Novelty::Skip);
        cache.keep("e", &breath, false, Some(1));
        assert_eq!(cache.newest("e").as_deref(), Some(breath.as_str()), "the newest one is answered");

        assert_eq!(cache.judge("e", &node(3, "c", "Unknown")), Novelty::Write);
        assert_eq!(cache.judge("e", &first), Novelty::Skip, "an older version is no news");
        cache.keep("e", &first, false, Some(2));
        assert_eq!(cache.newest("e").as_deref(), Some(breath.as_str()));
        assert!(cache.is_from_link("e", 2), "but it shows that nothing newer exists on this link");
    }

    #[test]
    fn a_new_node_of_the_same_name_is_news() {
        let cache = NodeCache::default();
        cache.keep("e", &node(9, "a", "True"), true, Some(1));
        let reborn = node(2, "a", "True").replace("\"u\"", "\"v\"");
        assert_eq!(cache.judge("e", &reborn), Novelty::Write);
        cache.forget("e");
        assert_eq!(cache.newest("e"), None);
    }
}
