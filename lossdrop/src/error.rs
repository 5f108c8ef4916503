//! What can go wrong, each in one sentence that says what to do.

use std::{io, path::PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the kernel does not tell its types ({}: {why}): give them in a file, --btf FILE. BTFHub has such files for the \
             kernels of many distributions; \"pahole --btf_encode_detached=FILE VMLINUX\" makes one of this kernel's vmlinux \
             with debug information. A kernel built with CONFIG_DEBUG_INFO_BTF=y needs none", path.display())]
    Btf { path: PathBuf, why: String },
    #[error("{} can't be used as this kernel's BTF: {why}. --btf takes raw BTF, or an ELF file with a section .BTF, of the \
             very kernel that runs", path.display())]
    BtfFile { path: PathBuf, why: String },
    #[error(
        "the kernel has no BTF of its own ({why}), which tp_btf and fentry need; raw_tracepoint does without"
    )]
    OwnBtf { why: String },
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
        "{name:?} is no drop reason, function, cause or class that lossdrop knows{near} (docs/causes.md lists them)"
    )]
    UnknownSubject { name: String, near: String },
    #[error("{option} can't be used on this kernel, which has no {field}: no packet would pass")]
    Filter { option: &'static str, field: String },
    #[error("there is no network namespace {name:?}{near} (\"ip netns\" and \"lsns -t net\" list them)")]
    UnknownNetns { name: String, near: String },
    #[error("there is no network device {name:?} in the namespaces looked at{near} (\"ip link\" lists them)")]
    UnknownInterface { name: String, near: String },
    #[error(
        "the kernel refused the program's maps or type information: {}; \"lossdrop check\" tells what this kernel \
         lacks",
        root_cause(source)
    )]
    Load {
        #[from]
        source: aya::EbpfError,
    },
    #[error(
        "the kernel refused the program: {}; \"lossdrop check\" tells what this kernel lacks, -vv shows the \
         verifier's log",
        root_cause(source)
    )]
    Program {
        #[from]
        source: aya::programs::ProgramError,
    },
    #[error("a BPF map failed: {source}")]
    MapAccess {
        #[from]
        source: aya::maps::MapError,
    },
    #[error("the BPF map {name} can't be mapped: {source}")]
    Map { name: &'static str, source: io::Error },
    #[error("lossdrop's bytecode lacks {missing}: it does not belong to this binary, rebuild both")]
    Bytecode { missing: &'static str },
    #[error("the number of CPUs can't be read from /sys/devices/system/cpu/possible: is /sys mounted?")]
    Cpus,
    #[error("output failed: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// The reason without the advice: for those who have asked already.
    pub fn why(&self) -> String {
        match self {
            Self::Load { source } => root_cause(source),
            Self::Program { source } => root_cause(source),
            other => other.to_string(),
        }
    }

    /// The system does not permit it.
    pub fn is_forbidden(&self) -> bool {
        let source: Option<&io::Error> = match self {
            Self::Program { source: aya::programs::ProgramError::LoadError { io_error, .. } } => {
                Some(io_error)
            }
            Self::Output(error) => Some(error),
            _ => None,
        };
        source.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// The user asked for something that does not exist, rather than something failed.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::BtfFile { .. }
                | Self::UnknownReason { .. }
                | Self::NoReasons
                | Self::UnknownSubject { .. }
                | Self::UnknownNetns { .. }
                | Self::UnknownInterface { .. }
        )
    }
}

/// The innermost error: the system's answer rather than the name of the call that failed. The verifier's log, which may
/// be a thousand lines, is no part of it.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(aya::programs::ProgramError::LoadError { io_error, .. }) = cause.downcast_ref() {
            return io_error.to_string();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return cause.to_string(),
        }
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
    use aya::programs::ProgramError;

    use super::*;

    #[test]
    fn the_system_s_answer_is_told_and_the_verifier_s_log_is_not() {
        let refused = ProgramError::LoadError {
            io_error: io::Error::from_raw_os_error(1),
            verifier_log: aya_obj::VerifierLog::new("0: R1=ctx()\n1: a thousand lines\n".to_owned()),
        };
        let text = Error::from(refused).to_string();
        assert!(text.contains("refused the program: Operation not permitted (os error 1)"), "{text}");
        assert!(!text.contains('\n') && !text.contains("R1"), "{text}");
    }

    #[test]
    fn only_what_the_user_can_mistype_is_wrong_usage() {
        let (name, near) = ("x".to_owned(), String::new());
        for error in [
            Error::UnknownReason { name: name.clone(), near: near.clone() },
            Error::NoReasons,
            Error::UnknownSubject { name: name.clone(), near: near.clone() },
            Error::UnknownNetns { name: name.clone(), near: near.clone() },
            Error::UnknownInterface { name, near },
        ] {
            assert!(error.is_usage(), "{error}");
        }
        let others = [Error::Lockdown, Error::Cpus, Error::Output(io::ErrorKind::BrokenPipe.into())];
        assert!(!others.iter().any(Error::is_usage));
    }

    #[test]
    fn every_cause_is_told_once() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let refused = ProgramError::LoadError {
            io_error: io::Error::from_raw_os_error(1),
            verifier_log: aya_obj::VerifierLog::new("a thousand lines".to_owned()),
        };
        assert!(!message(&Error::from(refused).into()).contains("a thousand lines"));
        assert_eq!(message(&Error::Output(full()).into()), format!("output failed: {}", full()));
        let other = anyhow::Error::from(full()).context("cannot read /proc/kallsyms");
        assert_eq!(message(&other), format!("cannot read /proc/kallsyms: {}", full()));
    }
}
