//! Reads the packet's headers from the linear part of its buffer.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use lossdrop_common::parse::{Bytes, Link, Packet, Scratch, parse};

use crate::{config::config, memory::Memory};

/// `skb->head`.
pub(crate) struct Linear {
    pub(crate) head: *const u8,
    /// `skb->tail` as an offset.
    pub(crate) end: u32,
}

impl Packet for Linear {
    #[inline(always)]
    fn read(&self, offset: u32, bytes: &mut Bytes) -> bool {
        let from = self.head.wrapping_add(offset as usize);
        // SAFETY: `bytes` has room for 40 bytes; the helper copes with any source. Behind the linear part lies
        // `struct skb_shared_info`, so a short packet does not make the read fail.
        unsafe { bpf_probe_read_kernel(bytes.0.as_mut_ptr().cast(), 40, from.cast()) == 0 }
    }
}

/// # Safety
/// `skb` must be a `struct sk_buff` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn read<M: Memory>(skb: *const u8, scratch: &mut Scratch) -> (Linear, u32) {
    // SAFETY: as promised by the caller, here and below.
    let head = unsafe { M::field::<u64>(skb, config!(offsets.skb_head)) } as *const u8;
    // SAFETY: as above.
    let end = unsafe { M::field::<u32>(skb, config!(offsets.skb_tail)) };
    // SAFETY: as above.
    let protocol = u16::from_be(unsafe { M::field(skb, config!(offsets.skb_protocol)) });
    // SAFETY: as above.
    let network = unsafe { M::field(skb, config!(offsets.skb_network_header)) };
    // SAFETY: as above.
    let mac = unsafe { M::field(skb, config!(offsets.skb_mac_header)) };
    // SAFETY: as above.
    let pkt_type = unsafe { M::bits(skb, config!(offsets.skb_pkt_type)) } & 7;
    // SAFETY: as above.
    let skb_len = unsafe { M::field(skb, config!(offsets.skb_len)) };
    let linear = Linear { head, end };
    parse(&linear, Link { protocol, network, mac, pkt_type, end, skb_len }, scratch);
    (linear, skb_len)
}
