//! The offsets that only the facts of a drop need, and sizes of structures, resolved in the BTF of the running kernel and
//! of its modules.

use std::path::Path;

use lossdrop_common::{ABSENT, FactOffsets};

use super::{
    btf::{KernelBtf, MemberAt},
    offsets::Missing,
};

/// One entry a field: where it is kept, what it is called in the kernel, what is lost without it.
macro_rules! fields {
    ($($field:ident: $structure:literal $($path:literal)|+, $lost:literal;)+) => {
        fn resolve_fields(find: impl Fn(&str, &str) -> Option<u32>, offsets: &mut FactOffsets) -> Vec<Missing> {
            let mut missing = Vec::new();
            $(
                match None$(.or_else(|| find($structure, $path)))+ {
                    Some(at) => offsets.$field = at,
                    None => missing.push(Missing { field: concat!($structure, $(".", $path),+), lost: $lost }),
                }
            )+
            missing
        }
    };
}

fields! {
    skb_mark: "sk_buff" "mark", "the mark of a packet";
    skb_end: "sk_buff" "end", "which packets are bundles of segments";
    skb_nfct: "sk_buff" "_nfct", "whether conntrack knows the connection";
    skb_queue_mapping: "sk_buff" "queue_mapping", "the queueing discipline of all queues but the first";
    shared_gso_size: "skb_shared_info" "gso_size", "which packets are bundles of segments";
    shared_gso_segs: "skb_shared_info" "gso_segs", "how many segments a bundle has";
    dst_metrics: "dst_entry" "_metrics", "the MTU that a route sets";
    dev_flags: "net_device" "flags", "whether a device is up";
    dev_hard_header_len: "net_device" "hard_header_len", "the longest frame that a device takes";
    dev_type: "net_device" "type", "the kind of hardware";
    dev_priv_flags: "net_device" "priv_flags", "which devices are ports of a bridge";
    dev_rx_handler_data: "net_device" "rx_handler_data", "the bridge of a port";
    bridge_port_bridge: "net_bridge_port" "br", "the bridge of a port";
    bridge_dev: "net_bridge" "dev", "the bridge of a port";
    dev_link_ops: "net_device" "rtnl_link_ops", "the kind of a virtual device";
    link_ops_kind: "rtnl_link_ops" "kind", "the kind of a virtual device";
    dev_num_tx_queues: "net_device" "num_tx_queues", "the queueing discipline";
    veth_peer: "veth_priv" "peer", "the other end of a veth pair";
    txq_qdisc: "netdev_queue" "qdisc", "the queueing discipline";
    qdisc_ops: "Qdisc" "ops", "the kind of queueing discipline";
    qdisc_ops_id: "Qdisc_ops" "id", "the kind of queueing discipline";
    qdisc_handle: "Qdisc" "handle", "which queueing discipline it was";
    qdisc_limit: "Qdisc" "limit", "the limit of a queueing discipline";
    qdisc_flags: "Qdisc" "flags", "whether a queueing discipline counts for each CPU";
    qdisc_qlen: "Qdisc" "q.qlen", "the length of a queue";
    qdisc_backlog: "Qdisc" "qstats.backlog", "the bytes in a queue";
    qdisc_drops: "Qdisc" "qstats.drops", "what a queueing discipline has dropped";
    sk_filter: "sock" "sk_filter", "whether a socket has a filter of its own";
    sk_rcvbuf: "sock" "sk_rcvbuf", "the size of a receive buffer";
    sk_rmem: "sock" "sk_backlog.rmem_alloc", "how full a receive buffer is";
    sk_backlog_len: "sock" "sk_backlog.len", "how full a socket's backlog is";
    sk_sndbuf: "sock" "sk_sndbuf", "the size of a send buffer";
    sk_wmem: "sock" "sk_wmem_alloc", "how full a send buffer is";
    sk_drops: "sock" "sk_drops", "what a socket has dropped";
    sk_ack_backlog: "sock" "sk_ack_backlog", "how many connections wait to be accepted";
    sk_max_ack_backlog: "sock" "sk_max_ack_backlog", "how many connections may wait to be accepted";
    sk_protocol: "sock" "sk_protocol", "the protocol of a socket";
    sk_family: "sock" "__sk_common.skc_family", "the family of a socket";
    sk_type: "sock" "sk_type", "the type of a socket";
    sk_num: "sock" "__sk_common.skc_num", "the port of a socket";
    hook_state_hook: "nf_hook_state" "hook", "the hook of netfilter";
    hook_state_pf: "nf_hook_state" "pf", "the hook of netfilter";
    pktinfo_skb: "nft_pktinfo" "skb", "the chain of nftables";
    pktinfo_state: "nft_pktinfo" "state" | "xt.state", "the chain of nftables";
    regs_verdict_code: "nft_regs" "verdict.code", "the rule of nftables";
    expr_ops: "nft_expr" "ops", "the rule of nftables";
    expr_ops_size: "nft_expr_ops" "size", "the rule of nftables";
    rule_data: "nft_rule_dp" "data", "the rule of nftables";
    rule_last_chain: "nft_rule_dp_last" "chain", "the rule of nftables";
    chain_table: "nft_chain" "table", "the table of nftables";
    chain_name: "nft_chain" "name", "the chain of nftables";
    chain_blob_0: "nft_chain" "blob_gen_0", "the rule of nftables";
    chain_blob_1: "nft_chain" "blob_gen_1", "the rule of nftables";
    blob_size: "nft_rule_blob" "size", "the rule of nftables";
    blob_data: "nft_rule_blob" "data", "the rule of nftables";
    nft_table_name: "nft_table" "name", "the table of nftables";
    base_chain_chain: "nft_base_chain" "chain", "the policy of a chain of nftables";
    base_chain_policy: "nft_base_chain" "policy", "the policy of a chain of nftables";
    xt_table_name: "xt_table" "name", "the legacy table of iptables";
}

