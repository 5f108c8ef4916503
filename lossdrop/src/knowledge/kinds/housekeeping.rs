//! The host's memory, the kernel's ordinary work, and what is not known.

use super::kinds;

kinds! { HOUSEKEEPING:
    MEMORY_PROTOCOL: Memory / "protocol" Capacity {
        "the protocol's memory limit is reached",
        causes: [
            "many sockets with full buffers: applications that do not read",
            "the limit of the protocol or of the cgroup is too low",
        ],
        look: [
            "`cat /proc/net/sockstat`: `mem` (pages) against `sysctl net.ipv4.tcp_mem net.ipv4.udp_mem`",
            "`nstat -az UdpMemErrors TcpExtTCPMemoryPressures TcpExtTCPRcvQDrop`",
            "`cat /sys/fs/cgroup/GROUP/memory.stat`: `sock`",
        ],
        fixes: [
            "`sysctl -w net.ipv4.tcp_mem='MIN PRESSURE MAX'`, `net.ipv4.udp_mem` alike (pages)",
            "give the cgroup more: `systemctl set-property SERVICE MemoryMax=BYTES`",
            "find the sockets: `ss -tuampn`",
        ],
    }
    MEMORY_ALLOCATION: Memory / "allocation" Capacity {
        "memory could not be allocated",
        causes: [
            "the host is short of memory",
            "atomic allocations outrun the reserve at a high packet rate",
        ],
        look: ["`free -m`; `cat /proc/pressure/memory`", "`dmesg`: \"page allocation failure\""],
        fixes: ["a larger reserve: `sysctl -w vm.min_free_kbytes=KIB`", "free memory, or add some"],
    }
    MEMORY_COPY: Memory / "copy" Fault {
        "data could not be copied from or to the program",
        causes: ["the program gave a bad address or too short a buffer"],
        look: ["`strace -e trace=network -p PID`: EFAULT"],
        fixes: ["correct the program"],
    }

    HOUSEKEEPING_CLOSING: Housekeeping / "closing" Benign {
        "the ordinary end of a TCP connection",
        causes: ["each close of a connection"],
        look: ["`ss -tan state time-wait`"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_SOCKET_CLOSED: Housekeeping / "socket-closed" Benign {
        "a socket was closed with data in its queues",
        causes: ["the application ended or did not want the rest"],
        look: ["the log of the application"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_LOCAL_SOCKET: Housekeeping / "local-socket" Benign {
        "a message between local sockets; nothing on the network",
        causes: ["AF_UNIX, netlink or vsock sockets that are closed, refused or not listened to"],
        look: ["`ss -xap`, `ss -fnetlink`"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_OTHER_HOST: Housekeeping / "other-host" Benign {
        "a frame for another host",
        causes: ["a switch or bridge floods frames", "the interface is promiscuous, as under tcpdump"],
        look: ["`ip -d link show DEV`: `promiscuity`", "`ip -s -s link show DEV`: `otherhost`"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_MULTICAST: Housekeeping / "multicast" Benign {
        "this host has not joined the multicast group",
        causes: ["neighbours talk mDNS, IGMP, MLD and the like", "no listener behind the bridge (snooping)"],
        look: ["`ip maddr show dev DEV`", "`bridge mdb show`"],
        fixes: ["nothing to do, unless an application here should receive it: then let it join the group"],
    }
    HOUSEKEEPING_UNHANDLED_PROTOCOL: Housekeeping / "unhandled-protocol" Benign {
        "nothing on this host handles the protocol",
        causes: [
            "LLDP, spanning tree, CDP and the like",
            "IP for this host on a device that passes nothing up, as a bond's passive member: a fault",
        ],
        look: ["`tcpdump -eni DEV not ip and not ip6 and not arp`", "`cat /proc/net/ptype`"],
        fixes: ["nothing to do, unless the protocol should be handled here: then `modprobe MODULE`"],
    }
    HOUSEKEEPING_TEARDOWN: Housekeeping / "teardown" Benign {
        "a device or queue discipline was made or taken away",
        causes: ["containers start and stop; `tc qdisc` was changed"],
        look: ["`ip monitor link`, `tc monitor`"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_PURGE: Housekeeping / "purge" Benign {
        "a queue was emptied",
        causes: ["a socket was closed or a device removed"],
        look: ["`lossdrop trace --all --stack`: who empties it"],
        fixes: ["nothing to do"],
    }
    HOUSEKEEPING_PROCESSED: Housekeeping / "processed" Benign {
        "the packet was used, and then freed as a drop",
        causes: ["functions that free what they have processed without saying so"],
        look: ["nothing"],
        fixes: ["nothing to do"],
    }

    UNKNOWN_UNKNOWN: Unknown / "unknown" Fault {
        "not known",
        causes: ["neither the kernel's reason nor the function is in the tables"],
        look: ["`lossdrop trace --stack`: where in the kernel it happens"],
        fixes: ["send the function and its stack to the authors of lossdrop"],
    }
}
