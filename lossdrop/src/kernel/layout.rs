//! What an event holds, and where: as the kernel program was configured.

#[cfg(doc)]
use lossdrop_common::Facts;

/// Bits of [`Facts::present`] that user space sets: what a packet has, though this kernel does not tell it.
pub mod withheld {
    pub const MARK: u32 = 1 << 31;
    pub const CONNTRACK: u32 = 1 << 30;
    /// Whether it is a bundle of segments.
    pub const SEGMENTS: u32 = 1 << 29;
    pub const PACKET_TYPE: u32 = 1 << 28;
    pub const ALL: u32 = MARK | CONNTRACK | SEGMENTS | PACKET_TYPE;
}

/// Where the variable parts of an event lie: as the kernel program was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Whether there are facts.
    pub facts: bool,
    /// Bytes kept for the stack.
    pub stack_bytes: usize,
    /// Bytes kept for the packet.
    pub snaplen: usize,
    /// What of the facts would be wrong on this kernel, and is withheld: groups, by their bits in [`Facts::present`], and
    /// bits of [`mod@withheld`].
    pub withheld: u32,
}
