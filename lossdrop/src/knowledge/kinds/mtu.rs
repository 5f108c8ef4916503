//! The size of packets, and fragments.

use super::kinds;

kinds! { MTU:
    MTU_VETH_PEER: Mtu / "veth-peer" Fault {
        "frames over the peer's MTU die at the veth",
        causes: [
            "the two ends of the veth pair have different MTUs: a container's is smaller than its host's",
            "the receiving end is down",
            "no ICMP is sent, so the sender never learns; large segmented transfers pass, single packets do not",
        ],
        look: [
            "`ip -d link show DEV`, on both ends: `mtu` (the receiver's counts, and four bytes more pass)",
            "`ip -s link show DEV`: `dropped` rises, TX on the sender's end and RX on the receiver's",
        ],
        fixes: [
            "give both ends the same MTU: `ip -n NETNS link set DEV mtu BYTES`",
            "set the MTU in the configuration of the container network, so that new containers get it",
            "where it must stay smaller, tell TCP: `nft add rule inet TABLE CHAIN tcp flags syn tcp option maxseg size set BYTES`",
        ],
    }
    MTU_BRIDGE_PORT: Mtu / "bridge-port" Fault {
        "frames over the bridge port's MTU",
        causes: [
            "the ports of the bridge have different MTUs: one takes jumbo frames and another does not",
            "the port is down",
            "a bridge sends no ICMP, so the sender never learns",
        ],
        look: [
            "`ip link show master BRIDGE`: the MTU of each port (four bytes more pass)",
        ],
        fixes: [
            "give all ports and hosts of the segment one MTU: `ip link set DEV mtu BYTES`",
        ],
    }
    MTU_BRIDGE_NETFILTER: Mtu / "bridge-netfilter" Fault {
        "packets over the bridge port's MTU, without an error to the sender",
        causes: [
            "the ports of the bridge have different MTUs, and br_netfilter may not fragment the packet (DF)",
            "a bridge sends no ICMP, so path-MTU discovery fails",
        ],
        look: [
            "`ip link show master BRIDGE`: the MTU of each port",
            "`sysctl net.bridge.bridge-nf-call-iptables`",
        ],
        fixes: [
            "give all ports and hosts of the segment one MTU: `ip link set DEV mtu BYTES`",
            "or tell TCP: `iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu`",
        ],
    }
    MTU_FORWARD: Mtu / "forward" Fault {
        "packets over the next MTU cannot be forwarded",
        causes: [
            "the way out has a smaller MTU than the way in (VPN, tunnel, PPPoE)",
            "path-MTU discovery at work: one such drop a connection is normal",
            "the sender does not get or does not heed the ICMP message: then it never stops",
        ],
        look: [
            "`ip route get ADDRESS`: the device, and an `mtu` of the route",
            "`tracepath ADDRESS`, on the sender: the path MTU that it finds",
            "`nstat -az IpFragFails Ip6InTooBigErrors`",
        ],
        fixes: [
            "see that ICMP \"fragmentation needed\" and \"packet too big\" reach the sender",
            "tell TCP: `nft add rule inet TABLE CHAIN tcp flags syn tcp option maxseg size set rt mtu`",
            "raise the MTU of the way out, where its network allows: `ip link set DEV mtu BYTES`",
        ],
    }
    MTU_OUTPUT: Mtu / "output" Fault {
        "outgoing packets are over the MTU",
        causes: [
            "a tunnel's outer packet must not be fragmented (`df set`), and its underlay has too small an MTU",
            "the MTU was lowered under a running connection",
            "the application forbids fragments and sends datagrams that are too large",
        ],
        look: [
            "`ip -d link show DEV`: MTU, and `df` for a tunnel",
            "`ip route get ADDRESS`: the device, and an `mtu` of the route or its cache",
            "`nstat -az IpFragFails Ip6FragFails`",
        ],
        fixes: [
            "leave room for the tunnel's headers: `ip link set TUNNEL mtu BYTES`",
            "raise the MTU of the underlay: `ip link set DEV mtu BYTES`",
            "let the application send smaller datagrams",
        ],
    }
    MTU_TUNNEL: Mtu / "tunnel" Fault {
        "packets do not fit into the tunnel",
        causes: [
            "the tunnel's MTU leaves no room for the outer headers (VXLAN over IPv4: 50 bytes)",
            "a smaller MTU on the path of the outer packets",
            "an IPsec policy adds headers that were not reckoned with",
        ],
        look: [
            "`ip -d link show TUNNEL`: MTU, remote, `df`",
            "`ip route get REMOTE`: the device of the outer packets, and an `mtu`",
        ],
        fixes: [
            "lower the tunnel's MTU: `ip link set TUNNEL mtu BYTES`",
            "or raise the underlay's: `ip link set DEV mtu BYTES`",
            "or tell TCP: `nft add rule inet TABLE CHAIN tcp flags syn tcp option maxseg size set rt mtu`",
        ],
    }
    MTU_REASSEMBLY: Mtu / "reassembly" Fault {
        "not all fragments of a packet arrived",
        causes: [
            "a fragment was lost on the way, in a full queue or a firewall that drops fragments",
            "datagrams larger than the MTU, as a tunnel or a DNS server sends them",
            "fragments take different ways (ECMP) or are balanced to different hosts",
        ],
        look: [
            "`nstat -az IpReasmFails IpReasmTimeout Ip6ReasmFails Ip6ReasmTimeout`",
            "`tcpdump -ni DEV 'ip[6:2] & 0x3fff != 0'`: which fragments arrive",
        ],
        fixes: [
            "let the sender send packets that fit: a smaller MTU on its tunnel, smaller datagrams",
            "let fragments pass the firewalls on the way",
        ],
    }
    MTU_FRAGMENT: Mtu / "fragment" Fault {
        "fragments are invalid or find no room",
        causes: [
            "more packets are being put together than `ipfrag_high_thresh` allows",
            "fragments overlap or arrive twice: a faulty sender, or an attack",
            "many fragments in between, or reordered (`ipfrag_max_dist`)",
        ],
        look: [
            "`cat /proc/net/sockstat`: `FRAG: inuse … memory …`",
            "`sysctl net.ipv4.ipfrag_high_thresh net.ipv6.ip6frag_high_thresh`",
            "`nstat -az IpReasmFails Ip6ReasmFails`",
        ],
        fixes: [
            "give more room: `sysctl -w net.ipv4.ipfrag_high_thresh=BYTES`",
            "let the sender send packets that fit",
        ],
    }
    MTU_OVS: Mtu / "ovs" Fault {
        "frames over the MTU of the Open vSwitch port",
        causes: ["the ports of the switch have different MTUs"],
        look: ["`ovs-vsctl get interface PORT mtu`", "`ip link show PORT`"],
        fixes: ["give all ports one MTU: `ovs-vsctl set interface PORT mtu_request=BYTES`"],
    }
}
