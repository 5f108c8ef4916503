//! Which hook of netfilter a packet died at, by the functions on the stack: no other probe is needed.

use std::fmt;

/// A hook (`include/uapi/linux/netfilter.h` and its neighbours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    /// Of a device, before anything else.
    Ingress,
    /// Of a device, behind everything else.
    Egress,
}

impl Hook {
    /// As nft spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str().to_ascii_uppercase())
    }
}

/// Whose rules the hook evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookFamily {
    Ipv4,
    Ipv6,
    Arp,
    Bridge,
    Netdev,
}

/// What evaluated them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// `nf_tables`: nft and iptables-nft.
    Nft,
    /// `nf_tables` is not on the stack. Where its drops are freed in `nft_do_chain` (`by_chain`), it was the legacy
    /// tables, conntrack, or another module; elsewhere it may have been any.
    Other,
    /// The packet was handed to NFQUEUE.
    Queue,
}

/// Where in netfilter a packet died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookPoint {
    pub family: HookFamily,
    pub hook: Hook,
    pub engine: Engine,
}

impl fmt::Display for HookPoint {
    /// `INPUT`, `bridge FORWARD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            HookFamily::Ipv4 | HookFamily::Ipv6 => write!(f, "{}", self.hook),
            HookFamily::Arp => write!(f, "arp {}", self.hook),
            HookFamily::Bridge => write!(f, "bridge {}", self.hook),
            HookFamily::Netdev => write!(f, "netdev {}", self.hook),
        }
    }
}

use Hook::{Egress, Forward, Ingress, Input, Output, Postrouting, Prerouting};
use HookFamily::{Arp, Bridge, Ipv4, Ipv6, Netdev};

