//! What the scenarios of netfilter need besides a kernel that has nftables.

use crate::need::Need;

pub(super) const LEGACY: &[Need] = &[Need::Feature {
    what: "legacy iptables",
    trial: "iptables-legacy -L -n && ip6tables-legacy -t mangle -L -n",
}];

pub(super) const BRIDGE: &[Need] = &[Need::Feature {
    what: "bridge family of nftables",
    trial: "nft 'add table bridge t; add chain bridge t c { type filter hook forward priority 0; }'",
}];

pub(super) const BRIDGE_NETFILTER: &[Need] = &[Need::Feature {
    what: "bridge netfilter (br_netfilter)",
    trial: "sysctl -qw net.bridge.bridge-nf-call-iptables=1 && iptables-legacy -L -n",
}];

pub(super) const EBTABLES: &[Need] =
    &[Need::Tool("ebtables"), Need::Feature { what: "ebtables", trial: "ebtables -A FORWARD -j DROP" }];

pub(super) const ARPTABLES: &[Need] =
    &[Need::Tool("arptables"), Need::Feature { what: "arptables", trial: "arptables -A INPUT -j DROP" }];

/// Since Linux 5.16.
pub(super) const EGRESS_HOOK: &[Need] = &[Need::Feature {
    what: "egress hook of nftables",
    trial: "nft 'add table netdev t; add chain netdev t c { type filter hook egress device lo priority 0; }'",
}];

pub(super) const NFQUEUE: &[Need] = &[Need::Feature {
    what: "NFQUEUE target of iptables",
    trial: "iptables -A INPUT -j NFQUEUE --queue-num 3 && iptables-legacy -A INPUT -j NFQUEUE --queue-num 3",
}];

pub(super) const SYNPROXY: &[Need] = &[Need::Feature {
    what: "SYNPROXY target of iptables",
    trial: "iptables -t raw -A PREROUTING -p tcp --syn -j CT --notrack \
            && iptables -A INPUT -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm",
}];

pub(super) const NFQUEUE_LISTENER: &[Need] = &[
    Need::Tool("perl"),
    Need::Feature {
        what: "NFQUEUE target of iptables",
        trial: "iptables -A INPUT -j NFQUEUE --queue-num 3 \
                && { test -e /proc/net/netfilter/nfnetlink_queue || modprobe -q nfnetlink_queue; }",
    },
];

pub(super) const CONNTRACK_FULL: &[Need] = &[Need::OwnMachine, Need::Tool("conntrack")];
