//! Discovery bodies, legacy and aggregated. Source: spec 10 §1.4.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::resources::{ResourceInfo, Subresource, join_group_version};

/// `/api`, legacy. `server_address` is `<ip>:<port>`.
pub fn api_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

/// `/apis`, legacy `APIGroupList`.
pub fn group_list(resources: &[Arc<ResourceInfo>]) -> Value {
    let groups: Vec<Value> =
        groups(resources).into_iter().filter(|group| !group.is_empty()).map(|group| body(resources, group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`: `APIGroup`; `None` when nothing is served in the group.
pub fn group(resources: &[Arc<ResourceInfo>], group: &str) -> Option<Value> {
    if group.is_empty() || !resources.iter().any(|info| info.group == group) {
        return None;
    }
    let mut body = body(resources, group);
    let map = body.as_object_mut()?;
    map.insert("kind".to_owned(), "APIGroup".into());
    map.insert("apiVersion".to_owned(), "v1".into());
    Some(body)
}

/// `/api/v1`, `/apis/<group>/<version>`: `APIResourceList`; `None` when nothing is served there.
pub fn resource_list(resources: &[Arc<ResourceInfo>], group: &str, version: &str) -> Option<Value> {
    let served = in_version(resources, group, version);
    if served.is_empty() {
        return None;
    }
    let list: Vec<Value> = served.into_iter().flat_map(entries).collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": join_group_version(group, version),
        "resources": list,
    }))
}

/// Aggregated `/api` (`core` set) or `/apis`: `APIGroupDiscoveryList` of `apidiscovery.k8s.io/<v2|v2beta1>`.
pub fn aggregated(resources: &[Arc<ResourceInfo>], core: bool, version: &str) -> Value {
    let groups = groups(resources).into_iter().filter(|group| group.is_empty() == core);
    let items: Vec<Value> = groups.map(|group| aggregated_group(resources, group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

/// The groups in serving order: built-in ones as they stand in the table, then the others by name.
fn groups(resources: &[Arc<ResourceInfo>]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let (custom, built_in): (Vec<_>, Vec<_>) = resources.iter().partition(|info| info.is_custom());
    for info in built_in {
        if !names.contains(&&*info.group) {
            names.push(&info.group);
        }
    }
    let mut others: Vec<&str> = custom.iter().map(|info| &*info.group).filter(|group| !names.contains(group)).collect();
    others.sort_unstable();
    others.dedup();
    names.extend(others);
    names
}

/// The versions of a group, preferred first.
pub(super) fn versions<'a>(resources: &'a [Arc<ResourceInfo>], group: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = Vec::new();
    for info in resources.iter().filter(|info| info.group == group) {
        if !versions.contains(&&*info.version) {
            versions.push(&info.version);
        }
    }
    versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
    versions
}

/// Sorts `v2` before `v1` before `v1beta2` before `v1beta1` before `v1alpha1` before everything else.
fn rank(version: &str) -> (u8, u32, u32) {
    let parsed = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u32 = rest[..digits].parse().ok()?;
        match &rest[digits..] {
            "" => Some((3, major, 0)),
            stage => match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
                (Some(minor), _) => Some((2, major, minor.parse().ok()?)),
                (None, Some(minor)) => Some((1, major, minor.parse().ok()?)),
                (None, None) => None,
            },
        }
    };
    parsed().unwrap_or_default()
}

fn in_version<'a>(resources: &'a [Arc<ResourceInfo>], group: &str, version: &str) -> Vec<&'a ResourceInfo> {
    let mut list: Vec<&ResourceInfo> =
        resources.iter().map(Arc::as_ref).filter(|info| info.group == group && info.version == version).collect();
    list.sort_by(|a, b| a.plural.cmp(&b.plural));
    list
}

fn body(resources: &[Arc<ResourceInfo>], group: &str) -> Value {
    let entry = |version: &&str| json!({"groupVersion": join_group_version(group, version), "version": version});
    let versions: Vec<Value> = versions(resources, group).iter().map(entry).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// The resource and its subresources as legacy entries.
fn entries(info: &ResourceInfo) -> Vec<Value> {
    let mut main = Map::new();
    main.insert("name".to_owned(), (*info.plural).into());
    main.insert("singularName".to_owned(), (*info.singular).into());
    main.insert("namespaced".to_owned(), info.namespaced.into());
    main.insert("kind".to_owned(), (*info.kind).into());
    main.insert("verbs".to_owned(), json!(info.verbs));
    if !info.short_names.is_empty() {
        main.insert("shortNames".to_owned(), json!(info.short_names));
    }
    if !info.categories.is_empty() {
        main.insert("categories".to_owned(), json!(info.categories));
    }
    if info.allows("get") {
        main.insert("storageVersionHash".to_owned(), storage_hash(info).into());
    }
    let mut list = vec![Value::Object(main)];
    for sub in &info.subresources {
        let mut entry = json!({
            "name": format!("{}/{}", info.plural, sub.name),
            "singularName": "",
            "namespaced": info.namespaced,
            "kind": kind_of(info, sub),
            "verbs": sub.verbs,
        });
        if let (Some((group, version)), Some(map)) = (sub.foreign, entry.as_object_mut()) {
            map.insert("group".to_owned(), group.into());
            map.insert("version".to_owned(), version.into());
        }
        list.push(entry);
    }
    list
}

fn kind_of<'a>(info: &'a ResourceInfo, sub: &Subresource) -> &'a str {
    if sub.kind.is_empty() { &info.kind } else { sub.kind }
}

/// Base64 of the first eight bytes of SHA-256 over `<group>/<version>/<Kind>` of the stored form.
fn storage_hash(info: &ResourceInfo) -> String {
    let name = format!("{}/{}/{}", info.storage_group, info.storage_version, info.kind);
    STANDARD.encode(&Sha256::digest(name.as_bytes())[..8])
}

fn aggregated_group(resources: &[Arc<ResourceInfo>], group: &str) -> Value {
    let version = |version: &&str| {
        let list: Vec<Value> = in_version(resources, group, version).into_iter().map(aggregated_resource).collect();
        json!({"version": version, "resources": list, "freshness": "Current"})
    };
    let versions: Vec<Value> = versions(resources, group).iter().map(version).collect();
    let mut metadata = json!({"creationTimestamp": null});
    if !group.is_empty() {
        metadata["name"] = group.into();
    }
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(info: &ResourceInfo) -> Value {
    let own = |kind: &str| json!({"group": info.group, "version": info.version, "kind": kind});
    let mut entry = json!({
        "resource": info.plural,
        "responseKind": own(&info.kind),
        "scope": if info.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": info.singular,
        "verbs": info.verbs,
    });
    if !info.short_names.is_empty() {
        entry["shortNames"] = json!(info.short_names);
    }
    if !info.categories.is_empty() {
        entry["categories"] = json!(info.categories);
    }
    if !info.subresources.is_empty() {
        let subresource = |sub: &Subresource| {
            let kind = kind_of(info, sub);
            let response = match sub.foreign {
                Some((group, version)) => json!({"group": group, "version": version, "kind": kind}),
                None => own(kind),
            };
            json!({"subresource": sub.name, "responseKind": response, "verbs": sub.verbs})
        };
        entry["subresources"] = info.subresources.iter().map(subresource).collect();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::resources::builtin;

    fn all() -> Vec<Arc<ResourceInfo>> {
        builtin().iter().map(|row| Arc::new(ResourceInfo::from(row))).collect()
    }

    #[test]
    fn resource_lists_look_like_the_real_ones() {
        let list = resource_list(&all(), "apps", "v1").unwrap();
        let entries = list["resources"].as_array().unwrap();
        let of = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
        assert_eq!(
            of("deployments"),
            &json!({"name": "deployments", "singularName": "deployment", "namespaced": true, "kind": "Deployment",
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "shortNames": ["deploy"], "categories": ["all"], "storageVersionHash": "8aSe+NMegvE="})
        );
        assert_eq!(
            of("deployments/scale"),
            &json!({"name": "deployments/scale", "singularName": "", "namespaced": true, "group": "autoscaling",
                "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"]})
        );
        assert!(resource_list(&all(), "apps", "v2").is_none());
    }

    #[test]
    fn pods_have_the_known_storage_hash() {
        let list = resource_list(&all(), "", "v1").unwrap();
        let pods = list["resources"].as_array().unwrap().iter().find(|entry| entry["name"] == "pods").unwrap();
        assert_eq!(pods["storageVersionHash"], "xPOwRZ+Yhw8=");
    }

    #[test]
    fn preferred_versions_come_first() {
        let group = group(&all(), "autoscaling").unwrap();
        assert_eq!(group["preferredVersion"]["version"], "v2");
        let mut names = ["v1alpha1", "v1", "foo", "v2beta1", "v1beta2", "v10"];
        names.sort_by_key(|name| std::cmp::Reverse(rank(name)));
        assert_eq!(names, ["v10", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }

    #[test]
    fn aggregated_discovery_names_subresources() {
        let core = aggregated(&all(), true, "v2");
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        assert!(core["items"][0]["metadata"].get("name").is_none());
        let resources = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
        let accounts = resources.iter().find(|entry| entry["resource"] == "serviceaccounts").unwrap();
        assert_eq!(
            accounts["subresources"][0],
            json!({"subresource": "token", "responseKind": {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}, "verbs": ["create"]})
        );
        let groups = aggregated(&all(), false, "v2");
        assert!(groups["items"].as_array().unwrap().iter().any(|item| item["metadata"]["name"] == "apps"));
    }
}
