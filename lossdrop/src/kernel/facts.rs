//! What is known of the running kernel before anything is loaded.

use std::path::{Path, PathBuf};

use lossdrop_common::{FactOffsets, Offsets};

use super::{
    btf::KernelBtf,
    fact_offsets,
    offsets::{self, Missing},
    probes::{self, Target},
    reasons::Reasons,
};
use crate::error::{Error, Result};

/// Where kernels keep their BTF.
pub const BTF_DIR: &str = "/sys/kernel/btf";

#[derive(Clone, Debug)]
pub struct KernelFacts {
    /// As `uname -r` says.
    pub release: String,
    pub btf_path: PathBuf,
    /// Arguments of the tracepoint `skb:kfree_skb`.
    pub args: u32,
    pub offsets: Offsets,
    pub missing: Vec<Missing>,
    pub fact_offsets: FactOffsets,
    /// What is missing among what only the facts of a drop need.
    pub missing_facts: Vec<Missing>,
    pub reasons: Reasons,
    /// The functions of the optional probes.
    pub probes: Vec<Target>,
}

impl KernelFacts {
    /// Asks the running kernel.
    pub fn gather() -> Result<Self> {
        let btf_path = Path::new(BTF_DIR).join("vmlinux");
        let btf = KernelBtf::open(&btf_path)?;
        let (offsets, missing) = offsets::resolve(&btf);
        if missing.iter().any(|missing| missing.field == offsets::REQUIRED) {
            return Err(Error::Btf { path: btf_path, why: format!("no {} in it", offsets::REQUIRED) });
        }
        let args = btf.tracepoint_args("kfree_skb").ok_or_else(|| Error::Btf {
            path: btf_path.clone(),
            why: "no tracepoint skb:kfree_skb in it".to_owned(),
        })?;
        let (fact_offsets, missing_facts) = fact_offsets::resolve(&btf, Path::new(BTF_DIR));
        let probes = probes::find(&btf, Path::new(BTF_DIR));
        let reasons = Reasons::gather(&btf, Path::new(BTF_DIR));
        Ok(Self {
            release: release(),
            btf_path,
            args,
            offsets,
            missing,
            fact_offsets,
            missing_facts,
            reasons,
            probes,
        })
    }

    /// The tracepoint tells the reason.
    pub const fn has_reason(&self) -> bool {
        self.args >= 3
    }

    /// The tracepoint tells the receiving socket.
    pub const fn has_rx_sk(&self) -> bool {
        self.args >= 4
    }
}

/// As `uname -r` says.
pub fn release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |uname| uname.release().to_string_lossy().into_owned())
}
