use std::task::{Context, Waker};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;

macro_rules! assert_matches {
    ($found:expr, $($pattern:tt)+) => {
        match $found {
            found => assert!(matches!(&found, $($pattern)+), "{found:?}"),
        }
    };
}

fn message(text: &str) -> Message {
    Message::new("edged", "meta", Operation::Update, "default/pod/web", Content::text(text), 7)
}

fn limits(max_message: usize) -> Limits {
    Limits { max_message, ..Limits::default() }
}

/// A connection of ours and, at its other end, the bare wire.
async fn wired(side: Side, limits: Limits) -> (Connection, DuplexStream) {
    let (ours, wire) = duplex(64 * 1024);
    (Connection::from_stream(ours, side, limits).await, wire)
}

/// Two connections back to back; `pipe` is the capacity between them, bytes.
async fn linked(pipe: usize, limits: Limits) -> ((Sender, Receiver), (Sender, Receiver)) {
    let (edge, cloud) = duplex(pipe);
    let edge = Connection::from_stream(edge, Side::Client, limits).await.split();
    let cloud = Connection::from_stream(cloud, Side::Server, limits).await.split();
    (edge, cloud)
}

/// A frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(u8::try_from(len).expect("small")),
        len @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(len).expect("small").to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Lets our edge read `bytes` from a server that then goes away, and collects the messages.
async fn read_all(bytes: &[u8], limits: Limits) -> (Vec<String>, Result<(), LinkError>) {
    let (connection, mut wire) = wired(Side::Client, limits).await;
    let (sender, mut receiver) = connection.split();
    let feed = async {
        wire.write_all(bytes).await.expect("takes it");
        wire.shutdown().await.expect("closes");
        let mut answers = Vec::new();
        let _ = wire.read_to_end(&mut answers).await;
    };
    let collect = async move {
        let mut found = Vec::new();
        loop {
            match receiver.next().await {
                Ok(Some(message)) => found.push(message.content.data().into_owned()),
                Ok(None) => return (found, Ok(())),
                Err(error) => return (found, Err(error)),
            }
        }
    };
    let ((), outcome) = tokio::join!(feed, async move {
        let outcome = collect.await;
        drop(sender);
        outcome
    });
    outcome
}

#[tokio::test]
async fn messages_cross_in_both_directions() {
    let ((edge, mut from_cloud), (cloud, mut from_edge)) = linked(4096, Limits::default()).await;
    edge.send(&message("up")).await.expect("sends");
    cloud.send(&message("down")).await.expect("sends");
    assert_eq!(from_edge.next().await.expect("reads").expect("a message").content.data(), "up");
    assert_eq!(from_cloud.next().await.expect("reads").expect("a message").content.data(), "down");
}

#[tokio::test]
async fn go_fragmentation_is_reassembled() {
    let text = message(&"x".repeat(20_000)).encode();
    let (head, tail) = text.as_bytes().split_at(4082);
    // 4082 bytes and the rest; everything and an empty final frame; a ping in between.
    let bytes = [
        frame(0x01, head),
        frame(0x80, tail),
        frame(0x01, text.as_bytes()),
        frame(0x80, b""),
        frame(0x01, head),
        frame(0x89, b"ping you"),
        frame(0x80, tail),
    ]
    .concat();
    let (found, outcome) = read_all(&bytes, Limits::default()).await;
    assert!(found.len() == 3 && found.iter().all(|content| content.len() == 20_000));
    outcome.expect("ends in good order");
}

#[tokio::test]
async fn binary_and_trailing_bytes_are_accepted() {
    let text = message("a").encode();
    let bytes = [frame(0x82, text.as_bytes()), frame(0x81, format!("{text}{{}} rest").as_bytes())].concat();
    assert_eq!(read_all(&bytes, Limits::default()).await.0, ["a", "a"]);
}

#[tokio::test]
async fn empty_or_unreadable_message_is_fatal() {
    for bad in ["", "[]", "{\"header\":7}", "nonsense"] {
        let (found, outcome) = read_all(&frame(0x81, bad.as_bytes()), Limits::default()).await;
        assert!(found.is_empty());
        assert_matches!(outcome, Err(LinkError::Message(_)));
    }
}

