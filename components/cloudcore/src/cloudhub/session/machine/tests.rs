use super::*;
use crate::kind::Kind;
use crate::object::{Object, Version};

struct Bench {
    session: Session,
    start: Instant,
    seconds: u64,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        let session = Session::new(Duration::from_hours(1), Now { at: start, unix_ms: 0 });
        Self { session, start, seconds: 0 }
    }

    fn now(&self) -> Now {
        let at = self.start + Duration::from_secs(self.seconds);
        Now { at, unix_ms: i64::try_from(self.seconds * 1000).expect("small") }
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let now = self.now();
        self.session.step(event, now)
    }

    fn offer(&mut self, name: &str, version: &str, change: StateChange) {
        let actions = self.step(Event::Offer(Box::new(pod(name, version, change))));
        assert!(actions.is_empty(), "{actions:?}");
    }

    fn write(&mut self) -> Message {
        match self.step(Event::Ready).pop() {
            Some(Action::Write { message, .. }) => *message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    fn idle(&mut self) -> u64 {
        match self.step(Event::Ready).pop() {
            Some(Action::Sleep { until }) => until.duration_since(self.now().at).as_secs(),
            other => panic!("expected nothing to do, got {other:?}"),
        }
    }

    fn ack(&mut self, message: &Message) -> Vec<Action> {
        self.step(Event::Acked(message.header.id.clone()))
    }
}

fn pod(name: &str, version: &str, change: StateChange) -> Delivery {
    let text = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"default","uid":"uid-{name}","resourceVersion":"{version}"}}}}"#
    );
    let object = Object::read(&Kind::Pod, &text).expect("reads");
    Delivery::state(ObjectKey::namespaced(Kind::Pod, "default", name), change, object, true)
}

fn version(message: &Message) -> &str {
    message.header.resource_version.as_deref().unwrap_or_default()
}

#[test]
fn a_state_is_written_acknowledged_and_booked() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    let message = bench.write();
    assert_eq!(message.route.resource, "default/pod/web");
    assert_eq!(message.route.operation.as_str(), "insert");
    assert_eq!(version(&message), "7");
    let actions = bench.ack(&message);
    assert!(matches!(&actions[0], Action::Acknowledged(r) if r.version == Version::from("7") && !r.deleted));
    assert!(matches!(actions[1], Action::Drained { behind: false }));
    assert_eq!(bench.session.depth(), 0);
}

#[test]
fn a_newer_state_replaces_a_waiting_one_and_stays_an_insert() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    bench.offer("web", "9", StateChange::Update);
    bench.offer("web", "8", StateChange::Update);
    let message = bench.write();
    assert_eq!((version(&message), message.route.operation.as_str()), ("9", "insert"));
    assert_eq!(bench.idle(), 5);
}

#[test]
fn a_delete_is_final_for_its_uid() {
    let mut bench = Bench::new();
    bench.offer("web", "9", StateChange::Delete);
    bench.offer("web", "10", StateChange::Update);
    let message = bench.write();
    assert_eq!(message.route.operation.as_str(), "delete");
    assert!(matches!(&bench.ack(&message)[0], Action::Acknowledged(r) if r.deleted));
}

#[test]
fn order_per_object_is_kept_while_others_pass() {
    let mut bench = Bench::new();
    bench.offer("a", "1", StateChange::Insert);
    let first = bench.write();
    bench.offer("a", "2", StateChange::Update);
    bench.offer("b", "1", StateChange::Insert);
    assert_eq!(bench.write().route.resource, "default/pod/b");
    assert_eq!(bench.idle(), 5);
    bench.ack(&first);
    let second = bench.write();
    assert_eq!((second.route.resource.as_str(), version(&second)), ("default/pod/a", "2"));
}

#[test]
fn a_recreated_object_follows_the_delete_of_the_old_one() {
    let mut bench = Bench::new();
    bench.offer("web", "1", StateChange::Delete);
    let mut recreated = pod("web", "2", StateChange::Insert);
    recreated.uid = "other".into();
    bench.step(Event::Offer(Box::new(recreated)));
    let delete = bench.write();
    assert_eq!(bench.idle(), 5);
    bench.ack(&delete);
    assert_eq!(bench.write().route.operation.as_str(), "insert");
}

