//! The operations of the API server without HTTP: what a request does once it is decoded and allowed.
//!
//! Controllers and the scheduler call the same functions, so every write passes the same defaulting, admission,
//! validation and metadata rules whoever makes it. Source: spec 10 §0 D7, §2.4, §4.

use std::sync::Arc;

use serde_json::Value;

use super::{
    nodes::NodeRouter,
    registry::{EXTENSIONS, Registry, Snapshot},
    status::ApiError,
};
use crate::{
    security::{
        rbac::{self, Rbac},
        tokens::TokenSigner,
        user::User,
    },
    semantics::{alias, resources::ResourceInfo},
    store::{Key, Rk, Store, Stored},
};

/// Facts about this installation that requests depend on.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// `host:port` clients reach us at.
    pub server_address: String,
    /// Range Services get their addresses from: base and prefix length.
    pub service_range: (std::net::Ipv4Addr, u8),
    /// PEM of the cluster CA, for `kube-root-ca.crt` and token Secrets.
    pub ca_pem: String,
    /// `iss` of our tokens and the default audience.
    pub issuer: String,
    /// Extra audiences accepted for API access.
    pub audiences: Vec<String>,
}

/// The API server's state.
pub struct Api {
    /// Where objects live.
    pub store: Store,
    /// What is served.
    pub registry: Registry,
    /// Who may do what.
    pub rbac: Rbac,
    /// Signs and checks ServiceAccount tokens.
    pub tokens: TokenSigner,
    /// Facts about this installation.
    pub facts: ServerFacts,
    /// The way to nodes.
    pub routes: NodeRouter,
}

/// One resource, or one object or subresource of it, that an operation is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// The resource in the version asked for.
    pub info: Arc<ResourceInfo>,
    /// The same in the version it is stored in; usually the same pointer.
    pub storage: Arc<ResourceInfo>,
    /// Its id in the store.
    pub rk: Rk,
    /// Namespace; empty for cluster-scoped resources and lists across namespaces.
    pub ns: String,
    /// Name; empty for collections and creates.
    pub name: String,
}

impl Target {
    /// The store key of the named object.
    pub fn key(&self) -> Key {
        self.key_of(&self.name)
    }

    /// The store key of another object of the same resource and namespace.
    pub fn key_of(&self, name: &str) -> Key {
        Key::new(self.rk, self.ns.clone(), name)
    }

    /// The same resource and namespace, another object.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }
}

/// Who asks and how, for writes.
#[derive(Clone, Debug, Default)]
pub struct WriteContext {
    /// The caller.
    pub user: User,
    /// Run everything but commit nothing.
    pub dry_run: bool,
}

impl WriteContext {
    /// A write by a component of this process.
    pub fn in_process(identity: &str) -> Self {
        Self { user: User::in_process(identity), dry_run: false }
    }
}

impl Api {
    /// The target of an operation on a served resource.
    ///
    /// # Errors
    /// 404 when the resource is not served.
    pub async fn target(
        &self,
        group: &str,
        version: &str,
        plural: &str,
        ns: &str,
        name: &str,
    ) -> Result<Target, ApiError> {
        let snapshot = self.registry.snapshot();
        let info = snapshot.find(group, version, plural).ok_or_else(ApiError::unknown_resource)?;
        self.target_of(&snapshot, info, ns, name).await
    }

    /// The target for a resource that was already looked up.
    ///
    /// # Errors
    /// Store errors.
    pub async fn target_of(
        &self,
        snapshot: &Snapshot,
        info: &Arc<ResourceInfo>,
        ns: &str,
        name: &str,
    ) -> Result<Target, ApiError> {
        let storage = snapshot.find(&info.storage_group, &info.storage_version, &info.plural).unwrap_or(info);
        let rk = self.store.resource(&info.storage_group, &info.plural).await?;
        Ok(Target {
            info: Arc::clone(info),
            storage: Arc::clone(storage),
            rk,
            ns: ns.to_owned(),
            name: name.to_owned(),
        })
    }