#[tokio::test]
async fn frames_are_masked_by_the_client_only_and_end_with_a_newline() {
    for (side, mask) in [(Side::Client, 0x80), (Side::Server, 0)] {
        let (connection, mut wire) = wired(side, Limits::default()).await;
        connection.split().0.send(&message("x")).await.expect("sends");
        let mut bytes = Vec::new();
        wire.read_to_end(&mut bytes).await.expect("reads");
        assert_eq!((bytes[0], bytes[1] & 0x80), (0x81, mask));
        if mask == 0 {
            assert!(bytes.ends_with(b"}\n"));
        }
    }
}

#[tokio::test]
async fn long_messages_leave_in_pieces() {
    let (connection, mut wire) = wired(Side::Server, Limits::default()).await;
    connection.split().0.send(&message(&"x".repeat(40_000))).await.expect("sends");
    let mut bytes = Vec::new();
    wire.read_to_end(&mut bytes).await.expect("reads");
    let mut rest = bytes.as_slice();
    let mut firsts = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        assert!(len <= socket::PIECE);
        firsts.push(rest[0]);
        rest = &rest[4 + len..];
    }
    assert_eq!(firsts, [0x01, 0x00, 0x80]);
}

#[tokio::test]
async fn oversized_message_is_refused_with_1009_before_it_arrives() {
    for opening in
        [frame(0x81, &[b' '; 1001])[..4].to_vec(), [frame(0x01, &[b' '; 600]), frame(0x80, &[b' '; 600])].concat()]
    {
        let (connection, mut wire) = wired(Side::Client, limits(1000)).await;
        let (sender, mut receiver) = connection.split();
        wire.write_all(&opening).await.expect("takes it");
        wire.shutdown().await.expect("closes");
        assert_matches!(receiver.next().await, Err(LinkError::TooBig { limit: 1000 }));
        assert_matches!(sender.send(&message("late")).await, Err(LinkError::Closed));
        drop((sender, receiver));
        let mut answer = Vec::new();
        wire.read_to_end(&mut answer).await.expect("reads");
        let (mask, code) = (&answer[2..6], [answer[6], answer[7]]);
        assert_eq!((answer[0], u16::from_be_bytes([code[0] ^ mask[0], code[1] ^ mask[1]])), (0x88, 1009));
    }
}

#[tokio::test]
async fn peer_learns_why_it_was_refused() {
    let (edge, cloud) = duplex(64 * 1024);
    let edge = Connection::from_stream(edge, Side::Client, Limits::default()).await;
    let cloud = Connection::from_stream(cloud, Side::Server, Limits::default()).await;
    let (sender, mut receiver) = edge.split();
    sender.send(&message("keepalive")).await.expect("sends");
    let ((), heard) = tokio::join!(cloud.refuse(1008, "node limit reached"), async move {
        let heard = receiver.next().await;
        drop((sender, receiver));
        heard
    });
    assert_matches!(heard, Err(LinkError::ClosedByPeer { code: 1008, reason }) if reason == "node limit reached");
}

#[tokio::test]
async fn orderly_close_and_plain_disappearance_both_read_as_none() {
    let ((edge, from_cloud), (cloud, mut from_edge)) = linked(4096, Limits::default()).await;
    edge.close(1000).await.expect("closes");
    assert_matches!(edge.send(&message("late")).await, Err(LinkError::Closed));
    assert_matches!(from_edge.next().await, Ok(None));
    drop((edge, from_cloud, cloud, from_edge));

    let ((_edge, mut from_cloud), cloud) = linked(4096, Limits::default()).await;
    drop(cloud);
    assert_matches!(from_cloud.next().await, Ok(None));
}

#[tokio::test]
async fn link_control_messages_are_answered_and_not_passed_on() {
    let ((edge, mut from_cloud), (_cloud, mut from_edge)) = linked(4096, Limits::default()).await;
    let mut control = message("x");
    control.route.operation = Operation::from("config");
    edge.send(&control).await.expect("sends");
    let mut keepalive = message("ping");
    keepalive.route.operation = Operation::Keepalive;
    edge.send(&keepalive).await.expect("sends");
    let passed = from_edge.next().await.expect("reads").expect("a message");
    assert_eq!(passed.route.operation, Operation::Keepalive);
    let answer = from_cloud.next().await.expect("reads").expect("a message");
    assert_eq!(answer.header.parent_id.as_deref(), Some(control.header.id.as_str()));
    assert_eq!((answer.route.operation, answer.content.data().as_ref()), (Operation::Response, "ack"));
}

