//! Devices on top of others, or of nothing: VLANs, ipvlan, dummies.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::pair::CLIENT_V4;
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Scenario, Setup};

pub(super) const ALL: &[Scenario] =
    &[VLAN_DOWN, VLAN_MTU, VLAN_RULE, BRIDGE_VLAN_IN, BRIDGE_VLAN_OUT, IPVLAN_MULTICAST, DUMMY_MTU];

const FOUND: Finding = Finding {
    kind: "device/down",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &["eth0.7"],
    numbers: &[],
    fix: Fix::Stops,
};

const LOST: Lost = Lost {
    reason: "NOT_SPECIFIED",
    symbols: &["vlan_do_receive"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.7.0.1",
    dst: "10.7.0.2:5340",
    share: Share::All,
    counted: ("server", Counter::RxPackets("eth0")),
};

const CLIENT_VLAN: (&str, &str) = (
    "client",
    "ip link add link eth0 name eth0.7 type vlan id 7 && ip link set eth0.7 up \
     && ip addr add 10.7.0.1/24 dev eth0.7 \
     && ip neigh add 10.7.0.2 lladdr $(ip neigh show 10.0.0.2 | sed 's/.*lladdr \\([^ ]*\\).*/\\1/') \
        nud permanent dev eth0.7",
);

const VLAN_DOWN: Scenario = Scenario {
    name: "vlan-device-down",
    summary: "a VLAN whose device is down at the receiver",
    watch: "sudo lossdrop trace --port 5340",
    packets: "4 UDP datagrams, 10.7.0.1 → 10.7.0.2:5340, in VLAN 7",
    needs: &[Need::Feature {
        what: "VLAN devices",
        trial: "ip link add need0 type veth && ip link add link need0 name need0.7 type vlan id 7",
    }],
    findings: &[FOUND],
    lab: Setup::Plain(Plain {
        setup: &[
            CLIENT_VLAN,
            (
                "server",
                "ip link add link eth0 name eth0.7 type vlan id 7 && ip addr add 10.7.0.2/24 dev eth0.7",
            ),
        ],
        sinks: &[("server", "10.7.0.2:5340")],
        volleys: &[Volley { traffic: Traffic::udp("10.7.0.2:5340", 4), lost: &[LOST] }],
        ..Plain::PAIR
    }),
};

const VLAN_MTU: Scenario = Scenario {
    name: "vlan-mtu-veth-peer",
    summary: "a VLAN on a cable whose far end has a smaller MTU",
    packets: "4 UDP datagrams of 1400 bytes, 10.7.0.1 → 10.7.0.2:5340, in VLAN 7, and MTU 1400 at the server",
    findings: &[Finding {
        kind: "mtu/veth-peer",
        culprit: &["eth0"],
        numbers: &[
            ("mtu", 1400),
            ("limit", 1418),
            ("largest_ip", 1404),
            ("len_min", 1428),
            ("len_max", 1428),
        ],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            CLIENT_VLAN,
            ("server", "ip link set eth0 mtu 1400 && ip link add link eth0 name eth0.7 type vlan id 7"),
            ("server", "ip link set eth0.7 up && ip addr add 10.7.0.2/24 dev eth0.7"),
        ],
        sinks: &[("server", "10.7.0.2:5340")],
        volleys: &[Volley {
            traffic: Traffic::Udp { from: "client", to: "10.7.0.2:5340", count: 4, payload: 1400 },
            lost: &[Lost {
                symbols: &["__dev_forward_skb2", "__dev_forward_skb"],
                netns: Some("client"),
                counted: ("client", Counter::TxDropped("eth0")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..VLAN_DOWN
};

const VLAN_RULE: Scenario = Scenario {
    name: "vlan-input-rule",
    summary: "a rule of nftables on what comes in by a VLAN device",
    findings: &[Finding {
        culprit: &["nft inet lab input", "iifname \"eth0.7\""],
        numbers: &[("packets", 4)],
        ..Finding::RULE
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            CLIENT_VLAN,
            ("server", "ip link add link eth0 name eth0.7 type vlan id 7"),
            ("server", "ip link set eth0.7 up && ip addr add 10.7.0.2/24 dev eth0.7"),
            (
                "server",
                "nft 'add table inet lab; add chain inet lab input { type filter hook input priority 0; }; \
                 add rule inet lab input iifname eth0 drop; add rule inet lab input iifname eth0.7 counter drop'",
            ),
        ],
        sinks: &[("server", "10.7.0.2:5340")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.7.0.2:5340", 4),
            lost: &[Lost {
                iface: Some("eth0.7"),
                src: "10.7.0.1",
                ..Lost::nft("10.7.0.2:5340", Counter::Nft("inet", "lab", 1))
            }],
        }],
        ..Plain::PAIR
    }),
    ..VLAN_DOWN
};

const LOST_AT_SWITCH: Lost = Lost {
    symbols: &["br_allowed_ingress", "br_handle_frame_finish"],
    netns: Some("switch"),
    iface: Some("port0"),
    src: "10.0.0.1",
    dst: "10.0.0.2:5340",
    counted: ("switch", Counter::RxPackets("port0")),
    ..LOST
};

const BRIDGE_VLAN_IN: Scenario = Scenario {
    name: "bridge-vlan-ingress",
    summary: "a bridge that filters by VLAN, and a port without a VLAN for frames that have no tag",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5340, through a bridge",
    needs: &[Need::Feature {
        what: "VLAN filter of bridges",
        trial: "ip link add br0 type bridge vlan_filtering 1 && bridge vlan add dev br0 vid 7 self",
    }],
    findings: &[Finding {
        kind: "device/bridge-vlan",
        netns: "switch",
        culprit: &["port0"],
        numbers: &[("vlan", 1)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[(
            "switch",
            "ip link set br0 type bridge vlan_filtering 1 && bridge vlan del dev port0 vid 1",
        )],
        sinks: &[("server", "10.0.0.2:5340")],
        volleys: &[Volley { traffic: Traffic::udp("10.0.0.2:5340", 4), lost: &[LOST_AT_SWITCH] }],
        ..Plain::PAIR
    }),
    ..VLAN_DOWN
};

const BRIDGE_VLAN_OUT: Scenario = Scenario {
    name: "bridge-vlan-egress",
    summary: "a bridge that filters by VLAN, whose ports are in different ones",
    findings: &[Finding {
        kind: "device/bridge-vlan",
        netns: "switch",
        culprit: &["port1"],
        numbers: &[("vlan", 10)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Bridge,
        setup: &[
            ("switch", "ip link set br0 type bridge vlan_filtering 1 && bridge vlan del dev port0 vid 1"),
            ("switch", "bridge vlan add dev port0 vid 10 pvid untagged"),
        ],
        sinks: &[("server", "10.0.0.2:5340")],
        volleys: &[Volley {
            traffic: Traffic::udp("10.0.0.2:5340", 4),
            lost: &[Lost {
                reason: "NO_TX_TARGET",
                symbols: &["br_handle_frame_finish", "br_flood"],
                ..LOST_AT_SWITCH
            }],
        }],
        ..Plain::PAIR
    }),
    ..BRIDGE_VLAN_IN
};

const IPVLAN_MULTICAST: Scenario = Scenario {
    name: "ipvlan-l3-multicast",
    summary: "an ipvlan in mode l3, which carries no multicasts",
    packets: "4 UDP datagrams, 10.3.0.1 → 239.1.2.3:5340",
    needs: &[Need::Feature {
        what: "ipvlan",
        trial: "ip link add need0 type veth && ip link add link need0 name need1 type ipvlan mode l3",
    }],
    findings: &[Finding { kind: "device/macvlan", netns: "client", culprit: &["ipvl0"], ..FOUND }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("client", "ip link add ipvl0 link eth0 type ipvlan mode l3 && ip link set ipvl0 up"),
            ("client", "ip addr add 10.3.0.1/24 dev ipvl0 && ip route add 239.1.2.3 dev ipvl0"),
        ],
        volleys: &[Volley {
            traffic: Traffic::udp("239.1.2.3:5340", 4),
            lost: &[Lost {
                symbols: &["ipvlan_queue_xmit", "ipvlan_process_outbound", "ipvlan_start_xmit"],
                netns: Some("client"),
                src: "10.3.0.1",
                dst: "239.1.2.3:5340",
                counted: ("client", Counter::TxDropped("ipvl0")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..VLAN_DOWN
};

const DUMMY_MTU: Scenario = Scenario {
    name: "mtu-forward-dummy",
    summary: "a router whose way out is a dummy device with a smaller MTU; what fits, a dummy swallows without a word",
    watch: "sudo lossdrop trace --port 5340",
    packets: "1 UDP datagram of 1200 bytes with DF, 10.0.0.1 → 10.9.0.2:5340, and MTU 1000 at the dummy",
    needs: &[Need::Link("dummy")],
    findings: &[Finding {
        kind: "mtu/forward",
        culprit: &["dummy1"],
        numbers: &[("mtu", 1000), ("largest_ip", 1000), ("len_min", 1228), ("len_max", 1228)],
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        setup: &[
            ("server", "ip link add dummy1 type dummy && ip link set dummy1 mtu 1000 up"),
            ("server", "ip addr add 10.9.0.1/24 dev dummy1 && echo 1 > /proc/sys/net/ipv4/ip_forward"),
            ("client", "ip route add 10.9.0.0/24 via 10.0.0.2"),
        ],
        // From the first one on, some kernels fragment or refuse by what the sender knows.
        volleys: &[
            Volley::harmless(Traffic::Shell { from: "client", line: "ip route flush cache", count: 0 }),
            Volley {
                traffic: Traffic::UdpDf {
                    from: "client",
                    src: CLIENT_V4,
                    to: SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 2), 5340),
                    count: 1,
                    payload: 1200,
                },
                lost: &[Lost {
                    reason: "PKT_TOO_BIG",
                    symbols: &["ip_forward"],
                    src: "10.0.0.1",
                    dst: "10.9.0.2:5340",
                    counted: ("server", Counter::Nstat("IpFragFails")),
                    ..LOST
                }],
            },
        ],
        ..Plain::PAIR
    }),
};
