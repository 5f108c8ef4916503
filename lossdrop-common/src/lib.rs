//! What crosses the border between lossdrop's kernel program and its user space.
//!
//! Everything here is plain integers and byte arrays in host byte order, with explicit padding; sizes and
//! alignments are proven below, at compile time, for both sides. The packet parser lives here too, so that the
//! code that runs in the kernel is the code that the unit tests run.

#![no_std]

pub mod config;
pub mod counters;
pub mod event;
pub mod facts;
pub mod filter;
pub mod key;
pub mod parse;

pub use config::{ABSENT, Attach, Config, Offsets, RATE_UNLIMITED};
pub use counters::{PROBES, Slot, Totals};
pub use event::{Event, MAX_SNAPLEN, MAX_STACK};
pub use facts::{FactOffsets, Facts};
pub use filter::{
    FILTER_VALUES, FilterKinds, HostBits, HostKey, LenRange, MarkMatch, PROTO_ARP, PortBits, PortWord,
};
pub use key::{DropKey, L3, Shape};

#[cfg(target_endian = "big")]
compile_error!("lossdrop supports little-endian machines only: its bytecode is built for bpfel");

/// Proves the size and the alignment of an ABI structure, and that it can be viewed as plain bytes by aya.
macro_rules! abi {
    ($($type:ty: $size:literal bytes, align $align:literal;)+) => {
        $(
            const _: () = assert!(size_of::<$type>() == $size && align_of::<$type>() == $align);
            // SAFETY: repr(C), Copy, made of integers and arrays of integers only, and without implicit padding
            // (the fields add up to the size asserted above).
            #[cfg(feature = "user")]
            unsafe impl aya::Pod for $type {}
        )+
    };
}

abi! {
    Config: 416 bytes, align 8;
    DropKey: 24 bytes, align 8;
    Event: 120 bytes, align 8;
    Facts: 288 bytes, align 8;
    HostKey: 20 bytes, align 4;
    LenRange: 8 bytes, align 4;
    MarkMatch: 8 bytes, align 4;
    PortWord: 24 bytes, align 8;
    Slot: 64 bytes, align 8;
    Totals: 64 bytes, align 8;
}
