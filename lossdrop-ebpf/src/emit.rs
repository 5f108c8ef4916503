//! A drop in detail: fills an event and hands it to the ring buffer.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_F_MMAPABLE, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_stack, bpf_ktime_get_ns, bpf_probe_read_kernel},
    macros::map,
    maps::{Array, RingBuf},
};
use lossdrop_common::{Event, Facts, parse::Headers};

use crate::{
    config::{config, present},
    detail::Detail,
    device::socket_inode,
    facts,
    memory::{Memory, Probe},
};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Not 0 while the reader of `EVENTS` waits to be woken.
#[map]
static ASLEEP: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Hands the drop to the ring buffer; false if that has no room.
#[inline(always)]
pub(crate) fn emit(ctx: &impl EbpfContext, detail: &Detail, headers: &Headers) -> bool {
    const HEAD: usize = size_of::<Event>();
    let stack_bytes = config!(stack_bytes);
    let snaplen = config!(snaplen);
    let room = stack_bytes + snaplen.next_multiple_of(8);
    // Where the variable parts begin.
    let behind = if config!(facts) == 0 { HEAD } else { HEAD + size_of::<Facts>() };
    let Some(mut entry) = EVENTS.reserve_bytes(behind + room as usize, 0) else {
        return false;
    };
    let start = entry.as_mut_ptr();
    let mut stack_len = 0;
    if stack_bytes != 0 {
        // SAFETY: `stack_bytes` bytes behind the facts belong to the entry.
        let got = unsafe { bpf_get_stack(ctx.as_ptr(), start.add(behind).cast(), stack_bytes, 0) };
        stack_len = if got > 0 { got as u16 } else { 0 };
    }
    let mut packet_len = 0;
    if snaplen != 0 && headers.start < detail.packet.end && headers.start != 0 {
        let from = detail.packet.head.wrapping_add(headers.start as usize);
        // SAFETY: `snaplen` bytes behind the stack belong to the entry; the helper copes with any source. What it
        // reads behind the linear part is not counted into `packet_len`.
        let failed = unsafe {
            bpf_probe_read_kernel(start.add(behind + stack_bytes as usize).cast(), snaplen, from.cast())
        };
        let linear = detail.packet.end - headers.start;
        if failed == 0 {
            packet_len = if linear < snaplen { linear as u16 } else { snaplen as u16 };
        }
    }
    // SAFETY: the packet's socket or null.
    let socket_ino = unsafe { socket_inode(detail.sk) };
    // SAFETY: a helper without arguments.
    let ktime_ns = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the entry is at least as long as an event and aligned to 8 bytes, and every byte of the event is
    // written below.
    let event = unsafe { &mut *start.cast::<Event>() };
    event.key = detail.key;
    event.ktime_ns = ktime_ns;
    event.socket_ino = socket_ino;
    event.skb_len = detail.skb_len;
    event.len = headers.len;
    event.cpu = detail.cpu;
    event.mtu = mtu(detail.device);
    // Word by word: whole, they would become calls of `memmove`.
    event.src[0] = headers.src[0];
    event.src[1] = headers.src[1];
    event.dst[0] = headers.dst[0];
    event.dst[1] = headers.dst[1];
    event.sport = headers.sport;
    event.dport = headers.dport;
    event.ethertype = headers.ethertype;
    event.vlan_tci = detail.vlan_tci;
    event.tcp_flags = headers.tcp_flags;
    event.icmp_type = headers.icmp_type;
    event.icmp_code = headers.icmp_code;
    event.flags = headers.flags;
    event.packet_len = packet_len;
    event.stack_len = stack_len;
    event.ifname = name(detail.device);
    if config!(facts) != 0 {
        // SAFETY: the facts lie between the event and the stack; both are multiples of 8 bytes long.
        unsafe { facts::write(start.add(HEAD).cast(), detail) };
    }
    entry.submit(wake_up());
    true
}

/// A reader that is awake looks by itself; waking one costs more than ten events.
#[inline(always)]
fn wake_up() -> u64 {
    let Some(asleep) = ASLEEP.get_ptr_mut(0) else { return 0 };
    // SAFETY: an element of the map. Volatile: user space writes it, too.
    if unsafe { asleep.read_volatile() } == 0 {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    // SAFETY: as above. Two CPUs at once wake it twice, which does no harm.
    unsafe { asleep.write_volatile(0) };
    u64::from(BPF_RB_FORCE_WAKEUP)
}

/// The name of a device as its bytes lie there, padded with NULs.
#[inline(always)]
pub(crate) fn name(device: *const u8) -> [u64; 2] {
    let Some(offset) = present(config!(offsets.dev_name)) else { return [0; 2] };
    // Word by word: whole, it would become a call of `memset`.
    // SAFETY: Probe copes with any address.
    let first = unsafe { Probe::load(device, offset) };
    // SAFETY: as above.
    let second = unsafe { Probe::load(device, offset + 8) };
    [first, second]
}

#[inline(always)]
fn mtu(device: *const u8) -> u32 {
    if device.is_null() {
        return 0;
    }
    // SAFETY: Probe copes with any address.
    unsafe { Probe::field(device, config!(offsets.dev_mtu)) }
}
