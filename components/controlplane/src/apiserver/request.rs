//! What a URL asks for: path, query and verb of a request, nothing looked up yet.

use http::{Method, Uri};

/// A path below `/api/v1` or `/apis/<group>/<version>` that names a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace; empty for cluster-scoped resources and lists across namespaces.
    pub ns: String,
    /// Plural.
    pub plural: String,
    /// Object name; empty for collections.
    pub name: String,
    /// Subresource; empty for the object itself.
    pub subresource: String,
    /// What follows the subresource, without leading slash (proxy paths).
    pub rest: String,
}

/// A parsed request line.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The path as sent.
    pub path: String,
    /// The resource, or `None` for paths such as `/version`, `/apis` and `/apis/<group>/<version>`.
    pub resource: Option<ResourcePath>,
    /// The verb authorization knows: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`; for non-resource paths the lower-case method.
    pub verb: &'static str,
    /// Decoded query parameters.
    pub query: Query,
}

/// Query parameters in order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter, if present and not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Whether a parameter is there at all.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Every parameter with its value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Whether a boolean parameter is set (`true` or `1`).
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some("true" | "1" | "True" | "TRUE" | "t" | "T"))
    }
}

/// Percent-decoding; invalid escapes stay as they are, invalid UTF-8 becomes replacement characters.
fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            (b'+', _, _) if plus_is_space => out.push(b' '),
            (byte, _, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl RequestInfo {
    /// Parses method and URI.
    pub fn parse(method: &Method, uri: &Uri) -> Self {
        let query = Query::parse(uri.query().unwrap_or_default());
        let resource = resource_path(uri.path());
        let verb = match &resource {
            Some(path) => verb_of(method, path, &query),
            None => match *method {
                Method::GET => "get",
                Method::POST => "post",
                Method::PUT => "put",
                Method::PATCH => "patch",
                Method::DELETE => "delete",
                Method::HEAD => "head",
                _ => "options",
            },
        };
        Self { path: uri.path().to_owned(), resource, verb, query }
    }
}

fn verb_of(method: &Method, path: &ResourcePath, query: &Query) -> &'static str {
    let single = !path.name.is_empty();
    match *method {
        Method::GET | Method::HEAD if single => "get",
        Method::GET | Method::HEAD if query.flag("watch") => "watch",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if single => "delete",
        Method::DELETE => "deletecollection",
        _ => "options",
    }
}

fn resource_path(path: &str) -> Option<ResourcePath> {
    let mut parts = path.trim_matches('/').split('/').map(|part| decode(part, false));
    let (group, version) = match parts.next()?.as_str() {
        "api" => (String::new(), parts.next()?),
        "apis" => (parts.next()?, parts.next()?),
        _ => return None,
    };
    let rest: Vec<String> = parts.collect();
    let first = rest.first().filter(|part| !part.is_empty())?;
    let mut out = ResourcePath { group, version, ..ResourcePath::default() };
    let after_plural = if first == "namespaces" && rest.len() > 2 && !matches!(rest[2].as_str(), "status" | "finalize")
    {
        out.ns.clone_from(&rest[1]);
        out.plural.clone_from(&rest[2]);
        &rest[3..]
    } else {
        out.plural.clone_from(first);
        &rest[1..]
    };
    if let Some(name) = after_plural.first() {
        out.name.clone_from(name);
    }
    if let Some(subresource) = after_plural.get(1) {
        out.subresource.clone_from(subresource);
    }
    if after_plural.len() > 2 {
        out.rest = after_plural[2..].join("/");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, uri: &str, verb: &str, expected: Option<[&str; 6]>) {
        let info = RequestInfo::parse(method, &uri.parse().unwrap());
        let found = info.resource.as_ref().map(|r| {
            [&r.group, &r.version, &r.ns, &r.plural, &r.name, &r.subresource].map(|part| part.as_str().to_owned())
        });
        assert_eq!(found, expected.map(|e| e.map(str::to_owned)), "{uri}");
        assert_eq!(info.verb, verb, "{uri}");
    }

    #[test]
    fn urls_name_resources_and_verbs() {
        let get = &Method::GET;
        check(get, "/api/v1/pods", "list", Some(["", "v1", "", "pods", "", ""]));
        check(get, "/api/v1/pods?watch=1", "watch", Some(["", "v1", "", "pods", "", ""]));
        check(get, "/api/v1/namespaces/x", "get", Some(["", "v1", "", "namespaces", "x", ""]));
        check(
            &Method::PUT,
            "/api/v1/namespaces/x/finalize",
            "update",
            Some(["", "v1", "", "namespaces", "x", "finalize"]),
        );
        check(get, "/api/v1/namespaces/x/pods/p/log", "get", Some(["", "v1", "x", "pods", "p", "log"]));
        check(
            &Method::DELETE,
            "/apis/apps/v1/namespaces/x/deployments/",
            "deletecollection",
            Some(["apps", "v1", "x", "deployments", "", ""]),
        );
        check(
            get,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            "get",
            Some(["rbac.authorization.k8s.io", "v1", "", "clusterroles", "system:node", ""]),
        );
        check(get, "/apis/apps/v1", "get", None);
        check(get, "/version", "get", None);
    }

    #[test]
    fn query_values_are_decoded() {
        let query = Query::parse("fieldSelector=metadata.name%3Dx&labelSelector=a+in+(b)&watch=true&empty=");
        assert_eq!(query.get("fieldSelector"), Some("metadata.name=x"));
        assert_eq!(query.get("labelSelector"), Some("a in (b)"));
        assert!(query.flag("watch"));
        assert_eq!(query.get("empty"), None);
    }
}
