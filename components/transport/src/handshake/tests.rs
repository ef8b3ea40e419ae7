use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Line {
    http: Vec<String>,
}

/// The recorded upgrade of a Go v1.23 edge: request and response heads.
fn recorded() -> (String, String) {
    let mut heads = include_str!("../../tests/vectors/websocket-upgrade.jsonl").lines().map(|line| {
        let line: Line = serde_json::from_str(line).expect("line is JSON");
        line.http.join("\r\n") + "\r\n\r\n"
    });
    (heads.next().expect("a request"), heads.next().expect("a response"))
}

const KEY: &str = "NJoxtQ0npfZh41uJZLnQBA==";

#[test]
fn our_request_is_the_recorded_one_but_for_the_user_agent() {
    let upgrade = Upgrade {
        authority: "127.0.0.1:11000",
        project_id: "e632aba927ea4ac2b575ec1603d56f10",
        node_id: "go-edge",
        key: KEY,
        extra: &[],
    };
    let ours = format!("User-Agent: keadm/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(upgrade.request().replace(&ours, "User-Agent: Go-http-client/1.1"), recorded().0);
}

#[test]
fn extra_headers_are_sorted_in() {
    let extra = [(crate::STORE_GENERATION_HEADER, "7".to_owned())];
    let upgrade = Upgrade { authority: "c:1", project_id: "p", node_id: "n", key: KEY, extra: &extra };
    let request = upgrade.request();
    assert!(request.contains("Connectionuse: msg\r\nKeadm-Store-Generation: 7\r\nNode_id: n\r\n"), "{request}");
}

#[test]
fn recorded_request_gets_the_recorded_response() {
    let (request, response) = recorded();
    let accepted = read_request(request.as_bytes()).expect("is an upgrade");
    assert_eq!(
        (accepted.node_id.as_str(), accepted.project_id.as_str()),
        ("go-edge", "e632aba927ea4ac2b575ec1603d56f10")
    );
    assert_eq!(accepted.response(), response);
    assert_eq!(read_answer(response.as_bytes(), KEY), Answer::Switched);
}

#[test]
fn each_wrong_request_gets_its_status() {
    let status = |from: &str, to: &str| {
        let request = recorded().0;
        assert!(request.contains(from), "{from}");
        read_request(request.replace(from, to).as_bytes()).expect_err("is refused").status
    };
    assert_eq!(status("Upgrade: websocket\r\n", ""), 400);
    assert_eq!(status("Connection: Upgrade\r\n", "Connection: close\r\n"), 400);
    assert_eq!(status("Version: 13", "Version: 8"), 400);
    assert_eq!(status("Sec-WebSocket-Key", "X-Key"), 400);
    assert_eq!(status("Node_id: go-edge\r\n", ""), 400);
    assert_eq!(status("Connectionuse: msg", "Connectionuse: stream"), 400);
    assert_eq!(status("GET", "POST"), 405);
    assert_eq!(status("Upgrade: ", "Origin: https://elsewhere.example\r\nUpgrade: "), 403);
    assert_eq!(status("Upgrade: ", &"A: b\r\n".repeat(MAX_HEADERS)), 431);
    assert_eq!(status("HTTP/1.1", "nonsense"), 400);
}

#[test]
fn tolerated_requests() {
    let node =
        |from: &str, to: &str| read_request(recorded().0.replace(from, to).as_bytes()).expect("is an upgrade").node_id;
    assert_eq!(node("Connectionuse: msg\r\n", "Connectionuse: msg\r\nConnectionuse: msg\r\n"), "go-edge");
    assert_eq!(node("Upgrade: websocket", "Origin: https://127.0.0.1:11000\r\nUpgrade: WebSocket"), "go-edge");
    assert_eq!(node("Connection: Upgrade", "Connection: keep-alive, upgrade"), "go-edge");
    assert_eq!(node("Node_id: go-edge", "Node_id: first\r\nNode_id: second"), "first");
    assert_eq!(node("GET /e632aba927ea4ac2b575ec1603d56f10/go-edge/events", "GET /"), "go-edge");
}

#[test]
fn refusals_are_complete_http_answers() {
    let refusal = read_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect_err("is refused");
    let answer = refusal.response();
    let (head, body) = answer.split_once("\r\n\r\n").expect("has a body");
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
    assert_eq!(read_answer(answer.as_bytes(), KEY), Answer::Status { code: 400 });
}

#[test]
fn answers_that_only_look_like_an_upgrade_are_nonsense() {
    let (_, response) = recorded();
    assert_eq!(read_answer(response.as_bytes(), "bm90IHRoaXMga2V5ISEhIQ=="), Answer::Nonsense);
    for (from, to) in [("Upgrade: websocket", "Upgrade: h2c"), ("Connection: Upgrade", "Sec-WebSocket-Extensions: x")] {
        assert_eq!(read_answer(response.replace(from, to).as_bytes(), KEY), Answer::Nonsense, "{from}");
    }
    assert_eq!(read_answer(b"220 smtp.example ESMTP\r\n\r\n", KEY), Answer::Nonsense);
}

#[test]
fn plain_names() {
    for good in ["edge1", "a.b-c_d", "e632aba927ea4ac2b575ec1603d56f10"] {
        assert!(is_plain(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a b", "a\r\nb", "ä", "%2e"] {
        assert!(!is_plain(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics(bytes: Vec<u8>, text: String) {
        let _ = read_request(&bytes);
        let _ = read_answer(&bytes, "x");
        let head = format!("GET /{text} HTTP/1.1\r\n{text}: {text}\r\nOrigin: {text}\r\n\r\n");
        let _ = read_request(head.as_bytes());
    }
}
