//! Update and patch: read, compute, write if nothing moved, otherwise again. Source: spec 10 §3.3, §4.2, §5.1.

use serde_json::Value;

use super::{
    create::{Refused, dry, undry},
    services,
    strategy::{self, Part},
};
use crate::{
    admission,
    apiserver::{
        api::{Api, Target, WriteContext, present_value},
        meta,
        status::ApiError,
    },
    semantics::{
        alias,
        decode::{self, FieldValidation},
        defaults,
        patch::{self, PatchType},
        validation,
    },
    store::{Durability, StoreError, Stored},
};

/// Rounds before a write that keeps losing the race gives up.
const TRIES: usize = 8;

/// Options of a PUT.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// Which part of the object is written.
    pub part: Part,
    /// Whether a missing `metadata.resourceVersion` is an error for kinds that insist on it.
    pub is_put: bool,
}

/// A patch as received.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// Its type.
    pub kind: PatchType,
    /// The body.
    pub body: &'a [u8],
    /// What happens to unknown fields.
    pub field_validation: FieldValidation,
    /// Which part of the object may change.
    pub part: Part,
}

enum Attempt {
    Unchanged,
    Put,
    Remove,
}

impl Api {
    /// Replaces an object by `object`, given in the target's version, already decoded.
    ///
    /// # Errors
    /// 404, 409 when its resourceVersion is not the current one, 422, admission errors.
    pub async fn update(
        &self,
        context: &WriteContext,
        target: &Target,
        object: Value,
        options: UpdateOptions,
    ) -> Result<Stored, ApiError> {
        let mut object = object;
        meta::match_url(&target.info, &mut object, &target.ns, &target.name)?;
        alias::to_storage(&target.info, &mut object);
        let conditional = !meta::field(&object, "resourceVersion").is_empty();
        if options.is_put && !conditional && !target.info.unconditional_update {
            let text = "Invalid value: 0x0: must be specified for an update";
            return Err(ApiError::invalid_field(&target.info, &target.name, "metadata.resourceVersion", text));
        }
        self.change(context, target, options.part, |_| Ok(object.clone())).await
    }

    /// Applies a patch; also returns warnings about unknown fields.
    ///
    /// # Errors
    /// 404, 409 for a resourceVersion in the patch that is not the current one, 415, 422, admission errors.
    pub async fn patch(
        &self,
        context: &WriteContext,
        target: &Target,
        patch: Patch<'_>,
    ) -> Result<(Stored, Vec<String>), ApiError> {
        let mut warnings = Vec::new();
        let stored = self
            .change(context, target, patch.part, |old| {
                let body = serde_json::to_vec(old).map_err(ApiError::internal)?;
                let current = present_value(&target.info, &body)?;
                let patched = patch::apply_patch(&target.info, patch.kind, &current, patch.body)?;
                let decoded =
                    decode::decode_value(patched, &target.info, patch.field_validation).map_err(|error| match error
                        .status()
                    {
                        400 if patch.field_validation != FieldValidation::Strict => {
                            let text = format!("Invalid value: {error}");
                            ApiError::invalid_field(&target.info, &target.name, "patch", &text)
                        }
                        _ => error.into(),
                    })?;
                warnings = decoded.warnings;
                let mut object = decoded.object;
                if meta::name(&object) != target.name {
                    let text = format!("Invalid value: {:?}: field is immutable", meta::name(&object));
                    return Err(ApiError::invalid_field(&target.info, &target.name, "metadata.name", &text));
                }
                meta::match_url(&target.info, &mut object, &target.ns, &target.name)?;
                alias::to_storage(&target.info, &mut object);
                Ok(object)
            })
            .await?;
        Ok((stored, warnings))
    }

