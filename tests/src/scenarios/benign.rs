//! Drops of healthy hosts, which are no finding at all; and two causes at once.

use std::net::SocketAddrV4;

use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::special::Special;
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::scenario::{Noise, Scenario, Setup};
use crate::traffic::Odd;

pub(super) const ALL: &[Scenario] = &[GROUPS, OTHER_HOST, LATE, NO_IPV6, LOCAL, TWO_CAUSES];

const fn odd(odd: Odd) -> Volley {
    Volley::harmless(Traffic::Special { from: "client", what: Special::Odd { to: "server", odd, count: 4 } })
}

const GROUPS: Scenario = Scenario {
    name: "benign-multicast",
    summary: "multicasts of groups that nobody has joined, as any network is full of",
    watch: "sudo lossdrop trace --port 7001 --all",
    packets: "4 UDP datagrams to 239.1.2.3:7001 and 4 to [ff05::1234]:7001, from 10.0.0.1 and fd00::1",
    needs: &[],
    findings: &[],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        volleys: &[odd(Odd::Group), odd(Odd::GroupV6)],
        noise: &[Noise { symbols: &["ip_rcv_finish_core"], why: "IPv4 multicasts of a group not joined" }],
        ..Plain::PAIR
    }),
};

const OTHER_HOST: Scenario = Scenario {
    name: "benign-other-host",
    summary: "frames for another host, as a switch floods them, and the announcements of the switch itself",
    packets: "4 UDP datagrams, 10.0.0.1:7000 → 10.0.0.2:7001, to another's link address; 4 LLDP frames",
    lab: Setup::Plain(Plain {
        volleys: &[odd(Odd::OtherHost), odd(Odd::Lldp)],
        noise: &[
            Noise { symbols: &["ip_rcv_core"], why: "frames for another host" },
            Noise { symbols: &["__netif_receive_skb_core"], why: "LLDP, which nobody takes" },
        ],
        ..Plain::PAIR
    }),
    ..GROUPS
};

const LATE: Scenario = Scenario {
    name: "benign-late-segments",
    summary: "TCP segments of connections that are no more, as they come after every restart",
    watch: "sudo lossdrop trace --port 5380 --all",
    packets: "4 ACKs, 10.0.0.1 → 10.0.0.2:5380; each is answered with RST, which nobody waits for, either",
    lab: Setup::Plain(Plain {
        volleys: &[Volley::harmless(Traffic::Ack {
            from: "client",
            src: CLIENT_V4,
            to: SocketAddrV4::new(SERVER_V4, 5380),
            count: 4,
        })],
        noise: &[Noise { symbols: &["tcp_v4_rcv"], why: "segments without a connection" }],
        ..Plain::PAIR
    }),
    ..GROUPS
};

const NO_IPV6: Scenario = Scenario {
    name: "benign-ipv6-disabled",
    summary: "IPv6 frames to a host that has IPv6 switched off",
    packets: "4 UDP datagrams to fd00::2 and 4 to a group, from fd00::1",
    lab: Setup::Plain(Plain {
        volleys: &[odd(Odd::UdpChecksumV6), odd(Odd::GroupV6)],
        noise: &[Noise { symbols: &["ip6_rcv_core"], why: "IPv6 is switched off" }],
        ..Plain::PAIR
    }),
    ..GROUPS
};

const LOCAL: Scenario = Scenario {
    name: "benign-local-sockets",
    summary: "local sockets and requests to the kernel that fail: nothing on any network",
    watch: "sudo lossdrop trace --all",
    packets: "4 pairs of local sockets, closed with data unread; 4 questions for a device that there is not",
    needs: &[Need::Tool("perl")],
    lab: Setup::Plain(Plain {
        volleys: &[
            Volley::harmless(Traffic::Shell {
                from: "client",
                line: r#"perl -MSocket -e 'for (1..4) {
                            socketpair(A, B, AF_UNIX, SOCK_DGRAM, 0) or die $!;
                            send(A, "*" x 100, 0) for 1..3; close B; close A;
                        }'"#,
                count: 0,
            }),
            Volley::harmless(Traffic::Shell {
                from: "client",
                line: "for i in 1 2 3 4; do ip link show dev none 2> /dev/null || :; done",
                count: 0,
            }),
            odd(Odd::OtherHost),
        ],
        noise: &[Noise { symbols: &["ip_rcv_core"], why: "frames for another host" }],
        ..Plain::PAIR
    }),
    ..GROUPS
};

const TWO_CAUSES: Scenario = Scenario {
    name: "two-causes-two-hosts",
    summary: "an MTU that is too small at one host, and a port where nobody listens at the other",
    watch: "sudo lossdrop trace --proto udp",
    packets: "5 UDP datagrams of 1000 bytes, 10.0.0.1 → 10.0.0.2:5381; 3 of 32 bytes, 10.0.0.2 → 10.0.0.1:5382",
    needs: &[],
    findings: &[
        Finding {
            kind: "mtu/veth-peer",
            severity: "fault",
            confidence: "certain",
            count: Count::OfShot(0),
            netns: "server",
            culprit: &["eth0"],
            numbers: &[
                ("mtu", 600),
                ("limit", 618),
                ("largest_ip", 604),
                ("len_min", 1028),
                ("len_max", 1028),
            ],
            fix: Fix::Stops,
        },
        Finding {
            kind: "socket/closed-port",
            severity: "fault",
            confidence: "certain",
            count: Count::OfShot(1),
            netns: "client",
            culprit: &["udp", "10.0.0.1:5382"],
            numbers: &[],
            fix: Fix::None("something must listen there"),
        },
    ],
    lab: Setup::Plain(Plain {
        setup: &[("server", "ip link set eth0 mtu 600")],
        sinks: &[("server", "10.0.0.2:5381")],
        volleys: &[
            Volley {
                traffic: Traffic::Udp { from: "client", to: "10.0.0.2:5381", count: 5, payload: 1000 },
                lost: &[Lost {
                    reason: "NOT_SPECIFIED",
                    symbols: &["__dev_forward_skb2", "__dev_forward_skb"],
                    dst: "10.0.0.2:5381",
                    counted: ("client", Counter::TxDropped("eth0")),
                    ..CLOSED
                }],
            },
            Volley {
                traffic: Traffic::Udp { from: "server", to: "10.0.0.1:5382", count: 3, payload: 32 },
                lost: &[CLOSED],
            },
        ],
        ..Plain::PAIR
    }),
};

const CLOSED: Lost = Lost {
    reason: "NO_SOCKET",
    symbols: &["__udp4_lib_rcv", "udp_rcv"],
    netns: Some("client"),
    iface: Some("eth0"),
    proto: "udp",
    src: "",
    dst: "10.0.0.1:5382",
    share: Share::All,
    counted: ("client", Counter::Nstat("UdpNoPorts")),
};
