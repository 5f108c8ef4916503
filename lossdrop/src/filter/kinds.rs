//! The table of filters. An entry is all that user space has of a kind: its option and help, its type, which is how it is read
//! and shown, the fields of the kernel's structures that it needs, and how its values get into the program's maps.
//! `lossdrop-ebpf/src/filter.rs` has the other half: the map, and the check.

use lossdrop_common::{FilterKinds, HostBits};

use super::{
    resolve::{NETNS, Resolving},
    values::{Host, Iface, Length, Mark, PortRange, Protocol},
};
use crate::{
    error::Result,
    identity::Namespaces,
    kernel::{Filter, KernelInfo},
};

/// A kind of filter, as far as it is the same for all of its values.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Of its option, without dashes.
    pub name: &'static str,
    pub bit: FilterKinds,
    /// The fields that the kernel program looks at; without one of them no packet would pass.
    pub needs: &'static [&'static str],
    /// Its values may be called as other filters are.
    pub any_word: bool,
}

const HEADERS: &[&str] = &["sk_buff.head", "sk_buff.tail", "sk_buff.network_header", "sk_buff.protocol"];
const DEVICE: &[&str] = &["net_device.name", "net_device._tx", "netdev_queue.dev"];
const NAMESPACE: &[&str] = &["net_device.nd_net.net", "net.ns.inum"];
const MARK: &[&str] = &["sk_buff.mark"];
const NOTHING: &[&str] = &[];

/// Entries: help, name, type, placeholder, bit, needed fields, and how the values get into the maps.
macro_rules! kinds {
    ($($(#[doc = $help:literal])+ $name:ident: $value:ty, $placeholder:literal, $bit:ident, needs $needs:ident,
        $($any_word:ident,)? |$values:ident, $to:ident| $fill:expr;)+) => {
        /// The filters as typed, each well-formed by itself.
        #[derive(Clone, Debug, Default, PartialEq, clap::Args)]
        #[command(next_help_heading = "Filters (in the kernel; kinds are ANDed, values of one kind ORed)")]
        pub struct FilterArgs {
            $($(#[doc = $help])+ #[arg(long, value_name = $placeholder)] pub $name: Vec<$value>,)+
        }

        /// All of them, in the order of the help.
        pub const KINDS: &[Kind] = &[$(Kind {
            name: stringify!($name),
            bit: FilterKinds::$bit,
            needs: $needs,
            any_word: kinds!(@ $($any_word)?),
        }),+];

        impl FilterArgs {
            /// As the kernel program takes them, with the names of this machine. Its namespaces are looked at only if a filter
            /// needs them.
            ///
            /// # Errors
            /// When a name is unknown, or the kernel lacks what a filter needs.
            pub fn resolve(&self, info: &KernelInfo, namespaces: fn() -> Namespaces) -> Result<Filter> {
                let mut resolving = Resolving::new(self, info, namespaces);
                let mut kinds = KINDS.iter();
                $(if let Some(kind) = kinds.next().filter(|_| !self.$name.is_empty()) {
                    resolving.begin(kind)?;
                    let ($values, $to) = (&self.$name, &mut resolving);
                    $fill;
                })+
                Ok(resolving.finish())
            }
        }

        impl std::fmt::Display for FilterArgs {
            /// `port 80|443, host 10.0.0.1`; "none" without any.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut parts: Vec<String> = Vec::new();
                $(if !self.$name.is_empty() {
                    let values: Vec<String> = self.$name.iter().map(ToString::to_string).collect();
                    parts.push(format!("{} {}", stringify!($name), values.join("|")));
                })+
                if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
            }
        }
    };
    (@) => { false };
    (@ any_word) => { true };
}

kinds! {
    /// Source or destination port: a number, a range (8000-8100) or a service's name
    port: PortRange, "PORT", PORT, needs HEADERS, |ports, to| to.ports(ports, |word| &mut word.any);
    /// Source port
    sport: PortRange, "PORT", SPORT, needs HEADERS, |ports, to| to.ports(ports, |word| &mut word.source);
    /// Destination port
    dport: PortRange, "PORT", DPORT, needs HEADERS, |ports, to| to.ports(ports, |word| &mut word.destination);
    /// Source or destination address, IPv4 or IPv6, or a prefix (10.0.0.0/8)
    host: Host, "ADDRESS", HOST, needs HEADERS, |hosts, to| to.hosts(hosts, HostBits::ANY);
    /// Source address or prefix
    src: Host, "ADDRESS", SRC, needs HEADERS, |hosts, to| to.hosts(hosts, HostBits::SOURCE);
    /// Destination address or prefix
    dst: Host, "ADDRESS", DST, needs HEADERS, |hosts, to| to.hosts(hosts, HostBits::DESTINATION);
    /// tcp, udp, icmp, icmpv6, sctp, arp, or an IP protocol's number
    proto: Protocol, "PROTOCOL", PROTO, needs HEADERS,
        |protocols, to| to.numbers("FILTER_PROTO", protocols.iter().map(|Protocol(number)| *number));
    /// Name of the packet's device
    iface: Iface, "NAME", IFACE, needs DEVICE, any_word, |names, to| to.ifaces(names)?;
    /// Network namespace: a name as "ip netns" or lossdrop shows it, a path, pid:N, or an inode number
    netns: String, "NETNS", NETNS, needs NAMESPACE, any_word, |names, to| {
        let inums = to.find_netns(names)?;
        to.numbers(NETNS, inums);
    };
    /// Drop reason of the running kernel ("lossdrop reasons" lists them)
    reason: String, "REASON", REASON, needs NOTHING, |names, to| to.reasons(names)?;
    /// Mark of the packet (as "ip rule" and "iptables -m mark" have it): 16, 0x10, or with a mask, 0x10/0xff
    mark: Mark, "MARK", MARK, needs MARK, |marks, to| to.marks(marks)?;
    /// Length of the IP packet in bytes: a number, a range (1401-1500), or at least (1401-)
    len: Length, "BYTES", LEN, needs HEADERS, |lengths, to| to.lengths(lengths)?;
}
