//! The receiving socket, or that there is none.

use super::kinds;

kinds! { SOCKET:
    SOCKET_RCVBUF: Socket / "rcvbuf" Capacity {
        "the socket's receive buffer is full",
        causes: [
            "the application reads too slowly, or blocks on something else",
            "bursts larger than the buffer: the default holds a few hundred small datagrams",
            "the application asks for a larger buffer, and `rmem_max` limits it",
        ],
        look: [
            "`ss -uampn 'sport = :PORT'`: `Recv-Q`, and in `skmem` `rb` (buffer) and `d` (drops)",
            "`nstat -az UdpRcvbufErrors Udp6RcvbufErrors TcpExtTCPRcvQDrop TcpExtOfoPruned`",
            "`top -H -p PID`: whether the reading thread has a CPU to itself",
        ],
        fixes: [
            "let the application read faster: more threads, `SO_REUSEPORT`, `recvmmsg`",
            "let it ask for a larger buffer (`SO_RCVBUF`), and allow it: `sysctl -w net.core.rmem_max=BYTES`",
            "where it does not ask: `sysctl -w net.core.rmem_default=BYTES`, and restart it",
            "for TCP: `sysctl -w net.ipv4.tcp_rmem='4096 131072 BYTES'`",
        ],
    }
    SOCKET_BACKLOG: Socket / "backlog" Capacity {
        "the socket's backlog is full",
        causes: [
            "the application is inside a long read or write while segments keep coming",
            "one connection carries more than one CPU can process",
            "small buffers: the backlog's limit follows from them",
        ],
        look: ["`nstat -az TcpExtTCPBacklogDrop`", "`ss -tmpn 'sport = :PORT'`: `skmem`, with `rb` and `bl`"],
        fixes: [
            "larger buffers: `sysctl -w net.ipv4.tcp_rmem='4096 131072 BYTES'`",
            "less work in one read, several connections instead of one",
        ],
    }
    SOCKET_ZERO_WINDOW: Socket / "zero-window" Capacity {
        "data comes while the receive window is closed",
        causes: ["the application does not read", "the peer probes the closed window, or does not heed it"],
        look: [
            "`ss -tmpn 'sport = :PORT'`: `Recv-Q` that stays high",
            "`nstat -az TcpExtTCPZeroWindowDrop TcpExtTCPToZeroWindowAdv`",
        ],
        fixes: [
            "let the application read: see what it waits for (`cat /proc/PID/stack`, `strace -p PID`)",
            "a larger window: `sysctl -w net.ipv4.tcp_rmem='4096 131072 BYTES'`",
        ],
    }
    SOCKET_ACCEPT_QUEUE: Socket / "accept-queue" Capacity {
        "the listener's accept queue is full",
        causes: [
            "the application accepts connections too slowly, or hangs",
            "its `listen()` backlog is too small for the bursts",
            "`somaxconn` limits the backlog",
        ],
        look: [
            "`ss -ltnp 'sport = :PORT'`: `Recv-Q` (waiting) against `Send-Q` (backlog)",
            "`nstat -az TcpExtListenOverflows TcpExtListenDrops`",
        ],
        fixes: [
            "let the application accept faster: more threads or processes",
            "a larger backlog in its configuration, and allow it: `sysctl -w net.core.somaxconn=N`; then restart it",
        ],
    }
    SOCKET_SYN_QUEUE: Socket / "syn-queue" Capacity {
        "the listener's SYN queue is full",
        causes: [
            "SYN cookies are off, and many handshakes are open at once",
            "a SYN flood, or clients whose last handshake segment is lost",
        ],
        look: [
            "`ss -tn state syn-recv`: the open handshakes",
            "`nstat -az TcpExtTCPReqQFullDrop TcpExtTCPReqQFullDoCookies`",
        ],
        fixes: [
            "SYN cookies: `sysctl -w net.ipv4.tcp_syncookies=1`",
            "a longer queue: `sysctl -w net.ipv4.tcp_max_syn_backlog=N`, with a larger `listen()` backlog",
        ],
    }
    SOCKET_CLOSED_PORT: Socket / "closed-port" Fault {
        "no process listens on the port",
        causes: [
            "the service is not running, or listens on another port or address (127.0.0.1 only)",
            "the sender has the wrong port or host",
            "a port scan",
            "data for a connection that is gone, as after a restart or a failover",
        ],
        look: [
            "`ss -lntup 'sport = :PORT'`: whether and on which address something listens",
            "`nstat -az UdpNoPorts TcpOutRsts`",
        ],
        fixes: [
            "start the service: `systemctl start SERVICE`",
            "let it listen on the address that the packets go to, or on 0.0.0.0 and ::",
            "stop the sender, or refuse its packets: `nft add rule inet TABLE CHAIN udp dport PORT reject`",
        ],
    }
    SOCKET_FILTER: Socket / "filter" Policy {
        "a filter on the socket refused it",
        causes: [
            "the application filters for itself (`SO_ATTACH_FILTER`, `SO_ATTACH_BPF`), as DHCP clients do",
            "a cgroup ingress program of systemd or a container runtime (`IPAddressDeny=`)",
            "on older kernels, a security module",
        ],
        look: [
            "`ss -0bp`, `ss -anpbe`: sockets with a filter",
            "`bpftool cgroup tree`: ingress programs",
            "`systemctl show -p IPAddressDeny SERVICE`",
        ],
        fixes: [
            "allow the address in the service's unit: `IPAddressAllow=PREFIX`",
            "change the application's filter",
        ],
    }
    SOCKET_SECURITY: Socket / "security" Policy {
        "a security module refused it",
        causes: [
            "a rule of SELinux, AppArmor or Smack",
            "a label on the packet (CIPSO, IPsec) that does not fit",
        ],
        look: ["`ausearch -m avc -ts recent`", "`dmesg`: lines with `audit`"],
        fixes: ["allow it in the module's policy: `audit2allow -a` writes the rule"],
    }
    SOCKET_CAPTURE: Socket / "capture" Benign {
        "a capture missed its copy; the packet itself went on",
        causes: ["tcpdump or another capture reads too slowly", "its buffer is too small"],
        look: ["`ss -0mp`: packet sockets and their drops", "the \"dropped by kernel\" of tcpdump"],
        fixes: ["a larger buffer: `tcpdump -B KIB`", "a narrower filter, or `-w` to a fast disk"],
    }
    SOCKET_PROTOCOL: Socket / "protocol" Fault {
        "nothing handles the IP protocol",
        causes: [
            "a tunnel or routing protocol (GRE, ESP, OSPF, VRRP) that is not set up on this host",
            "the module of the protocol is not loaded",
        ],
        look: [
            "`cat /proc/net/protocols`, `ss -wanp`: protocols and raw sockets",
            "`nstat -az IpInUnknownProtos Ip6InUnknownProtos`",
        ],
        fixes: [
            "load the module: `modprobe MODULE`",
            "set up the tunnel or start the program, or stop the sender",
        ],
    }
    SOCKET_ERROR_QUEUE: Socket / "error-queue" Fault {
        "the socket's error queue is full",
        causes: [
            "the application asked for errors or timestamps and does not read them (`MSG_ERRQUEUE`)",
            "its receive buffer is full",
        ],
        look: ["`ss -ampn 'sport = :PORT'`: `skmem`"],
        fixes: [
            "let the application read its error queue",
            "a larger receive buffer: `sysctl -w net.core.rmem_max=BYTES`",
        ],
    }
    SOCKET_SEND: Socket / "send" Fault {
        "a message could not be built; the sender gets an error",
        causes: [
            "the message is too large, or its segmentation (`UDP_SEGMENT`) is not possible",
            "memory is short",
            "the device is down",
        ],
        look: ["the error that the application gets: `strace -e trace=network -p PID`"],
        fixes: ["let the application send smaller messages"],
    }
    SOCKET_MULTICAST: Socket / "multicast" Benign {
        "no socket takes the multicast or broadcast",
        causes: ["mDNS, SSDP, NetBIOS and the like, which this host does not speak"],
        look: ["`ip maddr show dev DEV`, `ss -uanp`"],
        fixes: ["nothing to do, unless an application here should receive it: then let it join the group"],
    }
    SOCKET_SEND_BUFFER: Socket / "send-buffer" Capacity {
        "the socket's send buffer is full",
        causes: [
            "the application sends faster than the device or its queue discipline",
            "`wmem_max` limits the buffer",
        ],
        look: ["`nstat -az UdpSndbufErrors Udp6SndbufErrors`", "`ss -uampn`: `t` and `tb` in `skmem`"],
        fixes: [
            "let the application wait and send again when it gets EAGAIN or ENOBUFS",
            "a larger buffer (`SO_SNDBUF`): `sysctl -w net.core.wmem_max=BYTES`",
        ],
    }
}
