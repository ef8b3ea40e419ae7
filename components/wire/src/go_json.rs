//! JSON text as Go's encoder writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped inside strings.
//!
//! Source: spec 01 §2.1.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::value::RawValue;

/// Serialises `value` compactly with Go's escapes.
///
/// # Errors
/// [`serde_json::Error`] when the value cannot be JSON.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(128);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, GoFormatter(CompactFormatter)))?;
    Ok(String::from_utf8(bytes).expect("serde_json writes UTF-8"))
}

/// Serialises `value` into raw JSON with Go's escapes.
///
/// # Errors
/// [`serde_json::Error`] when the value cannot be JSON.
pub fn to_raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(to_string(value)?)
}

/// Appends `text` as a JSON string.
pub(crate) fn push_str(out: &mut String, text: &str) {
    out.push_str(&to_string(text).expect("a string always serialises"));
}

struct GoFormatter(CompactFormatter);

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices() {
            let escape: &[u8] = match c {
                '<' => b"\\u003c",
                '>' => b"\\u003e",
                '&' => b"\\u0026",
                '\u{2028}' => b"\\u2028",
                '\u{2029}' => b"\\u2029",
                _ => continue,
            };
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            writer.write_all(escape)?;
            plain = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_go_s_five_characters_differ_from_plain_json() {
        assert_eq!(to_string("<>&\u{2028}\u{2029}").expect("serialises"), r#""\u003c\u003e\u0026\u2028\u2029""#);
        assert_eq!(
            to_string("\"\\/\n\t\u{8}\u{c}\u{1}\u{7f}é🙂").expect("serialises"),
            "\"\\\"\\\\/\\n\\t\\b\\f\\u0001\u{7f}é🙂\""
        );
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text: String) {
            let json = to_string(&text).expect("serialises");
            let bare = json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(!bare);
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("is JSON"), text);
        }
    }
}
