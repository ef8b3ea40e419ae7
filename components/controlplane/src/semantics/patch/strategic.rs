//! Strategic merge patch: a merge that knows which lists are sets and which are keyed. Source: spec 10 §5.3.

use serde_json::{Map, Value};

use super::PatchError;
use crate::semantics::schema::{Field, Kind, ListMerge, MessageId, Shape};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// What the schema says about the map being merged.
#[derive(Clone, Copy)]
enum Shaped {
    /// A message with known fields.
    Message(MessageId),
    /// A map of messages.
    MapOf(MessageId),
    /// Nothing known: maps merge, lists are replaced.
    Free,
}

impl Shaped {
    fn of_field(field: Option<&'static Field>) -> Shaped {
        let Some(field) = field else { return Shaped::Free };
        match (field.shape(), field.message()) {
            (Shape::One | Shape::List, Some(message)) => Shaped::Message(message),
            (Shape::Map, Some(message)) => Shaped::MapOf(message),
            (_, None) => Shaped::Free,
        }
    }

    /// The field a key names, and the shape of its value.
    fn child(self, key: &str) -> (Option<&'static Field>, Shaped) {
        match self {
            Shaped::Message(message) => {
                let field = message.field(key);
                (field, Shaped::of_field(field))
            }
            Shaped::MapOf(message) => (None, Shaped::Message(message)),
            Shaped::Free => (None, Shaped::Free),
        }
    }
}

/// Merges `patch` into `current`, an object of the given kind.
pub(super) fn merge(message: MessageId, current: &Value, patch: &Map<String, Value>) -> Result<Value, PatchError> {
    let mut target = current.as_object().cloned().unwrap_or_default();
    merge_map(Shaped::Message(message), &mut target, patch)?;
    Ok(Value::Object(target))
}

fn merge_map(shape: Shaped, target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(word)) => match word.as_str() {
            "replace" => {
                *target = without_directives(patch);
                return Ok(());
            }
            "delete" => {
                target.clear();
                return Ok(());
            }
            "merge" => {}
            _ => return Err(unknown_directive(patch)),
        },
        Some(_) => return Err(unknown_directive(patch)),
    }
    if let Some(retained) = patch.get(RETAIN_KEYS) {
        retain_keys(target, retained, patch)?;
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(ELEMENT_ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_PRIMITIVES) {
            delete_primitives(target, list, value)?;
            continue;
        }
        if value.is_null() {
            target.remove(key);
            continue;
        }
        let (field, inner) = shape.child(key);
        let order = patch.get(&format!("{ELEMENT_ORDER}{key}"));
        merge_value(target, key, field, inner, value, order)?;
    }
    // An order for a list the patch does not change still sorts the list of the server.
    for (key, order) in patch {
        let Some(list) = key.strip_prefix(ELEMENT_ORDER) else { continue };
        if patch.contains_key(list) {
            continue;
        }
        let (field, _) = shape.child(list);
        let merge = field.map_or(ListMerge::Replace, Field::list_merge);
        if let Some(Value::Array(items)) = target.get_mut(list) {
            let all = std::mem::take(items);
            *items = ordered(merge, all, order, list)?;
        }
    }
    Ok(())
}

