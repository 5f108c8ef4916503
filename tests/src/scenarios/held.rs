//! Sockets of programs that do not do their part, and ports where there is none.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use anyhow::{Context, Result};

use super::pair::{CLIENT_V4, SERVER_V4};
use super::plain::{Lost, Plain, Share, Traffic, Volley};
use super::special::Special;
use super::stage::Stage;
use super::untraced::Untraced;
use crate::counter::Counter;
use crate::finding::{Count, Finding, Fix};
use crate::need::Need;
use crate::netns::{Netns, output};
use crate::scenario::{Lab, Noise, Scenario, Setup, Shot};
use crate::traffic::tcp_syn;

pub(super) const ALL: &[Scenario] = &[RCVBUF_V6, FILTER, CLOSED_TCP_V6, ACCEPT_QUEUE, SYN_QUEUE, SEND_BUFFER];

const FOUND: Finding = Finding {
    kind: "socket/rcvbuf",
    severity: "capacity",
    confidence: "certain",
    count: Count::OfShot(0),
    netns: "server",
    culprit: &[],
    numbers: &[],
    fix: Fix::None("the program must read its socket"),
};

const LOST: Lost = Lost {
    reason: "SOCKET_RCVBUFF",
    symbols: &["udpv6_queue_rcv_one_skb", "__udp_enqueue_schedule_skb", "udpv6_queue_rcv_skb"],
    netns: Some("server"),
    iface: Some("eth0"),
    proto: "udp",
    src: "fd00::1",
    dst: "[fd00::2]:5360",
    share: Share::AsCounted,
    counted: ("server", Counter::Nstat("Udp6RcvbufErrors")),
};

/// What was never read, when the socket closes.
const UNREAD: Noise =
    Noise { symbols: &["udp_destruct_common"], why: "what was never read, when the socket closes" };

const RCVBUF_V6: Scenario = Scenario {
    name: "udp-rcvbuf-full-v6",
    summary: "a program that holds an IPv6 UDP socket with a tiny buffer and never reads it",
    watch: "sudo lossdrop trace --port 5360",
    packets: "10 UDP datagrams of 100 bytes, fd00::1 → [fd00::2]:5360; the first few of all fit",
    needs: &[Need::Tool("perl")],
    findings: &[Finding { culprit: &["udp", "fd00::2", "5360"], ..FOUND }],
    lab: Setup::Code(|| {
        const PLAIN: Plain = Plain {
            stage: Stage::Dual,
            setup: &[(
                "server",
                r#"perl -MSocket=:all -e 'socket(S, PF_INET6, SOCK_DGRAM, 0) or die $!;
                    setsockopt(S, SOL_SOCKET, SO_RCVBUF, 1) or die $!;
                    bind(S, pack_sockaddr_in6(5360, inet_pton(AF_INET6, "fd00::2"))) or die $!;
                    fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
            )],
            volleys: &[Volley {
                traffic: Traffic::Udp { from: "client", to: "[fd00::2]:5360", count: 10, payload: 100 },
                lost: &[LOST],
            }],
            noise: &[UNREAD],
            ..Plain::PAIR
        };
        Held::over(&PLAIN)
    }),
};

