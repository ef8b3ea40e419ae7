//! Compiles `src/semantics/schema/kubernetes.txt` (the shape of the built-in Kubernetes kinds, format in its header)
//! into constant tables for `semantics::schema`: no parsing and no heap at run time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

const SOURCE: &str = "src/semantics/schema/kubernetes.txt";

struct Message<'a> {
    name: &'a str,
    flags: &'a str,
    fields: Vec<Vec<&'a str>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let text = fs::read_to_string(SOURCE)?;
    let messages = read(&text)?;
    let table = compile(&messages)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("kubernetes.rs"), table)?;
    Ok(())
}

fn read(text: &str) -> Result<Vec<Message<'_>>, Box<dyn Error>> {
    let mut messages: Vec<Message<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(field) = line.strip_prefix(' ') {
            let message = messages.last_mut().ok_or("a field before the first message")?;
            message.fields.push(field.split(' ').collect());
        } else {
            let (name, flags) = line.split_once(' ').unwrap_or((line, ""));
            messages.push(Message { name, flags, fields: Vec::new() });
        }
    }
    if !messages.is_sorted_by(|a, b| a.name < b.name) {
        return Err("messages are not sorted".into());
    }
    Ok(messages)
}

fn compile(messages: &[Message<'_>]) -> Result<String, Box<dyn Error>> {
    let index: BTreeMap<&str, usize> = messages.iter().enumerate().map(|(at, message)| (message.name, at)).collect();
    let mut pool = Pool::default();
    let mut keys: Vec<&str> = Vec::new();
    let (mut rows, mut fields) = (String::new(), String::new());
    let mut first = 0;
    for message in messages {
        let (at, len) = pool.put(message.name)?;
        let count = message.fields.len();
        let flag = |name| u8::from(message.flags.split(' ').any(|flag| flag == name));
        let flags = flag("root") | flag("atomic") << 1;
        writeln!(
            rows,
            "MessageRow {{ name_at: {at}, name_len: {len}, flags: {flags}, first: {first}, count: {count} }},"
        )?;
        first += count;
        for field in &message.fields {
            let row = field_row(field, &index, &mut pool, &mut keys)
                .map_err(|reason| format!("{}: {}: {reason}", message.name, field.join(" ")))?;
            fields.push_str(&row);
        }
    }
    Ok(format!(
        "static NAMES: &str = {:?};\nstatic KEYS: &[&str] = &{keys:?};\nstatic MESSAGES: [MessageRow; {}] = [\n{rows}];\nstatic FIELDS: [Field; {first}] = [\n{fields}];\n",
        pool.text,
        messages.len(),
    ))
}

fn field_row<'a>(
    field: &[&'a str],
    index: &BTreeMap<&str, usize>,
    pool: &mut Pool<'a>,
    keys: &mut Vec<&'a str>,
) -> Result<String, Box<dyn Error>> {
    let [number, name, kind, flags @ ..] = field else { return Err("needs number, name and type".into()) };
    let number: u8 = number.parse()?;
    let (name_at, name_len) = pool.put(name)?;
    let (shape, kind) = match (kind.strip_prefix("[]"), kind.strip_prefix("{}")) {
        (Some(item), _) => ("List", item),
        (_, Some(item)) => ("Map", item),
        _ => ("One", *kind),
    };
    let (kind, message) = match kind {
        "string" => ("String", 0),
        "bool" => ("Bool", 0),
        "int32" => ("Int32", 0),
        "int64" => ("Int64", 0),
        "double" => ("Double", 0),
        "bytes" => ("Bytes", 0),
        "Quantity" | "Time" | "MicroTime" | "IntOrString" | "Raw" | "FieldsV1" | "Strings" | "Json"
        | "SchemaOrArray" | "SchemaOrBool" | "SchemaOrStrings" => (kind, 0),
        other => ("Message", *index.get(other).ok_or("unknown type")?),
    };
    let (mut bits, mut merge, mut list) = (0_u8, 0_usize, 0_usize);
    let mut key = |key: &'a str| {
        let at = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        at + 3
    };
    for flag in flags {
        match flag.split_once('=').unwrap_or((flag, "")) {
            ("ptr", _) => bits |= 1,
            ("always", _) => bits |= 2,
            ("required", _) => bits |= 4,
            ("inline", _) => bits |= 8,
            ("retainKeys", _) => bits |= 16,
            ("replace", _) => bits |= 32,
            ("atomic", _) => bits |= 64,
            ("merge", "") => merge = 1,
            ("merge", name) => merge = key(name),
            ("list", "atomic") => list = 1,
            ("list", "set") => list = 2,
            ("list", names) => list = key(names),
            _ => return Err("unknown flag".into()),
        }
    }
    Ok(format!(
        "Field {{ name_at: {name_at}, name_len: {name_len}, number: {number}, shape: Shape::{shape}, kind: Kind::{kind}, message: MessageId({message}), bits: {bits}, merge: {merge}, list: {list} }},\n"
    ))
}

/// All names in one text, each once.
#[derive(Default)]
struct Pool<'a> {
    text: String,
    known: BTreeMap<&'a str, usize>,
}

impl<'a> Pool<'a> {
    fn put(&mut self, name: &'a str) -> Result<(u16, u8), Box<dyn Error>> {
        let at = *self.known.entry(name).or_insert_with(|| {
            let at = self.text.len();
            self.text.push_str(name);
            at
        });
        Ok((at.try_into()?, name.len().try_into()?))
    }
}
