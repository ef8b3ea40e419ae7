use std::convert::Infallible;
use std::sync::Mutex;

use super::*;

/// A connection of channels.
struct Wire {
    out: mpsc::Sender<Sent>,
}

#[derive(Debug)]
enum Sent {
    Message(Message),
    Ping,
}

struct Ear {
    incoming: mpsc::Receiver<Message>,
    heard: Arc<Mutex<Instant>>,
}

impl Outgoing for Wire {
    type Error = Infallible;

    async fn send(&mut self, message: &Message) -> Result<(), Infallible> {
        self.out.send(Sent::Message(message.clone())).await.expect("the test listens");
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Infallible> {
        self.out.send(Sent::Ping).await.expect("the test listens");
        Ok(())
    }
}

impl Incoming for Ear {
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Message>, Infallible> {
        Ok(self.incoming.recv().await)
    }

    fn heard(&self) -> Instant {
        *self.heard.lock().expect("not poisoned")
    }
}

struct Bench {
    lanes: Arc<Lanes>,
    sent: mpsc::Receiver<Sent>,
    cloud: mpsc::Sender<Message>,
    heard: Arc<Mutex<Instant>>,
    inbox: mpsc::Receiver<Delivery>,
    stop: CancellationToken,
    link: JoinSet<Result<(), LinkEnd<Infallible>>>,
}

impl Bench {
    fn start() -> Self {
        let (lanes, answers) = Lanes::new(1);
        let (out, sent) = mpsc::channel(1000);
        let (cloud, incoming) = mpsc::channel(1);
        let (inbox_in, inbox) = mpsc::channel(1);
        let heard = Arc::new(Mutex::new(Instant::now()));
        let stop = CancellationToken::new();
        let settings = LinkSettings { heartbeat: Duration::from_secs(15), message_qps: 30, message_burst: 60 };
        let clock = WallClock::from_fn(|| jiff::Timestamp::UNIX_EPOCH);
        let link = Link { settings, lanes: Arc::clone(&lanes), inbox: inbox_in, clock };
        let mut task = JoinSet::new();
        let (ear, token) = (Ear { incoming, heard: Arc::clone(&heard) }, stop.clone());
        task.spawn(async move { link.run(Wire { out }, ear, answers, &token).await });
        Self { lanes, sent, cloud, heard, inbox, stop, link: task }
    }

    async fn end(mut self) -> Result<(), LinkEnd<Infallible>> {
        self.link.join_next().await.expect("one task").expect("no panic")
    }

    async fn next_sent(&mut self) -> String {
        match self.sent.recv().await.expect("the link runs") {
            Sent::Ping => "ping".to_owned(),
            Sent::Message(message) => format!("{} {}", message.route.operation, message.route.resource),
        }
    }
}

fn pushed(resource: &str) -> Message {
    Message::new("edgecontroller", "resource", Operation::Update, resource, Content::null(), 0)
}

#[tokio::test(start_paused = true)]
async fn a_keepalive_goes_first_and_then_every_heartbeat() {
    let mut bench = Bench::start();
    let start = Instant::now();
    let heard = Arc::clone(&bench.heard);
    let mut keepalives = Vec::new();
    while keepalives.len() < 4 {
        if bench.next_sent().await == "keepalive node" {
            keepalives.push(start.elapsed().as_secs());
        }
        *heard.lock().expect("not poisoned") = Instant::now(); // the cloud answers pings
    }
    assert_eq!(keepalives, [0, 15, 30, 45]);
    bench.stop.cancel();
    assert!(bench.end().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_dead_after_ten_seconds() {
    let mut bench = Bench::start();
    let start = Instant::now();
    assert_eq!(bench.next_sent().await, "keepalive node");
    assert_eq!(bench.next_sent().await, "ping");
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(matches!(bench.end().await, Err(LinkEnd::Silent)));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_readers_end_is_the_links_end() {
    let bench = Bench::start();
    let start = Instant::now();
    let Bench { cloud, link, .. } = bench;
    drop(cloud);
    let mut link = link;
    assert!(matches!(link.join_next().await, Some(Ok(Err(LinkEnd::Closed)))));
    assert_eq!(start.elapsed(), Duration::ZERO, "at once, not at the next thing to send");
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_overtake_requests_and_the_bucket() {
    let mut bench = Bench::start();
    let lanes = Arc::clone(&bench.lanes);
    let uplink = super::super::uplink::Uplink::new();
    let _standing = uplink.stand(Arc::clone(&lanes));
    let mut calls = JoinSet::new();
    for number in 0..70 {
        let uplink = uplink.clone();
        let request = Message::new("edged", "meta", Operation::Query, format!("n/secret/{number}"), Content::null(), 0);
        calls.spawn(async move { uplink.call(request, Duration::from_mins(1)).await.is_ok() });
    }
    // The bucket holds 60; the writer then waits, and an acknowledgement does not wait with it.
    for _ in 0..61 {
        bench.next_sent().await;
    }
    let start = Instant::now();
    lanes.answer(pushed("n/pod/a").ack(0)).await;
    assert_eq!(bench.next_sent().await, "response n/pod/a");
    assert!(start.elapsed() < Duration::from_millis(5));
    assert!(bench.next_sent().await.starts_with("query"));
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_holds_the_link_and_does_not_kill_it() {
    let mut bench = Bench::start();
    for number in 0..3 {
        bench.cloud.send(pushed(&format!("n/pod/{number}"))).await.expect("the link reads");
    }
    // One message waits in the inbox, one in the reader's hands, one on the wire: the reader stands still.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(bench.link.try_join_next().is_none(), "waiting for the disk is not silence of the cloud");
    for number in 0..3 {
        let delivery = bench.inbox.recv().await.expect("a message");
        assert_eq!(delivery.message.route.resource, format!("n/pod/{number}"));
        assert_eq!(delivery.link.id(), 1);
    }
    bench.stop.cancel();
    assert!(bench.end().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn late_answers_go_to_metamanager_and_foreign_groups_nowhere() {
    let mut bench = Bench::start();
    let mut late = pushed("n/secret/a");
    late.header.parent_id = Some("forgotten".into());
    let mut twin = pushed("membership");
    twin.route.group = "twin".into();
    bench.cloud.send(twin).await.expect("the link reads");
    bench.cloud.send(late.clone()).await.expect("the link reads");
    assert_eq!(bench.inbox.recv().await.expect("a message").message.header.id, late.header.id);
    drop(bench.inbox);
    bench.cloud.send(pushed("n/pod/a")).await.expect("the link reads");
    let Bench { mut link, .. } = Bench { inbox: mpsc::channel(1).1, ..bench };
    assert!(matches!(link.join_next().await, Some(Ok(Err(LinkEnd::NoReceiver)))));
}
