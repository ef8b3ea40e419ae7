//! Which form an answer takes: the first usable clause of the Accept header. Source: spec 10 §1.2.

use super::status::ApiError;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// What the answer shows of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The objects themselves.
    Full,
    /// Rows for a terminal, in this version of `meta.k8s.io`.
    Table(&'static str),
    /// Metadata only; also asked for as the list form.
    Partial(&'static str),
    /// Aggregated discovery in this version of `apidiscovery.k8s.io`; elsewhere unusable.
    Discovery(&'static str),
}

/// The negotiated form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How it is written.
    pub encoding: Encoding,
    /// What it shows.
    pub shape: Shape,
}

/// What the asked path can offer besides plain objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    /// Tables.
    pub table: bool,
    /// Metadata only.
    pub partial: bool,
    /// Aggregated discovery.
    pub discovery: bool,
}

/// Plain JSON.
pub const JSON: Form = Form { encoding: Encoding::Json, shape: Shape::Full };

/// Picks the form for an Accept header.
///
/// # Errors
/// 406 when no clause is usable.
pub fn negotiate(accept: Option<&str>, offers: Offers) -> Result<Form, ApiError> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return Ok(JSON) };
    let mut clauses: Vec<(f32, &str)> = accept.split(',').map(|clause| (quality(clause), clause)).collect();
    clauses.sort_by(|a, b| b.0.total_cmp(&a.0));
    clauses.into_iter().find_map(|(_, clause)| form_of(clause, offers)).ok_or_else(|| {
        let message = "only the following media types are accepted: application/json, application/yaml";
        ApiError::new(406, "NotAcceptable", message)
    })
}

fn parameters(clause: &str) -> impl Iterator<Item = (&str, &str)> {
    clause.split(';').skip(1).filter_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

fn quality(clause: &str) -> f32 {
    parameters(clause).find(|(key, _)| *key == "q").and_then(|(_, q)| q.parse().ok()).unwrap_or(1.0)
}

fn form_of(clause: &str, offers: Offers) -> Option<Form> {
    let media = clause.split(';').next().unwrap_or_default().trim();
    let encoding = match media {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = (None, "", "");
    for (key, value) in parameters(clause) {
        match key {
            "as" => kind = Some(value),
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    let meta_version = match version {
        "v1" => "v1",
        "v1beta1" => "v1beta1",
        _ => "",
    };
    let shape = match (kind, group) {
        (None, _) => Shape::Full,
        (Some("Table"), "meta.k8s.io") if offers.table && !meta_version.is_empty() => Shape::Table(meta_version),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), "meta.k8s.io")
            if offers.partial && !meta_version.is_empty() =>
        {
            Shape::Partial(meta_version)
        }
        (Some("APIGroupDiscoveryList"), "apidiscovery.k8s.io") if offers.discovery => match version {
            "v2" => Shape::Discovery("v2"),
            "v2beta1" => Shape::Discovery("v2beta1"),
            _ => return None,
        },
        _ => return None,
    };
    Some(Form { encoding, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offers = Offers { table: true, partial: true, discovery: false };

    fn shape(accept: &str) -> Result<Shape, u16> {
        negotiate(Some(accept), ALL).map(|form| form.shape).map_err(|error| error.code)
    }

    #[test]
    fn kubectl_gets_a_table_and_typed_go_clients_json() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(shape(kubectl), Ok(Shape::Table("v1")));
        assert_eq!(shape("application/vnd.kubernetes.protobuf, */*"), Ok(Shape::Full));
        assert_eq!(shape("application/vnd.kubernetes.protobuf,application/json"), Ok(Shape::Full));
        assert_eq!(shape("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"), Ok(Shape::Partial("v1")));
    }

    #[test]
    fn html_is_not_acceptable_and_quality_orders() {
        assert_eq!(shape("text/html"), Err(406));
        assert_eq!(shape("application/vnd.kubernetes.protobuf"), Err(406));
        let form = negotiate(Some("application/json;q=0.1, application/yaml"), ALL).unwrap();
        assert_eq!(form.encoding, Encoding::Yaml);
    }
}