const FILTER: Scenario = Scenario {
    name: "socket-filter",
    summary: "a program whose socket has a filter that takes nothing",
    packets: "4 UDP datagrams, 10.0.0.1 → 10.0.0.2:5360",
    findings: &[Finding {
        kind: "socket/filter",
        severity: "policy",
        culprit: &["udp", "10.0.0.2:5360"],
        fix: Fix::None("the program wanted it so"),
        ..FOUND
    }],
    lab: Setup::Code(|| {
        const PLAIN: Plain = Plain {
            setup: &[(
                "server",
                // SO_ATTACH_FILTER; the one instruction returns 0.
                r#"perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0) or die $!;
                    my $code = pack("S C C L", 6, 0, 0, 0);
                    setsockopt(S, SOL_SOCKET, 26, pack("S x![p] P", 1, $code)) or die $!;
                    bind(S, sockaddr_in(5360, inet_aton("10.0.0.2"))) or die $!;
                    fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
            )],
            volleys: &[Volley {
                traffic: Traffic::udp("10.0.0.2:5360", 4),
                lost: &[Lost {
                    reason: "SOCKET_FILTER",
                    symbols: &["udp_queue_rcv_one_skb", "udp_queue_rcv_skb"],
                    src: "10.0.0.1",
                    dst: "10.0.0.2:5360",
                    share: Share::All,
                    counted: ("server", Counter::Nstat("UdpInErrors")),
                    ..LOST
                }],
            }],
            ..Plain::PAIR
        };
        Held::over(&PLAIN)
    }),
    ..RCVBUF_V6
};

const CLOSED_TCP_V6: Scenario = Scenario {
    name: "tcp-closed-port-v6",
    summary: "TCP connection attempts by IPv6 to a port where nobody listens",
    packets: "4 connection attempts, fd00::1 → [fd00::2]:5360; each is refused",
    needs: &[],
    findings: &[Finding {
        kind: "socket/closed-port",
        severity: "fault",
        culprit: &["tcp", "fd00::2", "5360"],
        fix: Fix::None("something must listen there"),
        ..FOUND
    }],
    lab: Setup::Plain(Plain {
        stage: Stage::Dual,
        volleys: &[Volley {
            traffic: Traffic::Special {
                from: "client",
                what: Special::Refused { to: "[fd00::2]:5360", count: 4 },
            },
            lost: &[Lost {
                reason: "NO_SOCKET",
                symbols: &["tcp_v6_rcv"],
                proto: "tcp",
                share: Share::All,
                counted: ("server", Counter::Nstat("TcpOutRsts")),
                ..LOST
            }],
        }],
        ..Plain::PAIR
    }),
    ..RCVBUF_V6
};

/// Raw SYNs: none is repeated. Whoever gets no answer is not there any more.
const SYNS: Volley = Volley::harmless(Traffic::Syn {
    from: "client",
    src: CLIENT_V4,
    to: SocketAddrV4::new(SERVER_V4, 5360),
    count: 8,
});

const ACCEPT_QUEUE: Scenario = Scenario {
    name: "tcp-accept-queue-full",
    summary: "a server that does not accept its connections: SYNs are lost without any drop that could be watched",
    packets: "8 SYNs, 10.0.0.1 → 10.0.0.2:5360, after the two connections that fit",
    findings: &[Finding {
        kind: "socket/accept-queue",
        count: Count::Untraced,
        culprit: &["tcp", "10.0.0.2:5360"],
        numbers: &[("backlog", 1), ("queued", 2)],
        fix: Fix::None("the program must accept its connections, whatever the length of the queue"),
        ..FOUND
    }],
    lab: Setup::Code(|| {
        const PLAIN: Plain = Plain {
            setup: &[
                (
                    "server",
                    r#"perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
                        bind(S, sockaddr_in(5360, inet_aton("10.0.0.2"))) && listen(S, 1) or die $!;
                        fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
                ),
                (
                    "client",
                    r#"perl -MSocket -e 'for my $socket (\*A, \*B) {
                            socket($socket, PF_INET, SOCK_STREAM, 0) or die $!;
                            connect($socket, sockaddr_in(5360, inet_aton("10.0.0.2"))) or die $!;
                        }
                        fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
                ),
            ],
            volleys: &[SYNS],
            ..Plain::PAIR
        };
        Untraced::over(PLAIN.lab()?, "server", Counter::Nstat("TcpExtListenOverflows"))
    }),
    ..RCVBUF_V6
};

