//! Delete: preconditions, finalizers, grace, and what is left. Source: spec 10 §4.3.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    create::{Refused, dry, undry},
    services, strategy,
    update::is_finished,
};
use crate::{
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        selectors::Selector,
        status::ApiError,
    },
    semantics::resources::ResourceInfo,
    store::{StoreError, Stored},
};

/// Finalizer of foreground deletion.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of orphaning deletion.
pub const ORPHAN: &str = "orphan";
/// Namespaces nobody may delete.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// What happens to dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The object goes now, dependents later.
    Background,
    /// Dependents first.
    Foreground,
    /// Dependents stay.
    Orphan,
}

/// `DeleteOptions`, from body or query.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`
    pub grace: Option<i64>,
    /// `preconditions.uid`
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`
    pub resource_version: Option<String>,
    /// `propagationPolicy` or the older `orphanDependents`
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Reads decoded options; returns them and whether it is a dry run.
    ///
    /// # Errors
    /// 422 for values that are not allowed.
    pub fn read(options: &Value) -> Result<(Self, bool), ApiError> {
        let orphan = options["orphanDependents"].as_bool();
        let policy = options["propagationPolicy"].as_str();
        let propagation = match (policy, orphan) {
            (Some(_), Some(_)) => {
                let text = format!(
                    "Invalid value: {:?}: orphanDependents and deletionPropagation cannot be both set",
                    policy.unwrap_or_default()
                );
                return Err(ApiError::invalid_options("DeleteOptions", "propagationPolicy", &text));
            }
            (Some("Background"), None) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), None) => Some(Propagation::Foreground),
            (Some("Orphan"), None) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some(other), None) => {
                let text = format!(
                    "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                );
                return Err(ApiError::invalid_options("DeleteOptions", "propagationPolicy", &text));
            }
            (None, None) => None,
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let dry_run = match options["dryRun"].as_array().map(Vec::as_slice) {
            None | Some([]) => false,
            Some([only]) if only == "All" => true,
            Some(_) => {
                let text = format!("Unsupported value: {}: supported values: \"All\"", options["dryRun"]);
                return Err(ApiError::invalid_options("DeleteOptions", "dryRun", &text));
            }
        };
        let read = Self {
            grace: options["gracePeriodSeconds"].as_i64(),
            uid: text(&options["preconditions"]["uid"]),
            resource_version: text(&options["preconditions"]["resourceVersion"]),
            propagation,
        };
        if read.grace.is_some_and(|grace| grace < 0) {
            let text = "Invalid value: must be greater than or equal to 0";
            return Err(ApiError::invalid_options("DeleteOptions", "gracePeriodSeconds", text));
        }
        Ok((read, dry_run))
    }
}

/// What a delete came to.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Stored),
    /// Deletion has begun (or goes on); this is the object.
    Pending(Stored),
}

enum Plan {
    Remove(Value),
    Mark(Value),
    Unchanged,
}

/// Decides what a delete does to the current object.
fn plan(info: &ResourceInfo, current: &Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let mut new = current.clone();
    drop_collector_finalizers(&mut new);
    let grace = grace_seconds(info, current, options);
    if meta::is_deleting(current) {
        let remaining = current["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        if grace >= remaining && !(grace == 0 && is_finished(info, &new)) {
            // A longer or equal grace changes nothing, a change of policy may.
            return if meta::same_content(current, &new) { Plan::Unchanged } else { Plan::Mark(new) };
        }
    }
    let until = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    let namespace = info.is("", "namespaces");
    let metadata = meta::metadata_mut(&mut new);
    metadata.insert("deletionTimestamp".into(), meta::time(until).into());
    if !namespace {
        metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
    }
    if namespace {
        new["status"]["phase"] = "Terminating".into();
    }
    if !meta::is_deleting(current) && info.has_generation {
        meta::bump_generation(&mut new);
    }
    if is_finished(info, &new) { Plan::Remove(current.clone()) } else { Plan::Mark(new) }
}

/// Without a garbage collector here nothing would ever take these finalizers off again, so none is added: an object goes
/// at once and its dependents stay, which is what `Orphan` means and what a later collector can still finish for the rest.
/// One that an object brought along goes with its deletion.
fn drop_collector_finalizers(object: &mut Value) {
    let finalizers: Vec<String> =
        meta::finalizers(object).into_iter().filter(|f| *f != FOREGROUND && *f != ORPHAN).map(str::to_owned).collect();
    let metadata = meta::metadata_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), json!(finalizers));
    }
}

/// Only pods that some node runs get time to stop.
fn grace_seconds(info: &ResourceInfo, object: &Value, options: &DeleteOptions) -> i64 {
    if !info.is("", "pods") {
        return 0;
    }
    let assigned = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !assigned || ended {
        return 0;
    }
    options.grace.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}

impl Api {
    /// Deletes an object or begins to.
    ///
    /// # Errors
    /// 404, 409 for preconditions, 403 for namespaces that must stay.
    pub async fn delete(
        &self,
        context: &WriteContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        if target.info.is("", "namespaces") && IMMORTAL.contains(&target.name.as_str()) {
            return Err(ApiError::forbidden(&target.info, &target.name, "this namespace may not be deleted"));
        }
        if target.info.is("apiextensions.k8s.io", "customresourcedefinitions") && !context.dry_run {
            self.empty_definition(context, target).await?;
        }
        let deleted = self.remove(context, target, options).await?;
        if !context.dry_run {
            match &deleted {
                Deleted::Gone(_) => self.after_write(target, &target.name, None).await,
                Deleted::Pending(stored) => {
                    let value = stored.value()?;
                    self.after_write(target, &target.name, Some(&value)).await;
                }
            }
        }
        Ok(deleted)
    }

    async fn remove(
        &self,
        context: &WriteContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let (asked, options) = (target.clone(), options.clone());
        let (key, dry_run, now) = (target.key(), context.dry_run, Timestamp::now());
        let gone = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_gone = std::sync::Arc::clone(&gone);
        let outcome = self
            .store
            .write(strategy::durability(&target.storage), move |tx| {
                let Some(stored) = tx.get(&key)? else {
                    return Err(Refused::Error(ApiError::not_found(&asked.info, &key.name)));
                };
                let current = stored.value()?;
                check_preconditions(&asked.info, &current, &options)?;
                let (new, removes) = match plan(&asked.storage, &current, &options, now) {
                    Plan::Unchanged => return Ok(stored),
                    Plan::Remove(last) => (last, true),
                    Plan::Mark(new) => (new, false),
                };
                is_gone.store(removes, std::sync::atomic::Ordering::Relaxed);
                if dry_run {
                    let body = serde_json::to_vec(&new).map_err(StoreError::Body)?.into();
                    return Err(Refused::Error(dry(&Stored { ns: key.ns, name: key.name, rev: 0, body })));
                }
                if removes {
                    if asked.storage.is("", "services") {
                        services::release(tx, &current)?;
                    }
                    return tx.delete(&key)?.ok_or(Refused::Moved);
                }
                Ok(tx.put(&key, new)?)
            })
            .await
            .or_else(undry);
        match outcome {
            Ok(stored) if gone.load(std::sync::atomic::Ordering::Relaxed) => Ok(Deleted::Gone(stored)),
            Ok(stored) => Ok(Deleted::Pending(stored)),
            Err(Refused::Error(error)) => Err(error),
            Err(Refused::Moved) => Err(ApiError::not_found(&target.info, &target.name)),
        }
    }

    /// Deletes every selected object of a collection and returns them as they were.
    ///
    /// # Errors
    /// The first error other than 404.
    pub async fn delete_collection(
        &self,
        context: &WriteContext,
        target: &Target,
        selector: &Selector,
        options: &DeleteOptions,
    ) -> Result<Vec<Stored>, ApiError> {
        let ns = (!target.ns.is_empty()).then_some(target.ns.as_str());
        let mut items = self.store.list(target.rk, ns).await?.items;
        items.retain(|item| selector.matches(&target.info, &item.name, &item.ns, &item.body));
        for item in &items {
            let mut one = target.named(&item.name);
            one.ns.clone_from(&item.ns);
            match self.delete(context, &one, options).await {
                Err(error) if error.code != 404 => return Err(error),
                _ => {}
            }
        }
        Ok(items)
    }
}

fn check_preconditions(info: &ResourceInfo, current: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let name = meta::name(current);
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != meta::uid(current)) {
        let cause = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta::uid(current)
        );
        return Err(ApiError::precondition(info, name, &cause));
    }
    let version = meta::field(current, "resourceVersion");
    if let Some(asked) = options.resource_version.as_deref().filter(|asked| *asked != version) {
        let cause = format!(
            "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(ApiError::precondition(info, name, &cause));
    }
    Ok(())
}
