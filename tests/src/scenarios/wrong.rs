//! Packets with something wrong in them: checksums, lengths, protocols, tags.

use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::special::Special;
use super::stage::Stage;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::scenario::{Scenario, Setup};
use crate::traffic::Odd;

pub(super) const ALL: &[Scenario] = &[
    UDP_CHECKSUM,
    UDP_CHECKSUM_V6,
    TCP_CHECKSUM,
    ICMP_CHECKSUM,
    IP_CHECKSUM,
    IP_HEADER,
    IP_LENGTH,
    UDP_LENGTH,
    PROTOCOL,
    FOREIGN_VLAN,
];

const FOUND: Finding = Finding {
    kind: "checksum/udp",
    severity: "fault",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &[],
    numbers: &[],
    fix: Fix::None("the sender, or what the packet passed, made it wrong"),
};

const LOST: Lost = Lost {
    reason: "UDP_CSUM",
    symbols: &["__udp4_lib_rcv", "udp_rcv"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "udp",
    src: "10.0.0.1:7000",
    dst: "10.0.0.2:7001",
    share: Share::All,
    counted: ("server", Counter::Nstat("UdpInCsumErrors")),
};

const fn odd(odd: Odd) -> Traffic {
    Traffic::Special { from: "client", what: Special::Odd { to: "server", odd, count: 3 } }
}

const UDP_CHECKSUM: Scenario = Scenario {
    name: "checksum-udp",
    summary: "datagrams whose UDP checksum is wrong",
    watch: "sudo lossdrop trace --port 7001",
    packets: "3 UDP datagrams, 10.0.0.1:7000 → 10.0.0.2:7001",
    needs: &[],
    findings: &[FOUND],
    lab: Setup::Plain(Plain {
        sinks: &[("server", "10.0.0.2:7001")],
        volleys: &[Volley { traffic: odd(Odd::UdpChecksum), lost: &[LOST] }],
        ..Plain::PAIR
    }),
};

const UDP_CHECKSUM_V6: Scenario = Scenario {
    name: "checksum-udp-v6",
    packets: "3 UDP datagrams, [fd00::1]:7000 → [fd00::2]:7001",
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        sinks: &[("server", "[fd00::2]:7001")],
        volleys: &[Volley {
            traffic: odd(Odd::UdpChecksumV6),
            lost: &[Lost {
                symbols: &["__udp6_lib_rcv", "udpv6_rcv"],
                src: "[fd00::1]:7000",
                dst: "[fd00::2]:7001",
                counted: ("server", Counter::Nstat("Udp6InCsumErrors")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const TCP_CHECKSUM: Scenario = Scenario {
    name: "checksum-tcp",
    summary: "segments whose TCP checksum is wrong",
    packets: "3 SYNs, 10.0.0.1:7000 → 10.0.0.2:7001",
    findings: &[Finding { kind: "checksum/tcp", ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: odd(Odd::TcpChecksum),
            lost: &[Lost {
                reason: "TCP_CSUM",
                symbols: &["tcp_v4_rcv"],
                proto: "tcp",
                counted: ("server", Counter::Nstat("TcpInCsumErrors")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const ICMP_CHECKSUM: Scenario = Scenario {
    name: "checksum-icmp",
    summary: "echo requests whose ICMP checksum is wrong",
    watch: "sudo lossdrop trace --proto icmp",
    packets: "3 echo requests, 10.0.0.1 → 10.0.0.2",
    findings: &[Finding { kind: "checksum/icmp", ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: odd(Odd::IcmpChecksum),
            lost: &[Lost {
                reason: "ICMP_CSUM",
                symbols: &["icmp_rcv"],
                proto: "icmp",
                src: "10.0.0.1",
                dst: "10.0.0.2",
                counted: ("server", Counter::Nstat("IcmpInCsumErrors")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

/// What is wrong in an IP header dies before anything else is looked at.
const LOST_IP: Lost = Lost {
    reason: "IP_CSUM",
    symbols: &["ip_rcv_core"],
    counted: ("server", Counter::Nstat("IpInHdrErrors")),
    ..LOST
};

const IP_CHECKSUM: Scenario = Scenario {
    name: "checksum-ip",
    summary: "datagrams whose IP header's checksum is wrong",
    findings: &[Finding { kind: "checksum/ip", ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley { traffic: odd(Odd::IpChecksum), lost: &[LOST_IP] }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const IP_HEADER: Scenario = Scenario {
    name: "malformed-ip-header",
    summary: "datagrams whose IP header says that they are shorter than their header",
    findings: &[Finding { kind: "malformed/header", ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley { traffic: odd(Odd::IpHeader), lost: &[Lost { reason: "IP_INHDR", ..LOST_IP }] }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const IP_LENGTH: Scenario = Scenario {
    name: "malformed-ip-length",
    summary: "datagrams whose IP header says that they are longer than their frame",
    findings: &[Finding { kind: "malformed/length", ..FOUND }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: odd(Odd::IpLength),
            lost: &[Lost {
                reason: "PKT_TOO_SMALL",
                counted: ("server", Counter::Nstat("IpExtInTruncatedPkts")),
                ..LOST_IP
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const UDP_LENGTH: Scenario = Scenario {
    name: "malformed-udp-length",
    summary: "datagrams whose UDP header says that they are longer than their packet",
    findings: &[Finding { kind: "malformed/length", ..FOUND }],
    lab: Setup::Plain(Plain {
        sinks: &[("server", "10.0.0.2:7001")],
        volleys: &[Volley {
            traffic: odd(Odd::UdpLength),
            lost: &[Lost {
                reason: "PKT_TOO_SMALL",
                counted: ("server", Counter::Nstat("UdpInErrors")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const PROTOCOL: Scenario = Scenario {
    name: "protocol-unhandled",
    summary: "packets of an IP protocol that nothing handles",
    watch: "sudo lossdrop trace --proto 253",
    packets: "3 packets of protocol 253, 10.0.0.1 → 10.0.0.2; each is answered with ICMP, as far as its rate allows",
    findings: &[Finding {
        kind: "socket/protocol",
        fix: Fix::None("a module or a program must handle the protocol"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: odd(Odd::Protocol(253)),
            lost: &[Lost {
                reason: "IP_NOPROTO",
                symbols: &["ip_protocol_deliver_rcu", "ip_local_deliver_finish"],
                proto: "253",
                src: "10.0.0.1",
                dst: "10.0.0.2",
                counted: ("server", Counter::Nstat("IpInUnknownProtos")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};

const FOREIGN_VLAN: Scenario = Scenario {
    name: "vlan-without-device",
    summary: "frames with the tag of a VLAN that has no device at the receiver",
    packets: "3 UDP datagrams in VLAN 77, 10.0.0.1:7000 → 10.0.0.2:7001",
    findings: &[Finding {
        kind: "device/foreign-vlan",
        culprit: &["eth0"],
        fix: Fix::None("whether the sender or the receiver is wrong, only their owner knows"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        volleys: &[Volley {
            traffic: odd(Odd::Vlan(77)),
            lost: &[Lost {
                reason: "OTHERHOST",
                symbols: &["ip_rcv_core"],
                counted: ("server", Counter::RxPackets("eth0")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..UDP_CHECKSUM
};
