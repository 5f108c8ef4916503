//! The offsets that only the facts of a drop need, and sizes of structures, resolved in the BTF of the kernel and of its
//! modules.

use lossdrop_common::{ABSENT, FactOffsets};

use super::{
    fields::{
        self, CONNTRACK, DEVICE, Field, MARK, Missing, NETFILTER, NOTHING, QDISC, ROUTE, SEGMENTS, SOCKET,
        What, fields, lost,
    },
    types::Types,
};

fields! {
    FIELDS of FactOffsets:
    skb_mark: "sk_buff" "mark", MARK;
    skb_end: "sk_buff" "end", SEGMENTS;
    skb_nfct: "sk_buff" "_nfct", CONNTRACK;
    skb_queue_mapping: "sk_buff" "queue_mapping", QDISC;
    shared_gso_size: "skb_shared_info" "gso_size", SEGMENTS;
    shared_gso_segs: "skb_shared_info" "gso_segs", lost("how many segments a bundle has");
    dst_metrics: "dst_entry" "_metrics", ROUTE;
    dev_flags: "net_device" "flags", DEVICE;
    dev_hard_header_len: "net_device" "hard_header_len", DEVICE;
    dev_type: "net_device" "type", DEVICE;
    dev_priv_flags: "net_device" "priv_flags", lost("the bridge of a port");
    bridge_port_flag: "netdev_priv_flags" "IFF_BRIDGE_PORT" as What::Value, lost("the bridge of a port");
    dev_rx_handler_data: "net_device" "rx_handler_data", lost("the bridge of a port");
    bridge_port_bridge: "net_bridge_port" "br", lost("the bridge of a port");
    bridge_dev: "net_bridge" "dev", lost("the bridge of a port");
    dev_link_ops: "net_device" "rtnl_link_ops", lost("the kind of a virtual device, and the other end of a veth pair");
    link_ops_kind: "rtnl_link_ops" "kind", lost("the kind of a virtual device, and the other end of a veth pair");
    dev_num_tx_queues: "net_device" "num_tx_queues", QDISC;
    // `netdev_priv()` (`include/linux/netdevice.h`): a member of its own since 6.12, before that behind the structure.
    dev_priv: "net_device" "priv" as What::Behind(32), lost("the other end of a veth pair");
    veth_peer: "veth_priv" "peer", NOTHING;
    txq_size: "netdev_queue" "" as What::Size, QDISC;
    txq_qdisc: "netdev_queue" "qdisc", QDISC;
    qdisc_ops: "Qdisc" "ops", QDISC;
    qdisc_ops_id: "Qdisc_ops" "id", QDISC;
    qdisc_handle: "Qdisc" "handle", QDISC;
    qdisc_limit: "Qdisc" "limit", QDISC;
    qdisc_flags: "Qdisc" "flags", QDISC;
    qdisc_qlen: "Qdisc" "q.qlen", QDISC;
    qdisc_backlog: "Qdisc" "qstats.backlog", QDISC;
    qdisc_drops: "Qdisc" "qstats.drops", QDISC;
    sk_filter: "sock" "sk_filter", SOCKET;
    sk_rcvbuf: "sock" "sk_rcvbuf", SOCKET;
    sk_rmem: "sock" "sk_backlog.rmem_alloc", SOCKET;
    sk_backlog_len: "sock" "sk_backlog.len", SOCKET;
    sk_sndbuf: "sock" "sk_sndbuf", SOCKET;
    sk_wmem: "sock" "sk_wmem_alloc", SOCKET;
    sk_drops: "sock" "sk_drops", SOCKET;
    // Since 6.18.
    sk_drop_counters: "sock" "sk_drop_counters", NOTHING;
    drop_counters_first: "numa_drop_counters" "drops0", NOTHING;
    drop_counters_second: "numa_drop_counters" "drops1", NOTHING;
    sk_ack_backlog: "sock" "sk_ack_backlog", SOCKET;
    sk_max_ack_backlog: "sock" "sk_max_ack_backlog", SOCKET;
    sk_protocol: "sock" "sk_protocol", SOCKET;
    sk_family: "sock" "__sk_common.skc_family", SOCKET;
    sk_type: "sock" "sk_type", SOCKET;
    sk_num: "sock" "__sk_common.skc_num", SOCKET;
    hook_state_hook: "nf_hook_state" "hook", NETFILTER;
    hook_state_pf: "nf_hook_state" "pf", NETFILTER;
    pktinfo_skb: "nft_pktinfo" "skb", NETFILTER;
    pktinfo_state: "nft_pktinfo" "state" | "xt.state", NETFILTER;
    regs_verdict_code: "nft_regs" "verdict.code", NETFILTER;
    expr_ops: "nft_expr" "ops", lost("the rule of nftables");
    expr_ops_size: "nft_expr_ops" "size", lost("the rule of nftables");
    rule_dlen: "nft_rule_dp" "dlen" as What::Bit, lost("the rule of nftables");
    rule_handle: "nft_rule_dp" "handle" as What::Bit, lost("the rule of nftables");
    rule_data: "nft_rule_dp" "data", lost("the rule of nftables");
    rule_last_chain: "nft_rule_dp_last" "chain", lost("the rule of nftables");
    chain_table: "nft_chain" "table", NETFILTER;
    chain_name: "nft_chain" "name", NETFILTER;
    chain_blob_0: "nft_chain" "blob_gen_0", lost("the rule of nftables");
    chain_blob_1: "nft_chain" "blob_gen_1", lost("the rule of nftables");
    blob_size: "nft_rule_blob" "size", lost("the rule of nftables");
    blob_data: "nft_rule_blob" "data", lost("the rule of nftables");
    nft_table_name: "nft_table" "name", NETFILTER;
    nft_table_family: "nft_table" "family" as What::Bit, NETFILTER;
    base_chain_chain: "nft_base_chain" "chain", lost("the policy of a chain of nftables");
    base_chain_policy: "nft_base_chain" "policy", lost("the policy of a chain of nftables");
    xt_table_name: "xt_table" "name", NETFILTER;
}

