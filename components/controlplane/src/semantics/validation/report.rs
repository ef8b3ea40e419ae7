//! Collecting what is wrong, in the words users know from kube-apiserver. Source: spec 10 §1.3, §2.3.

use std::fmt::Display;

use serde_json::Value;

use super::{Cause, CauseReason, Invalid};
use crate::semantics::names::NameFault;

/// The causes found so far.
#[derive(Debug, Default)]
pub(in crate::semantics) struct Report {
    causes: Vec<Cause>,
}

impl Report {
    pub(in crate::semantics) fn finish(self) -> Result<(), Invalid> {
        if self.causes.is_empty() { Ok(()) } else { Err(Invalid { causes: self.causes }) }
    }

    pub(in crate::semantics) fn into_causes(self) -> Vec<Cause> {
        self.causes
    }

    pub(in crate::semantics) fn extend(&mut self, causes: Vec<Cause>) {
        self.causes.extend(causes);
    }

    fn add(&mut self, reason: CauseReason, field: impl Display, message: String) {
        self.causes.push(Cause { reason, field: field.to_string(), message });
    }

    /// `Required value` or `Required value: why`.
    pub(in crate::semantics) fn required(&mut self, field: impl Display, why: &str) {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.add(CauseReason::Required, field, message);
    }

    /// `Invalid value: 5: why`.
    pub(in crate::semantics) fn invalid(&mut self, field: impl Display, value: &Value, why: impl Display) {
        self.add(CauseReason::Invalid, field, format!("Invalid value: {value}: {why}"));
    }

    /// An update without the version it is based on. The odd number is how kube-apiserver prints its zero.
    pub(in crate::semantics) fn blind_update(&mut self) {
        let message = "Invalid value: 0x0: must be specified for an update".to_owned();
        self.add(CauseReason::Invalid, "metadata.resourceVersion", message);
    }

    /// `Duplicate value: "x"`.
    pub(in crate::semantics) fn duplicate(&mut self, field: impl Display, value: &Value) {
        self.add(CauseReason::Duplicate, field, format!("Duplicate value: {value}"));
    }

    /// `Not found: "x"`.
    pub(in crate::semantics) fn not_found(&mut self, field: impl Display, value: &Value) {
        self.add(CauseReason::NotFound, field, format!("Not found: {value}"));
    }

    /// `Unsupported value: "x": supported values: "A", "B"`.
    pub(in crate::semantics) fn not_supported(&mut self, field: impl Display, value: &Value, supported: &[&str]) {
        let list: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
        let text = format!("Unsupported value: {value}: supported values: {}", list.join(", "));
        self.add(CauseReason::NotSupported, field, text);
    }

    /// `Forbidden: why`.
    pub(in crate::semantics) fn forbidden(&mut self, field: impl Display, why: impl Display) {
        self.add(CauseReason::Forbidden, field, format!("Forbidden: {why}"));
    }

    /// `Too long: must have at most 63 bytes`.
    pub(in crate::semantics) fn too_long(&mut self, field: impl Display, max: usize) {
        self.add(CauseReason::TooLong, field, format!("Too long: must have at most {max} bytes"));
    }

    /// `Too many: 3: must have at most 2 items`.
    pub(in crate::semantics) fn too_many(&mut self, field: impl Display, found: usize, max: usize) {
        self.add(CauseReason::TooMany, field, format!("Too many: {found}: must have at most {max} items"));
    }

    /// A cause of the schema language: the type does not fit.
    pub(in crate::semantics) fn wrong_type(&mut self, field: impl Display, found: &str, why: impl Display) {
        self.add(CauseReason::TypeInvalid, field, format!("Invalid value: {found:?}: {why}"));
    }

    /// A name that breaks its rule.
    pub(in crate::semantics) fn name(&mut self, field: impl Display, value: &str, fault: Option<NameFault>) {
        if let Some(fault) = fault {
            self.invalid(field, &value.into(), fault.text());
        }
    }

    /// One of `supported`; absent or empty is required.
    pub(in crate::semantics) fn one_of(&mut self, field: impl Display, value: &Value, supported: &[&str]) {
        match value.as_str() {
            None | Some("") => self.required(field, ""),
            Some(word) if supported.contains(&word) => {}
            Some(_) => self.not_supported(field, value, supported),
        }
    }

    /// One of `supported`, if present.
    pub(in crate::semantics) fn maybe_one_of(&mut self, field: impl Display, value: &Value, supported: &[&str]) {
        if value.as_str().is_some_and(|word| !word.is_empty()) {
            self.one_of(field, value, supported);
        }
    }

    /// Not less than zero, if present.
    pub(in crate::semantics) fn not_negative(&mut self, field: impl Display, value: &Value) {
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }

    /// Equal to the old value.
    pub(in crate::semantics) fn immutable(&mut self, field: impl Display, old: &Value, new: &Value) {
        if old != new {
            self.invalid(field, new, "field is immutable");
        }
    }
}

/// Items of a list; nothing when it is absent.
pub(in crate::semantics) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Text of a value; empty when it is absent.
pub(in crate::semantics) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
