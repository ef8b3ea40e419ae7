//! The one table per section: field, YAML key, omit-empty, type, default.

/// Declares a section of a configuration file.
///
/// `name "yamlKey": Type = default` is always printed; with `[omit]` after the key it is left out while it is empty
/// and its default is empty too. (Go leaves out every empty value, so an explicit zero silently turns back into the
/// default on the next rewrite; ours survives. Source: spec 06 §7.2.)
macro_rules! section {
    ($(
        $(#[$meta:meta])*
        pub struct $Section:ident {
            $( $(#[$field_meta:meta])* $field:ident $key:literal $([$omit:ident])? : $type:ty = $default:expr, )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Section {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::Field for $Section {
            fn overlay(&mut self, node: &$crate::config::Node, report: &mut $crate::config::Report) {
                const KEYS: &[&str] = &[$( $key ),*];
                let Some(entries) = $crate::config::section::entries(node, report) else { return };
                for (key, value) in entries {
                    report.within(key, |report| match $crate::config::section::known(key, KEYS, report) {
                        $( Some($key) => self.$field.overlay(value, report), )*
                        _ => {}
                    });
                }
            }

            fn print(&self) -> $crate::config::Node {
                let default = Self::default();
                let mut entries = Vec::new();
                $(
                    let omit = $crate::config::section::is_omit(&[$( stringify!($omit) )?]);
                    if !(omit && self.$field.is_empty() && default.$field.is_empty()) {
                        entries.push(($key.to_owned(), self.$field.print()));
                    }
                )*
                $crate::config::Node::Map(entries)
            }

            fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    )*};
}
pub(crate) use section;

use super::{Node, Report, WarningKind, nearest::nearest};

/// The entries of a section, or `None` after noting why there are none.
pub fn entries<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [(String, Node)]> {
    match node {
        Node::Map(entries) => return Some(entries),
        Node::Null => report.warn(WarningKind::NullSection),
        other => report.mismatch("a mapping", other),
    }
    None
}

/// The known key that `key` names: exactly, else without regard to case (spec 06 R4); unknown keys are noted.
pub fn known(key: &str, keys: &'static [&'static str], report: &mut Report) -> Option<&'static str> {
    let exact = keys.iter().find(|known| **known == key);
    let found = exact.or_else(|| keys.iter().find(|known| known.eq_ignore_ascii_case(key)));
    if found.is_none() {
        report.warn(WarningKind::UnknownKey { nearest: nearest(key, keys) });
    }
    found.copied()
}

/// Whether a field carries the `[omit]` mark.
pub fn is_omit(marks: &[&str]) -> bool {
    marks.contains(&"omit")
}