const SYN_QUEUE: Scenario = Scenario {
    name: "tcp-syn-queue-full",
    summary: "a server without SYN cookies, whose queue of half-open connections is full",
    packets: "8 SYNs, 10.0.0.1 → 10.0.0.2:5360, after as many that are answered and never completed",
    findings: &[Finding {
        kind: "socket/syn-queue",
        count: Count::Untraced,
        culprit: &["tcp", "10.0.0.2:5360"],
        numbers: &[("backlog", 2)],
        fix: Fix::Stops,
        ..FOUND
    }],
    lab: Setup::Code(|| {
        const PLAIN: Plain = Plain {
            setup: &[
                ("server", "echo 0 > /proc/sys/net/ipv4/tcp_syncookies"),
                ("server", "ip neigh replace 10.0.0.99 lladdr 02:00:00:00:00:99 nud permanent dev eth0"),
                (
                    "server",
                    r#"perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
                        bind(S, sockaddr_in(5360, inet_aton("10.0.0.2"))) && listen(S, 2) or die $!;
                        fork or do { close STDOUT; close STDERR; sleep 3600 }'"#,
                ),
            ],
            volleys: &[Volley::harmless(Traffic::Syn {
                from: "client",
                src: ABSENT,
                to: SocketAddrV4::new(SERVER_V4, 5360),
                count: 8,
            })],
            ..Plain::PAIR
        };
        let lab = PLAIN.lab()?;
        tcp_syn(lab.netns("client")?, ABSENT, 9_000..9_008, SocketAddrV4::new(SERVER_V4, 5360))?;
        Untraced::over(lab, "server", Counter::Nstat("TcpExtTCPReqQFullDrop"))
    }),
    ..RCVBUF_V6
};

/// A host that does not exist; so the answers to its SYNs are no frames that anybody takes.
const ABSENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);

const SEND_BUFFER: Scenario = Scenario {
    name: "udp-send-buffer-full",
    summary: "a program that sends faster than its slow device, and does not wait until its socket takes more",
    packets: "20 UDP datagrams of 1000 bytes, 10.0.0.1 → 10.0.0.2:5360, from a socket with a tiny send buffer",
    findings: &[Finding {
        kind: "socket/send-buffer",
        confidence: "likely",
        count: Count::Untraced,
        netns: "client",
        fix: Fix::None("the program must wait until its socket takes more"),
        ..FOUND
    }],
    lab: Setup::Code(|| {
        const PLAIN: Plain = Plain {
            setup: &[("client", "tc qdisc add dev eth0 root tbf rate 8kbit burst 1600 limit 100000")],
            sinks: &[("server", "10.0.0.2:5360")],
            volleys: &[Volley::harmless(Traffic::Shell {
                from: "client",
                line: r#"perl -MSocket=:all -e 'socket(S, PF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) or die $!;
                    setsockopt(S, SOL_SOCKET, SO_SNDBUF, 1) or die $!;
                    send(S, "*" x 1000, 0, sockaddr_in(5360, inet_aton("10.0.0.2"))) for 1..20'"#,
                count: 20,
            })],
            ..Plain::PAIR
        };
        Untraced::over(PLAIN.lab()?, "client", Counter::Nstat("UdpSndbufErrors"))
    }),
    ..RCVBUF_V6
};

/// A lab whose first drops are at a socket that the only process in the server's namespace holds.
struct Held {
    lab: Box<dyn Lab>,
    owner: u32,
}

impl Held {
    fn over(plain: &Plain) -> Result<Box<dyn Lab>> {
        let lab = plain.lab()?;
        let name = lab.netns("server")?.name().to_owned();
        let listed = output(Command::new("ip").args(["netns", "pids", &name]))?;
        let owner = listed.trim().parse().with_context(|| format!("not one process: {listed}"))?;
        Ok(Box::new(Self { lab, owner }))
    }
}

impl Lab for Held {
    fn namespaces(&self) -> Vec<&Netns> {
        self.lab.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let mut shot = self.lab.fire()?;
        for expected in &mut shot.expected {
            expected.owner = Some(self.owner);
        }
        Ok(shot)
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.lab.fire_fixed()
    }
}