    /// Computes a new state from the current one until it can be written. `compute` gets and returns the storage version;
    /// a resourceVersion in its result that is not the current one is a conflict.
    ///
    /// # Errors
    /// 404 and whatever the rules of an update find.
    pub async fn change(
        &self,
        context: &WriteContext,
        target: &Target,
        part: Part,
        mut compute: impl FnMut(&Value) -> Result<Value, ApiError> + Send,
    ) -> Result<Stored, ApiError> {
        for _ in 0..TRIES {
            let current = self.get(target).await?;
            let old = current.value()?;
            let submitted = compute(&old)?;
            let asked = meta::field(&submitted, "resourceVersion");
            if !asked.is_empty() && asked != "0" && asked != current.rev.to_string() {
                return Err(ApiError::modified(&target.info, &target.name));
            }
            let (new, attempt) = self.next_state(context, target, part, &old, submitted).await?;
            match self.replace(context, target, &current, &old, new, attempt).await {
                Ok(stored) => return Ok(stored),
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Moved) => {}
            }
        }
        Err(ApiError::modified(&target.info, &target.name))
    }

    async fn next_state(
        &self,
        context: &WriteContext,
        target: &Target,
        part: Part,
        old: &Value,
        submitted: Value,
    ) -> Result<(Value, Attempt), ApiError> {
        let mut new = strategy::merge(&target.storage, part, old, submitted);
        defaults::apply_defaults(&target.storage, &mut new);
        meta::prepare_update(&target.info, old, &mut new)?;
        if target.storage.is("", "services") {
            services::carry_over(old, &mut new);
        }
        admission::update(self, context, target, part, old, &mut new).await?;
        if target.info.is("apiextensions.k8s.io", "customresourcedefinitions") && part == Part::Main {
            super::definitions::establish(&self.registry.snapshot(), &mut new, jiff::Timestamp::now());
        }
        if strategy::changes_generation(&target.storage, old, &new) {
            meta::bump_generation(&mut new);
        }
        if meta::same_content(old, &new) {
            return Ok((new, Attempt::Unchanged));
        }
        if part != Part::Whole {
            validation::validate_update(&target.storage, old, &new)
                .map_err(|invalid| ApiError::invalid(&target.info, &target.name, &invalid))?;
        }
        let attempt = if is_finished(&target.storage, &new) { Attempt::Remove } else { Attempt::Put };
        Ok((new, attempt))
    }

    async fn replace(
        &self,
        context: &WriteContext,
        target: &Target,
        current: &Stored,
        old: &Value,
        new: Value,
        attempt: Attempt,
    ) -> Result<Stored, Refused> {
        if matches!(attempt, Attempt::Unchanged) {
            return Ok(current.clone());
        }
        let removes = matches!(attempt, Attempt::Remove);
        let durability = if strategy::is_heartbeat(&target.storage, old, &new) {
            Durability::Relaxed
        } else {
            strategy::durability(&target.storage)
        };
        let (key, revision, dry_run) = (target.key(), current.rev, context.dry_run);
        let range = self.facts.service_range;
        let (in_tx, before) = (target.clone(), old.clone());
        let stored = self
            .store
            .write(durability, move |tx| {
                if tx.get(&key)?.is_none_or(|now| now.rev != revision) {
                    return Err(Refused::Moved);
                }
                let mut new = new;
                if in_tx.storage.is("", "services") {
                    services::allocate(tx, range, Some(&before), &mut new)?;
                }
                if dry_run {
                    let body = serde_json::to_vec(&new).map_err(StoreError::Body)?.into();
                    return Err(Refused::Error(dry(&Stored { ns: key.ns, name: key.name, rev: 0, body })));
                }
                if removes {
                    if in_tx.storage.is("", "services") {
                        services::release(tx, &before)?;
                    }
                    return tx.delete_with(&key, new)?.ok_or(Refused::Moved);
                }
                Ok(tx.put(&key, new)?)
            })
            .await
            .or_else(undry)?;
        if !dry_run {
            let value = stored.value()?;
            self.after_write(target, &target.name, (!removes).then_some(&value)).await;
        }
        Ok(stored)
    }
}

/// Whether nothing keeps an object whose deletion has begun.
pub fn is_finished(info: &crate::semantics::resources::ResourceInfo, object: &Value) -> bool {
    let waits_for_node = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    let namespace_content = info.is("", "namespaces")
        && object["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
    meta::is_deleting(object) && meta::finalizers(object).is_empty() && !waits_for_node && !namespace_content
}