#[test]
fn five_transmissions_of_the_same_bytes_then_a_rest() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    let first = bench.write();
    for _ in 0..4 {
        assert_eq!(bench.idle(), 5);
        bench.seconds += 5;
        assert_eq!(bench.write().encode(), first.encode());
    }
    bench.seconds += 5;
    assert_eq!(bench.idle(), 5, "rests 5 s");
    bench.seconds += 5;
    assert_eq!(bench.write().encode(), first.encode(), "a new round");
}

#[test]
fn a_late_acknowledgement_still_counts() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    let first = bench.write();
    for _ in 0..4 {
        bench.seconds += 5;
        bench.write();
    }
    bench.seconds += 5;
    bench.idle();
    assert!(matches!(bench.ack(&first)[0], Action::Acknowledged(_)));
    assert_eq!(bench.session.depth(), 0);
}

#[test]
fn an_overdue_state_gives_way_to_a_newer_one() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    bench.write();
    bench.offer("web", "8", StateChange::Update);
    assert_eq!(bench.idle(), 5);
    bench.seconds += 5;
    assert_eq!(version(&bench.write()), "8");
}

#[test]
fn an_error_answer_makes_the_object_rest_with_growing_pauses() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    for pause in [5, 10, 20] {
        let message = bench.write();
        bench.step(Event::Refused(message.header.id.clone()));
        assert_eq!(bench.idle(), pause);
        bench.seconds += pause;
    }
}

#[test]
fn the_window_is_bounded_and_duplicates_of_acks_are_ignored() {
    let mut bench = Bench::new();
    for n in 0..WINDOW + 3 {
        bench.offer(&format!("p{n}"), "1", StateChange::Insert);
    }
    let sent: Vec<Message> = (0..WINDOW).map(|_| bench.write()).collect();
    bench.idle();
    bench.ack(&sent[0]);
    assert!(bench.ack(&sent[0]).is_empty());
    bench.write();
    bench.idle();
}

#[test]
fn nothing_is_written_before_it_is_on_record() {
    let mut bench = Bench::new();
    let mut delivery = pod("web", "7", StateChange::Insert);
    delivery.recorded = false;
    let key = delivery.key.clone();
    bench.step(Event::Offer(Box::new(delivery)));
    assert!(matches!(bench.step(Event::Ready).pop(), Some(Action::Prepare(p)) if p.record && !p.fetch));
    bench.idle();
    bench.step(Event::Prepared { key: key.clone(), found: None });
    assert_eq!(bench.idle(), 5);
    bench.seconds += 5;
    assert!(matches!(bench.step(Event::Ready).pop(), Some(Action::Prepare(_))));
    bench.step(Event::Prepared { key, found: Some(Fetched::NotNeeded) });
    assert_eq!(version(&bench.write()), "7");
}

