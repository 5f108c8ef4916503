//! The offsets that the kernel program needs, resolved in the running kernel's BTF.

use lossdrop_common::Offsets;

use super::btf::KernelBtf;

/// A field that this kernel lacks, and what lossdrop can't say without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// As `struct.member`.
    pub field: &'static str,
    pub lost: &'static str,
}

/// One entry a field: where it is kept, what it is called in the kernel, what is lost without it. Several names are
/// tried in turn.
macro_rules! fields {
    ($($field:ident: $structure:literal $($path:literal)|+, $lost:literal;)+) => {
        /// Finds every offset in `btf`, and says what is not there.
        pub fn resolve(btf: &KernelBtf) -> (Offsets, Vec<Missing>) {
            let mut offsets = Offsets::NONE;
            let mut missing = Vec::new();
            $(
                match None$(.or_else(|| btf.member($structure, $path)))+ {
                    Some(at) => offsets.$field = at.byte(),
                    None => missing.push(Missing {
                        field: concat!($structure, $(".", $path),+),
                        lost: $lost,
                    }),
                }
            )+
            match btf.member("sk_buff", "pkt_type") {
                Some(at) => offsets.skb_pkt_type = at.bit,
                None => missing.push(Missing {
                    field: "sk_buff.pkt_type",
                    lost: "whether the link layer meant this host",
                }),
            }
            // Gone since 6.2, and no loss.
            if let Some(at) = btf.member("sk_buff", "vlan_present") {
                offsets.skb_vlan_present = at.bit;
            }
            // Every `struct socket` is the first part of a `struct socket_alloc` (include/net/sock.h).
            match (btf.member("socket_alloc", "socket"), btf.member("socket_alloc", "vfs_inode.i_ino")) {
                (Some(socket), Some(inode)) => offsets.socket_ino = inode.byte() - socket.byte(),
                _ => missing.push(Missing { field: "socket_alloc.vfs_inode", lost: "the process that owns the socket" }),
            }
            (offsets, missing)
        }
    };
}

fields! {
    skb_dev: "sk_buff" "dev", "device and network namespace";
    skb_sk: "sk_buff" "sk", "the socket of the packet";
    skb_refdst: "sk_buff" "_skb_refdst", "the device of packets that have no device yet";
    skb_len: "sk_buff" "len", "the length of packets without an IP header";
    skb_protocol: "sk_buff" "protocol", "the packet's headers";
    skb_head: "sk_buff" "head", "the packet's headers";
    skb_tail: "sk_buff" "tail", "the packet's headers";
    skb_network_header: "sk_buff" "network_header", "the packet's headers";
    skb_mac_header: "sk_buff" "mac_header", "the headers of packets that carry their VLAN tag";
    skb_vlan_tci: "sk_buff" "vlan_tci", "the VLAN";
    skb_vlan_proto: "sk_buff" "vlan_proto", "the VLAN";
    dev_name: "net_device" "name", "the name of the device";
    dev_ifindex: "net_device" "ifindex", "the device";
    dev_net: "net_device" "nd_net.net", "the network namespace";
    dev_mtu: "net_device" "mtu", "the MTU of the device";
    dev_addr: "net_device" "dev_addr", "frames of a VLAN that has no device here from frames for other hosts";
    dev_tx: "net_device" "_tx", "the device: without it, skb->dev can't be told from other uses of its place";
    txq_dev: "netdev_queue" "dev", "the device: without it, skb->dev can't be told from other uses of its place";
    net_inum: "net" "ns.inum" | "proc_inum", "the network namespace";
    sk_net: "sock" "__sk_common.skc_net.net", "the network namespace of packets without a device";
    sk_state: "sock" "__sk_common.skc_state", "the process that owns the socket";
    sk_socket: "sock" "sk_socket", "the process that owns the socket";
    dst_dev: "dst_entry" "dev", "the device of packets that have no device yet";
}

/// The field without which there is nothing to show.
pub const REQUIRED: &str = "sk_buff.dev";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_running_kernel_has_every_field() {
        let btf = KernelBtf::open(Path::new("/sys/kernel/btf/vmlinux")).expect("this kernel has BTF");
        let (offsets, missing) = resolve(&btf);
        assert_eq!(missing, []);
        assert_eq!(offsets.txq_dev, 0, "{offsets:?}");
    }
}
