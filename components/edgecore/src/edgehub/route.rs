//! Where an inbound message goes: one pure table. Source: spec 01 §6.5.

use wire::message::Message;
use wire::operation::Operation;

/// The receiver of an inbound message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The caller who waits for the message named as parent; without one, MetaManager as a late answer.
    Caller,
    /// MetaManager.
    MetaManager,
    /// A module that does not run on this edge, or no module at all.
    Nobody(Absent),
}

/// Why nobody takes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// DeviceTwin.
    Twin,
    /// EventBus and ServiceBus.
    Buses,
    /// TaskManager.
    TaskManager,
    /// A group no peer uses.
    UnknownGroup,
}

/// Decides by group, and by whether the message answers another one.
pub fn destination(message: &Message) -> Destination {
    let answers = message.header.parent_id.is_some();
    match message.route.group.as_str() {
        "resource" | "func" | "user" if answers => Destination::Caller,
        "resource" | "func" => Destination::MetaManager,
        "user" => Destination::Nobody(Absent::Buses),
        "twin" => Destination::Nobody(Absent::Twin),
        "taskmanager" => Destination::Nobody(Absent::TaskManager),
        // An answer to a request of the edge keeps the edge's group with some clouds.
        _ if answers && matches!(message.route.operation, Operation::Response | Operation::Error) => {
            Destination::Caller
        }
        _ => Destination::Nobody(Absent::UnknownGroup),
    }
}

#[cfg(test)]
mod tests {
    use wire::message::Content;

    use super::*;

    fn check(group: &str, parent: Option<&str>, expected: Destination) {
        let mut message = Message::new("x", group, Operation::Update, "default/pod/a", Content::null(), 0);
        message.header.parent_id = parent.map(str::to_owned);
        assert_eq!(destination(&message), expected, "{group} {parent:?}");
    }

    #[test]
    fn groups_and_parents_decide() {
        check("resource", None, Destination::MetaManager);
        check("func", None, Destination::MetaManager);
        check("resource", Some("p"), Destination::Caller);
        check("user", Some("p"), Destination::Caller);
        check("user", None, Destination::Nobody(Absent::Buses));
        check("twin", Some("p"), Destination::Nobody(Absent::Twin));
        check("taskmanager", None, Destination::Nobody(Absent::TaskManager));
        check("nonsense", None, Destination::Nobody(Absent::UnknownGroup));
    }
}