#[test]
fn an_object_that_vanished_before_its_turn_is_deleted_only_where_it_was_recorded() {
    for (recorded, deleted) in [(true, true), (false, false)] {
        let mut bench = Bench::new();
        let mut delivery = pod("web", "7", StateChange::Update);
        delivery.recorded = recorded;
        delivery.payload = Payload::State { change: StateChange::Update, body: Body::Fetch };
        let key = delivery.key.clone();
        bench.step(Event::Offer(Box::new(delivery)));
        bench.step(Event::Ready);
        bench.step(Event::Prepared { key, found: Some(Fetched::Gone) });
        if deleted {
            let message = bench.write();
            assert_eq!(message.route.operation.as_str(), "delete");
            assert_eq!(message.content.get(), r#"{"metadata":{"name":"web","namespace":"default","uid":"uid-web"}}"#);
            assert_eq!(message.header.resource_version, None);
        } else {
            assert_eq!(bench.session.depth(), 0);
        }
    }
}

#[test]
fn answers_keep_their_order_and_are_never_replaced() {
    let mut bench = Bench::new();
    let pod_update = pod("web", "8", StateChange::Update);
    let Payload::State { body: Body::Object(object), .. } = pod_update.payload.clone() else { panic!("a state") };
    let request = Message::new(
        "edged",
        "meta",
        wire::operation::Operation::Query,
        "default/pod/web",
        wire::message::Content::null(),
        0,
    );
    let reply = request.response(object.content(), 0);
    bench.step(Event::Offer(Box::new(Delivery::answer(pod_update.key.clone(), &object, reply, true))));
    bench.step(Event::Offer(Box::new(pod_update)));
    let first = bench.write();
    assert_eq!(first.header.parent_id.as_deref(), Some(request.header.id.as_str()));
    bench.ack(&first);
    assert_eq!(bench.write().route.operation.as_str(), "update");
}

#[test]
fn an_answer_is_given_up_after_one_round_and_its_object_planned_anew() {
    let mut bench = Bench::new();
    let Payload::State { body: Body::Object(object), .. } = pod("web", "8", StateChange::Update).payload else {
        panic!("a state")
    };
    let key = ObjectKey::namespaced(Kind::Pod, "default", "web");
    let request = Message::new(
        "edged",
        "meta",
        wire::operation::Operation::Query,
        "default/pod/web",
        wire::message::Content::null(),
        0,
    );
    let reply = request.response(object.content(), 0);
    bench.step(Event::Offer(Box::new(Delivery::answer(key, &object, reply, true))));
    bench.offer("other", "1", StateChange::Insert);
    let first = bench.write();
    let other = bench.write();
    bench.ack(&other);
    bench.step(Event::Refused(first.header.id));
    assert!(matches!(bench.step(Event::Ready)[..], [Action::Drained { behind: true }]));
    assert!(bench.idle() > 5, "nothing is left");
}

#[test]
fn no_answer_is_lost_to_a_crowd() {
    let mut bench = Bench::new();
    let Payload::State { body: Body::Object(object), .. } = pod("web", "8", StateChange::Update).payload else {
        panic!("a state")
    };
    let ask = |bench: &mut Bench, name: &str| {
        let resource = format!("default/pod/{name}");
        let request = Message::new("edged", "meta", Operation::Query, resource, Content::null(), 0);
        let key = ObjectKey::namespaced(Kind::Pod, "default", name);
        let delivery = Delivery::answer(key, &object, request.response(object.content(), 0), true);
        bench.step(Event::Offer(Box::new(delivery)));
        request.header.id
    };
    let asked: Vec<String> = (0..=PARCELS_PER_KEY).map(|_| ask(&mut bench, "web")).collect();
    let mut answered = Vec::new();
    for _ in 0..=PARCELS_PER_KEY {
        let answer = bench.write();
        bench.ack(&answer);
        answered.extend(answer.header.parent_id);
    }
    answered.rotate_left(1);
    assert_eq!(answered, asked, "the last one is sent once, before the others");

    for n in 0..ACK_CAPACITY {
        bench.offer(&format!("p{n}"), "1", StateChange::Insert);
    }
    let late = ask(&mut bench, "late");
    let answer = bench.write();
    assert_eq!(answer.header.parent_id, Some(late));
    assert_eq!(answer.route.operation, Operation::Error);
}

#[test]
fn something_new_wakes_a_resting_object() {
    let mut bench = Bench::new();
    bench.offer("web", "7", StateChange::Insert);
    let message = bench.write();
    bench.step(Event::Refused(message.header.id));
    assert_eq!(bench.idle(), 5);
    bench.offer("web", "8", StateChange::Update);
    assert_eq!(version(&bench.write()), "8");
}

#[test]
fn a_full_lane_refuses_and_asks_for_a_new_plan_once_empty() {
    let mut bench = Bench::new();
    for n in 0..ACK_CAPACITY {
        bench.offer(&format!("p{n}"), "1", StateChange::Insert);
    }
    let refused = bench.step(Event::Offer(Box::new(pod("late", "1", StateChange::Insert))));
    assert!(matches!(refused[..], [Action::Overflow]));
    let mut last = Vec::new();
    for _ in 0..ACK_CAPACITY {
        let message = bench.write();
        last = bench.ack(&message);
    }
    assert!(matches!(last[..], [Action::Acknowledged(_), Action::Drained { behind: true }]));
}

#[test]
fn silence_ends_the_session_and_only_keepalives_prolong_it() {
    let start = Instant::now();
    let at = |seconds| Now { at: start + Duration::from_secs(seconds), unix_ms: 0 };
    let mut session = Session::new(Duration::from_secs(30), at(0));
    session.step(Event::Keepalive, at(15));
    session.step(Event::Acked("unknown".to_owned()), at(40));
    assert!(matches!(session.step(Event::Ready, at(44)).pop(), Some(Action::Sleep { .. })));
    assert!(matches!(session.step(Event::Ready, at(45)).pop(), Some(Action::Expired)));
}

/// One step of a random life: what happens to which of three objects.
#[derive(Debug, Clone)]
enum Step {
    Change(u8),
    Delete(u8),
    Write,
    AckOldest,
    AckNewest,
    RefuseOldest,
    Wait(u8),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let step = prop_oneof![
        4 => (0..3_u8).prop_map(Step::Change),
        1 => (0..3_u8).prop_map(Step::Delete),
        4 => Just(Step::Write),
        3 => Just(Step::AckOldest),
        2 => Just(Step::AckNewest),
        1 => Just(Step::RefuseOldest),
        1 => (1..30_u8).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

proptest::proptest! {
    /// Whatever happens on the way: an edge that acknowledges in the end has the newest state of every object, got no
    /// state older than one it had, and nothing after a delete.
    #[test]
    fn every_life_converges(steps in steps()) {
        let mut bench = Bench::new();
        let mut wanted: [(u64, bool); 3] = [(0, false); 3];
        let mut held: HashMap<String, (u64, bool)> = HashMap::new();
        let mut open: Vec<Message> = Vec::new();
        let mut next = 0;
        let take = |message: &Message, held: &mut HashMap<String, (u64, bool)>| {
            let state = (version(message).parse().expect("a number"), message.route.operation.as_str() == "delete");
            let before = held.insert(message.route.resource.clone(), state).unwrap_or_default();
            assert!(state.0 >= before.0 && (!before.1 || state.1), "{before:?} then {state:?}");
        };
        for step in steps {
            match step {
                Step::Change(n) | Step::Delete(n) => {
                    let slot = &mut wanted[usize::from(n)];
                    if slot.1 {
                        continue; // a deleted UID never comes back
                    }
                    next += 1;
                    let change = if matches!(step, Step::Delete(_)) { StateChange::Delete } else { StateChange::Update };
                    *slot = (next, change == StateChange::Delete);
                    bench.offer(&format!("p{n}"), &next.to_string(), change);
                }
                Step::Write => {
                    if let Some(Action::Write { message, .. }) = bench.step(Event::Ready).pop() {
                        take(&message, &mut held);
                        open.push(*message);
                    }
                }
                Step::AckOldest if !open.is_empty() => {
                    let message = open.remove(0);
                    bench.ack(&message);
                }
                Step::AckNewest => {
                    if let Some(message) = open.pop() {
                        bench.ack(&message);
                    }
                }
                Step::RefuseOldest if !open.is_empty() => {
                    let message = open.remove(0);
                    bench.step(Event::Refused(message.header.id));
                }
                Step::AckOldest | Step::RefuseOldest => {}
                Step::Wait(seconds) => bench.seconds += u64::from(seconds),
            }
        }
        for _ in 0..1000 {
            match bench.step(Event::Ready).pop() {
                Some(Action::Write { message, .. }) => {
                    take(&message, &mut held);
                    bench.ack(&message);
                }
                _ if bench.session.depth() == 0 => break,
                _ => bench.seconds += 5,
            }
        }
        proptest::prop_assert_eq!(bench.session.depth(), 0);
        for (n, wanted) in wanted.into_iter().enumerate().filter(|(_, wanted)| wanted.0 > 0) {
            proptest::prop_assert_eq!(held.get(&format!("default/pod/p{n}")), Some(&wanted));
        }
    }
}