/// Finds every offset, and says what is not there. Of a module that is not loaded nothing is missing.
pub fn resolve(types: &Types) -> (FactOffsets, Vec<Missing>) {
    let mut offsets = FactOffsets::NONE;
    let mut missing = fields::resolve(FIELDS, types, &mut offsets);
    // Kernels before 5.11 have no BTF of modules, and the module may yet be loaded. The peer has always come first in
    // `struct veth_priv` (drivers/net/veth.c), and the kernel program takes nothing for a device that is none.
    if offsets.veth_peer == ABSENT {
        offsets.veth_peer = 0;
    }
    // What would be misread without its neighbour: rules that can't be kept apart, or not be walked.
    if offsets.rule_dlen == ABSENT || offsets.rule_handle == ABSENT {
        offsets.rule_data = ABSENT;
    }
    if offsets.expr_ops == ABSENT || offsets.expr_ops_size == ABSENT {
        offsets.rule_last_chain = ABSENT;
    }
    // A socket counts in either place.
    if offsets.sk_drop_counters != ABSENT
        && (offsets.drop_counters_first == ABSENT || offsets.drop_counters_second == ABSENT)
    {
        missing.push(Missing { field: "numa_drop_counters.drops0".to_owned(), lost: SOCKET });
    }
    (offsets, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_field() {
        let (offsets, missing) = resolve(&Types::gather(None).expect("this kernel has BTF"));
        assert_eq!(missing, []);
        assert_ne!(offsets.veth_peer, ABSENT, "the lab is made of veth");
        assert!(offsets.dev_priv.is_multiple_of(32) && offsets.txq_size.is_multiple_of(8), "{offsets:?}");
        assert!(offsets.bridge_port_flag.is_power_of_two(), "{offsets:?}");
    }
}
