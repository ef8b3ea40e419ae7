//! The container hash: how an agent recognises that a running container was made from the current definition.
//!
//! FNV-1a over Go's `%v` print of the compact JSON `{"image":…,"name":…}`, as kubelets since 1.31 (KubeEdge 1.22)
//! write it, so that containers of a Go edgecore are adopted. Source: spec 08 §8.5, annex C.

use std::fmt::Write as _;

/// Hash of a container's name and image as kept in `io.kubernetes.container.hash`.
pub fn container_hash(name: &str, image: &str) -> u32 {
    let json = format!("{{\"image\":{},\"name\":{}}}", go_json_string(image), go_json_string(name));
    let mut text = String::with_capacity(json.len() * 4 + 12);
    text.push_str("([]uint8)[");
    for (index, byte) in json.bytes().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        let _ = write!(text, "{separator}{byte}");
    }
    text.push(']');
    fnv1a(text.as_bytes())
}

/// The annotation's value: lower-case hex without leading zeros.
pub fn to_annotation(hash: u32) -> String {
    format!("{hash:x}")
}

/// Reads the annotation; a missing or unreadable one is 0, which matches no container.
pub fn from_annotation(value: Option<&String>) -> u32 {
    value.and_then(|text| u32::from_str_radix(text, 16).ok()).unwrap_or(0)
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619))
}

/// A JSON string as Go's encoder writes it, which also escapes `<`, `>` and `&`.
fn go_json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_a_go_agent() {
        let vectors = [
            ("test_container", "foo/image:v1", "8e45cbd0"),
            ("nginx", "nginx:1.25", "5d0e8bc9"),
            ("app", "busybox", "3ada567e"),
            ("web", "docker.io/library/nginx:1.27-alpine", "e61870c7"),
            ("metrics", "registry.k8s.io/metrics-server/metrics-server:v0.7.2", "1a5cdff3"),
        ];
        for (name, image, expected) in vectors {
            assert_eq!(to_annotation(container_hash(name, image)), expected, "{name} {image}");
        }
    }

    #[test]
    fn missing_annotation_matches_nothing() {
        assert_eq!(from_annotation(None), 0);
        assert_eq!(from_annotation(Some(&"5d0e8bc9".to_owned())), 0x5d0e_8bc9);
    }
}
