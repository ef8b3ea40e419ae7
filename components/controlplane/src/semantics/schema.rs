//! The schema table: the shape of every built-in kind, as constants. Source: spec 10 §0 D3.
//!
//! The facts are in `schema/kubernetes.txt` (its header explains the format and where they come from); the build script
//! compiles them into the tables included below. One table drives protobuf decoding, unknown-field detection, pruning
//! of zero values, strategic merge patches and OpenAPI.

include!(concat!(env!("OUT_DIR"), "/kubernetes.rs"));

/// A message in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId(u16);

/// What kind of value a field (or each of its items) has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// 64-bit floating point.
    Double,
    /// Bytes, base64 in JSON.
    Bytes,
    /// Resource quantity, text in JSON.
    Quantity,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 with six fraction digits.
    MicroTime,
    /// Integer or text.
    IntOrString,
    /// Any JSON object, carried as bytes in protobuf.
    Raw,
    /// `fieldsV1` of managed fields.
    FieldsV1,
    /// A list of texts that is its own message in protobuf (`ExtraValue`).
    Strings,
    /// Any JSON value, carried as text in protobuf (CRD `default`, `enum`, `example`).
    Json,
    /// Schema, or list of schemas (CRD `items`).
    SchemaOrArray,
    /// Schema, or boolean (CRD `additionalProperties`).
    SchemaOrBool,
    /// Schema, or list of texts (CRD `dependencies`).
    SchemaOrStrings,
    /// The message of [`Field::message`].
    Message,
}

/// How often the value of a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// At most once.
    One,
    /// List of values.
    List,
    /// Map from text to values.
    Map,
}

/// How a strategic merge patch treats a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMerge {
    /// Replaced whole.
    Replace,
    /// Set of primitives: union.
    Set,
    /// List of maps, merged by this key.
    By(&'static str),
}

struct MessageRow {
    name_at: u16,
    name_len: u8,
    flags: u8,
    first: u16,
    count: u8,
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    name_at: u16,
    name_len: u8,
    number: u8,
    shape: Shape,
    kind: Kind,
    message: MessageId,
    bits: u8,
    merge: u8,
    list: u8,
}

impl Field {
    /// JSON name; `-` for inline fields.
    pub fn name(&self) -> &'static str {
        text(self.name_at, self.name_len)
    }
    /// Protobuf field number.
    pub fn number(&self) -> u32 {
        self.number.into()
    }
    /// Single value, list or map.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Kind of the value or its items.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Message of the value or its items, when the kind is [`Kind::Message`].
    pub fn message(&self) -> Option<MessageId> {
        (self.kind == Kind::Message).then_some(self.message)
    }
    /// A pointer in Go: being present means being set, even to zero.
    pub fn is_pointer(&self) -> bool {
        self.bits & 1 != 0
    }
    /// Written even when zero.
    pub fn is_always(&self) -> bool {
        self.bits & 2 != 0
    }
    /// Listed as required in OpenAPI.
    pub fn is_required(&self) -> bool {
        self.bits & 4 != 0
    }
    /// Its message's fields appear flattened in JSON.
    pub fn is_inline(&self) -> bool {
        self.bits & 8 != 0
    }
    /// Strategic merge patches may carry `$retainKeys` (`x-kubernetes-patch-strategy: retainKeys`).
    pub fn retains_keys(&self) -> bool {
        self.bits & 16 != 0
    }
    /// Strategic merge patches replace this map whole.
    pub fn is_replaced(&self) -> bool {
        self.bits & 32 != 0
    }
    /// Server-side apply treats the map or struct as one value.
    pub fn is_atomic(&self) -> bool {
        self.bits & 64 != 0
    }
    /// How strategic merge patches treat the list.
    pub fn list_merge(&self) -> ListMerge {
        match self.merge {
            0 => ListMerge::Replace,
            1 => ListMerge::Set,
            at => KEYS.get(usize::from(at) - 3).map_or(ListMerge::Replace, |key| ListMerge::By(key)),
        }
    }
    /// `x-kubernetes-list-type`, and for maps the keys, comma separated.
    pub fn list_type(&self) -> Option<(&'static str, &'static str)> {
        match self.list {
            0 => None,
            1 => Some(("atomic", "")),
            2 => Some(("set", "")),
            at => KEYS.get(usize::from(at) - 3).map(|keys| ("map", *keys)),
        }
    }
}

