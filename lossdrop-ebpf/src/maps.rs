//! The maps. User space sets their sizes before it loads the program (`lossdrop/src/kernel/load.rs`).

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LpmTrie, RingBuf},
};
use lossdrop_common::{HostKey, PortWord, Slot, Totals};

use crate::{drop::Scratch, netfilter::Verdict};

/// Rows of every CPU, one CPU after the other: `Config::slots` keyed ones, then the `other` row.
#[map]
pub(crate) static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One element a CPU.
#[map]
pub(crate) static TOTALS: Array<Totals> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One element a CPU.
#[map]
pub(crate) static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// One element a CPU: what its netfilter is doing.
#[map]
pub(crate) static NETFILTER: Array<Verdict> = Array::with_max_entries(1, 0);

/// Not 0 while the reader of `EVENTS` waits to be woken.
#[map]
pub(crate) static ASLEEP: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static FILTER_REASON: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub(crate) static FILTER_NETNS: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub(crate) static FILTER_IFACE: HashMap<[u64; 2], u8> = HashMap::with_max_entries(1, 0);

/// IP protocols, and above them `PROTO_ARP`.
#[map]
pub(crate) static FILTER_PROTO: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub(crate) static FILTER_PORTS: Array<PortWord> = Array::with_max_entries(1, 0);

/// Values are `HostBits`.
#[map]
pub(crate) static FILTER_HOSTS: LpmTrie<HostKey, u32> =
    LpmTrie::with_max_entries(1, aya_ebpf::bindings::BPF_F_NO_PREALLOC);
