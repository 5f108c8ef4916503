//! Queues and rings that are full.

use super::kinds;

kinds! { QUEUE:
    QUEUE_QDISC_LIMIT: Queue / "qdisc-limit" Capacity {
        "the queue discipline is full",
        causes: [
            "more is sent than the link or the shaper lets through",
            "the queue is too short for the bursts",
            "the shaper's rate is lower than it was meant to be",
        ],
        look: [
            "`tc -s qdisc show dev DEV`: which `dropped` rises, its `limit`, `backlog` and rate",
            "`tc -s class show dev DEV`: the rates of classes (htb, hfsc)",
            "`ip -s link show DEV`: how much the link carries",
        ],
        fixes: [
            "a longer queue: `tc qdisc change dev DEV parent PARENT KIND limit N`",
            "for pfifo_fast, or a pfifo without a limit: `ip link set DEV txqueuelen N`",
            "a faster shaper: `tc qdisc change dev DEV root tbf rate RATE burst BYTES limit BYTES`",
            "keep delay short and flows apart: `tc qdisc replace dev DEV parent PARENT fq_codel`",
        ],
    }
    QUEUE_QDISC_AQM: Queue / "qdisc-aqm" Capacity {
        "the queue discipline drops early to keep delay short",
        causes: [
            "the link is the bottleneck: CoDel, PIE or RED tell the senders to slow down, as they should",
            "flows that do not slow down (UDP, many connections)",
            "too low a target for the link's rate or round-trip time",
        ],
        look: [
            "`tc -s qdisc show dev DEV`: `target`, `ecn_mark`, `drop_overlimit`, new and old flows",
        ],
        fixes: [
            "mark instead of dropping, where the hosts know ECN: `tc qdisc change dev DEV parent PARENT fq_codel ecn`",
            "on slow links, a longer target: `tc qdisc change dev DEV parent PARENT fq_codel target 15ms interval 150ms`",
            "a faster link or shaper",
        ],
    }
    QUEUE_QDISC_OVERSIZE: Queue / "qdisc-oversize" Fault {
        "packets larger than the shaper's burst never pass",
        causes: [
            "`burst` of tbf is smaller than a packet: every packet above it is dropped",
            "the MTU was raised and the shaper was not",
        ],
        look: [
            "`tc -s qdisc show dev DEV`: `burst` against the length of the packets",
            "`ip link show DEV`: the MTU",
        ],
        fixes: [
            "a burst of at least the MTU and the Ethernet header: `tc qdisc change dev DEV root tbf rate RATE burst BYTES limit BYTES`",
        ],
    }
    QUEUE_UNCLASSIFIED: Queue / "unclassified" Fault {
        "no class of the queue takes the packets",
        causes: [
            "hfsc without a `default`, or with one that is no class: what no filter matches is dropped",
            "drr and qfq know no default: all packets need a filter",
            "filters for IP alone: ARP, IPv6 or VLAN frames match none",
        ],
        look: [
            "`tc filter show dev DEV parent 1:`: what the filters match, and their protocols",
            "`tc -s class show dev DEV`: which classes get packets",
        ],
        fixes: [
            "a default: `tc qdisc change dev DEV root handle 1: hfsc default MINOR`",
            "a last filter that takes all: `tc filter add dev DEV parent 1: pref 65535 matchall classid 1:1`",
        ],
    }
    QUEUE_NETEM: Queue / "netem" Policy {
        "netem drops it on purpose",
        causes: [
            "a lossy network is being simulated",
            "a test that did not clean up",
            "netem's `limit` is too small for its delay",
        ],
        look: ["`tc -s qdisc show dev DEV`: `loss`, `delay` and `limit` of netem"],
        fixes: [
            "take it away: `tc qdisc del dev DEV root`",
            "a longer queue: `tc qdisc change dev DEV root netem limit N`",
        ],
    }
    QUEUE_DEVICE_DOWN: Queue / "device-down" Fault {
        "the device is down or has no carrier",
        causes: [
            "the device was set down, or never up (`lo` in a new network namespace, too)",
            "no carrier: the cable, the veth peer or the program behind a tap is away",
            "a bridge without a port that is up",
        ],
        look: [
            "`ip -br link show DEV`: UP, and LOWER_UP or NO-CARRIER",
            "`tc qdisc show dev DEV`: `noop` takes nothing",
        ],
        fixes: [
            "`ip -n NETNS link set DEV up`, for both ends of a veth",
            "let routes take another way while it is down: `ip route replace PREFIX via GATEWAY dev OTHER`",
        ],
    }
    QUEUE_CPU_BACKLOG: Queue / "cpu-backlog" Capacity {
        "a CPU's input queue is full",
        causes: [
            "one CPU gets more packets than it can process (veth, loopback, tunnels and RPS use this queue)",
            "one flow is over its share (flow limit)",
            "the queue is too short for the bursts",
        ],
        look: [
            "`cat /proc/net/softnet_stat`: one line a CPU; second column dropped, eleventh flow limit (hexadecimal)",
            "`mpstat -P ALL 1`: a CPU that is all `%soft`",
        ],
        fixes: [
            "a longer queue: `sysctl -w net.core.netdev_max_backlog=N`",
            "more CPUs: `echo MASK > /sys/class/net/DEV/queues/rx-0/rps_cpus`",
            "more of a round: `sysctl -w net.core.netdev_budget=N`",
        ],
    }
    QUEUE_TUN_RING: Queue / "tun-ring" Capacity {
        "the ring of the tun/tap device is full",
        causes: [
            "the virtual machine or VPN program behind the device reads too slowly",
            "the ring is too short for the bursts",
            "no program reads the device",
        ],
        look: [
            "`ip -s link show DEV`: TX `dropped`, and `qlen`",
            "`ip -d tuntap show`: the device and its process",
            "`top -H -p PID`: whether the reader has a CPU to itself",
        ],
        fixes: [
            "a longer ring: `ip link set DEV txqueuelen N`",
            "a faster reader: vhost-net, several queues (`multi_queue`), more CPU",
        ],
    }
    QUEUE_VETH_RING: Queue / "veth-ring" Capacity {
        "the ring towards the veth peer is full",
        causes: [
            "bursts faster than the peer's CPU, with NAPI (XDP or GRO) on the peer",
            "no queue discipline on the veth, so that nothing can wait",
        ],
        look: [
            "`ip -s link show DEV`: TX `dropped`",
            "`tc qdisc show dev DEV`: `noqueue`",
            "`ethtool -S DEV`: counters of the peer",
        ],
        fixes: [
            "let packets wait, on Linux 6.12 and later: `tc qdisc replace dev DEV root pfifo limit 1000`",
            "let the peer's packets be processed by more CPUs (`rps_cpus`, more queues)",
        ],
    }
    QUEUE_MULTICAST_BACKLOG: Queue / "multicast-backlog" Capacity {
        "the queue for broadcasts and multicasts is full",
        causes: ["a burst of broadcasts or multicasts on macvlan or ipvlan", "too many MLD messages at once"],
        look: ["`ip -d link show DEV`: `bcqueuelen`", "`ip -s link show DEV`"],
        fixes: ["a longer queue: `ip link set DEV type macvlan bcqueuelen N`"],
    }
}
