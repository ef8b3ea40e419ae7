//! `--set a.b=c,d[0]=e,f={x,y}`: Helm's syntax for values in a tree. Source: spec 06 §11.2, §11.3.

use api::config::Node;
use thiserror::Error;

/// Why a `--set` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StrvalsError {
    /// No `=`.
    #[error("`{item}` has no value")]
    NoValue {
        /// The assignment.
        item: String,
    },
    /// An empty or damaged path.
    #[error("`{item}` does not start with a path such as a.b[0].c")]
    Path {
        /// The assignment.
        item: String,
    },
}

/// Longest list that an index may make.
const MAX_INDEX: usize = 1024;

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Reads all assignments into one tree.
pub fn parse(values: &[String]) -> Result<Node, StrvalsError> {
    let mut root = Node::map();
    for item in values.iter().flat_map(|value| split(value, ',')) {
        if item.is_empty() {
            continue;
        }
        let Some((path, value)) = cut(&item) else { return Err(StrvalsError::NoValue { item }) };
        let steps = steps(path).ok_or_else(|| StrvalsError::Path { item: item.clone() })?;
        put(&mut root, &steps, read_value(value));
    }
    Ok(root)
}

/// Splits outside of braces, at separators that are not escaped. Escapes stay for the next reader.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut escaped) = (0usize, false);
    for character in text.chars() {
        let plain = !std::mem::replace(&mut escaped, false);
        match character {
            '\\' if plain => escaped = true,
            '{' if plain => depth += 1,
            '}' if plain => depth = depth.saturating_sub(1),
            _ => {}
        }
        match parts.last_mut() {
            Some(last) if !(character == separator && plain && depth == 0) => last.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn cut(item: &str) -> Option<(&str, &str)> {
    item.split_once('=')
}

/// `a.b[0].c` as steps. Paths in the Go programs' field names start with a capital; keys match without regard to
/// case anyway, so only the names that differ are changed here.
fn steps(path: &str) -> Option<Vec<Step>> {
    let go_names = path.starts_with(|first: char| first.is_ascii_uppercase());
    let mut steps = Vec::new();
    for part in split(path.trim(), '.') {
        let (name, mut indices) = part.find('[').map_or((part.as_str(), ""), |at| part.split_at(at));
        let name = unescape(name);
        match name.as_str() {
            "" => return None,
            "TailoredKubeletFlag" | "ContainerRuntimeOptions" if go_names => {}
            "TunnelServer" if go_names => steps.push(Step::Key("server".into())),
            "TLS" if go_names => steps.push(Step::Key("eventBusTLS".into())),
            "ResolverConfig" if go_names => steps.push(Step::Key("resolvConf".into())),
            _ => steps.push(Step::Key(name)),
        }
        while !indices.is_empty() {
            let (index, rest) = indices.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok().filter(|index| *index <= MAX_INDEX)?));
            indices = rest;
        }
    }
    Some(steps)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    out
}

fn read_value(text: &str) -> Node {
    if let Some(list) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let items = if list.is_empty() { Vec::new() } else { split(list, ',') };
        return Node::List(items.iter().map(|item| scalar(item.trim())).collect());
    }
    scalar(text)
}

fn scalar(text: &str) -> Node {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match text {
        "true" => Node::Bool(true),
        "false" => Node::Bool(false),
        "null" => Node::Null,
        _ if digits == "0" || !digits.starts_with('0') => {
            text.parse().map_or_else(|_| Node::Text(unescape(text)), Node::Int)
        }
        _ => Node::Text(unescape(text)),
    }
}

fn put(node: &mut Node, steps: &[Step], value: Node) {
    match steps {
        [] => *node = value,
        [Step::Key(key), rest @ ..] => {
            if !matches!(node, Node::Map(_)) {
                *node = Node::map();
            }
            let Node::Map(entries) = node else { return };
            let index = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                entries.push((key.clone(), Node::Null));
                entries.len() - 1
            });
            put(&mut entries[index].1, rest, value);
        }
        [Step::Index(index), rest @ ..] => {
            if !matches!(node, Node::List(_)) {
                *node = Node::List(Vec::new());
            }
            let Node::List(items) = node else { return };
            if items.len() <= *index {
                items.resize(index + 1, Node::Null);
            }
            put(&mut items[*index], rest, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], yaml: &str) {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        assert_eq!(parse(&values).expect("parses").to_yaml(), yaml);
    }

    #[test]
    fn helm_syntax() {
        check(
            &["modules.edgeStream.enable=true,modules.edged.tailoredKubeletConfig.clusterDNS={169.254.96.16,10.0.0.1}"],
            "modules:\n  edgeStream:\n    enable: true\n  edged:\n    tailoredKubeletConfig:\n      clusterDNS:\n      \
             - 169.254.96.16\n      - 10.0.0.1\n",
        );
        check(&["a[1].b=x"], "a:\n- null\n- b: x\n");
        check(
            &[r"evictionHard.memory\.available=50Mi", r"a=1\,2"],
            "a: 1,2\nevictionHard:\n  memory.available: 50Mi\n",
        );
        check(
            &["a=010", "b=12", "c=-3", "d=", "e=null", "f=x=y"],
            "a: \"010\"\nb: 12\nc: -3\nd: \"\"\ne: null\nf: x=y\n",
        );
    }

    #[test]
    fn go_field_names() {
        check(
            &["Modules.Edged.TailoredKubeletFlag.NodeIP=1.2.3.4", "Modules.EventBus.TLS.Enable=true"],
            "Modules:\n  Edged:\n    NodeIP: 1.2.3.4\n  EventBus:\n    eventBusTLS:\n      Enable: true\n",
        );
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        for text in ["a", "=b", "a..b=c", "a[x]=1", "a[99999999]=1"] {
            assert!(parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
