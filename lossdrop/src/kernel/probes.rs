//! The optional probes of netfilter, on the entries and exits of kernel functions (`fentry`, `fexit`). They are loaded with
//! system calls of our own: aya finds no functions of modules.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya::{Ebpf, maps::Map};
use aya_obj::{Object, generated::bpf_attach_type};
use log::debug;

use super::error::{Error, Result};
use super::{load::BYTECODE, sys, types::Types};

/// A program of the object file, and what it is attached to.
#[derive(Debug)]
struct Probe {
    program: &'static str,
    function: &'static str,
    /// Where the function is on kernels that do not have it built in.
    module: &'static str,
    exit: bool,
    /// The name of its first parameter must be this one: other versions have other arguments.
    first_parameter: &'static str,
}

const fn probe(
    program: &'static str,
    function: &'static str,
    module: &'static str,
    exit: bool,
    first_parameter: &'static str,
) -> Probe {
    Probe { program, function, module, exit, first_parameter }
}

const PROBES: [Probe; 7] = [
    probe("nf_hook_slow_entry", "nf_hook_slow", "", false, "skb"),
    probe("nft_do_chain_entry", "nft_do_chain", "nf_tables", false, "pkt"),
    probe("nft_do_chain_exit", "nft_do_chain", "nf_tables", true, "pkt"),
    probe("nft_immediate_eval_exit", "nft_immediate_eval", "nf_tables", true, "expr"),
    probe("ipt_do_table_exit", "ipt_do_table", "ip_tables", true, "priv"),
    probe("ip6t_do_table_exit", "ip6t_do_table", "ip6_tables", true, "priv"),
    probe("nf_conntrack_in_exit", "nf_conntrack_in", "nf_conntrack", true, "skb"),
];

/// A probe's function in the running kernel.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Index of the probe.
    probe: usize,
    btf_id: u32,
    in_module: bool,
}

/// Finds the functions by the kernel's own BTF, for their ids hold in no other. Those of a module that is not loaded are not
/// there, and nothing is lost with them.
pub fn find(types: &Types) -> Vec<Target> {
    let Some(btf) = &types.own else { return Vec::new() };
    let find = |(probe, Probe { function, module, first_parameter, .. }): (usize, &Probe)| {
        if let Some(btf_id) = btf.function(function, first_parameter) {
            return Some(Target { probe, btf_id, in_module: false });
        }
        let module = types.module(module)?;
        Some(Target { probe, btf_id: module.function(function, first_parameter)?, in_module: true })
    };
    PROBES.iter().enumerate().filter_map(find).collect()
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub function: &'static str,
    /// Why the kernel does not have it.
    pub refused: Option<String>,
}

/// The probes that are attached, until they are dropped.
#[derive(Debug, Default)]
pub struct Probes {
    links: Vec<OwnedFd>,
    pub outcomes: Vec<Outcome>,
}

impl Probes {
    /// Attaches what the kernel allows. The probes share the maps of the loaded program.
    pub fn attach(ebpf: &Ebpf, targets: &[Target]) -> Result<Self> {
        let object = relocated(ebpf)?;
        let mut probes = Self::default();
        for target in targets {
            let probe = &PROBES[target.probe];
            let refused = match attach(&object, probe, target) {
                Ok(link) => {
                    probes.links.push(link);
                    None
                }
                Err(error) => {
                    debug!("no probe on {}: {error}", probe.function);
                    Some(refusal(&error))
                }
            };
            probes.outcomes.push(Outcome { function: probe.function, refused });
        }
        Ok(probes)
    }
}

fn refusal(error: &std::io::Error) -> String {
    /// The kernel's own "not supported" (`include/linux/errno.h`), which no C library has words for. It is what arm64 says
    /// before it has `DYNAMIC_FTRACE_WITH_DIRECT_CALLS`.
    const ENOTSUPP: i32 = 524;
    match error.raw_os_error() {
        Some(ENOTSUPP) => "this kernel can load such a probe, but not attach it".to_owned(),
        _ => error.to_string(),
    }
}

/// The probes' instructions, with the maps of the loaded program in them.
fn relocated(ebpf: &Ebpf) -> Result<Object> {
    let broken = |missing| Error::Bytecode { missing };
    let mut object = Object::parse(BYTECODE).map_err(|_| broken("a readable object"))?;
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.programs.retain(|name, _| PROBES.iter().any(|probe| probe.program == name));
    let wanted: HashSet<(usize, u64)> =
        object.programs.values().map(aya_obj::Program::function_key).collect();
    object.functions.retain(|key, _| wanted.contains(key));
    let maps = std::mem::take(&mut object.maps);
    let fds = maps.iter().filter_map(|(name, map)| {
        let fd = map_fd(ebpf.map(name)?)?;
        Some((name.as_str(), fd.as_raw_fd(), map))
    });
    object.relocate_maps(fds, &sections.into_iter().collect()).map_err(|_| broken("the probes' maps"))?;
    Ok(object)
}

fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

fn attach(object: &Object, probe: &Probe, target: &Target) -> std::io::Result<OwnedFd> {
    let missing = || std::io::Error::other(format!("no {} in the bytecode", probe.program));
    let program = object.programs.get(probe.program).ok_or_else(missing)?;
    let function = object.functions.get(&program.function_key()).ok_or_else(missing)?;
    let kind = if probe.exit { bpf_attach_type::BPF_TRACE_FEXIT } else { bpf_attach_type::BPF_TRACE_FENTRY };
    let module = if target.in_module { Some(sys::module_btf(probe.module)?) } else { None };
    let loaded = sys::load_tracing(
        &function.instructions,
        &program.license,
        kind,
        target.btf_id,
        module.as_ref().map(|module| module.as_fd()),
    )?;
    sys::attach_tracing(loaded.as_fd())
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn a_refusal_has_words_even_where_the_c_library_has_none() {
        assert_eq!(
            refusal(&Error::from_raw_os_error(524)),
            "this kernel can load such a probe, but not attach it"
        );
        let denied = Error::from_raw_os_error(libc::EPERM);
        assert_eq!(refusal(&denied), denied.to_string());
    }
}
