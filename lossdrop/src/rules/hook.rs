//! Which hook of netfilter a packet died at, by the functions on the stack: no other probe is needed.

use std::fmt;

use crate::knowledge::{
    Family::{self, Arp, Bridge, Ip, Ip6, Netdev},
    Hook,
    hooks::{CALLERS, ENTRIES, ICMP_SENDERS},
};

/// What evaluated them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Engine {
    /// `nf_tables`: nft and iptables-nft.
    Nft,
    /// `nf_tables` is not on the stack. Where the kernel frees its drops in `nft_do_chain`, it was the legacy tables,
    /// conntrack, or another module; elsewhere it may have been any.
    Other,
    /// The packet was handed to NFQUEUE.
    Queue,
}

/// Where in netfilter a packet died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HookPoint {
    pub family: Family,
    pub hook: Hook,
    pub engine: Engine,
}

impl fmt::Display for HookPoint {
    /// `INPUT`, `bridge FORWARD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hook = self.hook.name().to_ascii_uppercase();
        match self.family {
            Ip | Ip6 | Family::Inet => f.write_str(&hook),
            Arp | Bridge | Netdev => write!(f, "{} {hook}", self.family.name()),
        }
    }
}

/// Finds the hook among the functions on the stack, innermost first; `None` where no hook is on it, or one that is not
/// known.
pub(crate) fn hook<S: AsRef<str>>(frames: &[S]) -> Option<HookPoint> {
    let name = |index: usize| frames.get(index).map(AsRef::as_ref);
    let slow = (0..frames.len()).find(|index| {
        name(*index).is_some_and(|name| name == "nf_hook_slow" || name == "nf_hook_slow_list")
    })?;
    let inner = || (0..slow).filter_map(name);
    let (_, family, hook) = *(slow + 1..frames.len()).take(2).find_map(|index| {
        let caller = name(index)?;
        CALLERS.iter().find(|(known, ..)| *known == caller)
    })?;
    let entry = ENTRIES.iter().find(|(entry, _)| inner().any(|frame| frame == *entry));
    let family = entry.map_or(family, |(_, known)| *known);
    let engine = if inner().any(|frame| frame == "nf_queue" || frame == "__nf_queue") {
        Engine::Queue
    } else if inner().any(|frame| frame.starts_with("nft_do_chain")) {
        Engine::Nft
    } else {
        Engine::Other
    };
    Some(HookPoint { family, hook, engine })
}

/// The packet is an ICMP message that the kernel was about to send itself.
pub(crate) fn is_own_icmp<S: AsRef<str>>(frames: &[S]) -> bool {
    frames.iter().any(|frame| ICMP_SENDERS.contains(&frame.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::Hook::{Forward, Input, Prerouting};

    #[test]
    fn an_nft_rule_is_known_by_its_chain_and_the_hook_by_its_caller() {
        let frames =
            ["sk_skb_reason_drop", "nft_do_chain", "nft_do_chain_ipv4", "nf_hook_slow", "ip_local_deliver"];
        let found = hook(&frames).expect("a hook");
        assert_eq!(found, HookPoint { family: Ip, hook: Input, engine: Engine::Nft });
        assert_eq!(found.to_string(), "INPUT");
    }

    #[test]
    fn a_legacy_rule_leaves_no_frame_of_its_own() {
        let found = hook(&["kfree_skb_reason", "nf_hook_slow", "ip_rcv", "__netif_receive_skb_one_core"]);
        assert_eq!(found, Some(HookPoint { family: Ip, hook: Prerouting, engine: Engine::Other }));
    }

    #[test]
    fn under_a_bridge_the_innermost_hook_counts() {
        let frames = ["nf_hook_slow", "br_nf_forward_ip", "nf_hook_slow", "__br_forward"];
        assert_eq!(hook(&frames), Some(HookPoint { family: Ip, hook: Forward, engine: Engine::Other }));
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