fn merge_value(
    target: &mut Map<String, Value>,
    key: &str,
    field: Option<&'static Field>,
    inner: Shaped,
    value: &Value,
    order: Option<&Value>,
) -> Result<(), PatchError> {
    match value {
        Value::Object(patch) if !is_opaque(field) => {
            if field.is_some_and(Field::is_replaced) && !patch.contains_key(DIRECTIVE) {
                target.insert(key.to_owned(), value.clone());
                return Ok(());
            }
            let mut merged = match target.remove(key) {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            merge_map(inner, &mut merged, patch)?;
            target.insert(key.to_owned(), Value::Object(merged));
        }
        Value::Array(patch) => {
            let current = match target.remove(key) {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            let merge =
                field.filter(|field| field.shape() == Shape::List).map_or(ListMerge::Replace, Field::list_merge);
            let merged = match merge {
                ListMerge::Replace => plain(patch),
                ListMerge::Set => merge_set(&current, patch, order)?,
                ListMerge::By(name) => merge_keyed(inner, name, &current, patch, order, key)?,
            };
            target.insert(key.to_owned(), Value::Array(merged));
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            target.insert(key.to_owned(), value.clone());
        }
    }
    Ok(())
}

/// Values the schema does not look into.
fn is_opaque(field: Option<&'static Field>) -> bool {
    field.is_some_and(|field| {
        field.shape() == Shape::One && matches!(field.kind(), Kind::Raw | Kind::FieldsV1 | Kind::Json)
    })
}

fn retain_keys(
    target: &mut Map<String, Value>,
    retained: &Value,
    patch: &Map<String, Value>,
) -> Result<(), PatchError> {
    let Some(keys) = retained.as_array() else {
        return Err(PatchError::Malformed("invalid patch format of retainKeys: not a list".to_owned()));
    };
    let listed = |key: &str| keys.iter().any(|listed| listed == key);
    let missing = patch.iter().find(|(key, value)| !value.is_null() && !key.starts_with('$') && !listed(key));
    if let Some((key, _)) = missing {
        return Err(PatchError::Malformed(format!(
            "invalid patch format of retainKeys: {key} is patched but not listed"
        )));
    }
    target.retain(|key, _| listed(key));
    Ok(())
}

fn delete_primitives(target: &mut Map<String, Value>, list: &str, gone: &Value) -> Result<(), PatchError> {
    let Some(gone) = gone.as_array() else {
        return Err(PatchError::Malformed(format!("{DELETE_PRIMITIVES}{list} is not a list")));
    };
    if let Some(Value::Array(items)) = target.get_mut(list) {
        items.retain(|item| !gone.contains(item));
    }
    Ok(())
}

/// Union of primitives: items of the patch that are new come after the server's, then both are put in order.
fn merge_set(current: &[Value], patch: &[Value], order: Option<&Value>) -> Result<Vec<Value>, PatchError> {
    let mut merged = current.to_vec();
    for item in patch {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    let wanted = match order {
        Some(order) => order_items(order, "")?.to_vec(),
        None => patch.to_vec(),
    };
    Ok(sort(merged, &wanted, current, |a, b| a == b))
}

fn merge_keyed(
    inner: Shaped,
    name: &str,
    current: &[Value],
    patch: &[Value],
    order: Option<&Value>,
    list: &str,
) -> Result<Vec<Value>, PatchError> {
    let same = |a: &Value, b: &Value| a.get(name).is_some() && a.get(name) == b.get(name);
    let mut wanted = Vec::new();
    let mut merged = current.to_vec();
    let mut replace = false;
    for element in patch {
        let Value::Object(item) = element else {
            return Err(PatchError::Malformed(format!("items of {list} must be objects")));
        };
        let directive = match item.get(DIRECTIVE) {
            None => "merge",
            Some(Value::String(word)) => word.as_str(),
            Some(_) => return Err(unknown_directive(item)),
        };
        match directive {
            "replace" if item.get(name).is_none() => {
                replace = true;
                continue;
            }
            "merge" | "delete" | "replace" => {}
            _ => return Err(unknown_directive(item)),
        }
        if item.get(name).is_none_or(Value::is_null) {
            return Err(PatchError::Malformed(format!(
                "map: {} does not contain declared merge key: {name}",
                go_map(item)
            )));
        }
        if directive == "delete" {
            merged.retain(|known| !same(known, element));
            continue;
        }
        if let Some(Value::Object(known)) = merged.iter_mut().find(|known| same(known, element)) {
            merge_map(inner, known, item)?;
        } else {
            let mut fresh = Map::new();
            merge_map(inner, &mut fresh, item)?;
            merged.push(Value::Object(fresh));
        }
        wanted.push(element.clone());
    }
    if replace {
        return Ok(plain(patch).into_iter().filter(|item| item.get(name).is_some()).collect());
    }
    if let Some(order) = order {
        wanted = order_items(order, list)?.to_vec();
    }
    Ok(sort(merged, &wanted, current, same))
}

/// Sorts a list the patch leaves alone by its `$setElementOrder`.
fn ordered(merge: ListMerge, items: Vec<Value>, order: &Value, list: &str) -> Result<Vec<Value>, PatchError> {
    let wanted = order_items(order, list)?;
    Ok(match merge {
        ListMerge::Replace => items,
        ListMerge::Set => sort(items.clone(), wanted, &items, |a, b| a == b),
        ListMerge::By(name) => {
            sort(items.clone(), wanted, &items, |a, b| a.get(name).is_some() && a.get(name) == b.get(name))
        }
    })
}

fn order_items<'a>(order: &'a Value, list: &str) -> Result<&'a [Value], PatchError> {
    order
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| PatchError::Malformed(format!("{ELEMENT_ORDER}{list} is not a list")))
}

/// Puts `items` in order: those in `wanted` follow it; the others keep their order among themselves and come first only
/// where they stood before the next wanted item in `server`.
fn sort(items: Vec<Value>, wanted: &[Value], server: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Vec<Value> {
    let (mut listed, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| wanted.iter().any(|order| same(order, item)));
    let place = |item: &Value| wanted.iter().position(|order| same(order, item));
    listed.sort_by_key(place);
    let seat = |item: &Value| server.iter().position(|known| same(known, item));
    let mut result = Vec::with_capacity(listed.len() + others.len());
    let (mut listed, mut others) = (listed.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(next), Some(other)) = (listed.peek(), others.peek()) {
        let other_first = match (seat(other), seat(next)) {
            (Some(other), Some(next)) => other < next,
            _ => false, // what the server did not have comes before what only the server has
        };
        result.extend(if other_first { others.next() } else { listed.next() });
    }
    result.extend(listed);
    result.extend(others);
    result
}

/// A list without the elements that only carry a directive, and without directives inside.
fn plain(items: &[Value]) -> Vec<Value> {
    let directive_only =
        |item: &&Value| item.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(DIRECTIVE));
    items.iter().filter(|item| !directive_only(item)).map(strip).collect()
}

fn without_directives(map: &Map<String, Value>) -> Map<String, Value> {
    let kept = map.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), strip(value))).collect()
}

fn strip(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(without_directives(map)),
        Value::Array(items) => Value::Array(plain(items)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(ELEMENT_ORDER) || key.starts_with(DELETE_PRIMITIVES)
}

fn unknown_directive(map: &Map<String, Value>) -> PatchError {
    let word = map.get(DIRECTIVE).map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned));
    PatchError::Malformed(format!("unknown patch type: {} in map: {}", word.unwrap_or_default(), go_map(map)))
}

/// A map as Go prints it: `map[image:noname]`.
fn go_map(map: &Map<String, Value>) -> String {
    let mut keys: Vec<_> = map.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries: Vec<_> = keys.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
    format!("map[{}]", entries.join(" "))
}
