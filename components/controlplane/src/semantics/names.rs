//! Rules for names, labels and keys with the sentences users know. Source: spec 10 §2.3.

/// Why a name breaks its rule; [`NameFault::text`] is the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFault(String);

impl NameFault {
    /// The sentence after `Invalid value: "x": `.
    pub fn text(&self) -> &str {
        &self.0
    }
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

#[expect(clippy::unnecessary_wraps, reason = "every rule returns an Option; so reads `return fault(…)`")]
fn fault(text: impl Into<String>) -> Option<NameFault> {
    Some(NameFault(text.into()))
}

fn too_long(max: usize) -> Option<NameFault> {
    fault(format!("must be no more than {max} bytes"))
}

fn pattern(sentence: &str, examples: &str, regex: &str) -> Option<NameFault> {
    fault(format!("{sentence} (e.g. {examples}, regex used for validation is '{regex}')"))
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| lower(*byte));
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|byte| lower(*byte) || *byte == b'-')
}

/// DNS-1123 label, at most 63 bytes.
pub fn dns_label(text: &str) -> Option<NameFault> {
    if text.len() > 63 {
        return too_long(63);
    }
    if is_label(text) {
        return None;
    }
    pattern(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
        "'my-name',  or '123-abc'",
        LABEL,
    )
}

/// DNS-1123 subdomain, at most 253 bytes.
pub fn dns_subdomain(text: &str) -> Option<NameFault> {
    if text.len() > 253 {
        return too_long(253);
    }
    if text.split('.').all(is_label) {
        return None;
    }
    pattern(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        "'example.com'",
        SUBDOMAIN,
    )
}

/// DNS-1123 subdomain that may start with `*.`: ingress hosts.
pub fn wildcard_dns_subdomain(text: &str) -> Option<NameFault> {
    if text.strip_prefix("*.").is_some_and(|rest| dns_subdomain(rest).is_none()) {
        return None;
    }
    pattern(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        "'*.example.com'",
        &format!("\\*\\.{SUBDOMAIN}"),
    )
}

/// DNS-1035 label, at most 63 bytes: Service names.
pub fn dns_1035_label(text: &str) -> Option<NameFault> {
    if text.len() > 63 {
        return too_long(63);
    }
    if is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    pattern(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        "'my-name',  or 'abc-123'",
        LABEL_1035,
    )
}

/// Anything that can stand between two slashes of a URL path: names of roles and bindings.
pub fn path_segment(text: &str) -> Option<NameFault> {
    match text {
        "." => fault("may not be '.'"),
        ".." => fault("may not be '..'"),
        _ if text.contains('/') => fault("may not contain '/'"),
        _ if text.contains('%') => fault("may not contain '%'"),
        _ => None,
    }
}

/// `[prefix/]name`: label, annotation, finalizer and taint keys, resource names.
pub fn qualified_name(text: &str) -> Option<NameFault> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if name.contains('/') {
        return pattern(
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            "'MyName',  or 'my.name',  or '123-abc'",
            &format!("{QUALIFIED}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName"),
        );
    }
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return fault("prefix part must be non-empty");
        }
        if let Some(NameFault(why)) = dns_subdomain(prefix) {
            return fault(format!("prefix part {why}"));
        }
    }
    if name.is_empty() {
        return fault("name part must be non-empty");
    }
    if name.len() > 63 {
        return fault("name part must be no more than 63 bytes");
    }
    if is_word(name) {
        return None;
    }
    pattern(
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        "'MyName',  or 'my.name',  or '123-abc'",
        QUALIFIED,
    )
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Label value, at most 63 bytes, may be empty.
pub fn label_value(text: &str) -> Option<NameFault> {
    if text.len() > 63 {
        return too_long(63);
    }
    if text.is_empty() || is_word(text) {
        return None;
    }
    pattern(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        "'MyValue',  or 'my_value',  or '12345'",
        &format!("({QUALIFIED})?"),
    )
}

/// Key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Option<NameFault> {
    if text.len() > 253 {
        return too_long(253);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(allowed) {
        return pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "'key.name',  or 'KEY_NAME',  or 'key-name'",
            "[-._a-zA-Z0-9]+",
        );
    }
    match text {
        "." => fault("must not be '.'"),
        ".." => fault("must not be '..'"),
        _ if text.starts_with("..") => fault("must not start with '..'"),
        _ => None,
    }
}

/// Name of an environment variable: printable ASCII without `=`.
pub fn environment_name(text: &str) -> Option<NameFault> {
    if !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=') {
        return None;
    }
    fault("a valid environment variable name must consist only of printable ASCII characters other than '='")
}

/// Name of a container port.
pub fn port_name(text: &str) -> Option<NameFault> {
    let allowed = |byte: u8| lower(byte) || byte == b'-';
    if text.len() > 15 {
        return fault("must be no more than 15 characters");
    }
    if !text.bytes().all(allowed) {
        return fault("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return fault("must contain at least one letter (a-z)");
    }
    if text.contains("--") {
        return fault("must not contain consecutive hyphens");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return fault("must not begin or end with a hyphen");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subdomain_sentence_keeps_its_regex() {
        let fault = dns_subdomain("Bad_Name").unwrap();
        assert_eq!(
            fault.text(),
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        );
        assert_eq!(dns_subdomain("a.b-c.d1"), None);
        assert!(dns_subdomain("a..b").is_some());
        assert!(dns_subdomain(&"a".repeat(254)).is_some());
    }

    #[test]
    fn rules_accept_and_refuse() {
        assert_eq!(dns_label("a1"), None);
        assert!(dns_label("a.b").is_some());
        assert_eq!(dns_1035_label("web"), None);
        assert!(dns_1035_label("1web").is_some());
        assert_eq!(path_segment("system:node"), None);
        assert!(path_segment("a/b").is_some());
        for good in ["a", "example.com/A_b.c", "kubernetes.io/os"] {
            assert_eq!(qualified_name(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "Upper.case/x", "a b"] {
            assert!(qualified_name(bad).is_some(), "{bad}");
        }
        assert_eq!(label_value(""), None);
        assert!(label_value("-x").is_some());
        assert_eq!(config_key(".bashrc"), None);
        assert!(config_key("..data").is_some());
        assert_eq!(port_name("http-2"), None);
        assert!(port_name("80").is_some());
    }
}
