//! What decides whether anything can be loaded at all.

use std::path::Path;

use caps::{CapSet, Capability};

use crate::{
    error::Error,
    kernel::{self, info::release, load, sys, types::Types},
};

/// What a run needs of the kernel and of whoever starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// `CAP_SYS_ADMIN`, or `CAP_BPF` and `CAP_PERFMON`: the names of those that are missing.
    pub missing_capabilities: Vec<&'static str>,
    pub lockdown: Option<String>,
    /// Its own, or a file that was given.
    pub has_btf: bool,
    pub has_ring_buffer: bool,
    pub release: String,
}

impl Preflight {
    pub fn gather(btf: Option<&Path>) -> Self {
        Self {
            missing_capabilities: missing_capabilities(),
            lockdown: sys::lockdown(),
            has_btf: btf.is_some() || Types::own_path().exists(),
            has_ring_buffer: load::has_ring_buffer(),
            release: release(),
        }
    }

    /// The first thing that makes loading impossible.
    pub fn require(&self) -> Result<(), Error> {
        if !self.missing_capabilities.is_empty() {
            return Err(Error::Capabilities { missing: self.missing_capabilities.join(" and ") });
        }
        if self.lockdown.as_deref() == Some("confidentiality") {
            return Err(Error::Lockdown);
        }
        if !self.has_ring_buffer {
            return Err(Error::NoRingBuffer { release: self.release.clone() });
        }
        if !self.has_btf {
            return Err(kernel::Error::Btf {
                path: Types::own_path(),
                why: "there is no such file".to_owned(),
            }
            .into());
        }
        Ok(())
    }
}

/// The preflight of every command that loads something.
pub fn require(btf: Option<&Path>) -> Result<(), Error> {
    Preflight::gather(btf).require()
}

fn missing_capabilities() -> Vec<&'static str> {
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect()
}

pub fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Preflight {
        Preflight {
            missing_capabilities: Vec::new(),
            lockdown: Some("integrity".to_owned()),
            has_btf: true,
            has_ring_buffer: true,
            release: "6.1".to_owned(),
        }
    }

    #[test]
    fn each_missing_thing_gives_its_own_sentence() {
        assert!(fine().require().is_ok());
        for (preflight, words) in [
            (
                Preflight { missing_capabilities: vec!["CAP_BPF", "CAP_PERFMON"], ..fine() },
                "run it with sudo",
            ),
            (Preflight { lockdown: Some("confidentiality".to_owned()), ..fine() }, "locked down"),
            (Preflight { has_ring_buffer: false, release: "5.4".to_owned(), ..fine() }, "Linux 5.8 or newer"),
            (Preflight { has_btf: false, ..fine() }, "--btf FILE"),
        ] {
            let error = preflight.require().expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_first_thing_in_the_way_is_the_one_that_is_reported() {
        let nothing = Preflight {
            missing_capabilities: vec!["CAP_BPF"],
            lockdown: Some("confidentiality".to_owned()),
            has_btf: false,
            has_ring_buffer: false,
            release: "4.19".to_owned(),
        };
        assert!(matches!(nothing.require(), Err(Error::Capabilities { .. })));
        for lockdown in [None, Some("none".to_owned()), Some("integrity".to_owned())] {
            assert!(Preflight { lockdown, ..fine() }.require().is_ok());
        }
    }
}
