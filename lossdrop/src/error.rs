//! What can go wrong, each in one sentence that says what to do.

use std::{io, path::PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot use the kernel's BTF ({}: {why}): lossdrop needs a kernel built with CONFIG_DEBUG_INFO_BTF=y; \
             \"lossdrop check\" tells more", path.display())]
    Btf { path: PathBuf, why: String },
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
    /// The user asked for something that does not exist, rather than something failed.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownReason { .. } | Self::UnknownNetns { .. } | Self::UnknownInterface { .. })
    }
}

/// The innermost error: the system's answer rather than the name of the call that failed. The verifier's log, which may
/// be a thousand lines, is no part of it.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
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
