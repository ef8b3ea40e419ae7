//! Label and field selectors: parsing and matching. Source: spec 10 §2.2.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::status::ApiError;
use crate::semantics::resources::ResourceInfo;

/// A parsed pair of selectors; the default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    test: LabelTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelTest {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldRequirement {
    field: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Parses both selectors for a resource.
    ///
    /// # Errors
    /// 400 with the reference's texts.
    pub fn parse(info: &ResourceInfo, labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiError> {
        let labels = labels.map(parse_labels).transpose()?.unwrap_or_default();
        let fields = fields.map(|text| parse_fields(info, text)).transpose()?.unwrap_or_default();
        Ok(Self { labels, fields })
    }

    /// Parses a label selector alone.
    ///
    /// # Errors
    /// 400 with the reference's texts.
    pub fn labels(text: &str) -> Result<Self, ApiError> {
        Ok(Self { labels: parse_labels(text)?, fields: Vec::new() })
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name a `metadata.name=x` selector allows.
    pub fn single_name(&self) -> Option<&str> {
        self.fields.iter().find(|f| f.field == "metadata.name" && f.equal).map(|f| f.value.as_str())
    }

    /// Whether a stored object is selected; unreadable text is not.
    pub fn matches(&self, info: &ResourceInfo, name: &str, ns: &str, body: &[u8]) -> bool {
        for requirement in &self.fields {
            let known = match requirement.field.as_str() {
                "metadata.name" => name,
                "metadata.namespace" => ns,
                _ => continue,
            };
            if (known == requirement.value) != requirement.equal {
                return false;
            }
        }
        if !self.labels.is_empty() && !self.labels_match(&labels_of(body)) {
            return false;
        }
        let is_key = |f: &FieldRequirement| matches!(f.field.as_str(), "metadata.name" | "metadata.namespace");
        if self.fields.iter().all(is_key) {
            return true;
        }
        let Ok(object) = serde_json::from_slice::<Value>(body) else { return false };
        self.fields.iter().filter(|f| !is_key(f)).all(|requirement| {
            let found = field_values(info, &object, &requirement.field);
            found.contains(&requirement.value) == requirement.equal
        })
    }

    /// Whether a set of labels is selected.
    pub fn labels_match(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match &requirement.test {
                LabelTest::In(values) => value.is_some_and(|v| values.contains(v)),
                LabelTest::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
                LabelTest::Exists => value.is_some(),
                LabelTest::Absent => value.is_none(),
                LabelTest::Greater(limit) => number().is_some_and(|v| v > *limit),
                LabelTest::Less(limit) => number().is_some_and(|v| v < *limit),
            }
        })
    }
}

/// The labels of a stored object.
pub fn labels_of(body: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
    serde_json::from_slice::<Object>(body).map(|object| object.metadata.labels).unwrap_or_default()
}

// --- fields ------------------------------------------------------------------------------------------------------

