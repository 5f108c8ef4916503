//! The filters: kinds are ANDed, values of one kind ORed. A kind that is not in use is pruned by the verifier.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
};
use lossdrop_common::{
    Event, FILTER_VALUES, FilterKinds, HostBits, HostKey, L3, LenRange, MarkMatch, PROTO_ARP, PortWord,
    parse::Headers,
};

use crate::config::config;

#[map]
static FILTER_REASON: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
static FILTER_NETNS: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
static FILTER_IFACE: HashMap<[u64; 2], u8> = HashMap::with_max_entries(1, 0);

/// IP protocols, and above them `PROTO_ARP`.
#[map]
static FILTER_PROTO: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
static FILTER_PORTS: Array<PortWord> = Array::with_max_entries(1, 0);

/// Values are `HostBits`.
#[map]
static FILTER_HOSTS: LpmTrie<HostKey, u32> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);

/// It has as many entries as the filter has values, and so has `FILTER_LEN`.
#[map]
static FILTER_MARK: Array<MarkMatch> = Array::with_max_entries(1, 0);

#[map]
static FILTER_LEN: Array<LenRange> = Array::with_max_entries(1, 0);

#[inline(always)]
fn active() -> FilterKinds {
    FilterKinds(config!(filters))
}

#[inline(always)]
pub(crate) fn reason(reason: u32) -> bool {
    !active().has(FilterKinds::REASON) || contains(&FILTER_REASON, &reason)
}

/// `mark` is read only where the filter is in use.
#[inline(always)]
pub(crate) fn mark(mark: impl FnOnce() -> u32) -> bool {
    if !active().has(FilterKinds::MARK) {
        return true;
    }
    let mark = mark();
    any(&FILTER_MARK, |value| value.takes(mark))
}

#[inline(always)]
pub(crate) fn netns(inum: u32) -> bool {
    !active().has(FilterKinds::NETNS) || contains(&FILTER_NETNS, &inum)
}

/// `name` is read only where the filter is in use.
#[inline(always)]
pub(crate) fn iface(name: impl FnOnce() -> [u64; 2]) -> bool {
    !active().has(FilterKinds::IFACE) || contains(&FILTER_IFACE, &name())
}

#[inline(always)]
pub(crate) fn headers(headers: &Headers) -> bool {
    len(headers) && proto(headers) && ports(headers) && hosts(headers)
}

#[inline(always)]
fn len(headers: &Headers) -> bool {
    !active().has(FilterKinds::LEN) || any(&FILTER_LEN, |value| value.takes(headers.len))
}

#[inline(always)]
fn proto(headers: &Headers) -> bool {
    if !active().has(FilterKinds::PROTO) {
        return true;
    }
    if headers.l3 == L3::Arp as u8 {
        contains(&FILTER_PROTO, &PROTO_ARP)
    } else {
        headers.l3 != L3::Other as u8 && contains(&FILTER_PROTO, &u32::from(headers.l4))
    }
}

#[inline(always)]
fn ports(headers: &Headers) -> bool {
    const ALL: FilterKinds = FilterKinds(FilterKinds::PORT.0 | FilterKinds::SPORT.0 | FilterKinds::DPORT.0);
    let active = active();
    if !active.has(ALL) {
        return true;
    }
    if headers.flags & Event::HAS_PORTS == 0 {
        return false;
    }
    let Some(source) = FILTER_PORTS.get(u32::from(headers.sport / 64)) else { return false };
    let Some(destination) = FILTER_PORTS.get(u32::from(headers.dport / 64)) else { return false };
    let (sbit, dbit) = (1_u64 << (headers.sport % 64), 1_u64 << (headers.dport % 64));
    (!active.has(FilterKinds::PORT) || source.any & sbit != 0 || destination.any & dbit != 0)
        && (!active.has(FilterKinds::SPORT) || source.source & sbit != 0)
        && (!active.has(FilterKinds::DPORT) || destination.destination & dbit != 0)
}

#[inline(always)]
fn hosts(headers: &Headers) -> bool {
    const ALL: FilterKinds = FilterKinds(FilterKinds::HOST.0 | FilterKinds::SRC.0 | FilterKinds::DST.0);
    let active = active();
    if !active.has(ALL) {
        return true;
    }
    if headers.flags & Event::HAS_ADDRESSES == 0 {
        return false;
    }
    let source = host(headers.l3, headers.src);
    let destination = host(headers.l3, headers.dst);
    (!active.has(FilterKinds::HOST) || (source | destination) & HostBits::ANY != 0)
        && (!active.has(FilterKinds::SRC) || source & HostBits::SOURCE != 0)
        && (!active.has(FilterKinds::DST) || destination & HostBits::DESTINATION != 0)
}

/// The kinds of host filter that cover the address.
#[inline(always)]
fn host(l3: u8, address: [u64; 2]) -> u32 {
    FILTER_HOSTS.get(Key::new(HostKey::BITS, HostKey::new(l3, address))).copied().unwrap_or(0)
}

#[inline(always)]
fn contains<K>(map: &HashMap<K, u8>, key: &K) -> bool {
    map.get_ptr(key).is_some()
}

/// Whether one of the map's values takes the packet. The map ends behind the last one; the bound is for the verifier.
#[inline(always)]
fn any<T>(map: &Array<T>, takes: impl Fn(&T) -> bool) -> bool {
    let mut index = 0;
    while index < FILTER_VALUES {
        let Some(value) = map.get(index) else { return false };
        if takes(value) {
            return true;
        }
        index += 1;
    }
    false
}
