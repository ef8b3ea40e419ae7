//! What one connected node has or is about to get, and the rule that decides what it is still owed.
//!
//! The ledger starts from the node's ObjectSyncs at connect and ends with the connection, so that it can never be
//! wrong for longer than one session.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kind::ObjectKey;
use crate::object::{Meta, Version};

/// One object the node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its address.
    pub key: ObjectKey,
    /// The newest version offered or acknowledged; empty when never.
    pub version: Version,
    /// Digest of that version, once this session has offered it.
    pub digest: Option<u64>,
    /// Whether its deletion was offered. Nothing follows for this UID.
    pub gone: bool,
}

/// What a node is owed for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It never got the object.
    First,
    /// It has an older state.
    Newer,
    /// It has this state.
    Nothing,
}

/// Decides what is due. Source: spec 01 §5.7, §8.2.
pub fn due(known: Option<&Known>, live: &Meta) -> Due {
    match known {
        None => Due::First,
        Some(known) if known.gone => Due::Nothing,
        Some(known) if !live.version.is_newer_than(&known.version) => Due::Nothing,
        Some(known) if known.digest == Some(live.digest) => Due::Nothing,
        Some(_) => Due::Newer,
    }
}

/// Everything one connected node knows, by UID.
#[derive(Debug, Default)]
pub struct Ledger {
    known: HashMap<Arc<str>, Known>,
}

impl Ledger {
    /// The entry of a UID.
    pub fn get(&self, uid: &str) -> Option<&Known> {
        self.known.get(uid)
    }

    /// Notes that a record says `version` was delivered.
    pub fn recorded(&mut self, uid: Arc<str>, key: ObjectKey, version: Version) {
        self.known.insert(uid, Known { key, version, digest: None, gone: false });
    }

    /// Notes that this state was offered.
    pub fn offered(&mut self, key: &ObjectKey, live: &Meta) {
        let known = Known { key: key.clone(), version: live.version.clone(), digest: Some(live.digest), gone: false };
        self.known.insert(live.uid.clone(), known);
    }

    /// Notes that the deletion was offered. Returns whether there was anything to delete.
    pub fn withdraw(&mut self, uid: &str) -> bool {
        match self.known.get_mut(uid) {
            Some(known) => !std::mem::replace(&mut known.gone, true),
            None => false,
        }
    }

    /// Notes an acknowledged state.
    pub fn acknowledged(&mut self, uid: &Arc<str>, key: &ObjectKey, version: &Version) {
        let known = self.known.entry(uid.clone()).or_insert_with(|| Known {
            key: key.clone(),
            version: version.clone(),
            digest: None,
            gone: false,
        });
        if version.is_newer_than(&known.version) {
            known.version = version.clone();
            known.digest = None;
        }
    }

    /// Notes that the node has `version` now, however new the one offered before was.
    pub fn fell_back(&mut self, uid: &str, version: Version) {
        if let Some(known) = self.known.get_mut(uid).filter(|known| !known.gone) {
            known.version = version;
            known.digest = None;
        }
    }

    /// Forgets an object whose deletion was acknowledged.
    pub fn forget(&mut self, uid: &str) {
        self.known.remove(uid);
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Known)> {
        self.known.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    /// `(version, digest, gone)` known, `(version, digest)` live.
    fn check(known: Option<(&str, Option<u64>, bool)>, live: (&str, u64), expected: Due) {
        let known = known.map(|(version, digest, gone)| Known {
            key: ObjectKey::cluster(Kind::Node, "e"),
            version: version.into(),
            digest,
            gone,
        });
        let live = Meta {
            uid: "u".into(),
            namespace: None,
            name: "e".into(),
            version: live.0.into(),
            deleting: false,
            digest: live.1,
        };
        assert_eq!(due(known.as_ref(), &live), expected, "{known:?} {live:?}");
    }

    #[test]
    fn truth_table() {
        check(None, ("7", 1), Due::First);
        check(Some(("", None, false)), ("7", 1), Due::Newer); // recorded before the first delivery
        check(Some(("0", None, false)), ("7", 1), Due::Newer); // as Go writes that
        check(Some(("6", None, false)), ("7", 1), Due::Newer);
        check(Some(("7", None, false)), ("7", 1), Due::Nothing);
        check(Some(("8", None, false)), ("7", 1), Due::Nothing); // another instance was faster
        check(Some(("6", Some(1), false)), ("7", 1), Due::Nothing); // only the version moved
        check(Some(("6", Some(2), false)), ("7", 1), Due::Newer);
        check(Some(("6", None, true)), ("7", 1), Due::Nothing); // deleted: final for this UID
    }
}
