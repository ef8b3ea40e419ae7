//! Create: defaults, admission, metadata, validation, then one conditional write. Source: spec 10 §4.1.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{services, strategy};
use crate::{
    admission,
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        status::ApiError,
    },
    semantics::{alias, defaults, validation},
    store::{Durability, Key, StoreError, Stored, writer::Tx},
};

/// Tries for a free generated name.
const NAME_TRIES: usize = 8;
/// How long events are kept, in seconds. Source: spec 10 §10.13.
const EVENT_TTL: i64 = 3600;

/// Why a conditional write did not happen.
pub(super) enum Refused {
    /// The object exists (create) or moved (update); the caller decides.
    Moved,
    /// Final.
    Error(ApiError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl Api {
    /// Creates an object given in the target's version, already decoded.
    ///
    /// # Errors
    /// Whatever the client has to know: 400, 403, 404 (namespace), 409, 422.
    pub async fn create(&self, context: &WriteContext, target: &Target, object: Value) -> Result<Stored, ApiError> {
        let mut object = object;
        if !meta::field(&object, "resourceVersion").is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        meta::match_url(&target.info, &mut object, &target.ns, &target.name)?;
        alias::to_storage(&target.info, &mut object);
        defaults::apply_defaults(&target.storage, &mut object);
        let base = meta::field(&object, "generateName").to_owned();
        let generated = meta::name(&object).is_empty() && !base.is_empty();
        if generated {
            meta::metadata_mut(&mut object).insert("name".into(), meta::generated_name(&base).into());
        }
        let now = Timestamp::now();
        meta::prepare_create(&target.storage, &mut object, &uuid::Uuid::new_v4().to_string(), now);
        strategy::prepare_create(&target.storage, &mut object, context, now);
        admission::create(self, context, target, &mut object).await?;
        if target.info.is("apiextensions.k8s.io", "customresourcedefinitions") {
            super::definitions::establish(&self.registry.snapshot(), &mut object, now);
        }
        if meta::name(&object).is_empty() {
            let text = "Required value: name or generateName is required";
            return Err(ApiError::invalid_field(&target.info, "", "metadata.name", text));
        }
        validation::validate_create(&target.storage, &object)
            .map_err(|invalid| ApiError::invalid(&target.info, meta::name(&object), &invalid))?;
        for _ in 0..NAME_TRIES {
            let name = meta::name(&object).to_owned();
            match self.insert(context, target, &name, object.clone(), now).await {
                Ok(stored) => {
                    if !context.dry_run {
                        let value = stored.value()?;
                        self.after_write(target, &name, Some(&value)).await;
                    }
                    return Ok(stored);
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Moved) if generated => {
                    meta::metadata_mut(&mut object).insert("name".into(), meta::generated_name(&base).into());
                }
                Err(Refused::Moved) => return Err(ApiError::already_exists(&target.info, &name)),
            }
        }
        Err(ApiError::already_exists(&target.info, meta::name(&object)))
    }

    async fn insert(
        &self,
        context: &WriteContext,
        target: &Target,
        name: &str,
        mut object: Value,
        now: Timestamp,
    ) -> Result<Stored, Refused> {
        let key = target.key_of(name);
        let namespaces = self.store.resource("", "namespaces").await?;
        let range = self.facts.service_range;
        let dry_run = context.dry_run;
        let durability = strategy::durability(&target.storage);
        let target = target.clone();
        self.store
            .write(durability, move |tx| {
                if tx.get(&key)?.is_some() {
                    return Err(Refused::Moved);
                }
                if target.info.namespaced {
                    check_namespace(tx, &Key::new(namespaces, "", key.ns.clone()), &target, &key.name)?;
                }
                if target.storage.is("", "services") {
                    services::allocate(tx, range, None, &mut object)?;
                }
                if dry_run {
                    let body = serde_json::to_vec(&object).map_err(StoreError::Body)?.into();
                    return Err(Refused::Error(dry(&Stored { ns: key.ns, name: key.name, rev: 0, body })));
                }
                let stored = if target.storage.is("", "events") {
                    tx.put_expiring(&key, object, now.as_second() + EVENT_TTL)?
                } else {
                    tx.put(&key, object)?
                };
                Ok(stored)
            })
            .await
            .or_else(undry)
    }
}

/// A dry run must leave the transaction through its error path so that nothing stays; the result travels along.
pub(super) fn dry(stored: &Stored) -> ApiError {
    let text = String::from_utf8_lossy(&stored.body).into_owned();
    ApiError::new(0, "", text).with_details(json!({"ns": stored.ns, "name": stored.name}))
}

/// The other half of [`dry`].
pub(super) fn undry(refused: Refused) -> Result<Stored, Refused> {
    match refused {
        Refused::Error(error) if error.code == 0 => {
            let part =
                |field: &str| error.details.as_ref().and_then(|d| d[field].as_str()).unwrap_or_default().to_owned();
            Ok(Stored { ns: part("ns"), name: part("name"), rev: 0, body: error.message.into_bytes().into() })
        }
        other => Err(other),
    }
}

fn check_namespace(tx: &Tx<'_>, key: &Key, target: &Target, name: &str) -> Result<(), Refused> {
    let Some(stored) = tx.get(key)? else {
        let message = format!("namespaces \"{}\" not found", key.name);
        let details = json!({"name": key.name, "kind": "namespaces"});
        return Err(ApiError::new(404, "NotFound", message).with_details(details).into());
    };
    let namespace = stored.value()?;
    if meta::is_deleting(&namespace) || namespace["status"]["phase"] == "Terminating" {
        let cause = format!("unable to create new content in namespace {} because it is being terminated", key.name);
        let mut error = ApiError::forbidden(&target.info, name, &cause);
        if let Some(details) = error.details.as_mut() {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {} is being terminated", key.name),
                "field": "metadata.namespace",
            }]);
        }
        return Err(error.into());
    }
    Ok(())
}

impl Api {
    /// Writes an object as it is, without any rule, for the bootstrap of an empty store.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn seed(&self, objects: Vec<(Key, Value)>) -> Result<usize, StoreError> {
        self.store
            .write(Durability::Full, move |tx| {
                let mut written = 0;
                for (key, object) in objects {
                    if tx.get(&key)?.is_none() {
                        tx.put(&key, object)?;
                        written += 1;
                    }
                }
                Ok(written)
            })
            .await
    }
}
