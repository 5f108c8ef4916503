//! What is handed from the drop to its report.

use lossdrop_common::DropKey;

use crate::packet::Linear;

/// What an event is made of, beside the packet's headers. Pointers are plain addresses.
#[repr(C)]
pub(crate) struct Detail {
    pub(crate) key: DropKey,
    pub(crate) skb: *const u8,
    /// The packet's socket or null.
    pub(crate) sk: *const u8,
    /// Where the packet is, or null.
    pub(crate) device: *const u8,
    pub(crate) packet: Linear,
    pub(crate) skb_len: u32,
    pub(crate) cpu: u32,
    pub(crate) vlan_tci: u16,
}
