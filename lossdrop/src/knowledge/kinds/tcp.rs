//! TCP's state, checksums, and headers that break the rules.

use super::kinds;

kinds! { TCP:
    TCP_AUTH: Tcp / "auth" Fault {
        "the segment's signature, or its TTL, is refused",
        causes: [
            "BGP or another protocol with TCP-MD5 or TCP-AO: the keys differ, or only one side has them",
            "TTL security (GTSM, `IP_MINTTL`): that is policy",
        ],
        look: [
            "`nstat -az TcpExtTCPMD5NotFound TcpExtTCPMD5Failure TcpExtTCPAOBad`",
            "`dmesg`: \"MD5 Hash failed\"",
        ],
        fixes: ["give both sides the same key, in the configuration of the routing daemon"],
    }
    TCP_STATE: Tcp / "state" Fault {
        "the segment does not fit its connection's state",
        causes: [
            "the application closed while data was on its way, so the connection is reset",
            "the peer restarted, or reuses a port",
            "a middlebox, a load balancer or a scan sends segments of its own",
        ],
        look: [
            "`ss -tanoe '( sport = :PORT or dport = :PORT )'`",
            "`nstat -az TcpExtTCPAbortOnData TcpExtTCPChallengeACK`",
            "`tcpdump -ni DEV tcp port PORT`",
        ],
        fixes: [
            "let the application read all data before it closes",
            "see which side is out of step, and restart it",
        ],
    }
    TCP_DUPLICATE: Tcp / "duplicate" Benign {
        "the data or acknowledgement had arrived already",
        causes: [
            "retransmissions that were not needed: an acknowledgement was lost or late",
            "keep-alives and window probes",
        ],
        look: ["`nstat -az TcpRetransSegs TcpExtTCPDSACKRecv TcpExtTCPSpuriousRTOs`"],
        fixes: ["nothing to do here; many of them hint at a loss on the way back"],
    }
    TCP_TIMESTAMP: Tcp / "timestamp" Fault {
        "the segment's timestamp is too old",
        causes: [
            "clients behind one NAT address, whose clocks differ, reuse a port in TIME_WAIT",
            "a stray old segment",
            "a device that rewrites timestamps",
        ],
        look: ["`nstat -az TcpExtPAWSEstab TcpExtPAWSActive TcpExtTWRecycled`", "`ss -tan state time-wait`"],
        fixes: [
            "let the NAT use more source ports or addresses",
            "as a last resort: `sysctl -w net.ipv4.tcp_timestamps=0`",
        ],
    }
    TCP_WINDOW: Tcp / "window" Fault {
        "sequence or acknowledgement numbers outside the window",
        causes: [
            "a middlebox that rewrites sequence numbers or loses track (NAT, firewall, load balancer)",
            "stray segments of an old connection",
            "forged segments",
        ],
        look: ["`nstat -az TcpExtTCPChallengeACK TcpExtTCPACKSkippedSeq`", "`tcpdump -ni DEV tcp port PORT`"],
        fixes: ["turn off sequence rewriting in the middlebox"],
    }
    TCP_RESET: Tcp / "reset" Benign {
        "an RST that fits no connection",
        causes: ["a reset that comes late or twice", "a reset at a listener"],
        look: ["`nstat -az TcpEstabResets`"],
        fixes: ["nothing to do"],
    }
    TCP_CLOSING: Tcp / "closing" Benign {
        "a segment for a socket that is closed",
        causes: [
            "the last segments of a connection; with data, the application closed before it had read all",
        ],
        look: ["`ss -tan state closing`"],
        fixes: ["nothing to do"],
    }
    TCP_REPEATED_SYN: Tcp / "repeated-syn" Fault {
        "a client repeats its SYN",
        causes: [
            "the SYN-ACK or the client's answer is lost",
            "the accept queue is full",
            "the client reuses a port that is still in TIME_WAIT",
        ],
        look: [
            "`ss -ltn 'sport = :PORT'`: `Recv-Q` above `Send-Q`",
            "`nstat -az TcpExtTCPSynRetrans TcpExtListenOverflows TcpRetransSegs`",
            "`tcpdump -ni DEV 'tcp[tcpflags] & tcp-syn != 0'`",
        ],
        fixes: [
            "a larger backlog, if the accept queue is full: `sysctl -w net.core.somaxconn=N`",
            "else look for the loss on the way back",
        ],
    }
    TCP_FAST_OPEN: Tcp / "fast-open" Fault {
        "the segment does not fit a Fast Open handshake",
        causes: ["a middlebox that does not know TCP Fast Open", "a client with an old cookie"],
        look: ["`nstat -az TcpExtTCPFastOpenPassiveFail TcpExtTCPFastOpenListenOverflow`"],
        fixes: ["turn it off: `sysctl -w net.ipv4.tcp_fastopen=0`"],
    }

    CHECKSUM_TCP: Checksum / "tcp" Fault {
        "TCP checksums are wrong",
        causes: [
            "a faulty offload: a virtual device or driver that does not fill the checksum in",
            "damage on the way: cable, memory, a router",
            "a program that changes packets and does not correct them",
        ],
        look: [
            "`nstat -az TcpInCsumErrors`",
            "`ethtool -k DEV | grep checksum`",
            "`tcpdump -vni DEV tcp`: \"incorrect\" on the receiver (on the sender it is normal)",
        ],
        fixes: [
            "turn the sender's offload off: `ethtool -K DEV tx off`",
            "or the receiver's: `ethtool -K DEV rx off`",
        ],
    }
    CHECKSUM_UDP: Checksum / "udp" Fault {
        "UDP checksums are wrong",
        causes: [
            "a faulty offload: a virtual device, a tunnel or a driver that does not fill the checksum in",
            "damage on the way",
            "a program that changes packets and does not correct them",
        ],
        look: [
            "`nstat -az UdpInCsumErrors Udp6InCsumErrors`",
            "`ethtool -k DEV | grep checksum`",
            "`tcpdump -vni DEV udp`: \"bad udp cksum\" on the receiver",
        ],
        fixes: [
            "turn the sender's offload off: `ethtool -K DEV tx off`",
            "for a VXLAN device: `ethtool -K DEV tx-checksum-ip-generic off`",
        ],
    }
    CHECKSUM_IP: Checksum / "ip" Fault {
        "IPv4 header checksums are wrong",
        causes: ["damage on the way", "a faulty sender or middlebox"],
        look: [
            "`nstat -az IpExtInCsumErrors`",
            "`tcpdump -vni DEV ip`: \"bad cksum\"",
            "`ethtool -S DEV`: errors of the NIC",
        ],
        fixes: [
            "find the sender by its MAC address: `tcpdump -eni DEV`",
            "`ethtool -K DEV tx off`, on the sender",
        ],
    }
    CHECKSUM_ICMP: Checksum / "icmp" Fault {
        "ICMP checksums are wrong",
        causes: ["damage on the way", "a faulty sender or middlebox"],
        look: ["`nstat -az IcmpInCsumErrors Icmp6InCsumErrors`", "`tcpdump -vni DEV icmp or icmp6`"],
        fixes: ["find the sender by its MAC address: `tcpdump -eni DEV`"],
    }
    CHECKSUM_OTHER: Checksum / "other" Fault {
        "a checksum is wrong or could not be computed",
        causes: [
            "damage on the way, or a faulty offload",
            "a packet that is too short for its checksum's offset",
        ],
        look: ["`ethtool -k DEV | grep checksum`", "`ip -s link show DEV`"],
        fixes: ["`ethtool -K DEV tx off`, on the sender"],
    }

    MALFORMED_HEADER: Malformed / "header" Fault {
        "a header is invalid",
        causes: [
            "a faulty or hostile sender",
            "a TTL or hop limit that ran out, where the place does not tell",
            "damage on the way",
        ],
        look: [
            "`tcpdump -evni DEV`: the packet and the MAC address of its sender",
            "`nstat -az IpInHdrErrors Ip6InHdrErrors`",
        ],
        fixes: ["correct or stop the sender"],
    }
    MALFORMED_LENGTH: Malformed / "length" Fault {
        "the packet is shorter than it says",
        causes: ["a faulty sender or middlebox that cuts packets", "damage on the way"],
        look: [
            "`tcpdump -evni DEV`: \"truncated\" or \"bad length\"",
            "`nstat -az IpExtInTruncatedPkts Ip6InTruncatedPkts UdpInErrors`",
        ],
        fixes: ["correct or stop the sender"],
    }
    MALFORMED_PROTOCOL: Malformed / "protocol" Fault {
        "the packet breaks the rules of its protocol",
        causes: [
            "an ICMP or IGMP message of an unknown kind, or to be ignored",
            "a faulty or hostile sender",
        ],
        look: ["`tcpdump -evni DEV icmp or igmp`", "`nstat -az IcmpInErrors`"],
        fixes: ["correct or stop the sender"],
    }
    MALFORMED_NDISC: Malformed / "ndisc" Fault {
        "a neighbour-discovery message is refused",
        causes: [
            "a message that crossed a router: a bad tunnel, or forged",
            "fragmented or invalid messages",
        ],
        look: ["`tcpdump -evni DEV 'icmp6 and ip6[40] >= 133'`: hop limit (must be 255) and sender"],
        fixes: [
            "correct or stop the sender",
            "accept fragmented ones: `sysctl -w net.ipv6.conf.DEV.suppress_frag_ndisc=0`",
        ],
    }
    MALFORMED_EXTENSION: Malformed / "extension" Fault {
        "an IPv6 extension header is refused",
        causes: [
            "a routing header (SRv6, RPL) that is not enabled here",
            "too many options or headers",
            "a faulty or hostile sender",
        ],
        look: [
            "`tcpdump -evni DEV ip6`",
            "`sysctl net.ipv6.conf.DEV.accept_source_route net.ipv6.conf.DEV.seg6_enabled`",
        ],
        fixes: [
            "for SRv6: `sysctl -w net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.DEV.seg6_enabled=1`",
            "else correct or stop the sender",
        ],
    }
}