    /// A built-in resource in its only version.
    ///
    /// # Errors
    /// 404 when there is no such resource, which would be a mistake in the caller; store errors.
    pub async fn builtin(&self, group: &str, plural: &str, ns: &str, name: &str) -> Result<Target, ApiError> {
        let snapshot = self.registry.snapshot();
        let info = snapshot.find_any_version(group, plural).ok_or_else(ApiError::unknown_resource)?;
        self.target_of(&snapshot, info, ns, name).await
    }

    /// One object in its storage version.
    ///
    /// # Errors
    /// 404 when it does not exist.
    pub async fn get(&self, target: &Target) -> Result<Stored, ApiError> {
        self.store.get(&target.key()).await?.ok_or_else(|| ApiError::not_found(&target.info, &target.name))
    }

    /// One object as a value, or `None`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn find(&self, target: &Target) -> Result<Option<Value>, ApiError> {
        Ok(self.store.get(&target.key()).await?.map(|stored| stored.value()).transpose()?)
    }

    /// Runs after a committed change, before its caller is answered: what is served and who may do what follow at once.
    pub(super) async fn after_write(&self, target: &Target, name: &str, object: Option<&Value>) {
        if target.info.group == EXTENSIONS {
            self.registry.apply([(name, object)]);
        } else if target.info.group == rbac::GROUP {
            self.rbac.apply(&target.info.plural, &target.ns, name, object);
            if target.info.plural == "clusterroles" {
                Box::pin(self.aggregate_roles(name)).await;
            }
        } else if target.info.is_custom() && object.is_none() {
            Box::pin(self.finish_definition(target)).await;
        }
    }

    /// Loads what is derived from stored objects: custom resources and the access policy.
    ///
    /// # Errors
    /// Store errors.
    pub async fn load(&self) -> Result<(), ApiError> {
        let definitions = self.builtin(EXTENSIONS, "customresourcedefinitions", "", "").await?;
        let stored = self.store.list(definitions.rk, None).await?.items;
        let mut values = Vec::with_capacity(stored.len());
        for item in &stored {
            values.push((item.name.clone(), item.value()?));
        }
        self.registry.apply(values.iter().map(|(name, value)| (name.as_str(), Some(value))));
        for plural in ["roles", "clusterroles", "rolebindings", "clusterrolebindings"] {
            let target = self.builtin(rbac::GROUP, plural, "", "").await?;
            for item in self.store.list(target.rk, None).await?.items {
                self.rbac.apply(plural, &item.ns, &item.name, Some(&item.value()?));
            }
        }
        Ok(())
    }
}

/// The object as the version asked for shows it; a byte copy whenever that is the stored form.
///
/// # Errors
/// Damaged stored text.
pub fn present(info: &ResourceInfo, body: &bytes::Bytes) -> Result<bytes::Bytes, ApiError> {
    if has_api_version(info, body) {
        return Ok(body.clone());
    }
    let mut object: Value = serde_json::from_slice(body).map_err(ApiError::internal)?;
    alias::from_storage(info, &mut object);
    Ok(serde_json::to_vec(&object).map_err(ApiError::internal)?.into())
}

/// The object as a value in the version asked for.
///
/// # Errors
/// Damaged stored text.
pub fn present_value(info: &ResourceInfo, body: &[u8]) -> Result<Value, ApiError> {
    let mut object: Value = serde_json::from_slice(body).map_err(ApiError::internal)?;
    if !has_api_version(info, body) {
        alias::from_storage(info, &mut object);
    }
    Ok(object)
}

/// Canonical text has its keys sorted, so `apiVersion` is always first.
fn has_api_version(info: &ResourceInfo, body: &[u8]) -> bool {
    let expected = info.api_version();
    body.strip_prefix(b"{\"apiVersion\":\"".as_slice())
        .and_then(|rest| rest.strip_prefix(expected.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"\""))
}
