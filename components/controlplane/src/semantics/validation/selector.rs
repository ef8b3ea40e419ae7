//! Label selectors inside objects.

use serde_json::Value;

use super::report::{Report, items, text};
use crate::semantics::json::Path;
use crate::semantics::names;

/// Checks a `LabelSelector`.
pub(super) fn label_selector(selector: &Value, path: Path<'_>, report: &mut Report) {
    super::metadata::labels(&selector["matchLabels"], path.key("matchLabels"), report);
    let list = path.key("matchExpressions");
    for (index, expression) in items(&selector["matchExpressions"]).iter().enumerate() {
        let at = list.index(index);
        report.name(at.key("key"), text(&expression["key"]), names::qualified_name(text(&expression["key"])));
        let values = items(&expression["values"]);
        match text(&expression["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                report.required(at.key("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                report
                    .forbidden(at.key("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => report.invalid(at.key("operator"), &expression["operator"], "not a valid selector operator"),
        }
    }
}

/// Whether the selector names nothing at all.
pub(super) fn is_empty(selector: &Value) -> bool {
    let absent = |field: &str| selector[field].as_object().is_none_or(serde_json::Map::is_empty);
    absent("matchLabels") && items(&selector["matchExpressions"]).is_empty()
}

/// Whether labels satisfy a `LabelSelector`.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let exact =
        selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact
        && items(&selector["matchExpressions"]).iter().all(|expression| {
            let value = labels.get(text(&expression["key"]));
            let listed = value.is_some_and(|value| items(&expression["values"]).contains(value));
            match text(&expression["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
