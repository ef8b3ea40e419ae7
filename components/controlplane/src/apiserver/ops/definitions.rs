//! CustomResourceDefinitions: accepted in the transaction that creates them, emptied before they go. Source: spec 10 §6.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    apiserver::{
        api::{Api, Target, WriteContext},
        meta,
        ops::{
            delete::{DeleteOptions, Propagation},
            strategy::Part,
        },
        registry::{EXTENSIONS, Snapshot},
        selectors::Selector,
        status::ApiError,
    },
    semantics::resources::ResourceInfo,
};

/// Keeps a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Sets `status` of a new or changed definition: accepted names, stored versions and conditions.
pub fn establish(served: &Snapshot, definition: &mut Value, now: Timestamp) {
    let conflict = name_conflict(served, definition);
    let names = definition["spec"]["names"].clone();
    let storage: Vec<String> = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .filter_map(|version| version["name"].as_str().map(str::to_owned))
        .collect();
    let mut stored: Vec<String> =
        serde_json::from_value(definition["status"]["storedVersions"].clone()).unwrap_or_default();
    for version in storage {
        if !stored.contains(&version) {
            stored.push(version);
        }
    }
    let old = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> =
        old.iter().filter(|c| !matches!(c["type"].as_str(), Some("NamesAccepted" | "Established"))).cloned().collect();
    let mut condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let since = old
            .iter()
            .find(|c| c["type"] == kind && c["status"] == status)
            .map_or_else(|| meta::time(now).into(), |c| c["lastTransitionTime"].clone());
        conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
        }));
    };
    match &conflict {
        None => {
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found");
            let message = "the initial names have been accepted";
            condition("Established", "True", "InitialNamesAccepted", message);
        }
        Some((reason, message)) => {
            condition("NamesAccepted", "False", reason, message);
            condition("Established", "False", "NotAccepted", "not all names are accepted");
        }
    }
    let accepted = if conflict.is_none() { names } else { json!({"plural": "", "kind": ""}) };
    definition["status"] = json!({"acceptedNames": accepted, "storedVersions": stored, "conditions": conditions});
}

fn name_conflict(served: &Snapshot, definition: &Value) -> Option<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, names) = (text(&definition["spec"]["group"]), &definition["spec"]["names"]);
    let own = meta::name(definition);
    let others = || {
        served
            .resources
            .iter()
            .filter(|info| info.group == group && info.custom.as_ref().is_none_or(|custom| custom.definition != own))
    };
    let taken = |name: &str| {
        !name.is_empty()
            && others().any(|info| {
                info.plural == name || info.singular == name || info.short_names.iter().any(|short| short == name)
            })
    };
    let kind_taken = |kind: &str| !kind.is_empty() && others().any(|info| info.kind == kind || info.list_kind == kind);
    let in_use = |name: &str| format!("{name:?} is already in use");
    let (plural, singular) = (text(&names["plural"]), text(&names["singular"]));
    if taken(&plural) {
        return Some(("PluralConflict", in_use(&plural)));
    }
    if taken(&singular) {
        return Some(("SingularConflict", in_use(&singular)));
    }
    let short = names["shortNames"].as_array().into_iter().flatten().map(text).find(|short| taken(short));
    if let Some(short) = short {
        return Some(("ShortNamesConflict", in_use(&short)));
    }
    let (kind, list) = (text(&names["kind"]), text(&names["listKind"]));
    if kind_taken(&kind) {
        return Some(("KindConflict", in_use(&kind)));
    }
    kind_taken(&list).then(|| ("ListKindConflict", in_use(&list)))
}

impl Api {
    /// Before a definition is deleted: its objects go first, and while some have finalizers the definition waits.
    pub(super) async fn empty_definition(&self, context: &WriteContext, target: &Target) -> Result<(), ApiError> {
        let snapshot = self.registry.snapshot();
        let custom = snapshot.resources.iter().find(|info| defines(info, &target.name));
        let Some(info) = custom else { return Ok(()) };
        let objects = self.target_of(&snapshot, info, "", "").await?;
        if self.store.count(objects.rk, None).await? == 0 {
            return Ok(());
        }
        let now = meta::time(Timestamp::now());
        self.change(context, target, Part::Whole, |old| {
            let mut new = old.clone();
            let mut finalizers = meta::finalizers(old);
            if !finalizers.contains(&CLEANUP) && !meta::is_deleting(old) {
                finalizers.push(CLEANUP);
                let finalizers = json!(finalizers);
                meta::metadata_mut(&mut new).insert("finalizers".into(), finalizers);
            }
            let terminating = json!({
                "type": "Terminating", "status": "True", "reason": "InstanceDeletionInProgress",
                "message": "CustomResource deletion is in progress", "lastTransitionTime": now,
            });
            if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
                conditions.retain(|c| c["type"] != "Terminating");
                conditions.push(terminating);
            }
            Ok(new)
        })
        .await?;
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        Box::pin(self.delete_collection(context, &objects, &Selector::default(), &options)).await?;
        self.release_definition(context, target, &objects).await
    }

    /// Removes the cleanup finalizer once no object is left.
    async fn release_definition(
        &self,
        context: &WriteContext,
        definition: &Target,
        objects: &Target,
    ) -> Result<(), ApiError> {
        if self.store.count(objects.rk, None).await? > 0 {
            return Ok(());
        }
        let released = self
            .change(context, definition, Part::Whole, |old| {
                let mut new = old.clone();
                let left: Vec<&str> = meta::finalizers(old).into_iter().filter(|f| *f != CLEANUP).collect();
                let left = json!(left);
                let metadata = meta::metadata_mut(&mut new);
                if left == json!([]) {
                    metadata.remove("finalizers");
                } else {
                    metadata.insert("finalizers".into(), left);
                }
                Ok(new)
            })
            .await;
        match released {
            Err(error) if error.code != 404 => Err(error),
            _ => Ok(()),
        }
    }

    /// After an object of a custom resource went: its definition may have waited for that.
    pub(in crate::apiserver) async fn finish_definition(&self, objects: &Target) {
        let Some(custom) = &objects.info.custom else { return };
        let name = &custom.definition;
        let Ok(target) = self.builtin(EXTENSIONS, "customresourcedefinitions", "", name).await else { return };
        let Ok(Some(definition)) = self.find(&target).await else { return };
        if meta::is_deleting(&definition) {
            let context = WriteContext::in_process("system:serviceaccount:kube-system:crd-cleanup");
            if let Err(error) = self.release_definition(&context, &target, objects).await {
                tracing::warn!(error = %error, definition = %name, "custom resource definition not released");
            }
        }
    }
}

fn defines(info: &ResourceInfo, definition: &str) -> bool {
    info.custom.as_ref().is_some_and(|custom| custom.definition == definition)
}
