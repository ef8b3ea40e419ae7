//! Every message recorded between Go peers of v1.23 and v1.9 decodes, and encodes to the same bytes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::message::Message;
use wire::operation::Operation;
use wire::reply::Answer;
use wire::resource::{ResourceKind, ResourceRef};

const RECORDINGS: [(&str, &str, usize); 3] = [
    ("v1.23", include_str!("vectors/cloudhub-websocket.jsonl"), 351),
    ("v1.23, second run", include_str!("vectors/cloudhub-websocket-b.jsonl"), 123),
    ("v1.9", include_str!("vectors/cloudhub-websocket-v1.9.jsonl"), 47),
];

/// A line of a recording; HTTP heads have no message.
#[derive(Deserialize)]
struct Line<'a> {
    dir: &'a str,
    opcode: Option<u8>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    trailing_newline: Option<bool>,
}

/// Line number, direction and text of every message; the text is cut out of its line verbatim.
fn messages(recording: &str) -> impl Iterator<Item = (usize, &str, String)> {
    recording.lines().enumerate().filter_map(|(index, line)| {
        let line: Line<'_> = serde_json::from_str(line).expect("line is JSON");
        let message = line.message?;
        assert_eq!((line.opcode, line.trailing_newline), (Some(1), Some(true)), "line {}", index + 1);
        Some((index + 1, line.dir, format!("{}\n", message.get())))
    })
}

fn decode(text: &str) -> Message {
    Message::decode(text.as_bytes()).expect("decodes")
}

#[test]
fn every_recorded_message_round_trips_byte_for_byte() {
    for (name, recording, expected) in RECORDINGS {
        let mut count = 0;
        for (number, _, text) in messages(recording) {
            assert_eq!(decode(&text).encode(), text, "{name}, line {number}");
            count += 1;
        }
        assert_eq!(count, expected, "{name}");
    }
}

#[test]
fn recorded_strings_are_escaped_as_we_would() {
    let mut count = 0;
    for (name, recording, _) in RECORDINGS {
        for (number, _, text) in messages(recording) {
            let message = decode(&text);
            if let Ok(string) = message.content.parse::<String>() {
                assert_eq!(wire::message::Content::text(&string).get(), message.content.get(), "{name}, line {number}");
                count += 1;
            }
        }
    }
    assert!(count > 200, "acknowledgements and patches are strings");
}

#[test]
fn every_recorded_id_is_unique_but_for_resends_and_every_parent_is_known() {
    for (name, recording, _) in RECORDINGS {
        let mut seen = BTreeMap::new();
        for (number, dir, text) in messages(recording) {
            let message = decode(&text);
            if let Some(first) = seen.insert(message.header.id.clone(), (dir, text.clone())) {
                assert_eq!(first.1, text, "{name}, line {number}: a resend is identical");
            }
            if let Some(parent) = &message.header.parent_id {
                let (asked, _) = seen.get(parent).unwrap_or_else(|| panic!("{name}, line {number}: parent unknown"));
                assert_ne!(*asked, dir, "{name}, line {number}: an answer goes back");
            }
        }
    }
}

#[test]
fn recorded_acknowledgements_are_the_ones_we_would_send() {
    let mut count = 0;
    for (name, recording, _) in RECORDINGS {
        let mut asked = BTreeMap::new();
        for (number, dir, text) in messages(recording) {
            let message = decode(&text);
            if let Some(parent) = message.header.parent_id.as_ref().filter(|_| message.content.is_ok())
                && dir == "c2s"
            {
                let request: &Message = asked.get(parent).expect("was sent");
                // DeviceTwin rewrites the route of inserts and deletes of the device controller (spec 01 §6.5).
                if message.route.source != "meta" {
                    let mut ours = request.ack(message.header.timestamp);
                    ours.header.id.clone_from(&message.header.id);
                    assert_eq!(ours.encode(), text, "{name}, line {number}");
                    count += 1;
                }
            }
            asked.insert(message.header.id.clone(), message);
        }
    }
    assert_eq!(count, ACKNOWLEDGEMENTS);
}

/// Edge acknowledgements with a copied route in the three recordings.
const ACKNOWLEDGEMENTS: usize = 105;

#[test]
fn recorded_answers_are_understood() {
    let (mut objects, mut failures, mut oks) = (0, BTreeMap::new(), 0);
    for (number, dir, text) in messages(RECORDINGS[0].1) {
        let message = decode(&text);
        let routed = message.route.source == "edgecontroller" && message.route.operation == Operation::Response;
        if dir != "s2c" || !routed {
            continue;
        }
        match Answer::read(&message.content) {
            Answer::Object(_) => objects += 1,
            Answer::Ok => oks += 1,
            Answer::Failed(status) => {
                failures.insert(number, (status.reason, status.code));
            }
            Answer::List(_) => panic!("line {number}: no list was asked for"),
        }
    }
    let not_found = || ("NotFound".to_owned(), 404);
    let expected = BTreeMap::from([(6, not_found()), (24, not_found()), (89, ("AlreadyExists".to_owned(), 409))]);
    assert_eq!(failures, expected);
    assert_eq!((objects, oks), (95, 2));
}

#[test]
fn routed_resources_survive_parsing() {
    for (name, recording, _) in RECORDINGS {
        for (number, _, text) in messages(recording) {
            let resource = decode(&text).route.resource;
            if let Ok(parsed) = ResourceRef::parse(&resource) {
                assert_eq!(parsed.to_string(), resource, "{name}, line {number}");
            }
        }
    }
    let (_, _, text) = messages(RECORDINGS[0].1).find(|(number, ..)| *number == 8).expect("node registration");
    let node = ResourceRef::parse(&decode(&text).route.resource).expect("is routed");
    assert_eq!(node, ResourceRef::cluster(ResourceKind::Node, "go-edge"));
}