/// The functions that call a hook (Linux 5.10 to 7.2); a function that the compiler may inline is listed with its
/// callers.
const CALLERS: &[(&str, HookFamily, Hook)] = &[
    ("ip_rcv", Ipv4, Prerouting),
    ("ip_list_rcv", Ipv4, Prerouting),
    ("ip_sublist_rcv", Ipv4, Prerouting),
    ("ip_local_deliver", Ipv4, Input),
    ("ip_forward", Ipv4, Forward),
    ("ipmr_queue_xmit", Ipv4, Forward),
    ("ipmr_queue_fwd_xmit", Ipv4, Forward),
    ("__ip_local_out", Ipv4, Output),
    ("ip_local_out", Ipv4, Output),
    ("raw_send_hdrinc", Ipv4, Output),
    ("raw_sendmsg", Ipv4, Output),
    ("ip_output", Ipv4, Postrouting),
    ("ip_mc_output", Ipv4, Postrouting),
    ("br_nf_pre_routing", Ipv4, Prerouting),
    ("br_nf_post_routing", Ipv4, Postrouting),
    ("br_nf_forward_ip", Ipv4, Forward),
    ("br_nf_forward", Ipv4, Forward),
    ("br_nf_forward_arp", Arp, Forward),
    ("ipv6_rcv", Ipv6, Prerouting),
    ("ipv6_list_rcv", Ipv6, Prerouting),
    ("ip6_sublist_rcv", Ipv6, Prerouting),
    ("br_nf_pre_routing_ipv6", Ipv6, Prerouting),
    ("ip6_input", Ipv6, Input),
    ("ip6_mc_input", Ipv6, Input),
    ("ip6_forward", Ipv6, Forward),
    ("ip6mr_forward2", Ipv6, Forward),
    ("__ip6_local_out", Ipv6, Output),
    ("ip6_local_out", Ipv6, Output),
    ("ip6_xmit", Ipv6, Output),
    ("rawv6_send_hdrinc", Ipv6, Output),
    ("rawv6_sendmsg", Ipv6, Output),
    ("ndisc_send_skb", Ipv6, Output),
    ("mld_sendpack", Ipv6, Output),
    ("igmp6_send", Ipv6, Output),
    ("ip6_output", Ipv6, Postrouting),
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
const ENTRIES: &[(&str, HookFamily)] = &[
    ("nft_do_chain_ipv4", Ipv4),
    ("nft_do_chain_ipv6", Ipv6),
    ("nft_do_chain_arp", Arp),
    ("nft_do_chain_bridge", Bridge),
    ("nft_do_chain_netdev", Netdev),
    ("nft_do_chain_inet_ingress", Netdev),
];

/// Finds the hook among the functions on the stack, innermost first; `None` where no hook is on it, or one that is not
/// known.
pub fn hook<S: AsRef<str>>(frames: &[S]) -> Option<HookPoint> {
    let name = |index: usize| frames.get(index).map(AsRef::as_ref);
    let slow = (0..frames.len()).find(|index| {
        name(*index).is_some_and(|name| name == "nf_hook_slow" || name == "nf_hook_slow_list")
    })?;
    let inner = || (0..slow).filter_map(name);
    let (_, mut family, hook) = (slow + 1..frames.len()).take(2).find_map(|index| {
        let caller = name(index)?;
        CALLERS.iter().find(|(known, ..)| *known == caller)
    })?;
    if let Some((_, known)) = ENTRIES.iter().find(|(entry, _)| inner().any(|frame| frame == *entry)) {
        family = *known;
    }
    let engine = if inner().any(|frame| frame == "nf_queue" || frame == "__nf_queue") {
        Engine::Queue
    } else if inner().any(|frame| frame.starts_with("nft_do_chain")) {
        Engine::Nft
    } else {
        Engine::Other
    };
    Some(HookPoint { family, hook: *hook, engine })
}

/// The packet is an ICMP message that the kernel was about to send itself.
pub fn is_own_icmp<S: AsRef<str>>(frames: &[S]) -> bool {
    const SENDERS: [&str; 5] = ["__icmp_send", "icmp_send", "icmp6_send", "icmpv6_send", "icmpv6_push_pending_frames"];
    frames.iter().any(|frame| SENDERS.contains(&frame.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_is_listed_once() {
        let names: std::collections::BTreeSet<_> = CALLERS.iter().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), CALLERS.len());
    }

    #[test]
    fn an_nft_rule_is_known_by_its_chain_and_the_hook_by_its_caller() {
        let frames = ["sk_skb_reason_drop", "nft_do_chain", "nft_do_chain_ipv4", "nf_hook_slow", "ip_local_deliver"];
        let found = hook(&frames).expect("a hook");
        assert_eq!(found, HookPoint { family: Ipv4, hook: Input, engine: Engine::Nft });
        assert_eq!(found.to_string(), "INPUT");
    }

    #[test]
    fn a_legacy_rule_leaves_no_frame_of_its_own() {
        let found = hook(&["kfree_skb_reason", "nf_hook_slow", "ip_rcv", "__netif_receive_skb_one_core"]);
        assert_eq!(found, Some(HookPoint { family: Ipv4, hook: Prerouting, engine: Engine::Other }));
    }

    #[test]
    fn under_a_bridge_the_innermost_hook_counts() {
        let frames = ["nf_hook_slow", "br_nf_forward_ip", "nf_hook_slow", "__br_forward"];
        assert_eq!(hook(&frames), Some(HookPoint { family: Ipv4, hook: Forward, engine: Engine::Other }));
        let frames = ["nft_do_chain", "nft_do_chain_bridge", "nf_hook_slow", "__br_forward"];
        assert_eq!(hook(&frames).map(|found| found.to_string()).as_deref(), Some("bridge FORWARD"));
    }

    #[test]
    fn a_stack_without_a_known_hook_has_none() {
        assert_eq!(hook(&["tcp_v4_rcv", "ip_local_deliver"]), None);
        assert_eq!(hook(&["nf_hook_slow", "somebody_new", "and_another", "ip_rcv"]), None);
        assert_eq!(hook::<&str>(&[]), None);
    }

    #[test]
    fn an_icmp_message_of_the_kernel_s_own_is_known_by_its_sender() {
        assert!(is_own_icmp(&["nf_hook_slow", "__ip_local_out", "ip_push_pending_frames", "__icmp_send"]));
        assert!(!is_own_icmp(&["nf_hook_slow", "ip_forward"]));
    }
}
