//! What happens at a drop: locate, filter, count, and, if its key has a token left, report in detail.

use aya_ebpf::{
    EbpfContext, bindings::BPF_F_MMAPABLE, helpers::generated::bpf_get_smp_processor_id, macros::map,
    maps::Array,
};
use aya_log_ebpf::debug;
use lossdrop_common::{DropKey, Event, Shape, Totals, parse};

use crate::{
    config::{config, present},
    count::{count, take_token},
    detail::Detail,
    device::locate,
    emit::{emit, name},
    filter,
    memory::{Memory, Probe},
    packet::{self, Linear},
};

/// One element a CPU.
#[map]
static TOTALS: Array<Totals> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One element a CPU.
#[map]
static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// The arguments of the tracepoint.
pub(crate) struct Drop {
    pub(crate) skb: *const u8,
    pub(crate) location: u64,
    pub(crate) reason: u32,
    /// The receiving socket; null where the kernel does not tell it.
    pub(crate) rx_sk: *const u8,
}

/// What a CPU works on. The stack has no room for it.
#[repr(C)]
struct Scratch {
    parsed: parse::Scratch,
    detail: Detail,
}

// SAFETY: each CPU has its own, and nobody follows the pointers in it but as plain addresses.
unsafe impl Sync for Scratch {}

/// # Safety
/// The pointers of `drop` must be what the tracepoint gave, readable through `M`.
#[inline(always)]
pub(crate) unsafe fn on_drop<M: Memory>(ctx: &impl EbpfContext, drop: &Drop) {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(totals) = TOTALS.get_ptr_mut(cpu) else { return };
    // SAFETY: an element of the map, which only this CPU writes.
    let totals = unsafe { &mut *totals };
    totals.seen += 1;
    if totals.depth != 0 {
        totals.nested += 1;
        return;
    }
    totals.depth = 1;
    barrier();
    // SAFETY: as promised by the caller.
    unsafe { once::<M>(ctx, drop, cpu, totals) };
    barrier();
    totals.depth = 0;
}

/// Keeps the compiler from moving loads and stores across.
#[inline(always)]
fn barrier() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// # Safety
/// As [`on_drop`].
#[inline(always)]
unsafe fn once<M: Memory>(ctx: &impl EbpfContext, drop: &Drop, cpu: u32, totals: &mut Totals) {
    // SAFETY: as promised by the caller.
    let mark = || unsafe { M::field(drop.skb, config!(fact_offsets.skb_mark)) };
    if !filter::reason(drop.reason) || !filter::mark(mark) {
        totals.filtered += 1;
        return;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(cpu) else { return };
    // SAFETY: an element of the map, which only this CPU uses.
    let scratch = unsafe { &mut *scratch };
    // SAFETY: as promised by the caller.
    let (packet, skb_len) = unsafe { packet::read::<M>(drop.skb, &mut scratch.parsed) };
    let headers = &scratch.parsed.headers;
    if !filter::headers(headers) {
        totals.filtered += 1;
        return;
    }
    // SAFETY: as promised by the caller.
    let place = unsafe { locate::<M>(drop.skb, drop.rx_sk) };
    if !filter::netns(place.netns) || !filter::iface(|| name(place.device)) {
        totals.filtered += 1;
        return;
    }
    let foreign_vlan = headers.shape.contains(Shape::OTHERHOST)
        && place.from_skb
        // SAFETY: as promised by the caller.
        && unsafe { is_to_own_mac::<M>(drop.skb, place.device, &packet) };
    let key = DropKey {
        location: drop.location,
        reason: drop.reason,
        netns: place.netns,
        ifindex: place.ifindex,
        l3: headers.l3,
        l4: headers.l4,
        shape: headers
            .shape
            .with_if(Shape::NO_DEVICE, !place.from_skb)
            .with_if(Shape::FOREIGN_VLAN, foreign_vlan)
            .0,
    };
    let Some(slot) = count(cpu, &key) else { return };
    // SAFETY: an element of the map, which only this CPU writes.
    let slot = unsafe { &mut *slot };
    if !take_token(slot) {
        return;
    }
    let sk = if drop.rx_sk.is_null() {
        // SAFETY: as promised by the caller.
        unsafe { M::pointer(drop.skb, config!(offsets.skb_sk)) }
    } else {
        drop.rx_sk
    };
    // SAFETY: as promised by the caller.
    let vlan_tci = unsafe { vlan_tci::<M>(drop.skb) };
    scratch.detail = Detail { key, skb: drop.skb, sk, device: place.device, packet, skb_len, cpu, vlan_tci };
    // What is read back is unknown to the verifier: however many ways led here, it follows one from here on.
    barrier();
    if emit(ctx, &scratch.detail, headers) {
        slot.sent += 1;
    } else {
        slot.lost += 1;
        if config!(debug) != 0 {
            debug!(ctx, "no room in the ring for a drop at {:x}, reason {}", drop.location, drop.reason);
        }
    }
}

/// The VLAN tag that was taken out of the packet.
///
/// # Safety
/// `skb` must be a `struct sk_buff` that `M` can read.
#[inline(always)]
unsafe fn vlan_tci<M: Memory>(skb: *const u8) -> u16 {
    let tagged = if present(config!(offsets.skb_vlan_present)).is_some() {
        // SAFETY: as promised by the caller.
        unsafe { M::bits(skb, config!(offsets.skb_vlan_present)) & 1 != 0 }
    } else {
        // SAFETY: as promised by the caller.
        unsafe { M::field::<u16>(skb, config!(offsets.skb_vlan_proto)) != 0 }
    };
    // SAFETY: as promised by the caller.
    let tci = unsafe { M::field::<u16>(skb, config!(offsets.skb_vlan_tci)) };
    if tagged { tci } else { Event::NO_VLAN }
}

/// Whether the frame's destination is the MAC of the device that it is at.
///
/// # Safety
/// `skb` must be a `struct sk_buff` and `device` its `struct net_device`, both readable through `M`.
#[inline(always)]
unsafe fn is_to_own_mac<M: Memory>(skb: *const u8, device: *const u8, packet: &Linear) -> bool {
    /// The 6 bytes of a MAC among 8 that are read.
    const MAC: u64 = 0x0000_ffff_ffff_ffff;
    // SAFETY: as promised by the caller.
    let mac_header = unsafe { M::field::<u16>(skb, config!(offsets.skb_mac_header)) };
    // SAFETY: as promised by the caller.
    let own = unsafe { M::field::<u64>(device, config!(offsets.dev_addr)) } as *const u8;
    if mac_header == u16::MAX || own.is_null() {
        return false;
    }
    // SAFETY: Probe copes with any address.
    let destination: u64 = unsafe { Probe::load(packet.head, mac_header as usize) };
    // SAFETY: as above.
    let own: u64 = unsafe { Probe::load(own, 0) };
    destination & MAC == own & MAC
}