fn known_fields(info: &ResourceInfo) -> &'static [&'static str] {
    match (info.group.as_ref(), info.plural.as_ref()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
            "spec.host",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase", "name"],
        ("", "secrets") => &["type"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "jobs") => &["status.successful"],
        ("apps", "replicasets") | ("", "replicationcontrollers") => &["status.replicas"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

fn parse_fields(info: &ResourceInfo, text: &str) -> Result<Vec<FieldRequirement>, ApiError> {
    let mut requirements = Vec::new();
    for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
        let (field, value, equal) = if let Some((field, value)) = term.split_once("!=") {
            (field, value, false)
        } else if let Some((field, value)) = term.split_once("==") {
            (field, value, true)
        } else if let Some((field, value)) = term.split_once('=') {
            (field, value, true)
        } else {
            return Err(ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'")));
        };
        let custom = info
            .custom
            .as_ref()
            .is_some_and(|custom| custom.selectable_fields.iter().any(|path| path.trim_start_matches('.') == field));
        let common = field == "metadata.name" || (field == "metadata.namespace" && info.namespaced);
        if !common && !custom && !known_fields(info).contains(&field) {
            return Err(ApiError::bad_request(format!(
                "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )));
        }
        let field = match field {
            "spec.host" => "spec.nodeName",
            "name" => "metadata.name",
            field => field,
        };
        requirements.push(FieldRequirement { field: field.to_owned(), value: value.to_owned(), equal });
    }
    Ok(requirements)
}

/// What a field holds, as selectors compare it; several values only for `status.podIPs`.
fn field_values(info: &ResourceInfo, object: &Value, field: &str) -> Vec<String> {
    if field == "status.podIPs" {
        let ips = object["status"]["podIPs"].as_array();
        return ips.into_iter().flatten().filter_map(|ip| ip["ip"].as_str().map(str::to_owned)).collect();
    }
    // Events are stored in their core form whatever the version asked for.
    let path = match (info.group.as_ref(), field) {
        ("events.k8s.io", field) if field.starts_with("regarding.") => field.replacen("regarding", "involvedObject", 1),
        ("events.k8s.io", "reportingController") => "reportingComponent".to_owned(),
        (_, "source") => "source.component".to_owned(),
        (_, "status.successful") => "status.succeeded".to_owned(),
        _ => field.to_owned(),
    };
    let found = path.split('.').try_fold(object, |at, part| at.get(part));
    vec![match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => match field {
            "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
            "status.successful" | "status.replicas" => "0".to_owned(),
            _ => String::new(),
        },
        Some(other) => other.to_string(),
    }]
}

// --- labels ------------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Greater,
    Less,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            ',' => out.push(Token::Comma),
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            '>' => out.push(Token::Greater),
            '<' => out.push(Token::Less),
            '!' if chars.next_if_eq(&'=').is_some() => out.push(Token::NotEqual),
            '!' => out.push(Token::Not),
            '=' => {
                let _ = chars.next_if_eq(&'=');
                out.push(Token::Equal);
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !",()=!<>".contains(*c)) {
                    word.push(c);
                }
                out.push(Token::Word(word));
            }
        }
    }
    out
}

struct Parser<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, ApiError> {
    let mut parser = Parser { text, tokens: tokens(text).into_iter().peekable() };
    let mut requirements = Vec::new();
    if parser.tokens.peek().is_none() {
        return Ok(requirements);
    }
    loop {
        requirements.push(parser.requirement()?);
        match parser.tokens.next() {
            None => return Ok(requirements),
            Some(Token::Comma) => {
                if parser.tokens.peek().is_none() {
                    return Err(parser.fail("", "identifier after ','"));
                }
            }
            Some(other) => return Err(parser.fail(other.text(), "',' or 'end of string'")),
        }
    }
}

impl Parser<'_> {
    fn fail(&self, found: &str, expected: &str) -> ApiError {
        ApiError::bad_request(format!(
            "unable to parse requirement: found '{found}', expected: {expected} (selector {:?})",
            self.text
        ))
    }

    fn word(&mut self, expected: &str) -> Result<String, ApiError> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(self.fail(other.as_ref().map_or("", Token::text), expected)),
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, ApiError> {
        if self.tokens.next_if_eq(&Token::Not).is_some() {
            return Ok(LabelRequirement { key: self.word("identifier")?, test: LabelTest::Absent });
        }
        let key = self.word("!, identifier, or 'end of string'")?;
        let test = match self.tokens.peek().cloned() {
            None | Some(Token::Comma) => LabelTest::Exists,
            Some(Token::Equal) => LabelTest::In(vec![self.value()?]),
            Some(Token::NotEqual) => LabelTest::NotIn(vec![self.value()?]),
            Some(Token::Greater) => LabelTest::Greater(self.number()?),
            Some(Token::Less) => LabelTest::Less(self.number()?),
            Some(Token::Word(word)) if word == "in" => LabelTest::In(self.values()?),
            Some(Token::Word(word)) if word == "notin" => LabelTest::NotIn(self.values()?),
            Some(other) => {
                return Err(self.fail(other.text(), "in, notin, =, ==, !=, gt, lt"));
            }
        };
        Ok(LabelRequirement { key, test })
    }

    /// The value behind an operator; a missing one is the empty string.
    fn value(&mut self) -> Result<String, ApiError> {
        self.tokens.next();
        match self.tokens.peek() {
            None | Some(Token::Comma) => Ok(String::new()),
            Some(Token::Word(_)) => self.word("identifier"),
            Some(other) => {
                let found = other.text().to_owned();
                Err(self.fail(&found, "',' or 'end of string'"))
            }
        }
    }

    fn number(&mut self) -> Result<i64, ApiError> {
        let value = self.value()?;
        value.parse().map_err(|_| self.fail(&value, "an integer"))
    }

    fn values(&mut self) -> Result<Vec<String>, ApiError> {
        self.tokens.next();
        if self.tokens.next_if_eq(&Token::Open).is_none() {
            let found = self.tokens.peek().map_or(String::new(), |token| token.text().to_owned());
            return Err(self.fail(&found, "'('"));
        }
        let mut values = Vec::new();
        loop {
            match self.tokens.next() {
                Some(Token::Word(word)) => values.push(word),
                Some(Token::Comma) => {
                    values.push(String::new());
                    continue;
                }
                Some(Token::Close) => return Ok(values),
                other => return Err(self.fail(other.as_ref().map_or("", Token::text), "',', ')' or identifier")),
            }
            match self.tokens.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => return Ok(values),
                other => return Err(self.fail(other.as_ref().map_or("", Token::text), "',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(Selector::labels(selector).unwrap().labels_match(&labels), expected, "{selector}");
    }

    #[test]
    fn label_selectors_follow_the_reference() {
        check("", &[], true);
        check("a=b", &[("a", "b")], true);
        check("a==b,c!=d", &[("a", "b")], true);
        check("a==b,c!=d", &[("a", "b"), ("c", "d")], false);
        check("a in (x, y)", &[("a", "y")], true);
        check("a notin (x,y)", &[], true);
        check("!a", &[("a", "")], false);
        check("a", &[("a", "")], true);
        check("a=", &[("a", "")], true);
        check("env in (x),!tier,app.kubernetes.io/name", &[("env", "x"), ("app.kubernetes.io/name", "n")], true);
        check("n>3", &[("n", "4")], true);
        assert_eq!(Selector::labels("a=b=c").unwrap_err().code, 400);
        assert_eq!(Selector::labels("a in x").unwrap_err().code, 400);
        assert_eq!(Selector::labels("a,").unwrap_err().code, 400);
    }
}