#[tokio::test]
async fn ping_is_answered_and_shows_as_a_sign_of_life() {
    let ((edge, mut from_cloud), (_cloud, mut from_edge)) = linked(4096, Limits::default()).await;
    let pulse = edge.pulse();
    let sent = Instant::now();
    edge.ping().await.expect("sends");
    tokio::select! {
        () = pulse.heard_after(sent) => {}
        _ = from_cloud.next() => panic!("nothing was sent"),
        _ = from_edge.next() => panic!("nothing was sent"),
    }
    assert!(pulse.last_heard() > sent);
}

#[tokio::test(start_paused = true)]
async fn peer_that_takes_nothing_is_given_up_after_the_write_timeout() {
    let limits = Limits { write_timeout: Duration::from_secs(15), ..Limits::default() };
    let ((edge, _from_cloud), _cloud) = linked(1024, limits).await;
    let begin = Instant::now();
    assert_matches!(edge.send(&message(&"x".repeat(5000))).await, Err(LinkError::WriteTimeout { .. }));
    assert_eq!(begin.elapsed(), Duration::from_secs(15));
    assert_matches!(edge.send(&message("more")).await, Err(LinkError::Cut));
}

#[tokio::test(start_paused = true)]
async fn slow_peer_that_keeps_taking_is_not_given_up() {
    let limits = Limits { write_timeout: Duration::from_secs(15), ..Limits::default() };
    let (ours, mut wire) = duplex(1024);
    let (sender, _receiver) = Connection::from_stream(ours, Side::Server, limits).await.split();
    let begin = Instant::now();
    let read = async {
        let mut bytes = [0; 4096];
        let mut total = 0;
        while total < 100_000 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            total += wire.read(&mut bytes).await.expect("reads");
        }
    };
    let (sent, ()) = tokio::join!(async { sender.send(&message(&"x".repeat(100_000))).await }, async {
        tokio::select! { () = read => {} }
    });
    sent.expect("arrives in the end");
    assert!(begin.elapsed() > Duration::from_secs(40));
}

#[tokio::test]
async fn send_cancelled_inside_a_long_message_leaves_the_connection_cut() {
    let ((edge, from_cloud), (_cloud, mut from_edge)) = linked(1024, Limits::default()).await;
    {
        let long = message(&"x".repeat(100_000));
        let mut send = std::pin::pin!(edge.send(&long));
        assert!(send.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_matches!(edge.send(&message("more")).await, Err(LinkError::Cut));
    drop((edge, from_cloud));
    assert_matches!(from_edge.next().await, Ok(None));
}

#[tokio::test]
async fn cancelled_reads_lose_nothing() {
    let ((edge, _from_cloud), (_cloud, mut from_edge)) = linked(16, Limits::default()).await;
    let send = async {
        for number in 0..20 {
            edge.send(&message(&number.to_string())).await.expect("sends");
        }
    };
    let read = async {
        let mut found = Vec::new();
        while found.len() < 20 {
            tokio::select! {
                biased;
                next = from_edge.next() => found.push(next.expect("reads").expect("a message").content.data().into_owned()),
                () = tokio::task::yield_now() => {}
            }
        }
        found
    };
    let ((), found) = tokio::join!(send, read);
    assert_eq!(found, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn clones_of_a_sender_do_not_mix_long_messages() {
    let ((edge, _from_cloud), (_cloud, mut from_edge)) = linked(1024, Limits::default()).await;
    let other = edge.clone();
    let (a, b) = (message(&"a".repeat(50_000)), message(&"b".repeat(50_000)));
    let (sent_a, sent_b, found) = tokio::join!(edge.send(&a), other.send(&b), async {
        let mut found = Vec::new();
        for _ in 0..2 {
            found.push(from_edge.next().await.expect("reads").expect("a message").content.data().into_owned());
        }
        found
    });
    sent_a.and(sent_b).expect("send");
    assert_eq!(found, ["a".repeat(50_000), "b".repeat(50_000)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_from_the_peer_end_in_an_outcome(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("builds");
        let _ = runtime.block_on(read_all(&bytes, limits(1000)));
    }

    #[test]
    fn any_split_of_a_message_is_reassembled(at in 0..3000_usize, text in "[a-z]{0,3000}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("builds");
        let encoded = message(&text).encode();
        let (head, tail) = encoded.as_bytes().split_at(at.min(encoded.len()));
        let (found, _) = runtime.block_on(read_all(&[frame(0x01, head), frame(0x80, tail)].concat(), Limits::default()));
        prop_assert_eq!(found, [text]);
    }
}
