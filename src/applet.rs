//! Who we are: decided from the name we were called under, else from the first argument.

use std::{ffi::OsString, path::Path, process::ExitCode};

use crate::{commands, daemon};

/// A program inside this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applet {
    /// The operator's tool.
    Keadm,
    /// The cloud side.
    Cloudcore,
    /// The edge side.
    Edgecore,
    /// Keeps a component running where no service manager does.
    Supervise,
    /// `certgen.sh` of old tutorials: `keadm certgen`.
    Certgen,
}

impl Applet {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "keadm" => Self::Keadm,
            "cloudcore" => Self::Cloudcore,
            "edgecore" => Self::Edgecore,
            "certgen.sh" => Self::Certgen,
            _ => return None,
        })
    }

    /// The applet and its arguments, the first of which is its own name.
    pub fn from_arguments(mut arguments: Vec<OsString>) -> (Self, Vec<OsString>) {
        let called_as = arguments.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_os_string());
        let by_name = called_as.and_then(|name| Self::named(name.to_str()?)).unwrap_or(Self::Keadm);
        if by_name != Self::Keadm {
            return (by_name, arguments);
        }
        let by_argument = arguments.get(1).and_then(|argument| match argument.to_str()? {
            "cloudcore" => Some(Self::Cloudcore),
            "edgecore" => Some(Self::Edgecore),
            "supervise" => Some(Self::Supervise),
            _ => None,
        });
        match by_argument {
            Some(applet) => {
                arguments.remove(0);
                (applet, arguments)
            }
            None => (Self::Keadm, arguments),
        }
    }

    /// Runs it to its end.
    pub fn run(self, mut arguments: Vec<OsString>) -> ExitCode {
        match self {
            Self::Keadm => commands::run(arguments),
            Self::Cloudcore => daemon::cloudcore::main(arguments),
            Self::Edgecore => daemon::edgecore::main(arguments),
            Self::Supervise => commands::supervise::main(&arguments),
            Self::Certgen => {
                arguments.splice(0..1, ["keadm".into(), "certgen".into()]);
                commands::run(arguments)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], applet: Applet, rest: &[&str]) {
        let (found, left) = Applet::from_arguments(arguments.iter().map(OsString::from).collect());
        assert_eq!(found, applet);
        assert_eq!(left, rest);
    }

    #[test]
    fn the_name_decides_then_the_first_argument() {
        check(
            &["/usr/local/bin/edgecore", "--config", "x"],
            Applet::Edgecore,
            &["/usr/local/bin/edgecore", "--config", "x"],
        );
        check(&["./keadm", "cloudcore", "--version"], Applet::Cloudcore, &["cloudcore", "--version"]);
        check(&["keadm", "join"], Applet::Keadm, &["keadm", "join"]);
        check(&["renamed", "version"], Applet::Keadm, &["renamed", "version"]);
        check(&["edgecore", "cloudcore"], Applet::Edgecore, &["edgecore", "cloudcore"]);
        check(&[], Applet::Keadm, &[]);
    }
}
