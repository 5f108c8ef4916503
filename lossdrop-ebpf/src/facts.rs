//! What else the kernel knows of a packet that is reported in detail. Everything is read by address, straight into the
//! event: neither the program's stack nor the verifier has much room.

use lossdrop_common::{
    Facts,
    facts::{DeviceFacts, PacketFacts, PeerFacts, QdiscFacts, RouteFacts, SocketFacts},
};

use crate::{
    config::{config, present},
    detail::Detail,
    device::{is_device, is_full_socket},
    memory::{Memory, Probe, fetch, fetch_text, pointer},
    netfilter::netfilter,
};

/// Reads into `field` what lies at `base + offset`; leaves it where this kernel has no such field.
macro_rules! fetch {
    ($field:expr, $base:expr, $offset:ident) => {
        fetch(&mut $field, $base, config!(fact_offsets.$offset))
    };
    ($field:expr, $base:expr, common $offset:ident) => {
        fetch(&mut $field, $base, config!(offsets.$offset))
    };
}

/// Fills the facts.
///
/// # Safety
/// `facts` must be valid for writes of a [`Facts`] and aligned to 8 bytes.
#[inline(always)]
pub(crate) unsafe fn write(facts: *mut Facts, from: &Detail) {
    let mut word = 0;
    while word < size_of::<Facts>() / 8 {
        // SAFETY: within the facts. Volatile: together they would become a call of `memset`.
        unsafe { facts.cast::<u64>().add(word).write_volatile(0) };
        word += 1;
    }
    // SAFETY: as promised by the caller; it was initialised above.
    let facts = unsafe { &mut *facts };
    facts.present |= packet(&mut facts.packet, from);
    facts.present |= route(&mut facts.route, from.skb);
    if !from.device.is_null() {
        facts.present |= Facts::DEVICE;
        if device(&mut facts.device, from.device) {
            facts.present |= peer(&mut facts.peer, from.device);
        }
        facts.present |= qdisc(&mut facts.qdisc, from.device, facts.packet.queue_mapping);
    }
    facts.present |= socket(&mut facts.socket, from.sk);
    facts.present |= netfilter(&mut facts.netfilter, from.skb, from.cpu);
}

#[inline(always)]
fn packet(facts: &mut PacketFacts, from: &Detail) -> u32 {
    fetch!(facts.mark, from.skb, skb_mark);
    fetch!(facts.queue_mapping, from.skb, skb_queue_mapping);
    // SAFETY: Probe copes with any address.
    facts.pkt_type = unsafe { Probe::bits(from.skb, config!(offsets.skb_pkt_type)) } & 7;
    if present(config!(fact_offsets.skb_end)).is_some() {
        let mut end = 0_u32;
        fetch!(end, from.skb, skb_end);
        let shared = from.packet.head.wrapping_add(end as usize);
        fetch!(facts.gso_size, shared, shared_gso_size);
        fetch!(facts.gso_segs, shared, shared_gso_segs);
    }
    // SAFETY: as above.
    let connection: u64 = unsafe { Probe::field(from.skb, config!(fact_offsets.skb_nfct)) };
    facts.ctinfo = connection as u8 & 7;
    if connection & !7 == 0 { 0 } else { Facts::CONNTRACK }
}

#[inline(always)]
fn route(facts: &mut RouteFacts, skb: *const u8) -> u32 {
    /// `dst_entry._metrics` is a pointer with flags in its lowest bits, to metrics of which this is the second
    /// (`RTAX_MTU`, `include/uapi/linux/rtnetlink.h`).
    const FLAGS: u64 = 3;
    const MTU: usize = 4;
    // SAFETY: `_skb_refdst` holds a `struct dst_entry *`, a tag in its lowest bit; Probe copes with any address.
    let route = unsafe { Probe::field::<u64>(skb, config!(offsets.skb_refdst)) } & !1;
    if route == 0 {
        return 0;
    }
    let route = route as *const u8;
    // SAFETY: as above.
    let dev = unsafe { Probe::pointer(route, config!(offsets.dst_dev)) };
    // SAFETY: as above.
    if dev.is_null() || !unsafe { is_device::<Probe>(dev) } {
        return 0;
    }
    fetch!(facts.ifindex, dev, common dev_ifindex);
    fetch!(facts.mtu, dev, common dev_mtu);
    fetch!(facts.name, dev, common dev_name);
    // SAFETY: as above.
    let metrics = unsafe { Probe::field::<u64>(route, config!(fact_offsets.dst_metrics)) } & !FLAGS;
    if metrics != 0 {
        fetch(&mut facts.route_mtu, metrics as *const u8, MTU as u32);
    }
    Facts::ROUTE
}

/// True for one end of a veth pair.
#[inline(always)]
fn device(facts: &mut DeviceFacts, dev: *const u8) -> bool {
    const VETH: u64 = u64::from_le_bytes(*b"veth\0\0\0\0");
    fetch!(facts.flags, dev, dev_flags);
    fetch!(facts.hard_header_len, dev, dev_hard_header_len);
    fetch!(facts.kind, dev, dev_type);
    bridge(facts, dev);
    let ops = pointer!(dev, dev_link_ops);
    if ops.is_null() {
        return false;
    }
    let kind = pointer!(ops, link_ops_kind);
    if kind.is_null() {
        return false;
    }
    fetch_text(&mut facts.link_kind, kind);
    facts.link_kind[0] == VETH
}

