//! The thief's session with the hub: what is said, what is heard, what was not refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::time::timeout;
use transport::{Receiver, Sender};
use wire::message::{Content, Message};
use wire::operation::Operation;
use wire::reply::Answer;

use super::{ANSWER, SECRET_OF_B};

/// A's session with the hub.
pub struct Session {
    sender: Sender,
    receiver: Receiver,
    /// What was not refused.
    pub holes: Vec<String>,
}

/// A request, without its sender.
pub struct Ask {
    /// The verb on the wire.
    pub operation: &'static str,
    /// What it is about.
    pub resource: String,
    content: Value,
}

/// Makes one.
pub fn ask(operation: &'static str, resource: impl Into<String>, content: Value) -> Ask {
    Ask { operation, resource: resource.into(), content }
}

impl Session {
    /// A session over the two directions of a connection.
    pub fn new(sender: Sender, receiver: Receiver) -> Self {
        Self { sender, receiver, holes: Vec::new() }
    }

    /// Says something as the module `source`.
    pub async fn say(&mut self, source: &str, group: &str, ask: &Ask) -> String {
        let now = jiff::Timestamp::now().as_millisecond();
        let content = Content::json(&ask.content).expect("JSON");
        let message = Message::new(source, group, Operation::from(ask.operation), &*ask.resource, content, now);
        self.sender.send(&message).await.expect("the session lives");
        message.header.id
    }

    /// The next message, acknowledged as an honest edge does.
    pub async fn hear(&mut self) -> Message {
        let message = self.receiver.next().await.expect("the session lives").expect("the session lives");
        check_silent(&message);
        self.sender.send(&message.ack(message.header.timestamp)).await.expect("the session lives");
        message
    }

    /// Asks, and waits for the answer. Whatever else comes is looked through.
    pub async fn ask(&mut self, ask: &Ask) -> Option<Message> {
        let id = self.say("edged", "meta", ask).await;
        let answer = timeout(ANSWER, async {
            loop {
                let message = self.hear().await;
                if message.header.parent_id.as_deref() == Some(&id) {
                    return message;
                }
            }
        });
        answer.await.ok()
    }

    /// Asks for what must be refused in words. All that is not is reported together.
    pub async fn refused(&mut self, ask: &Ask) {
        let what = format!("{} {}", ask.operation, ask.resource);
        let Some(answer) = self.ask(ask).await else { return self.holes.push(format!("{what}: no answer")) };
        let Answer::Failed(status) = Answer::read(&answer.content) else {
            return self.holes.push(format!("{what}: granted: {}", answer.content.get()));
        };
        println!("{what}: {} {}", status.code, status.message);
        // Plain words have no code.
        let plain = answer.route.operation == Operation::Error || status.message.contains("may not do this");
        if !plain && !matches!(status.code, 400 | 403 | 405) {
            self.holes.push(format!("{what}: {status:?}"));
        }
    }
}

/// No message for A holds anything of B's.
pub fn check_silent(message: &Message) {
    let text = message.encode();
    let encoded = STANDARD.encode(SECRET_OF_B);
    assert!(!text.contains(SECRET_OF_B) && !text.contains(&encoded), "A was told what is B's: {text}");
    assert!(!text.contains("cakeydata"), "A was told the CA's key");
}
