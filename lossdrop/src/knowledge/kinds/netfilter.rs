//! Netfilter: rules, policies, conntrack, NFQUEUE, IPVS.

use super::kinds;

kinds! { NETFILTER:
    NETFILTER_DROP: Netfilter / "drop" Policy {
        "netfilter said drop",
        causes: [
            "a rule of nftables or iptables says drop or reject",
            "the policy of a chain is drop, and no rule accepted the packet",
            "the conntrack table is full, or two packets raced to create the same entry",
        ],
        look: [
            "`nft -a list ruleset`: rules with counters, the policies of base chains",
            "`iptables-save -c` and `iptables-legacy-save -c`: the rule whose counter rises",
            "`conntrack -S`: whether `drop` or `insert_failed` rises",
        ],
        fixes: [
            "accept the traffic ahead of the rule: `nft insert rule FAMILY TABLE CHAIN tcp dport PORT accept`",
            "or in iptables: `iptables -I CHAIN -p tcp --dport PORT -j ACCEPT`",
        ],
    }
    NETFILTER_RULE: Netfilter / "rule" Policy {
        "a firewall rule says drop",
        causes: [
            "the firewall is meant to refuse this traffic",
            "the rule is wider than it was meant to be, or stands before the one that accepts",
            "a rate limit or a random match, which drops what should pass: that counts as a fault",
            "bridged frames pass iptables too (`net.bridge.bridge-nf-call-iptables`)",
        ],
        look: [
            "`nft -a list chain FAMILY TABLE CHAIN`: the rules in order, with their handles",
            "`iptables -L CHAIN -n -v --line-numbers`: the rules in order, with their counters",
            "`nft monitor trace`, once a rule has set `meta nftrace set 1`",
        ],
        fixes: [
            "accept the traffic ahead of it: `nft insert rule FAMILY TABLE CHAIN tcp dport PORT accept`",
            "remove the rule: `nft delete rule FAMILY TABLE CHAIN handle HANDLE`",
            "or in iptables: `iptables -I CHAIN -p tcp --dport PORT -j ACCEPT`, `iptables -D CHAIN NUMBER`",
            "for bridged frames: `sysctl -w net.bridge.bridge-nf-call-iptables=0`",
        ],
    }
    NETFILTER_POLICY: Netfilter / "policy" Policy {
        "no rule accepted it, and the chain's policy is drop",
        causes: [
            "the rule that should accept the traffic is missing",
            "that rule exists and does not match: another interface, port, address or connection state",
            "the answer of a connection is not accepted (`ct state established,related`)",
        ],
        look: [
            "`nft list chain FAMILY TABLE CHAIN`: its policy and its rules",
            "`iptables -L CHAIN -n -v`: the policy's counter in the first line",
        ],
        fixes: [
            "accept the traffic: `nft add rule FAMILY TABLE CHAIN tcp dport PORT accept`",
            "or in iptables: `iptables -A CHAIN -p tcp --dport PORT -j ACCEPT`",
        ],
    }
    NETFILTER_REJECT: Netfilter / "reject" Policy {
        "a firewall rule refuses it and tells the sender",
        causes: [
            "the firewall is meant to refuse this traffic",
            "the rule is wider than it was meant to be, or stands before the one that accepts",
        ],
        look: [
            "`nft -a list ruleset`: rules with `reject`",
            "`iptables -L -n -v --line-numbers`: rules with `REJECT`",
        ],
        fixes: [
            "accept the traffic ahead of it: `nft insert rule FAMILY TABLE CHAIN tcp dport PORT accept`",
            "or in iptables: `iptables -I CHAIN -p tcp --dport PORT -j ACCEPT`",
        ],
    }
    NETFILTER_CONNTRACK_FULL: Netfilter / "conntrack-full" Capacity {
        "the conntrack table is full",
        causes: [
            "more connections than `nf_conntrack_max` allows",
            "many short connections or DNS queries, whose entries outlive them",
            "a scan or a flood that opens connections",
        ],
        look: [
            "`sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max`: entries and limit",
            "`conntrack -S`: `drop` rises",
            "`dmesg`: \"nf_conntrack: table full, dropping packet\"",
            "`conntrack -L`: which connections fill it",
        ],
        fixes: [
            "raise the limit, in the first network namespace: `sysctl -w net.netfilter.nf_conntrack_max=N`",
            "drop idle entries sooner: `sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=SECONDS`",
            "leave traffic untracked, in a chain of priority raw: `nft add rule inet TABLE CHAIN udp dport PORT notrack`",
        ],
    }
    NETFILTER_CONNTRACK_INVALID: Netfilter / "conntrack-invalid" Fault {
        "a rule drops what conntrack calls invalid",
        causes: [
            "the host sees one direction of the connection only (asymmetric routes)",
            "the connection began before conntrack did, or its entry had expired",
            "TCP segments outside the window, as after much reordering or with offloads",
            "a wrong checksum",
        ],
        look: [
            "`conntrack -S`: `invalid` rises",
            "`sysctl -w net.netfilter.nf_conntrack_log_invalid=255`, then `dmesg`: why each is invalid",
            "`ip route get ADDRESS` on both hosts: whether the two directions take one path",
        ],
        fixes: [
            "let both directions pass this host",
            "accept segments outside the window: `sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1`",
            "accept the traffic ahead of the rule: `nft insert rule FAMILY TABLE CHAIN ip saddr PREFIX accept`",
        ],
    }
    NETFILTER_CONNTRACK_RACE: Netfilter / "conntrack-race" Capacity {
        "two packets raced for one conntrack entry",
        causes: [
            "parallel UDP packets of one socket, as the A and AAAA queries of a resolver, through NAT",
            "source NAT finds no free port, or takes one that is just being used",
        ],
        look: [
            "`conntrack -S`: `insert_failed` and `clash_resolve` rise",
            "`nft list table ip nat`: rules with `masquerade` or `snat`",
        ],
        fixes: [
            "choose ports at random: `nft add rule ip nat POSTROUTING oif DEV masquerade fully-random`",
            "let a resolver ask one question after the other: `options single-request` in `/etc/resolv.conf`",
            "leave DNS untracked, in a chain of priority raw: `nft add rule inet TABLE CHAIN udp dport 53 notrack`",
        ],
    }
    NETFILTER_SYNPROXY: Netfilter / "synproxy" Policy {
        "SYNPROXY refuses acknowledgements whose cookie is wrong",
        causes: [
            "an ACK flood, which it is there to refuse",
            "connections that are older than the rule, or that conntrack has forgotten",
            "a client that answers later than cookies are valid (minutes)",
        ],
        look: [
            "`cat /proc/net/stat/synproxy`: `cookie_invalid` (hexadecimal)",
            "`conntrack -L -p tcp`: whether the connections are known",
            "`sysctl net.netfilter.nf_conntrack_tcp_loose net.ipv4.tcp_syncookies`",
        ],
        fixes: [
            "let known connections pass above the rule: `-m conntrack --ctstate ESTABLISHED -j ACCEPT`",
            "take the rule away: `iptables -D CHAIN N`",
        ],
    }
    NETFILTER_NFQUEUE_NO_LISTENER: Netfilter / "nfqueue-no-listener" Fault {
        "no program listens on the NFQUEUE",
        causes: [
            "the program that judges the packets (an IDS, a proxy) has ended or was not started",
            "the rule names another queue number than the program",
            "the queue is full: the program is too slow",
        ],
        look: [
            "`cat /proc/net/netfilter/nfnetlink_queue`: one line for each queue with a program, and its drops",
            "`nft list ruleset`: rules with `queue`; `iptables-save`: rules with `NFQUEUE`",
        ],
        fixes: [
            "start the program",
            "let packets pass while it is away: `nft replace rule FAMILY TABLE CHAIN handle HANDLE queue flags bypass to N`",
            "or in iptables: `-j NFQUEUE --queue-num N --queue-bypass`",
        ],
    }
    NETFILTER_NFQUEUE_FULL: Netfilter / "nfqueue-full" Capacity {
        "the NFQUEUE is full",
        causes: [
            "the program behind the queue is slower than the traffic",
            "bursts longer than the queue",
        ],
        look: [
            "`cat /proc/net/netfilter/nfnetlink_queue`: waiting packets (third column), drops (sixth and seventh)",
        ],
        fixes: [
            "spread the packets over several queues: `nft replace rule FAMILY TABLE CHAIN handle HANDLE queue flags fanout to N-M`",
            "let the program ask for a longer queue (`NFQA_CFG_QUEUE_MAXLEN`) and a larger socket buffer",
            "let the program have packets accepted when the queue is full (`NFQA_CFG_F_FAIL_OPEN`)",
        ],
    }
    NETFILTER_NFQUEUE_VERDICT: Netfilter / "nfqueue-verdict" Policy {
        "the program behind an NFQUEUE said drop",
        causes: [
            "an IDS or a filter refuses the packet",
            "the rules changed while it held the packet",
        ],
        look: [
            "`cat /proc/net/netfilter/nfnetlink_queue`: the process (port id) behind each queue",
            "the log of that program",
        ],
        fixes: [
            "change the rules of the program",
            "accept the traffic ahead of the queue: `nft insert rule FAMILY TABLE CHAIN ip saddr PREFIX accept`",
        ],
    }
    NETFILTER_PMTU_BLACKHOLE: Netfilter / "pmtu-blackhole" Fault {
        "the firewall eats the ICMP that tells senders of a smaller MTU",
        causes: [
            "a rule or policy drops all ICMP, with \"fragmentation needed\" or \"packet too big\" among it",
            "the senders never learn of the smaller MTU: connections open, and hang with the first large packet",
        ],
        look: [
            "`nft -a list ruleset`: rules on `icmp` and `icmpv6`, in output as well",
            "`tracepath ADDRESS`: where the path gets narrower",
        ],
        fixes: [
            "let it pass: `nft insert rule inet TABLE CHAIN icmp type destination-unreachable accept`",
            "for IPv6: `nft insert rule inet TABLE CHAIN icmpv6 type packet-too-big accept`",
            "or limit TCP when it forwards: `nft add rule inet TABLE CHAIN tcp flags syn tcp option maxseg size set rt mtu`",
        ],
    }
    NETFILTER_IPVS: Netfilter / "ipvs" Fault {
        "IPVS could not reach the real server",
        causes: [
            "no route to the real server",
            "the packet is over the MTU of the way there",
            "memory is short",
        ],
        look: [
            "`ipvsadm -L -n --stats`: services and real servers",
            "`ip route get ADDRESS` for the real server",
        ],
        fixes: [
            "give the host a route to the real server: `ip route add PREFIX via GATEWAY`",
            "take the server out: `ipvsadm -d -t ADDRESS:PORT -r SERVER`",
        ],
    }
    NETFILTER_OWN_PACKET: Netfilter / "own-packet" Fault {
        "netfilter's own packet could not be sent",
        causes: [
            "the answer of a REJECT, or the copy of a TEE or `dup`, has no route",
            "memory is short",
        ],
        look: [
            "`ip route get ADDRESS` for its destination",
            "`nft list ruleset`: rules with `reject` or `dup`",
        ],
        fixes: ["give it a route: `ip route add PREFIX via GATEWAY`"],
    }
}
