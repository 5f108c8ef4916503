//! The BPF programs of others: their names, and what is attached where.

use std::{fs::File, io, mem::size_of, os::fd::AsRawFd as _, path::Path};

use aya::programs::loaded_programs;
use aya_obj::generated::{BPF_F_QUERY_EFFECTIVE, bpf_attach_type, bpf_attr, bpf_cmd};

use crate::text::sanitize::sanitize;

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub id: u32,
    /// `None` if it has none, or if it is gone.
    pub name: Option<String>,
}

impl Program {
    pub fn named(id: u32) -> Self {
        Self { id, name: name(id) }
    }
}

/// The programs that see the packets of a cgroup's sockets, inherited ones among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupPrograms {
    pub ingress: Vec<Program>,
    pub egress: Vec<Program>,
}

/// The name that a program was loaded under, of which the kernel keeps 15 bytes.
pub fn name(id: u32) -> Option<String> {
    let program = loaded_programs().flatten().find(|program| program.id() == id)?;
    program.name_as_str().filter(|name| !name.is_empty()).map(|name| sanitize(name).into_owned())
}

/// The programs at the way into a device of the thread's namespace that no `tc` filter runs; none before Linux 6.6.
pub fn tcx_ingress(index: u32) -> Vec<Program> {
    query(index, bpf_attach_type::BPF_TCX_INGRESS, 0)
}

/// As [`tcx_ingress`], at the way out.
pub fn tcx_egress(index: u32) -> Vec<Program> {
    query(index, bpf_attach_type::BPF_TCX_EGRESS, 0)
}

/// The programs of a cgroup, by its directory.
pub fn cgroup(directory: &Path) -> io::Result<CgroupPrograms> {
    let file = File::open(directory)?;
    let target = file.as_raw_fd().cast_unsigned();
    let programs = |attach_type| query(target, attach_type, BPF_F_QUERY_EFFECTIVE);
    Ok(CgroupPrograms {
        ingress: programs(bpf_attach_type::BPF_CGROUP_INET_INGRESS),
        egress: programs(bpf_attach_type::BPF_CGROUP_INET_EGRESS),
    })
}

/// `target` is a cgroup's file descriptor, or a device's index.
fn query(target: u32, attach_type: bpf_attach_type, flags: u32) -> Vec<Program> {
    /// The kernel attaches at most 64 in one place; a cgroup has those of its ancestors, too.
    const MOST: usize = 512;
    let mut ids = [0_u32; MOST];
    // SAFETY: plain data for which all zeroes are valid.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.query.__bindgen_anon_1.target_fd = target;
    attr.query.attach_type = attach_type as u32;
    attr.query.query_flags = flags;
    attr.query.prog_ids = (&raw mut ids).addr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = MOST as u32;
    // SAFETY: the kernel reads and writes `attr`, and writes at most `prog_cnt` numbers to `ids`, both alive until it
    // returns.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_PROG_QUERY, &raw mut attr, size_of::<bpf_attr>())
    };
    if done != 0 {
        return Vec::new();
    }
    ids.into_iter().take_while(|id| *id != 0).map(Program::named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_no_programs() {
        assert!(tcx_ingress(u32::MAX).is_empty());
        assert!(cgroup(Path::new("/no/such/cgroup")).is_err());
        assert_eq!(cgroup(Path::new("/proc")).expect("it opens"), CgroupPrograms::default());
        assert_eq!(name(u32::MAX), None);
    }
}
