//! The resources this API server knows: the built-in table and the common description of built-in and custom kinds.
//!
//! Source: spec 10 §2.1 (list), §2.5 (create-on-update, unconditional update), §4.1 (generation), §6 (custom resources).

mod builtin;

use std::borrow::Cow;

use serde_json::Value;

use super::schema;

pub(super) use builtin::SCALE;
pub use builtin::builtin;

/// Text that is `'static` for built-in kinds and owned for custom ones.
pub type Text = Cow<'static, str>;

/// One request verb of a resource, as discovery spells it.
pub type Verb = &'static str;

/// All verbs of an ordinary stored resource, in discovery order.
pub const STANDARD_VERBS: &[Verb] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Verbs of `status` and `scale` subresources.
pub const PART_VERBS: &[Verb] = &["get", "patch", "update"];

/// A row of the built-in table. Source: spec 10 §2.1.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a resource, each named by the API")]
pub struct Resource {
    /// API group, empty for the legacy core group.
    pub group: &'static str,
    /// Served version.
    pub version: &'static str,
    /// Plural, lower case: the path segment.
    pub plural: &'static str,
    /// Singular, lower case.
    pub singular: &'static str,
    /// Kind, CamelCase.
    pub kind: &'static str,
    /// Short names `kubectl` accepts.
    pub short_names: &'static [&'static str],
    /// Categories such as `all`.
    pub categories: &'static [&'static str],
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Verbs on the main URLs.
    pub verbs: &'static [Verb],
    /// Subresources in discovery order.
    pub subresources: &'static [Subresource],
    /// PUT of an absent object creates it.
    pub create_on_update: bool,
    /// PUT without `metadata.resourceVersion` is allowed.
    pub unconditional_update: bool,
    /// `metadata.generation` is kept.
    pub generation: bool,
    /// Version in which objects are stored, when this row is an alias: (group, version).
    pub stored_as: Option<(&'static str, &'static str)>,
    /// Name of the message in the schema table, for example `core.v1.Pod`.
    pub message: &'static str,
}

/// One subresource of a resource, as discovery lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subresource {
    /// Last path segment, for example `status`.
    pub name: &'static str,
    /// Kind of its bodies; empty for the resource's own.
    pub kind: &'static str,
    /// Group and version of that kind when they differ from the resource's own.
    pub foreign: Option<(&'static str, &'static str)>,
    /// Verbs of the subresource.
    pub verbs: &'static [Verb],
}

/// Everything request handling must know about one served group/version/resource, built-in or custom.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a resource, each named by the API")]
pub struct ResourceInfo {
    /// API group, empty for core.
    pub group: Text,
    /// Served version.
    pub version: Text,
    /// Plural, lower case.
    pub plural: Text,
    /// Singular, lower case.
    pub singular: Text,
    /// Kind, CamelCase.
    pub kind: Text,
    /// Kind of the list, usually `<Kind>List`.
    pub list_kind: Text,
    /// Short names.
    pub short_names: Vec<Text>,
    /// Categories such as `all`.
    pub categories: Vec<Text>,
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Verbs on the main URLs; `["create"]` alone marks reviews and bindings, which are never stored.
    pub verbs: &'static [Verb],
    /// Subresources in discovery order.
    pub subresources: Vec<Subresource>,
    /// `/status` exists: the main URL ignores status and the reverse.
    pub has_status: bool,
    /// `/scale` exists.
    pub has_scale: bool,
    /// PUT of an absent object creates it.
    pub create_on_update: bool,
    /// PUT without `metadata.resourceVersion` is allowed.
    pub unconditional_update: bool,
    /// `metadata.generation` is kept.
    pub has_generation: bool,
    /// Group in which objects are stored (differs from `group` for aliases).
    pub storage_group: Text,
    /// Version in which objects are stored (differs from `version` for aliases and non-storage versions of CRDs).
    pub storage_version: Text,
    /// Message in the schema table; `None` for custom resources.
    pub message: Option<schema::MessageId>,
    /// What only custom resources have; `None` for built-in kinds.
    pub custom: Option<Custom>,
}

/// The part of a CRD version that request handling needs. Source: spec 10 §6.
#[derive(Debug, Clone, Default)]
pub struct Custom {
    /// Name of the CustomResourceDefinition, `<plural>.<group>`.
    pub definition: String,
    /// `openAPIV3Schema` as JSON; `None` accepts every field.
    pub schema: Option<Value>,
    /// `additionalPrinterColumns` as JSON objects, in order.
    pub printer_columns: Vec<Value>,
    /// Paths of the scale subresource, if it exists.
    pub scale: Option<ScalePaths>,
    /// `selectableFields` paths, for example `.spec.color`.
    pub selectable_fields: Vec<String>,
    /// Warning for clients of a deprecated version.
    pub deprecation_warning: Option<String>,
}

/// JSON paths of a custom resource's scale subresource, with a leading dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// Where the wished replicas are, for example `.spec.replicas`.
    pub spec_replicas: String,
    /// Where the observed replicas are.
    pub status_replicas: String,
    /// Where the serialised label selector is, if declared.
    pub label_selector: Option<String>,
}

impl ResourceInfo {
    /// `v1` for core, `group/version` for the rest: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        join_group_version(&self.group, &self.version)
    }

    /// `apiVersion` under which its objects are stored.
    pub fn storage_api_version(&self) -> String {
        join_group_version(&self.storage_group, &self.storage_version)
    }

    /// `plural` for core, `plural.group` for the rest: the name error messages use.
    pub fn qualified_plural(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Kind` for core, `Kind.group` for the rest: the name validation messages use.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_string() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Whether the verb is served on the main URLs.
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// Whether this is a custom resource.
    pub fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// Whether it is exactly this built-in group and plural.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// One description per served version of a CRD.
    ///
    /// The definition must have passed [`super::validation::validate_create`]; what is missing is left out.
    pub fn from_crd(definition: &Value) -> Vec<ResourceInfo> {
        super::crd::resources_of(definition)
    }
}

impl From<&'static Resource> for ResourceInfo {
    fn from(row: &'static Resource) -> Self {
        let (storage_group, storage_version) = row.stored_as.unwrap_or((row.group, row.version));
        ResourceInfo {
            group: row.group.into(),
            version: row.version.into(),
            plural: row.plural.into(),
            singular: row.singular.into(),
            kind: row.kind.into(),
            list_kind: format!("{}List", row.kind).into(),
            short_names: row.short_names.iter().map(|name| Cow::Borrowed(*name)).collect(),
            categories: row.categories.iter().map(|name| Cow::Borrowed(*name)).collect(),
            namespaced: row.namespaced,
            verbs: row.verbs,
            subresources: row.subresources.to_vec(),
            has_status: row.subresources.iter().any(|sub| sub.name == "status"),
            has_scale: row.subresources.iter().any(|sub| sub.name == "scale"),
            create_on_update: row.create_on_update,
            unconditional_update: row.unconditional_update,
            has_generation: row.generation,
            storage_group: storage_group.into(),
            storage_version: storage_version.into(),
            message: schema::find(row.message),
            custom: None,
        }
    }
}

/// `version` for the core group, else `group/version`.
pub fn join_group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits an `apiVersion` into group (empty for core) and version.
pub fn split_group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

#[cfg(test)]
mod tests;
