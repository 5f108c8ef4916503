//! System calls that no library offers.

use std::{
    ffi::{CStr, CString},
    fs, io,
    mem::size_of,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_btf_info, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type,
};
use log::debug;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::error::{Error, Result};

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
        debug!("no membarrier: {}", io::Error::last_os_error());
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
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map_or(0, |_| info.recursion_misses)
}

/// The system call. The pointers in `attr` must be good for what the command does with them.
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: the kernel reads and writes `attr`, which is alive until it returns, and what it points to, as promised by
    // the caller.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<bpf_attr>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// As [`bpf`], for commands that return a file descriptor.
fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Loads a program for the entry or the exit of a kernel function, by its id in the BTF of the kernel or of `module` (since
/// 5.11).
pub fn load_tracing(
    instructions: &[bpf_insn],
    license: &CStr,
    kind: bpf_attach_type,
    btf_id: u32,
    module: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    let load = |log: &mut [u8]| {
        // SAFETY: plain data for which all zeroes are valid.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        // SAFETY: this command takes this part of the union.
        let program = unsafe { &mut attr.__bindgen_anon_3 };
        program.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
        program.expected_attach_type = kind as u32;
        program.insns = instructions.as_ptr().addr() as u64;
        program.insn_cnt = instructions.len() as u32;
        program.license = license.as_ptr().addr() as u64;
        program.attach_btf_id = btf_id;
        if let Some(module) = module {
            program.__bindgen_anon_1.attach_btf_obj_fd = module.as_raw_fd().cast_unsigned();
        }
        if !log.is_empty() {
            program.log_level = 1;
            program.log_buf = log.as_mut_ptr().addr() as u64;
            program.log_size = log.len() as u32;
        }
        bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
    };
    load(&mut []).inspect_err(|_| {
        let mut log = vec![0; 1 << 16];
        // For its log alone.
        let _ = load(&mut log);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        debug!("the verifier's log:\n{}", String::from_utf8_lossy(&log[..end]));
    })
}

/// Attaches a program of [`load_tracing`] until the link is closed.
pub fn attach_tracing(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: plain data for which all zeroes are valid.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.raw_tracepoint.prog_fd = program.as_raw_fd().cast_unsigned();
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// The BTF of a module that is loaded.
pub fn module_btf(module: &str) -> io::Result<OwnedFd> {
    let mut id = 0;
    loop {
        // SAFETY: plain data for which all zeroes are valid.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
        bpf(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut attr)?;
        // SAFETY: the command has written it.
        id = unsafe { attr.__bindgen_anon_6.next_id };
        // SAFETY: as above.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        attr.__bindgen_anon_6.__bindgen_anon_1.btf_id = id;
        // One that goes while we look is not the one.
        if let Ok(fd) = bpf_fd(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut attr)
            && is_module_btf(fd.as_fd(), module)
        {
            return Ok(fd);
        }
    }
}

fn is_module_btf(fd: BorrowedFd<'_>, module: &str) -> bool {
    let mut name = [0_u8; 64];
    // SAFETY: plain data for which all zeroes are valid.
    let mut info: bpf_btf_info = unsafe { std::mem::zeroed() };
    info.name = name.as_mut_ptr().addr() as u64;
    info.name_len = name.len() as u32;
    // SAFETY: as above.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.info.bpf_fd = fd.as_raw_fd().cast_unsigned();
    attr.info.info = (&raw mut info).addr() as u64;
    attr.info.info_len = size_of::<bpf_btf_info>() as u32;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).is_ok()
        && info.kernel_btf != 0
        && CStr::from_bytes_until_nul(&name).is_ok_and(|name| name.to_bytes() == module.as_bytes())
}

/// How many arguments a tracepoint has, by trial: the kernel attaches no program that reads more (since 4.17). `None` where it
/// attaches none at all.
pub fn tracepoint_args(name: &str) -> Option<u32> {
    /// `MAX_BPF_FUNC_ARGS` (`include/linux/bpf.h`).
    const MOST: u32 = 12;
    let name = CString::new(name).ok()?;
    (1..=MOST).take_while(|args| takes_args(&name, *args)).last()
}

fn takes_args(tracepoint: &CStr, args: u32) -> bool {
    // r0 = *(u64 *)(r1 + 8 * (args - 1)); r0 = 0; exit
    let program = [0x1079 | (u64::from(args - 1) * 8) << 16, 0xb7, 0x95];
    // SAFETY: plain data for which all zeroes are valid.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: this command takes this part of the union.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    load.insns = program.as_ptr().addr() as u64;
    load.insn_cnt = program.len() as u32;
    load.license = c"GPL".as_ptr().addr() as u64;
    let Ok(program) = bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) else { return false };
    // SAFETY: plain data for which all zeroes are valid.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.raw_tracepoint.name = tracepoint.as_ptr().addr() as u64;
    attr.raw_tracepoint.prog_fd = program.as_raw_fd().cast_unsigned();
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr).is_ok()
}

/// Before 5.11, BPF maps count against the limit of locked memory; where it can't be lifted, they may still fit.
pub fn lift_memlock_limit() {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    if let Err(errno) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        debug!("RLIMIT_MEMLOCK stays as it is: {errno}");
    }
}

/// A netlink socket; nix knows only some of the protocols.
pub fn netlink_socket(protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket takes three integers and touches no memory of ours.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a file is a network namespace (`ioctl_ns(2)`, since 4.11).
pub fn is_network_namespace(file: BorrowedFd<'_>) -> bool {
    /// `_IO(0xb7, 0x3)`, from `include/uapi/linux/nsfs.h`.
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument and touches no memory of ours; other files refuse it.
    unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) == libc::CLONE_NEWNET }
}

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// What the file would say if its file system were mounted, as it is in a mount namespace that ends with this thread.
fn lockdown_unmounted() -> Option<String> {
    let look = || {
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).ok()?;
        mount(none, "/sys/kernel/security", Some("securityfs"), MsFlags::empty(), none).ok()?;
        fs::read_to_string(LOCKDOWN).ok()
    };
    std::thread::spawn(look).join().ok()?
}

/// The kernel's lockdown mode; `None` where it has no lockdown, or does not show it.
pub fn lockdown() -> Option<String> {
    let modes = fs::read_to_string(LOCKDOWN).ok().or_else(lockdown_unmounted)?;
    modes.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(mode, _)| mode.to_owned())
}
