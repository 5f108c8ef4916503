//! The offsets that the kernel program needs, resolved in the kernel's BTF.

use lossdrop_common::{ABSENT, Offsets};

use super::layout::withheld;
use super::{
    fields::{self, DEVICE, Field, Lost, MTU, Missing, NOTHING, SOCKET, What, fields, lost},
    types::Types,
};

const LENGTH: Lost =
    Lost { what: "the length of packets without an IP header, and which frames are too long", ..DEVICE };
const HOST: Lost = Lost { what: "whether the link layer meant this host", withheld: withheld::PACKET_TYPE };
const STATE: Lost =
    Lost { what: "the process that owns the socket; buffers, queues and losses of sockets", ..SOCKET };

fields! {
    FIELDS of Offsets:
    skb_dev: "sk_buff" "dev", lost("device and network namespace");
    skb_sk: "sk_buff" "sk", lost("the socket of the packet");
    skb_refdst: "sk_buff" "_skb_refdst", lost("the device of packets that have no device yet");
    skb_len: "sk_buff" "len", LENGTH;
    skb_protocol: "sk_buff" "protocol", lost("the packet's headers");
    skb_pkt_type: "sk_buff" "pkt_type" as What::Bit, HOST;
    skb_head: "sk_buff" "head", lost("the packet's headers");
    skb_tail: "sk_buff" "tail", lost("the packet's headers");
    skb_network_header: "sk_buff" "network_header", lost("the packet's headers");
    skb_mac_header: "sk_buff" "mac_header", lost("the headers of packets that carry their VLAN tag");
    skb_vlan_tci: "sk_buff" "vlan_tci", lost("the VLAN");
    skb_vlan_proto: "sk_buff" "vlan_proto", lost("the VLAN");
    // Gone since 6.2.
    skb_vlan_present: "sk_buff" "vlan_present" as What::Bit, NOTHING;
    dev_name: "net_device" "name", lost("the name of the device");
    dev_ifindex: "net_device" "ifindex", lost("the device");
    dev_net: "net_device" "nd_net.net", lost("the network namespace");
    dev_mtu: "net_device" "mtu", MTU;
    dev_addr: "net_device" "dev_addr", lost("frames of a VLAN that has no device here from frames for other hosts");
    dev_tx: "net_device" "_tx", lost("the device: without it, skb->dev cannot be distinguished from other uses of its place");
    txq_dev: "netdev_queue" "dev", lost("the device: without it, skb->dev cannot be distinguished from other uses of its place");
    net_inum: "net" "ns.inum" | "proc_inum", lost("the network namespace");
    sk_net: "sock" "__sk_common.skc_net.net", lost("the network namespace of packets without a device");
    sk_state: "sock" "__sk_common.skc_state", STATE;
    sk_socket: "sock" "sk_socket", lost("the process that owns the socket");
    // Every `struct socket` is the first part of a `struct socket_alloc` (include/net/sock.h).
    socket_ino: "socket_alloc" "vfs_inode.i_ino" as What::From("socket"), lost("the process that owns the socket");
    dst_dev: "dst_entry" "dev", lost("the device of packets that have no device yet");
}

/// The field without which there is nothing to show.
pub const REQUIRED: &str = "sk_buff.dev";

/// Finds every offset, and says what is not there.
pub fn resolve(types: &Types) -> (Offsets, Vec<Missing>) {
    let mut offsets = Offsets::NONE;
    let missing = fields::resolve(FIELDS, types, &mut offsets);
    // What would be misread without its neighbour: a tag without its number, a short form of a socket as a whole one.
    if offsets.skb_vlan_tci == ABSENT {
        (offsets.skb_vlan_proto, offsets.skb_vlan_present) = (ABSENT, ABSENT);
    }
    if offsets.sk_state == ABSENT {
        offsets.sk_socket = ABSENT;
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
        assert_eq!(offsets.txq_dev, 0, "{offsets:?}");
    }
}
