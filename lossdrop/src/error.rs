//! What can go wrong, each in one sentence that says what to do.

use std::{io, path::PathBuf};

use crate::kernel;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    #[error("lossdrop needs root, or the capabilities {missing}: run it with sudo")]
    Capabilities { missing: String },
    #[error("this kernel ({release}) has no BPF ring buffer: lossdrop needs Linux 5.8 or newer")]
    NoRingBuffer { release: String },
    #[error(
        "the kernel is locked down for confidentiality, which forbids reading kernel memory: boot with \
             lockdown=integrity or without Secure Boot's lockdown"
    )]
    Lockdown,
    #[error("there is no drop reason {name:?} in this kernel{near} (\"lossdrop reasons\" lists them)")]
    UnknownReason { name: String, near: String },
    #[error(
        "this kernel has no drop reasons to filter by (Linux 5.17 brought them); --cause works on every kernel: it goes by the \
         location as well"
    )]
    NoReasons,
    #[error(
        "{name:?} is no drop reason, function, kind or cause that lossdrop knows{near} (docs/causes.md lists them)"
    )]
    UnknownSubject { name: String, near: String },
    #[error("--{option} can't be used on this kernel, which has no {field}: no packet would pass")]
    Filter { option: &'static str, field: String },
    #[error("--{option} takes at most {most} values: ranges or masks make do with fewer")]
    TooManyValues { option: &'static str, most: u32 },
    #[error("there is no network namespace {name:?}{near} (\"ip netns\" and \"lsns -t net\" list them)")]
    UnknownNetns { name: String, near: String },
    #[error("there is no network device {name:?} in the namespaces looked at{near} (\"ip link\" lists them)")]
    UnknownInterface { name: String, near: String },
    #[error("{} exists already: give another name, or remove it", path.display())]
    FileExists { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is no recording: {why}", path.display())]
    Recording { path: PathBuf, why: String },
    #[error("output failed: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// The user asked for something that does not exist, rather than something failed.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Kernel(kernel::Error::BtfFile { .. })
                | Self::UnknownReason { .. }
                | Self::NoReasons
                | Self::UnknownSubject { .. }
                | Self::TooManyValues { .. }
                | Self::UnknownNetns { .. }
                | Self::UnknownInterface { .. }
                | Self::FileExists { .. }
        )
    }

    /// Whoever reads our output has gone: a clean end.
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What the user reads: each cause once. Our own errors tell theirs themselves.
pub fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(own) => own.to_string(),
        None => format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_user_can_mistype_is_wrong_usage() {
        let (name, near) = ("x".to_owned(), String::new());
        let path = PathBuf::from("x");
        for error in [
            Error::UnknownReason { name: name.clone(), near: near.clone() },
            Error::NoReasons,
            Error::UnknownSubject { name: name.clone(), near: near.clone() },
            Error::UnknownNetns { name: name.clone(), near: near.clone() },
            Error::UnknownInterface { name, near },
            Error::TooManyValues { option: "mark", most: 1 },
            Error::FileExists { path: path.clone() },
            kernel::Error::BtfFile { path: path.clone(), why: "it is a directory".to_owned() }.into(),
        ] {
            assert!(error.is_usage(), "{error}");
        }
        let others = [
            Error::Lockdown,
            kernel::Error::Cpus.into(),
            Error::Output(io::ErrorKind::BrokenPipe.into()),
            Error::File { path, source: io::ErrorKind::StorageFull.into() },
        ];
        assert!(!others.iter().any(Error::is_usage));
    }

    #[test]
    fn every_cause_is_reported_once() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let unmapped = kernel::Error::Map { name: "SLOTS", source: full() };
        assert_eq!(
            message(&Error::from(unmapped).into()),
            format!("the BPF map SLOTS can't be mapped: {}", full())
        );
        assert_eq!(message(&Error::Output(full()).into()), format!("output failed: {}", full()));
        let other = anyhow::Error::from(full()).context("cannot read /proc/kallsyms");
        assert_eq!(message(&other), format!("cannot read /proc/kallsyms: {}", full()));
    }
}
