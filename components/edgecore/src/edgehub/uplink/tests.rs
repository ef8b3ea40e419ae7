use std::future::ready;

use tokio::task::JoinSet;
use wire::message::Content;

use super::*;

fn request(operation: Operation, resource: &str) -> Message {
    Message::new("edged", "meta", operation, resource, Content::null(), 0)
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn without_a_link_a_call_fails_at_once() {
    let uplink = Uplink::new();
    let outcome = uplink.call(request(Operation::Query, "n/secret/a"), LONG).await;
    assert_eq!(outcome.err(), Some(CallError::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn an_answer_finds_its_caller_and_a_late_one_comes_back() {
    let uplink = Uplink::new();
    let (lanes, _answers) = Lanes::new(7);
    let _standing = uplink.stand(Arc::clone(&lanes));
    assert!(*uplink.connected().borrow());
    assert_eq!(uplink.link(), Some(7));

    let call = uplink.call(request(Operation::Query, "n/secret/a"), LONG);
    let cloud = async {
        let request = lanes.next_request(|| ready(())).await;
        let answer = request.response(Content::ok(), 0);
        assert!(lanes.deliver(answer.clone()).is_none());
        answer
    };
    let (outcome, answer) = tokio::join!(call, cloud);
    assert_eq!(outcome.ok().map(|delivery| delivery.message.header.id), Some(answer.header.id.clone()));
    assert!(lanes.deliver(answer).is_some(), "nobody waits any more");

    let slow = uplink.call(request(Operation::Query, "n/secret/a"), LONG).await;
    assert_eq!(slow.err(), Some(CallError::Timeout));
    assert!(lanes.state().waiting.is_empty() && lanes.state().unsent.is_empty(), "a dead call leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_link_ends_its_calls() {
    let uplink = Uplink::new();
    let (lanes, _answers) = Lanes::new(1);
    let standing = uplink.stand(Arc::clone(&lanes));
    let call = uplink.call(request(Operation::Query, "n/secret/a"), LONG);
    let (outcome, ()) = tokio::join!(call, async {
        lanes.next_request(|| ready(())).await;
        drop(standing);
    });
    assert_eq!(outcome.err(), Some(CallError::LinkLost));
    assert!(!*uplink.connected().borrow());
    assert_eq!(lanes.call(request(Operation::Query, "x/y/z")).await.err(), Some(CallError::LinkLost));
}

#[tokio::test(start_paused = true)]
async fn a_newer_status_takes_the_place_of_an_unsent_one() {
    let uplink = Uplink::new();
    let (lanes, _answers) = Lanes::new(1);
    let _standing = uplink.stand(Arc::clone(&lanes));
    let mut calls = JoinSet::new();
    for (number, resource) in [(1, "n/podpatch/a"), (2, "n/podpatch/b"), (3, "n/podpatch/a")] {
        let uplink = uplink.clone();
        calls.spawn(async move {
            let outcome = uplink.call(request(Operation::Patch, resource), LONG).await;
            (number, outcome.err())
        });
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.join_next().await.expect("a call").expect("no panic"), (1, Some(CallError::Superseded)));
    let first = lanes.next_request(|| ready(())).await;
    let second = lanes.next_request(|| ready(())).await;
    assert_eq!([first.route.resource, second.route.resource], ["n/podpatch/b", "n/podpatch/a"]);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_bound_wait_for_their_turn() {
    let uplink = Uplink::new();
    let (lanes, _answers) = Lanes::new(1);
    let _standing = uplink.stand(Arc::clone(&lanes));
    let mut calls = JoinSet::new();
    for number in 0..CALLS + 10 {
        let uplink = uplink.clone();
        calls.spawn(async move {
            uplink.call(request(Operation::Query, &format!("n/secret/{number}")), LONG).await.is_ok()
        });
    }
    for _ in 0..CALLS {
        tokio::task::yield_now().await;
    }
    assert_eq!(lanes.state().unsent.len(), CALLS);
    for _ in 0..CALLS + 10 {
        let request = lanes.next_request(|| ready(())).await;
        assert!(lanes.deliver(request.response(Content::ok(), 0)).is_none());
        tokio::task::yield_now().await;
    }
    assert!(calls.join_all().await.into_iter().all(|answered| answered));
}
