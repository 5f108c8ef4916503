//! The key under which a drop is counted: what a verdict and its severity depend on.

/// What a drop is counted under. Three 64-bit words, compared as such in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct DropKey {
    /// Return address inside the function that dropped the packet.
    pub location: u64,
    /// `enum skb_drop_reason`, subsystem in the upper 16 bits; 0 where the kernel has no reasons.
    pub reason: u32,
    /// Inode number of the network namespace; 0 where no device, socket or route tells it.
    pub netns: u32,
    /// Index of the device in `netns`; 0 for none.
    pub ifindex: u32,
    /// [`L3`] as a number.
    pub l3: u8,
    /// IP protocol of the packet; 0 where it could not be read.
    pub l4: u8,
    /// [`Shape`] as bits.
    pub shape: u16,
}

impl DropKey {
    /// The key as the words that the kernel side compares and hashes.
    #[inline(always)]
    pub const fn words(&self) -> [u64; 3] {
        [
            self.location,
            (self.reason as u64) << 32 | self.netns as u64,
            (self.ifindex as u64) << 32 | (self.l3 as u64) << 24 | (self.l4 as u64) << 16 | self.shape as u64,
        ]
    }

    /// Whether both are the same key. Word by word: the derived comparison becomes a call of `memcmp` in BPF.
    #[inline(always)]
    pub const fn same(&self, other: &Self) -> bool {
        let ([a, b, c], [x, y, z]) = (self.words(), other.words());
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }

    /// Spreads the key over the table. A multiplicative hash: cheap in BPF, and good enough for a table that is
    /// probed linearly.
    #[inline(always)]
    pub const fn hash(&self) -> u32 {
        let [a, b, c] = self.words();
        let mixed = (a ^ c.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 29) ^ b;
        (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
    }

    pub const fn shape(&self) -> Shape {
        Shape(self.shape)
    }
}

/// The network layer of a packet, as far as keys and filters tell it apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum L3 {
    /// Another EtherType, or none.
    #[default]
    Other = 0,
    Arp = 1,
    Ipv4 = 4,
    Ipv6 = 6,
}

impl L3 {
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Arp,
            4 => Self::Ipv4,
            6 => Self::Ipv6,
            _ => Self::Other,
        }
    }
}

/// What a packet looks like, as far as the severity of its drop depends on it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Shape(pub u16);

macro_rules! shape {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)+) => {
        impl Shape {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)+

            /// Every bit with its name, for display.
            pub const NAMES: &[(Self, &'static str)] = &[$((Self::$name, $text)),+];
        }
    };
}

shape! {
    SYN = 0, "SYN";
    ACK = 1, "ACK";
    FIN = 2, "FIN";
    RST = 3, "RST";
    /// TCP or UDP with at least one byte of payload.
    PAYLOAD = 4, "payload";
    /// The destination is a multicast group, by address or by link layer.
    MULTICAST = 5, "multicast";
    /// The destination is a broadcast, by address or by link layer.
    BROADCAST = 6, "broadcast";
    /// The link layer's destination is another host (`PACKET_OTHERHOST`).
    OTHERHOST = 7, "otherhost";
    /// `skb->len` is 0.
    EMPTY = 8, "empty";
    /// `skb->dev` is no device; the key's device, if any, is the route's.
    NO_DEVICE = 9, "no device";
    /// A fragment other than the first: it has no transport header.
    FRAGMENT = 10, "fragment";
    /// [`Shape::OTHERHOST`], and yet addressed to the device's own MAC: the frame came with the tag of a VLAN that has
    /// no device here (`__netif_receive_skb_core` in `net/core/dev.c`).
    FOREIGN_VLAN = 11, "foreign vlan";
}

impl Shape {
    #[inline(always)]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline(always)]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline(always)]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `other` where `condition` holds, without a branch.
    #[inline(always)]
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        Self(self.0 | (other.0 * condition as u16))
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set()
            .entries(Self::NAMES.iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, name)| name))
            .finish()
    }
}