/// A bridge keeps what it knows of a port where the port's receive handler finds it.
#[inline(always)]
fn bridge(facts: &mut DeviceFacts, dev: *const u8) {
    let flag = config!(fact_offsets.bridge_port_flag);
    // SAFETY: Probe copes with any address.
    let flags: u32 = unsafe { Probe::field(dev, config!(fact_offsets.dev_priv_flags)) };
    if present(flag).is_none() || flags & flag == 0 {
        return;
    }
    let port = pointer!(dev, dev_rx_handler_data);
    if port.is_null() {
        return;
    }
    let bridge = pointer!(port, bridge_port_bridge);
    if bridge.is_null() {
        return;
    }
    let dev = pointer!(bridge, bridge_dev);
    // SAFETY: as above.
    if !dev.is_null() && unsafe { is_device::<Probe>(dev) } {
        fetch!(facts.bridge_ifindex, dev, common dev_ifindex);
    }
}

#[inline(always)]
fn peer(facts: &mut PeerFacts, dev: *const u8) -> u32 {
    let Some(private) = present(config!(fact_offsets.dev_priv)) else { return 0 };
    let peer = pointer!(dev.wrapping_add(private), veth_peer);
    // SAFETY: Probe copes with any address.
    if peer.is_null() || !unsafe { is_device::<Probe>(peer) } {
        return 0;
    }
    fetch!(facts.ifindex, peer, common dev_ifindex);
    fetch!(facts.mtu, peer, common dev_mtu);
    fetch!(facts.name, peer, common dev_name);
    fetch!(facts.flags, peer, dev_flags);
    fetch!(facts.hard_header_len, peer, dev_hard_header_len);
    // SAFETY: as above.
    let net = unsafe { Probe::pointer(peer, config!(offsets.dev_net)) };
    if !net.is_null() {
        fetch!(facts.netns, net, common net_inum);
    }
    Facts::PEER
}

#[inline(always)]
fn qdisc(facts: &mut QdiscFacts, dev: *const u8, queue_mapping: u16) -> u32 {
    let Some(size) = present(config!(fact_offsets.txq_size)) else { return 0 };
    // SAFETY: Probe copes with any address.
    let queues: u32 = unsafe { Probe::field(dev, config!(fact_offsets.dev_num_tx_queues)) };
    if u32::from(queue_mapping) >= queues {
        return 0;
    }
    // SAFETY: as above.
    let first = unsafe { Probe::pointer(dev, config!(offsets.dev_tx)) };
    let queue = first.wrapping_add(size * usize::from(queue_mapping));
    let qdisc = pointer!(queue, txq_qdisc);
    if qdisc.is_null() {
        return 0;
    }
    fetch!(facts.handle, qdisc, qdisc_handle);
    fetch!(facts.limit, qdisc, qdisc_limit);
    fetch!(facts.qlen, qdisc, qdisc_qlen);
    fetch!(facts.backlog, qdisc, qdisc_backlog);
    fetch!(facts.drops, qdisc, qdisc_drops);
    fetch!(facts.flags, qdisc, qdisc_flags);
    let ops = pointer!(qdisc, qdisc_ops);
    if let Some(id) = present(config!(fact_offsets.qdisc_ops_id)) {
        fetch_text(&mut facts.kind, ops.wrapping_add(id));
    }
    Facts::QDISC
}

#[inline(always)]
fn socket(facts: &mut SocketFacts, sk: *const u8) -> u32 {
    // SAFETY: a socket of any kind.
    if sk.is_null() || !unsafe { is_full_socket(sk) } {
        return 0;
    }
    fetch!(facts.rcvbuf, sk, sk_rcvbuf);
    // SAFETY: as above.
    facts.filtered = u8::from(unsafe { Probe::field::<u64>(sk, config!(fact_offsets.sk_filter)) } != 0);
    fetch!(facts.rmem, sk, sk_rmem);
    fetch!(facts.backlog, sk, sk_backlog_len);
    fetch!(facts.sndbuf, sk, sk_sndbuf);
    fetch!(facts.wmem, sk, sk_wmem);
    // The socket itself holds one (`sk_wmem_alloc_get()`).
    facts.wmem = facts.wmem.saturating_sub(1);
    fetch!(facts.ack_backlog, sk, sk_ack_backlog);
    fetch!(facts.max_ack_backlog, sk, sk_max_ack_backlog);
    fetch!(facts.protocol, sk, sk_protocol);
    fetch!(facts.family, sk, sk_family);
    fetch!(facts.kind, sk, sk_type);
    fetch!(facts.port, sk, sk_num);
    fetch!(facts.state, sk, common sk_state);
    let counters = pointer!(sk, sk_drop_counters);
    if counters.is_null() {
        fetch!(facts.drops, sk, sk_drops);
    } else {
        let mut second = 0_u32;
        fetch!(facts.drops, counters, drop_counters_first);
        fetch!(second, counters, drop_counters_second);
        facts.drops = facts.drops.wrapping_add(second);
    }
    Facts::SOCKET
}
