//! What is known of the running kernel before anything is loaded.

use std::path::{Path, PathBuf};

use lossdrop_common::{FactOffsets, Offsets};

use super::{
    error::Result,
    fact_offsets,
    fields::{Missing, differing},
    layout::Layout,
    load::TRACEPOINT,
    offsets,
    probes::{self, Target},
    reasons::Reasons,
    sys,
    types::Types,
};

#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// As `uname -r` says.
    pub release: String,
    pub btf_path: PathBuf,
    /// What the given BTF says otherwise than the kernel itself, in a sentence.
    pub contradiction: Option<String>,
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

impl KernelInfo {
    /// Asks the running kernel, or the file that has its BTF.
    pub fn gather(btf: Option<&Path>) -> Result<Self> {
        let types = Types::gather(btf)?;
        let args = tracepoint_args(&types)?;
        let (offsets, missing) = offsets::resolve(&types);
        if missing.iter().any(|missing| missing.field == offsets::REQUIRED) {
            return Err(types.error(format!("no {} in it", offsets::REQUIRED)));
        }
        let (fact_offsets, missing_facts) = fact_offsets::resolve(&types);
        let reasons = Reasons::gather(&types);
        Ok(Self {
            release: release(),
            contradiction: contradiction(&types, &reasons),
            args,
            offsets,
            missing,
            fact_offsets,
            missing_facts,
            reasons,
            probes: probes::find(&types),
            btf_path: types.path,
        })
    }

    /// The first of these fields that the kernel does not have.
    pub fn lacks(&self, fields: &[&str]) -> Option<&Missing> {
        let missing = || self.missing.iter().chain(&self.missing_facts);
        missing().find(|missing| fields.contains(&&*missing.field))
    }

    /// Where the variable parts of an event lie, and which of its facts are none on this kernel.
    pub fn layout(&self, options: &super::Options) -> Layout {
        let missing = self.missing.iter().chain(&self.missing_facts);
        Layout { withheld: missing.fold(0, |all, missing| all | missing.lost.withheld), ..options.layout() }
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

/// A file that has another number than the running kernel, which a trial tells, is another kernel's. The kernel's own types
/// need no trial.
fn tracepoint_args(types: &Types) -> Result<u32> {
    let args = types
        .btf
        .tracepoint_args(TRACEPOINT)
        .ok_or_else(|| types.error(format!("no tracepoint skb:{TRACEPOINT} in it")))?;
    let own = if types.is_given { sys::tracepoint_args(TRACEPOINT) } else { None };
    match own {
        Some(own) if own != args => Err(types.error(format!(
            "it is another kernel's, whose tracepoint skb:{TRACEPOINT} has {args} arguments; this kernel's has {own}"
        ))),
        _ => Ok(args),
    }
}

/// The kernel's own word against the file's, where it says anything.
fn contradiction(types: &Types, reasons: &Reasons) -> Option<String> {
    if !types.is_given {
        return None;
    }
    let own = types.running();
    let fields = own.as_ref().map_or_else(Vec::new, |own| {
        let mut fields = differing(offsets::FIELDS, &types.btf, &own.btf);
        fields.extend(differing(fact_offsets::FIELDS, &types.btf, &own.btf));
        fields
    });
    let what = match fields.as_slice() {
        [] => {
            let own = own.as_ref().map_or_else(Reasons::traced, Reasons::gather);
            let (number, theirs, ours) = reasons.contradiction(&own)?;
            format!("calls reason {number} {theirs}, and the kernel {ours}")
        }
        [one] => format!("has {one} in another place than the kernel"),
        [first, rest @ ..] => {
            format!("has {first} and {} more fields in other places than the kernel", rest.len())
        }
    };
    let way_out = if own.is_some() { ": do without --btf, the kernel tells its types itself" } else { "" };
    Some(format!(
        "{} {what}: it is another kernel's, and lossdrop is misled by it{way_out}",
        types.path.display()
    ))
}

/// As `uname -r` says.
pub fn release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |uname| uname.release().to_string_lossy().into_owned())
}
