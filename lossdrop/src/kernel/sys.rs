//! System calls that no library offers.

use std::{
    fs,
    mem::size_of,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info};
use log::debug;

use crate::error::{Error, Result};

/// How many CPUs the kernel may ever have: `/sys/devices/system/cpu/possible`.
pub fn possible_cpus() -> Result<u32> {
    aya::util::nr_cpus().ok().and_then(|cpus| u32::try_from(cpus).ok()).ok_or(Error::Cpus)
}

/// Waits until every CPU has left the code that it was running with preemption off: a program that was detached before
/// is then running nowhere.
pub fn synchronize() {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if done != 0 {
        // With nohz_full the kernel refuses (kernel/sched/membarrier.c). A program runs for less than a millisecond.
        debug!("no membarrier: {}", std::io::Error::last_os_error());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// `bpf_prog_info.recursion_misses` (since 5.12): how often the program was not called, because it was running already
/// on the same CPU. 0 where the kernel does not count it.
pub fn recursion_misses(program: BorrowedFd<'_>) -> u64 {
    // SAFETY: plain data for which all zeroes are valid.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.info.bpf_fd = program.as_raw_fd().cast_unsigned();
    attr.info.info = (&raw mut info).addr() as u64;
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    // SAFETY: the kernel reads `attr` and writes at most `info_len` bytes to `info`, both alive until it returns.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &raw mut attr, size_of::<bpf_attr>())
    };
    if done == 0 { info.recursion_misses } else { 0 }
}

/// Before 5.11, BPF maps count against the limit of locked memory; where it can't be lifted, they may still fit.
pub fn lift_memlock_limit() {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    if let Err(errno) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        debug!("RLIMIT_MEMLOCK stays as it is: {errno}");
    }
}

/// A netlink socket; nix knows only some of the protocols.
pub fn netlink_socket(protocol: libc::c_int) -> std::io::Result<OwnedFd> {
    // SAFETY: socket takes three integers and touches no memory of ours.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a file is a network namespace (`ioctl_ns(2)`, since 4.11).
pub fn is_network_namespace(file: BorrowedFd<'_>) -> bool {
    /// `_IO(0xb7, 0x3)`, from `include/uapi/linux/nsfs.h`.
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument and touches no memory of ours; other files refuse it.
    unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) == libc::CLONE_NEWNET }
}

/// The kernel's lockdown mode; `None` where it has no lockdown, or does not show it.
pub fn lockdown() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    modes.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(mode, _)| mode.to_owned())
}
