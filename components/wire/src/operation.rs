//! The verbs of the message envelope. Source: spec 01 §2.3.

use std::fmt;

/// What a message asks for. Unknown verbs are data, so that relaying never loses one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `insert`: the object is new to the receiver; receivers treat it as an upsert.
    Insert,
    /// `update`: the object changed; receivers treat it as an upsert.
    Update,
    /// `patch`: content is a *string* holding a strategic-merge patch.
    Patch,
    /// `delete`.
    Delete,
    /// `query`: asks for one object (or, without a name, all of a type).
    Query,
    /// `response`: an answer or an acknowledgement, told apart by the content.
    Response,
    /// `error`: an error answer; content is the text.
    Error,
    /// `upload`: user data towards the router.
    Upload,
    /// `keepalive`: the only message that counts for liveness (spec 01 §5.5).
    Keepalive,
    /// `publish`, `subscribe`, CSI verbs, task verbs and everything else.
    Other(String),
}

impl Operation {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Query => "query",
            Self::Response => "response",
            Self::Error => "error",
            Self::Upload => "upload",
            Self::Keepalive => "keepalive",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Operation {
    fn from(word: &str) -> Self {
        match word {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "query" => Self::Query,
            "response" => Self::Response,
            "error" => Self::Error,
            "upload" => Self::Upload,
            "keepalive" => Self::Keepalive,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