impl MessageId {
    fn row(self) -> &'static MessageRow {
        &MESSAGES[usize::from(self.0)]
    }
    /// Name in the table, for example `core.v1.Pod`.
    pub fn name(self) -> &'static str {
        text(self.row().name_at, self.row().name_len)
    }
    /// Name without group and version, for example `Pod`.
    pub fn kind(self) -> &'static str {
        self.name().rsplit('.').next().unwrap_or_default()
    }
    /// Carries `apiVersion` and `kind`.
    pub fn is_root(self) -> bool {
        self.row().flags & 1 != 0
    }
    /// Server-side apply treats the struct as one value.
    pub fn is_atomic(self) -> bool {
        self.row().flags & 2 != 0
    }
    /// The fields in protobuf order, inline ones not expanded.
    pub fn fields(self) -> &'static [Field] {
        let first = usize::from(self.row().first);
        &FIELDS[first..first + usize::from(self.row().count)]
    }
    /// The fields as JSON has them: inline messages expanded.
    pub fn json_fields(self) -> JsonFields {
        JsonFields { stack: [self.fields(), &[], &[]], depth: 1 }
    }
    /// The field with this JSON name, also inside inline messages.
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.json_fields().find(|field| field.name() == name)
    }
    /// The field with this protobuf number.
    pub fn numbered(self, number: u32) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.number() == number)
    }
}

/// Iterator over the fields of a message with inline messages expanded.
#[derive(Debug)]
pub struct JsonFields {
    stack: [&'static [Field]; 3],
    depth: usize,
}

impl Iterator for JsonFields {
    type Item = &'static Field;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let top = self.depth.checked_sub(1)?;
            let Some((field, rest)) = self.stack[top].split_first() else {
                self.depth = top;
                continue;
            };
            self.stack[top] = rest;
            if !field.is_inline() {
                return Some(field);
            }
            if self.depth < self.stack.len() {
                self.stack[self.depth] = field.message.fields();
                self.depth += 1;
            }
        }
    }
}

/// Finds a message by name, for example `core.v1.Pod`.
pub fn find(name: &str) -> Option<MessageId> {
    let at = MESSAGES.binary_search_by(|row| text(row.name_at, row.name_len).cmp(name)).ok()?;
    u16::try_from(at).ok().map(MessageId)
}

/// All messages in name order.
pub fn messages() -> impl Iterator<Item = MessageId> {
    (0..MESSAGES.len()).filter_map(|at| u16::try_from(at).ok().map(MessageId))
}

fn text(at: u16, len: u8) -> &'static str {
    let at = usize::from(at);
    &NAMES[at..at + usize::from(len)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_its_budget() {
        let bytes = NAMES.len() + size_of_val(&MESSAGES) + size_of_val(&FIELDS);
        assert!(bytes < 64 * 1024, "{bytes} bytes");
    }

    #[test]
    fn inline_messages_are_flattened_in_json() {
        let volume = find("core.v1.Volume").unwrap();
        let field = volume.field("emptyDir").unwrap();
        assert_eq!(field.message(), find("core.v1.EmptyDirVolumeSource"));
        assert!(field.is_pointer());
        assert!(volume.numbered(2).unwrap().is_inline());
    }

    #[test]
    fn merge_keys_are_those_of_the_specification() {
        let by = |message, field| find(message).unwrap().field(field).unwrap().list_merge();
        assert_eq!(by("core.v1.PodSpec", "containers"), ListMerge::By("name"));
        assert_eq!(by("core.v1.Container", "ports"), ListMerge::By("containerPort"));
        assert_eq!(by("core.v1.ServiceSpec", "ports"), ListMerge::By("port"));
        assert_eq!(by("core.v1.PodSpec", "tolerations"), ListMerge::Replace);
        assert_eq!(by("meta.v1.ObjectMeta", "finalizers"), ListMerge::Set);
        assert_eq!(by("core.v1.NodeSpec", "taints"), ListMerge::Replace);
        assert_eq!(by("core.v1.NodeStatus", "addresses"), ListMerge::By("type"));
    }

    #[test]
    fn every_message_is_found_by_its_name() {
        for message in messages() {
            assert_eq!(find(message.name()), Some(message));
            for field in message.json_fields() {
                assert!(!field.is_inline() && !field.name().is_empty());
            }
        }
    }
}
