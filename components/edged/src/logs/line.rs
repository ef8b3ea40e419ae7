//! One line of a CRI log: `<RFC 3339 time> <stdout|stderr> <F|P>[:tags] <text>\n`. Pure.

use jiff::Timestamp;

/// Which output of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A parsed line; borrows from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// As written by the runtime, RFC 3339 with nanoseconds.
    pub timestamp: &'a str,
    /// Where it was written to.
    pub stream: Stream,
    /// The text goes on in the next line of the same stream.
    pub partial: bool,
    /// The text without its newline.
    pub text: &'a [u8],
}

impl<'a> LogLine<'a> {
    /// Reads one line, with or without its newline. `None`: not a CRI line.
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let (timestamp, rest) = split_blank(raw)?;
        let (stream, rest) = split_blank(rest)?;
        let (tags, text) = split_blank(rest).unwrap_or((rest, b""));
        let stream = match stream {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let partial = match tags.split(|byte| *byte == b':').next() {
            Some(b"P") => true,
            Some(b"F") => false,
            Some(_) | None => return None,
        };
        let timestamp = std::str::from_utf8(timestamp).ok().filter(|text| text.contains('T'))?;
        Some(Self { timestamp, stream, partial, text })
    }

    /// When it was written, if the runtime wrote a readable time.
    pub fn time(&self) -> Option<Timestamp> {
        self.timestamp.parse().ok()
    }
}

fn split_blank(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_and_partial_lines_are_told_apart() {
        let line = LogLine::parse(b"2025-03-01T08:15:30.123456789+01:00 stdout F hello  world \n").unwrap();
        assert_eq!((line.stream, line.partial, line.text), (Stream::Stdout, false, &b"hello  world "[..]));
        assert_eq!(line.time().unwrap().to_string(), "2025-03-01T07:15:30.123456789Z");
        let line = LogLine::parse(b"2025-03-01T08:15:30Z stderr P:x:y part").unwrap();
        assert_eq!((line.stream, line.partial, line.text), (Stream::Stderr, true, &b"part"[..]));
        assert_eq!(LogLine::parse(b"2025-03-01T08:15:30Z stdout F\n").unwrap().text, b"");
        assert_eq!(LogLine::parse(b"2025-03-01T08:15:30Z stdout F \n").unwrap().text, b"");
    }

    #[test]
    fn anything_else_is_not_a_line() {
        for raw in ["", "\n", "x", "2025-03-01T08:15:30Z stdin F x", "2025-03-01T08:15:30Z stdout Q x", "1 stdout F x"]
        {
            assert_eq!(LogLine::parse(raw.as_bytes()), None, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(raw: Vec<u8>) {
            let _ = LogLine::parse(&raw).map(|line| line.time());
        }

        #[test]
        fn what_was_written_is_read_back(text in "[^\n]{0,60}", partial: bool) {
            let tag = if partial { "P" } else { "F" };
            let raw = format!("2025-03-01T08:15:30.1Z stderr {tag} {text}\n");
            let line = LogLine::parse(raw.as_bytes()).unwrap();
            prop_assert_eq!((line.partial, line.text), (partial, text.as_bytes()));
        }
    }
}
