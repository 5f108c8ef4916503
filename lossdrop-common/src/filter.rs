//! Filters that run in the kernel. Kinds are ANDed, values of one kind ORed.

/// The kinds of filter, as the bits of [`Config::filters`](crate::Config::filters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct FilterKinds(pub u32);

/// Each kind has the next bit.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        #[expect(clippy::upper_case_acronyms, reason = "named as the constants")]
        enum Bit { $($kind),+ }

        impl FilterKinds {
            $(pub const $kind: Self = Self(1 << Bit::$kind as u32);)+
            /// All of them, the lowest bit first.
            pub const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! { REASON, NETNS, IFACE, PROTO, PORT, SPORT, DPORT, HOST, SRC, DST, MARK, LEN }

impl FilterKinds {
    #[inline(always)]
    pub const fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    #[inline(always)]
    pub const fn add(&mut self, kind: Self) {
        self.0 |= kind.0;
    }
}

/// 64 consecutive ports: which of them each kind of port filter names. Word `port / 64`, bit `port % 64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PortWord {
    pub any: u64,
    pub source: u64,
    pub destination: u64,
}

/// How many [`PortWord`]s cover all ports.
#[derive(Clone, Copy, Debug)]
pub struct PortBits;

impl PortBits {
    pub const WORDS: u32 = 65536 / 64;
}

/// The key of ARP among the IP protocols of the protocol filter.
pub const PROTO_ARP: u32 = 0x100;

/// An address as the host filter's trie keeps it: the family comes first, so that no prefix of one family covers
/// addresses of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct HostKey {
    /// As its bytes lie there: [`crate::L3`] in the first; ARP counts as IPv4.
    family: u32,
    /// As [`crate::Event::src`].
    address: [u32; 4],
}

impl HostKey {
    /// Bits in front of the address: those of the family.
    pub const FAMILY_BITS: u32 = 32;
    /// Bits of a whole key.
    pub const BITS: u32 = Self::FAMILY_BITS + 128;

    #[inline(always)]
    pub const fn new(l3: u8, address: [u64; 2]) -> Self {
        let family = if l3 == crate::L3::Ipv6 as u8 { 6 } else { 4 };
        // Little-endian, as is the BPF target; the halves of a word in the order of their bytes.
        let [low, high] = address;
        Self {
            family: u32::from_ne_bytes([family, 0, 0, 0]),
            address: [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32],
        }
    }
}

/// The value of a prefix in the host filter's trie: which kinds of host filter cover the prefix.
#[derive(Clone, Copy, Debug)]
pub struct HostBits;

impl HostBits {
    pub const ANY: u32 = 1 << 0;
    pub const SOURCE: u32 = 1 << 1;
    pub const DESTINATION: u32 = 1 << 2;
}

/// How many values the filters by mark and by length take, each.
pub const FILTER_VALUES: u32 = 32;

/// A value of the filter by mark: packets whose mark has `value` under `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MarkMatch {
    pub value: u32,
    pub mask: u32,
}

impl MarkMatch {
    #[inline(always)]
    pub const fn takes(&self, mark: u32) -> bool {
        mark & self.mask == self.value
    }
}

/// A value of the filter by length: packets of `first` to `last` bytes, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct LenRange {
    pub first: u32,
    pub last: u32,
}

impl LenRange {
    /// `len` is as [`Event::len`](crate::Event::len).
    #[inline(always)]
    pub const fn takes(&self, len: u32) -> bool {
        self.first <= len && len <= self.last
    }
}
