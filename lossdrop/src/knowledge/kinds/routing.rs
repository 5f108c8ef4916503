//! Routes, addresses, and the neighbours that they lead to.

use super::kinds;

kinds! { ROUTING:
    ROUTING_NO_ROUTE: Routing / "no-route" Fault {
        "there is no route",
        causes: [
            "the host has no default route, or no route in the table that a rule or VRF selects",
            "the interface is down, so that its routes are gone",
            "an MTU below 1280 or a sysctl took IPv6 from the interface",
        ],
        look: [
            "`ip route get ADDRESS`, for forwarded packets `ip route get ADDRESS from SOURCE iif DEV`",
            "`ip rule`, `ip route show table all`",
            "`nstat -az IpExtInNoRoutes IpOutNoRoutes Ip6InNoRoutes Ip6OutNoRoutes`",
        ],
        fixes: [
            "`ip route add PREFIX via GATEWAY dev DEV`",
            "`ip route add default via GATEWAY`",
            "`ip link set DEV up`",
        ],
    }
    ROUTING_BLACKHOLE: Routing / "blackhole" Policy {
        "the route is a black hole",
        causes: [
            "an administrator or a routing daemon set a blackhole route: a null route against an attack, an aggregate",
            "the route says prohibit or unreachable: not kept apart at this place",
            "the route was removed while the packet was on its way",
        ],
        look: [
            "`ip route show table all type blackhole`",
            "`ip route get ADDRESS`: RTNETLINK answers: Invalid argument",
        ],
        fixes: [
            "`ip route del blackhole PREFIX`",
            "or a better route for part of it: `ip route add PREFIX via GATEWAY`",
        ],
    }
    ROUTING_PROHIBIT: Routing / "prohibit" Policy {
        "the route prohibits it",
        causes: [
            "a prohibit route or rule was set; the sender gets ICMP \"administratively prohibited\"",
        ],
        look: [
            "`ip route show table all type prohibit`",
            "`ip rule`",
            "`ip route get ADDRESS`: Permission denied",
        ],
        fixes: ["`ip route del prohibit PREFIX`", "`ip rule del pref N`"],
    }
    ROUTING_UNREACHABLE: Routing / "unreachable" Policy {
        "the route says unreachable",
        causes: ["an administrator or a routing daemon set an unreachable route, so that senders get an error"],
        look: ["`ip route show table all type unreachable`", "`ip route get ADDRESS`: No route to host"],
        fixes: [
            "`ip route del unreachable PREFIX`",
            "or a better route for part of it: `ip route add PREFIX via GATEWAY`",
        ],
    }
    ROUTING_FORWARDING_OFF: Routing / "forwarding-off" Fault {
        "the packet is for another host, and forwarding is off",
        causes: [
            "this host should route, and `ip_forward` is off, all in all or on that interface",
            "the sender has this host as its gateway by mistake, or an address that moved away from here",
        ],
        look: [
            "`sysctl net.ipv4.ip_forward net.ipv4.conf.DEV.forwarding net.ipv6.conf.all.forwarding`",
            "`ip -br address`: whether the destination should be an address of this host",
            "`nstat -az IpInAddrErrors Ip6InAddrErrors`",
        ],
        fixes: [
            "`sysctl -w net.ipv4.ip_forward=1`, for IPv6 `sysctl -w net.ipv6.conf.all.forwarding=1`",
            "or correct the sender's gateway: `ip route replace default via GATEWAY`",
        ],
    }
    ROUTING_RP_FILTER: Routing / "rp-filter" Fault {
        "reverse-path filter: the source is not reachable by that interface",
        causes: [
            "asymmetric routes: the answer would leave by another interface",
            "two interfaces in one network, policy routing, or a VPN whose routes lie in another table",
            "a forged source",
        ],
        look: [
            "`sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEV.rp_filter`: the larger of the two counts",
            "`ip route get SOURCE`: the interface that the answer would take",
            "`nstat -az TcpExtIPReversePathFilter`; `sysctl -w net.ipv4.conf.all.log_martians=1`, then `dmesg`",
        ],
        fixes: [
            "accept any way back, with both settings: `sysctl -w net.ipv4.conf.DEV.rp_filter=2 net.ipv4.conf.all.rp_filter=2`",
            "or lead the answer back the same way: `ip route add PREFIX via GATEWAY dev DEV`",
            "policy routing by mark: `sysctl -w net.ipv4.conf.DEV.src_valid_mark=1`",
        ],
    }
    ROUTING_MARTIAN: Routing / "martian" Fault {
        "an address that must not come from there",
        causes: [
            "the source is an address of this host: a duplicate address, a loop, or forged",
            "the source is multicast, broadcast or zero, or the destination is zero",
            "127.0.0.0/8 from the network, as behind a DNAT to localhost",
        ],
        look: [
            "`sysctl -w net.ipv4.conf.all.log_martians=1`, then `dmesg`",
            "`arping -D -I DEV ADDRESS`: whether another host has the address",
            "`ip -br address`",
        ],
        fixes: [
            "remove the duplicate: `ip address del ADDRESS dev DEV`",
            "for a DNAT to localhost: `sysctl -w net.ipv4.conf.DEV.route_localnet=1`",
            "for own addresses that come in on purpose: `sysctl -w net.ipv4.conf.DEV.accept_local=1`",
        ],
    }
    ROUTING_TTL: Routing / "ttl" Fault {
        "the TTL ran out",
        causes: [
            "a routing loop: two routers send the packet to each other",
            "a traceroute, whose packets die on purpose",
            "a sender with a small TTL",
        ],
        look: [
            "`traceroute -n ADDRESS`: addresses that repeat",
            "`ip route get ADDRESS`, on each router of the loop",
        ],
        fixes: [
            "take out the route that leads back: `ip route del PREFIX via GATEWAY`",
            "or catch what has no better route: `ip route add blackhole PREFIX`",
        ],
    }
    ROUTING_IPV6_DISABLED: Routing / "ipv6-disabled" Benign {
        "IPv6 is disabled on the interface",
        causes: ["`disable_ipv6` is set", "the interface's MTU is below 1280, which IPv6 does not allow"],
        look: ["`sysctl net.ipv6.conf.DEV.disable_ipv6`", "`ip link show DEV`: the MTU"],
        fixes: [
            "where IPv6 is wanted: `sysctl -w net.ipv6.conf.DEV.disable_ipv6=0`",
            "`ip link set DEV mtu BYTES`, at least 1280",
        ],
    }
    ROUTING_MULTICAST: Routing / "multicast" Fault {
        "multicast routing has no route for the group",
        causes: [
            "the multicast routing daemon does not know the group, or is not running",
            "it came in by another interface than the route says",
        ],
        look: ["`ip mroute show`", "`cat /proc/net/ip_mr_cache`: `Wrong` counts wrong interfaces"],
        fixes: ["start or correct the multicast routing daemon (smcroute, pimd, FRR)"],
    }
    ROUTING_ENCAPSULATION: Routing / "encapsulation" Fault {
        "the route's encapsulation refused it",
        causes: [
            "SRv6, MPLS, RPL or IOAM is not enabled on the interface",
            "the segment list or label leads nowhere",
        ],
        look: [
            "`ip route get ADDRESS`: `encap`",
            "`sysctl net.ipv6.conf.DEV.seg6_enabled net.mpls.conf.DEV.input`",
        ],
        fixes: [
            "`sysctl -w net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.DEV.seg6_enabled=1`",
            "`sysctl -w net.mpls.conf.DEV.input=1 net.mpls.platform_labels=N`",
        ],
    }
    ROUTING_REFUSED: Routing / "refused" Fault {
        "routing refused it",
        causes: [
            "an address that must not be forwarded (link-local, loopback)",
            "a strict source route, or an aggregate that hardware made (LRO) on a router",
            "an IP packet in a multicast frame (`drop_unicast_in_l2_multicast`)",
        ],
        look: ["`ip route get ADDRESS from SOURCE iif DEV`", "`ethtool -k DEV | grep large-receive`"],
        fixes: ["`ethtool -K DEV lro off`, on a router"],
    }

    NEIGHBOUR_UNREACHABLE: Neighbour / "unreachable" Fault {
        "the next hop does not answer",
        causes: [
            "the host is down, or its cable, port or VLAN is",
            "the address is not in this network: a wrong prefix length or gateway",
            "something drops ARP or neighbour discovery (a firewall, port security, a hypervisor)",
        ],
        look: [
            "`ip neigh show ADDRESS`: FAILED or INCOMPLETE",
            "`ip route get ADDRESS`: the next hop and the device",
            "`tcpdump -eni DEV arp or icmp6`: requests without answers",
        ],
        fixes: [
            "bring the host up, or the route to the right next hop: `ip route replace PREFIX via GATEWAY dev DEV`",
            "correct the prefix length: `ip address replace ADDRESS/LENGTH dev DEV`",
            "accept ARP and ICMPv6 neighbour discovery in the firewalls between",
        ],
    }
    NEIGHBOUR_QUEUE_FULL: Neighbour / "queue-full" Capacity {
        "too many packets wait for the next hop's address",
        causes: [
            "a burst to a host whose address is not known yet",
            "the host does not answer: then the queue fills again and again",
            "proxy ARP: more requests than `proxy_qlen`",
        ],
        look: [
            "`ip -s neigh show ADDRESS`: INCOMPLETE or FAILED",
            "`sysctl net.ipv4.neigh.DEV.unres_qlen_bytes`",
            "`cat /proc/net/stat/arp_cache`: `unresolved_discards`",
        ],
        fixes: [
            "more room: `sysctl -w net.ipv4.neigh.DEV.unres_qlen_bytes=BYTES`",
            "keep the address known: `ip neigh replace ADDRESS lladdr MAC dev DEV nud permanent`",
        ],
    }
    NEIGHBOUR_TABLE_FULL: Neighbour / "table-full" Capacity {
        "the neighbour table is full",
        causes: [
            "more hosts in the attached networks than `gc_thresh3`: large networks, many containers",
            "a scan through an attached network",
            "memory is short",
        ],
        look: [
            "`ip neigh | wc -l`; `sysctl net.ipv4.neigh.default.gc_thresh3 net.ipv6.neigh.default.gc_thresh3`",
            "`cat /proc/net/stat/arp_cache`: `table_fulls`",
            "`dmesg`: \"neighbor table overflow\"",
        ],
        fixes: [
            "`sysctl -w net.ipv4.neigh.default.gc_thresh3=N net.ipv4.neigh.default.gc_thresh2=N`",
            "`sysctl -w net.ipv6.neigh.default.gc_thresh3=N`",
        ],
    }
    NEIGHBOUR_GONE: Neighbour / "gone" Fault {
        "the next hop's entry went away",
        causes: [
            "the entry was removed or replaced while packets waited",
            "the interface or its address was taken away",
        ],
        look: ["`ip monitor neigh link address`"],
        fixes: ["nothing to do if it was once; else find what takes the entry or the link away"],
    }
    NEIGHBOUR_HEADER: Neighbour / "header" Fault {
        "the link-layer header could not be built",
        causes: ["the device changed or went away", "too long a header for the packet's head room"],
        look: ["`ip -d link show DEV`", "`ip neigh show dev DEV`"],
        fixes: ["forget what is known of the next hop: `ip neigh flush dev DEV`"],
    }
    NEIGHBOUR_ARP: Neighbour / "arp" Fault {
        "an ARP packet, or what proxy ARP refuses",
        causes: [
            "an invalid ARP packet",
            "ARP on an interface without an IPv4 address",
            "a packet that would go back by its port, with `proxy_arp_pvlan` off",
        ],
        look: ["`tcpdump -eni DEV arp`", "`ip -4 address show DEV`"],
        fixes: ["`ip address add ADDRESS/LENGTH dev DEV`", "`sysctl -w net.ipv4.conf.DEV.proxy_arp_pvlan=1`"],
    }
}
