//! The vocabulary of the tables.

use lossdrop_common::DropKey;

/// What part of the system a drop belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A rule, a policy or a limit of netfilter (nftables, iptables, conntrack, NFQUEUE, IPVS).
    Netfilter,
    /// The size of a packet, and fragments.
    Mtu,
    /// A queue, ring or buffer that was full.
    Queue,
    /// The receiving socket, or that there is none.
    Socket,
    /// Routes and addresses.
    Routing,
    /// ARP and neighbour discovery.
    Neighbour,
    /// The state of a TCP connection.
    Tcp,
    Checksum,
    /// Headers that break the rules.
    Malformed,
    /// XDP, tc and cgroup programs.
    Bpf,
    /// IPsec and other encryption.
    Xfrm,
    Tunnel,
    /// A network device, a bridge or a virtual switch.
    Device,
    /// The host's memory.
    Memory,
    /// The kernel at its ordinary work: nothing was lost that anybody waits for.
    Housekeeping,
    /// Neither the reason nor the location tells.
    Unknown,
}

impl Cause {
    pub const ALL: [Self; 16] = [
        Self::Netfilter,
        Self::Mtu,
        Self::Queue,
        Self::Socket,
        Self::Routing,
        Self::Neighbour,
        Self::Tcp,
        Self::Checksum,
        Self::Malformed,
        Self::Bpf,
        Self::Xfrm,
        Self::Tunnel,
        Self::Device,
        Self::Memory,
        Self::Housekeeping,
        Self::Unknown,
    ];

    /// The name that users see and type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Netfilter => "netfilter",
            Self::Mtu => "mtu",
            Self::Queue => "queue",
            Self::Socket => "socket",
            Self::Routing => "routing",
            Self::Neighbour => "neighbour",
            Self::Tcp => "tcp",
            Self::Checksum => "checksum",
            Self::Malformed => "malformed",
            Self::Bpf => "bpf",
            Self::Xfrm => "xfrm",
            Self::Tunnel => "tunnel",
            Self::Device => "device",
            Self::Memory => "memory",
            Self::Housekeeping => "housekeeping",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A property of a drop's key.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// Reads as the end of "noise …" or "applies …": "for a FIN or RST without payload".
    pub text: &'static str,
    pub holds: fn(&DropKey) -> bool,
}

/// Whether a drop is usually noise: normal work, hidden by default. `Never` where there is a doubt.
#[derive(Clone, Copy, Debug)]
pub enum Noise {
    Never,
    Always,
    When(Condition),
}

impl Noise {
    /// Whether a drop with this key is noise.
    pub fn holds(&self, key: &DropKey) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::When(condition) => (condition.holds)(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_listed_once_in_order_and_under_its_own_name() {
        assert!(Cause::ALL.is_sorted_by(|a, b| a < b));
        let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(names.len(), 16);
        assert_eq!(format!("{:<6}|", Cause::Mtu), "mtu   |");
    }
}
