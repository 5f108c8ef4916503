//! Programs that decide, encryption, tunnels.

use super::kinds;

kinds! { BPF:
    BPF_XDP: Bpf / "xdp" Policy {
        "an XDP program said drop",
        causes: [
            "a load balancer, a DDoS filter or a CNI refuses the packet",
            "the program failed on it (`XDP_ABORTED`), or its redirect did: that is a fault",
        ],
        look: [
            "`ip -d link show DEV`: `prog/xdp id ID`",
            "`bpftool net show dev DEV`, `bpftool prog show id ID`",
            "`ethtool -S DEV | grep xdp`",
        ],
        fixes: [
            "change the program's tables: `bpftool map dump id ID` shows them",
            "take the program off: `ip link set dev DEV xdp off`",
        ],
    }
    BPF_TC_INGRESS: Bpf / "tc-ingress" Policy {
        "a tc program or action dropped it on its way in",
        causes: [
            "a CNI (Cilium, Calico) enforces its policy",
            "a filter with `action drop`, or a policer whose rate is exceeded",
        ],
        look: [
            "`tc -s filter show dev DEV ingress`: filters, actions and their counters",
            "`bpftool net show dev DEV`: programs, tcx among them",
            "`tc -s qdisc show dev DEV`: `dropped` of clsact or ingress",
        ],
        fixes: [
            "change the network policy, or the rate of the policer",
            "remove the filter: `tc filter del dev DEV ingress pref N`",
        ],
    }
    BPF_TC_EGRESS: Bpf / "tc-egress" Policy {
        "a tc program or action dropped it on its way out",
        causes: [
            "a CNI (Cilium, Calico) enforces its policy",
            "a filter with `action drop`, or a policer whose rate is exceeded",
        ],
        look: [
            "`tc -s filter show dev DEV egress`: filters, actions and their counters",
            "`tc -s filter show dev DEV parent 1:`: those that sort packets into the classes of a queue",
            "`bpftool net show dev DEV`: programs, tcx among them",
        ],
        fixes: [
            "change the network policy, or the rate of the policer",
            "remove the filter: `tc filter del dev DEV egress pref N`",
        ],
    }
    BPF_TC_POLICE: Bpf / "tc-police" Capacity {
        "a tc policer drops what is over its rate",
        causes: [
            "more is sent than the policer lets through: bursts, or a rate that is lower than it was meant to be",
            "too small a `burst`: even a flow below the rate loses packets",
        ],
        look: [
            "`tc -s filter show dev DEV ingress` (`egress`, `parent 1:`): `police`, its `rate`, `burst` and `dropped`",
        ],
        fixes: [
            "a higher rate: `tc actions change action police rate RATE burst BYTES conform-exceed drop index N`",
            "shape instead of dropping, on the sender: `tc qdisc replace dev DEV root tbf rate RATE burst BYTES latency 50ms`",
            "remove the filter: `tc filter del dev DEV ingress pref N`",
        ],
    }
    BPF_TC_ERROR: Bpf / "tc-error" Fault {
        "tc failed on the packet",
        causes: [
            "an action goes to a chain that does not exist",
            "filters or redirections form a loop",
            "the driver lost track of a packet between hardware and software",
        ],
        look: ["`tc -s filter show dev DEV ingress`", "`tc chain show dev DEV ingress`"],
        fixes: ["add the missing chain, or take out the loop: `tc filter del dev DEV ingress pref N`"],
    }
    BPF_CGROUP_EGRESS: Bpf / "cgroup-egress" Policy {
        "a cgroup egress program refused it",
        causes: ["`IPAddressDeny=` of systemd, or a container runtime's program"],
        look: [
            "`bpftool cgroup tree`: `egress` programs",
            "`systemctl show -p IPAddressDeny -p IPAddressAllow SERVICE`",
        ],
        fixes: ["allow the address in the service's unit: `IPAddressAllow=PREFIX`"],
    }
    BPF_CGROUP_INGRESS: Bpf / "cgroup-ingress" Policy {
        "a cgroup ingress program refused it",
        causes: ["`IPAddressDeny=` of systemd, or a container runtime's program"],
        look: [
            "`bpftool cgroup tree`: `ingress` programs",
            "`systemctl show -p IPAddressDeny -p IPAddressAllow SERVICE`",
        ],
        fixes: ["allow the address in the service's unit: `IPAddressAllow=PREFIX`"],
    }
    BPF_TAP: Bpf / "tap" Policy {
        "a filter on the tun/tap device refused it",
        causes: ["the program behind the device set a BPF filter (`TUNSETFILTEREBPF`)"],
        look: ["`ip -d tuntap show`: the device and its process"],
        fixes: ["change the configuration of that program"],
    }
    BPF_REDIRECT: Bpf / "redirect" Fault {
        "a redirect leads to where the packet cannot go",
        causes: [
            "the target device is down, gone, or in a loop",
            "no neighbour entry for the next hop",
            "a program on a netkit device dropped the packet",
        ],
        look: [
            "`bpftool net show`: the programs and their devices",
            "`ip -br link`: the state of the targets",
        ],
        fixes: [
            "`ip link set DEV up`, for the target",
            "restart the agent of the CNI, so that its tables are made anew",
        ],
    }
    BPF_SOCKMAP: Bpf / "sockmap" Fault {
        "a sockmap program dropped the data, or its target is gone",
        causes: ["a proxy or service mesh whose socket was closed", "the receiving socket's buffer is full"],
        look: [
            "`bpftool prog show`: `sk_skb` and `sk_msg` programs",
            "`bpftool map show`: sockmaps and sockhashes",
        ],
        fixes: ["restart the proxy or agent that owns the program"],
    }
    BPF_ROUTE: Bpf / "route" Policy {
        "a BPF program on the route dropped it",
        causes: ["a route with `encap bpf`, whose program says drop or fails"],
        look: ["`ip route show table all | grep 'encap bpf'`", "`bpftool prog show`"],
        fixes: ["take the program off the route: `ip route replace PREFIX via GATEWAY`"],
    }

    XFRM_POLICY: Xfrm / "policy" Policy {
        "an IPsec policy refuses it",
        causes: [
            "the packet came unencrypted where the policy requires encryption",
            "a policy that says block",
            "the security association does not match the policy",
        ],
        look: [
            "`ip xfrm policy`, `ip -s xfrm state`",
            "`cat /proc/net/xfrm_stat`: `XfrmInNoPols`, `XfrmInPolBlock`, `XfrmInTmplMismatch`",
        ],
        fixes: [
            "correct the selectors of the tunnel on both sides, and bring it up again",
            "`ip xfrm policy delete dir in src PREFIX dst PREFIX`",
        ],
    }
    XFRM_STATE: Xfrm / "state" Fault {
        "no security association fits, or a check failed",
        causes: [
            "the tunnel is down, or only one side has new keys",
            "replayed or reordered packets",
            "another algorithm or key on the other side",
            "too big a packet after encryption",
        ],
        look: [
            "`cat /proc/net/xfrm_stat`: which counter rises",
            "`ip -s xfrm state`: `replay`, `failed`, lifetimes",
            "the log of the IKE daemon",
        ],
        fixes: [
            "bring the tunnel up again: `swanctl --terminate --ike NAME` and `swanctl --initiate --child NAME`",
            "a larger replay window, in the configuration of the IKE daemon",
        ],
    }
    XFRM_PSP: Xfrm / "psp" Policy {
        "PSP encryption is not what the connection requires",
        causes: ["one side encrypts and the other does not", "a key that was changed"],
        look: ["the log of the application that set the keys"],
        fixes: ["let both sides agree on PSP, and connect anew"],
    }

    TUNNEL_UNKNOWN_VNI: Tunnel / "unknown-vni" Fault {
        "no tunnel device here has the packet's VNI",
        causes: [
            "the device of that VNI was not created here, or is down",
            "the other side sends a wrong VNI, or to the wrong host",
        ],
        look: [
            "`ip -d link show type vxlan`, or `type geneve`: `id`, `dstport`, state",
            "`tcpdump -ni DEV udp port 4789`, Geneve 6081: the VNI of the packets",
        ],
        fixes: [
            "`ip link add NAME type vxlan id VNI dstport 4789 dev DEV`, and `ip link set NAME up`",
            "take the host out of the other side's table: `bridge fdb del MAC dev NAME dst ADDRESS`",
        ],
    }
    TUNNEL_INVALID: Tunnel / "invalid" Fault {
        "the tunnel header is invalid",
        causes: [
            "the other side uses an extension that this one does not (GBP, GPE)",
            "something else sends to the tunnel's port",
        ],
        look: [
            "`ip -d link show type vxlan`: flags such as `gbp` and `gpe`",
            "`tcpdump -vni DEV udp port 4789`",
        ],
        fixes: ["give both sides the same extensions"],
    }
    TUNNEL_SEND: Tunnel / "send" Fault {
        "the tunnel could not send",
        causes: [
            "no route to the far end, or the route leads back into the tunnel",
            "too big a packet for the underlay",
            "an `external` device that gets packets without a remote",
        ],
        look: [
            "`ip -d link show TUNNEL`: `remote`, `local`, `external`",
            "`ip route get REMOTE`",
            "`ip -s -s link show TUNNEL`: `carrier` and other errors",
        ],
        fixes: ["`ip route add REMOTE via GATEWAY dev DEV`", "`ip link set TUNNEL mtu BYTES`"],
    }
    TUNNEL_RECEIVE: Tunnel / "receive" Fault {
        "no tunnel on this host fits the packet",
        causes: [
            "the far end has another address, key or VNI than this side's configuration",
            "the tunnel was not created here, or is down",
            "an invalid encapsulation",
        ],
        look: [
            "`ip -d tunnel show`, `ip -d link show type gre`: `remote`, `local`, keys",
            "`ip -s -s link show TUNNEL`: RX errors",
            "`tcpdump -ni DEV proto gre or proto ipip`",
        ],
        fixes: ["`ip tunnel change TUNNEL remote ADDRESS local ADDRESS`", "`ip link set TUNNEL up`"],
    }
    TUNNEL_WIREGUARD: Tunnel / "wireguard" Fault {
        "WireGuard has no peer for the packet",
        causes: [
            "the address is in no peer's `AllowedIPs`",
            "no endpoint, or no handshake with it (keys, firewall, NAT)",
            "a replayed or invalid message",
        ],
        look: ["`wg show DEV`: `latest handshake`, `endpoint`, `allowed ips`", "`ip route get ADDRESS`"],
        fixes: [
            "`wg set DEV peer KEY allowed-ips PREFIX endpoint ADDRESS:PORT`",
            "behind NAT: `wg set DEV peer KEY persistent-keepalive 25`",
        ],
    }
    TUNNEL_ECN: Tunnel / "ecn" Fault {
        "the ECN marks of outer and inner header contradict",
        causes: ["a device on the way marks congestion on packets that do not know ECN"],
        look: [
            "`sysctl net.ipv4.ip_tunnel_log_ecn_error`",
            "`tcpdump -vni DEV`: `tos` of outer and inner header",
        ],
        fixes: ["correct the marking on the way"],
    }
    TUNNEL_MOVED: Tunnel / "moved" Fault {
        "a MAC address is fixed to another remote",
        causes: ["a host moved, and its entry is static", "two hosts use one MAC address"],
        look: ["`bridge fdb show dev DEV`: `static` entries"],
        fixes: ["`bridge fdb replace MAC dev DEV dst ADDRESS`"],
    }
}
