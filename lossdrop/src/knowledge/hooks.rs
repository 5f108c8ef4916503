//! The hooks of netfilter, and the functions of the kernel by which one is known on a stack.

use std::{fmt, str::FromStr};

use self::{
    Family::{Arp, Bridge, Ip, Ip6, Netdev},
    Hook::{Egress, Forward, Ingress, Input, Output, Postrouting, Prerouting},
};

/// A table's family. Packets are of any but `Inet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both, and a device's ingress.
    Inet,
    /// ARP.
    Arp,
    /// Frames that a bridge forwards.
    Bridge,
    /// A device's ingress or egress.
    Netdev,
}

impl Family {
    /// As nft calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }
}

impl FromStr for Family {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Ip, Self::Ip6, Self::Inet, Self::Arp, Self::Bridge, Self::Netdev]
            .into_iter()
            .find(|family| family.name() == name)
            .ok_or(())
    }
}

/// Where on a packet's way rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// As the device receives it, before any protocol.
    Ingress,
    /// Before the route is known.
    Prerouting,
    /// To this machine.
    Input,
    /// Through this machine.
    Forward,
    /// From this machine.
    Output,
    /// On its way out, forwarded or not.
    Postrouting,
    /// As the device sends it.
    Egress,
}

impl Hook {
    /// As nft calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        }
    }
}

impl FromStr for Hook {
    type Err = ();

    /// By nft's name or that of iptables' chain.
    fn from_str(name: &str) -> Result<Self, ()> {
        [
            Self::Ingress,
            Self::Prerouting,
            Self::Input,
            Self::Forward,
            Self::Output,
            Self::Postrouting,
            Self::Egress,
        ]
        .into_iter()
        .find(|hook| hook.name().eq_ignore_ascii_case(name))
        .ok_or(())
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The functions that call a hook (Linux 5.10 to 7.2); a function that the compiler may inline is listed with its
/// callers.
pub const CALLERS: &[(&str, Family, Hook)] = &[
    ("ip_rcv", Ip, Prerouting),
    ("ip_list_rcv", Ip, Prerouting),
    ("ip_sublist_rcv", Ip, Prerouting),
    ("ip_local_deliver", Ip, Input),
    ("ip_forward", Ip, Forward),
    ("ipmr_queue_xmit", Ip, Forward),
    ("ipmr_queue_fwd_xmit", Ip, Forward),
    ("__ip_local_out", Ip, Output),
    ("ip_local_out", Ip, Output),
    ("raw_send_hdrinc", Ip, Output),
    ("raw_sendmsg", Ip, Output),
    ("ip_output", Ip, Postrouting),
    ("ip_mc_output", Ip, Postrouting),
    ("br_nf_pre_routing", Ip, Prerouting),
    ("br_nf_post_routing", Ip, Postrouting),
    ("br_nf_forward_ip", Ip, Forward),
    ("br_nf_forward", Ip, Forward),
    ("br_nf_forward_arp", Arp, Forward),
    ("ipv6_rcv", Ip6, Prerouting),
    ("ipv6_list_rcv", Ip6, Prerouting),
    ("ip6_sublist_rcv", Ip6, Prerouting),
    ("br_nf_pre_routing_ipv6", Ip6, Prerouting),
    ("ip6_input", Ip6, Input),
    ("ip6_mc_input", Ip6, Input),
    ("ip6_forward", Ip6, Forward),
    ("ip6mr_forward2", Ip6, Forward),
    ("__ip6_local_out", Ip6, Output),
    ("ip6_local_out", Ip6, Output),
    ("ip6_xmit", Ip6, Output),
    ("rawv6_send_hdrinc", Ip6, Output),
    ("rawv6_sendmsg", Ip6, Output),
    ("ndisc_send_skb", Ip6, Output),
    ("mld_sendpack", Ip6, Output),
    ("igmp6_send", Ip6, Output),
    ("ip6_output", Ip6, Postrouting),
    ("arp_rcv", Arp, Input),
    ("arp_xmit", Arp, Output),
    ("br_handle_frame", Bridge, Prerouting),
    ("nf_hook_bridge_pre", Bridge, Prerouting),
    ("br_pass_frame_up", Bridge, Input),
    ("br_handle_local_finish", Bridge, Input),
    ("__br_forward", Bridge, Forward),
    ("__br_handle_local_finish", Bridge, Input),
    ("br_forward", Bridge, Forward),
    ("br_flood", Bridge, Forward),
    ("maybe_deliver", Bridge, Forward),
    ("deliver_clone", Bridge, Forward),
    ("br_dev_xmit", Bridge, Output),
    ("__br_deliver", Bridge, Output),
    ("br_deliver", Bridge, Output),
    ("br_forward_finish", Bridge, Postrouting),
    ("__netif_receive_skb_core", Netdev, Ingress),
    ("nf_ingress", Netdev, Ingress),
    ("__dev_queue_xmit", Netdev, Egress),
    ("nf_hook_egress", Netdev, Egress),
];

/// The entries of `nf_tables` for a family, which tell it even where the caller of the hook is not known.
pub const ENTRIES: &[(&str, Family)] = &[
    ("nft_do_chain_ipv4", Ip),
    ("nft_do_chain_ipv6", Ip6),
    ("nft_do_chain_arp", Arp),
    ("nft_do_chain_bridge", Bridge),
    ("nft_do_chain_netdev", Netdev),
    ("nft_do_chain_inet_ingress", Netdev),
];

/// The functions that send ICMP messages of the kernel's own.
pub const ICMP_SENDERS: [&str; 5] =
    ["__icmp_send", "icmp_send", "icmp6_send", "icmpv6_send", "icmpv6_push_pending_frames"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_is_listed_once() {
        let names: std::collections::BTreeSet<_> = CALLERS.iter().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), CALLERS.len());
    }
}