/// Modules whose structures are looked at, where they are no part of the kernel itself.
const MODULES: [&str; 4] = ["veth", "bridge", "nf_tables", "x_tables"];

/// Finds every offset in `btf` and in the modules' BTF under `directory`, and says what is not there. Of a module that
/// is not loaded nothing is missing.
pub fn resolve(btf: &KernelBtf, directory: &Path) -> (FactOffsets, Vec<Missing>) {
    let modules: Vec<KernelBtf> =
        MODULES.iter().filter_map(|module| btf.open_module(&directory.join(module)).ok()).collect();
    let member = |structure: &str, path: &str| {
        std::iter::once(btf).chain(&modules).find_map(|btf| btf.member(structure, path))
    };
    let mut offsets = FactOffsets::NONE;
    let byte = |structure: &str, path: &str| member(structure, path).map(MemberAt::byte);
    let mut missing = resolve_fields(byte, &mut offsets);
    for (field, structure, path) in [
        (&mut offsets.rule_dlen, "nft_rule_dp", "dlen"),
        (&mut offsets.rule_handle, "nft_rule_dp", "handle"),
        (&mut offsets.nft_table_family, "nft_table", "family"),
    ] {
        if let Some(at) = member(structure, path) {
            *field = at.bit;
        }
    }
    // Kernels before 5.11 have no BTF of modules, and the module may yet be loaded. The peer has always come first in
    // `struct veth_priv` (drivers/net/veth.c), and the kernel program takes nothing for a device that is none.
    if offsets.veth_peer == ABSENT {
        offsets.veth_peer = 0;
    }
    let loaded = |module: &str| Path::new("/sys/module").join(module).exists();
    missing.retain(|missing| match missing.field {
        field if field.starts_with("veth_priv.") => false,
        field if field.starts_with("net_bridge") => loaded("bridge"),
        field if field.starts_with("nft_") => loaded("nf_tables"),
        field if field.starts_with("xt_") => loaded("x_tables"),
        _ => true,
    });
    match btf.size("netdev_queue") {
        Some(size) => offsets.txq_size = size,
        None => missing.push(Missing { field: "netdev_queue", lost: "the queueing discipline" }),
    }
    match private_part(btf) {
        Some(at) => offsets.dev_priv = at,
        None => missing.push(Missing { field: "net_device.priv", lost: "the other end of a veth pair" }),
    }
    let flag = btf.enumeration("netdev_priv_flags").into_iter().find(|(_, name)| name == "IFF_BRIDGE_PORT");
    match flag {
        Some((value, _)) => offsets.bridge_port_flag = value,
        None => {
            missing.push(Missing { field: "IFF_BRIDGE_PORT", lost: "which devices are ports of a bridge" });
        }
    }
    // Since 6.18, and no loss before.
    for (field, structure, path) in [
        (&mut offsets.sk_drop_counters, "sock", "sk_drop_counters"),
        (&mut offsets.drop_counters_first, "numa_drop_counters", "drops0"),
        (&mut offsets.drop_counters_second, "numa_drop_counters", "drops1"),
    ] {
        if let Some(at) = btf.member(structure, path) {
            *field = at.byte();
        }
    }
    (offsets, missing)
}

/// `netdev_priv()` (`include/linux/netdevice.h`): a member of its own since 6.12, before that behind the structure.
fn private_part(btf: &KernelBtf) -> Option<u32> {
    const ALIGNMENT: u32 = 32;
    match btf.member("net_device", "priv") {
        Some(at) => Some(at.byte()),
        None => Some(btf.size("net_device")?.next_multiple_of(ALIGNMENT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_field() {
        let btf = KernelBtf::open(Path::new("/sys/kernel/btf/vmlinux")).expect("this kernel has BTF");
        let (offsets, missing) = resolve(&btf, Path::new("/sys/kernel/btf"));
        assert_eq!(missing, []);
        assert_ne!(offsets.veth_peer, ABSENT, "the lab is made of veth");
        assert!(offsets.dev_priv.is_multiple_of(32) && offsets.txq_size.is_multiple_of(8), "{offsets:?}");
        assert!(offsets.bridge_port_flag.is_power_of_two(), "{offsets:?}");
    }
}
