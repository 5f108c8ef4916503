//! What can go wrong between lossdrop and the kernel, each in one sentence that says what to do.

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
        let source = match self {
            Self::Program { source: aya::programs::ProgramError::LoadError { io_error, .. } } => io_error,
            Self::Map { source, .. } => source,
            _ => return false,
        };
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// The innermost error: the system's answer rather than the name of the call that failed. The verifier's log, which may
/// be a thousand lines, is no part of it.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
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

#[cfg(test)]
mod tests {
    use aya::programs::ProgramError;

    use super::*;

    #[test]
    fn the_system_s_answer_is_reported_and_the_verifier_s_log_is_not() {
        let refused = ProgramError::LoadError {
            io_error: io::Error::from_raw_os_error(1),
            verifier_log: aya_obj::VerifierLog::new("0: R1=ctx()\n1: a thousand lines\n".to_owned()),
        };
        let text = Error::from(refused).to_string();
        assert!(text.contains("refused the program: Operation not permitted (os error 1)"), "{text}");
        assert!(!text.contains('\n') && !text.contains("R1"), "{text}");
    }
}
