use proptest::prelude::*;

use super::*;

const KEEPALIVE: &str = concat!(
    r#"{"header":{"msg_id":"5f1f0b0a-8a62-4b4e-9a63-0b7f6f3d2c11","timestamp":1754469506000},"#,
    r#""route":{"source":"websocket","group":"resource","operation":"keepalive","resource":"node"},"content":"ping"}"#,
    "\n"
);

fn check(text: &str) -> Message {
    let message = Message::decode(text.as_bytes()).expect("decodes");
    assert_eq!(message.encode(), text);
    message
}

#[test]
fn keepalive_is_196_bytes_and_round_trips() {
    assert_eq!(KEEPALIVE.len(), 196);
    let message = check(KEEPALIVE);
    assert_eq!(message.route.operation, Operation::Keepalive);
    assert_eq!(message.content.data(), "ping");
}

#[test]
fn decoding_follows_go_rules() {
    let text = br#"{"CONTENT":1,"content":9007199254740993,"Header":{"MSG_ID":"a","extra":[1]},"route":null} {"x":1}"#;
    let message = Message::decode(text).expect("decodes");
    assert_eq!(message.header.id, "a");
    assert_eq!(message.content.get(), "9007199254740993", "64-bit numbers keep every digit; the last key wins");
    assert_eq!(message.route.resource, "");
}

#[test]
fn wrong_types_and_empty_input_are_errors() {
    for bad in ["", "[]", "7", r#"{"header":{"msg_id":5}}"#, r#"{"route":"x"}"#, "{", "{\"content\":"] {
        assert!(Message::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn answers_copy_the_route_and_name_the_parent() {
    let request = check(KEEPALIVE);
    let ack = request.ack(7);
    assert_eq!(ack.header.parent_id.as_deref(), Some(request.header.id.as_str()));
    assert_eq!(ack.route.source, "websocket");
    assert_eq!(ack.route.operation, Operation::Response);
    assert!(ack.content.is_ok());
    let error = request.error("metamanager", "disk full", 7);
    assert_eq!((error.route.source.as_str(), error.route.group.as_str()), ("metamanager", "resource"));
}

#[test]
fn content_is_escaped_like_go() {
    assert_eq!(Content::text("<a&b>\u{2028}").get(), r#""\u003ca\u0026b\u003e\u2028""#);
    assert!(!format!("{:?}", Content::text("hunter2")).contains("hunter2"));
}

proptest! {
    #[test]
    fn decode_never_panics(bytes: Vec<u8>) {
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn any_message_round_trips(id: String, source: String, resource: String, text: String, at: i64) {
        let mut message = Message::new(&source, "resource", Operation::Update, resource, Content::text(&text), at);
        message.header.id = id;
        let encoded = message.encode();
        let decoded = Message::decode(encoded.as_bytes()).expect("decodes");
        prop_assert_eq!(decoded.encode(), encoded);
        prop_assert_eq!(decoded.content.data(), text);
    }
}
