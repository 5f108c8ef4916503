//! Loads the kernel program, attaches it, and takes it off again.

use std::os::fd::AsFd as _;

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, HashMap, LpmTrie, Map, MapError, MapType, lpm_trie::Key},
    programs::{
        BtfTracePoint, FEntry, Program, ProgramError, RawTracePoint, raw_trace_point::RawTracePointLink,
        tp_btf::BtfTracePointLink,
    },
};
use log::{debug, info};
use lossdrop_common::{Attach, Config, HostKey, MAX_SNAPLEN, MAX_STACK, PortBits, PortWord, RATE_UNLIMITED};

use super::{
    counters::CounterMaps,
    facts::KernelFacts,
    probes::{Outcome, Probes},
    ring::Ring,
    sys::{self, possible_cpus},
};
use crate::{
    decode::Layout,
    error::{Error, Result},
    filter::{KernelFilter, host_key},
};

const TRACEPOINT: &str = "kfree_skb";
/// The programs in the object file, by their functions' names (`lossdrop-ebpf/src/probes/`).
const TP_BTF: &str = "kfree_skb_btf";
const RAW_TRACEPOINT: &str = "kfree_skb_raw";
const FENTRY: &str = "trial_fentry";
/// A function that every kernel with a network has.
const FENTRY_FUNCTION: &str = "ip_rcv";

/// The compiled kernel program (`cargo xtask build-bpf`).
pub(super) static BYTECODE: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/lossdrop.o"));

/// How the kernel program is to work.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: what the kernel allows, [`Attach::TpBtf`] first.
    pub attach: Option<Attach>,
    pub filter: KernelFilter,
    /// Detail events a second for each key and CPU; `None` for all.
    pub rate: Option<u32>,
    /// Bytes of packet in a detail event, at most [`MAX_SNAPLEN`].
    pub snaplen: u32,
    /// Whether the stack is in a detail event.
    pub stack: bool,
    /// Whether [`Facts`](lossdrop_common::Facts) are in a detail event.
    pub facts: bool,
    /// Whether the optional probes are attached, which add to the facts.
    pub probes: bool,
    /// Rows of the key table for each CPU, a power of two.
    pub keys: u32,
    /// Size of the ring buffer in bytes: a power of two, at least a page.
    pub ring_bytes: u32,
    /// The kernel side logs what it does.
    pub debug: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attach: None,
            filter: KernelFilter::default(),
            rate: Some(100),
            snaplen: 0,
            stack: false,
            facts: false,
            probes: false,
            keys: 4096,
            ring_bytes: 8 << 20,
            debug: false,
        }
    }
}

/// The link that keeps the program attached until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for its Drop")]
enum Link {
    TpBtf(BtfTracePointLink),
    RawTracepoint(RawTracePointLink),
}

/// The loaded program with its maps; it is attached until [`Kernel::detach`] or `Drop`.
#[derive(Debug)]
pub struct Kernel {
    ebpf: Ebpf,
    link: Option<Link>,
    probes: Probes,
    pub attach: Attach,
    pub counters: CounterMaps,
}

impl Kernel {
    /// Loads and attaches. The counters start at 0, and every drop from now on is seen.
    pub fn start(facts: &KernelFacts, options: &Options) -> Result<(Self, Ring)> {
        let (mut ebpf, attach, with_probes) = load_best(facts, options)?;
        let counters = CounterMaps::new(&ebpf, options.keys)?;
        let ring = Ring::new(&mut ebpf)?;
        fill_filters(&mut ebpf, &options.filter)?;
        let probes = if with_probes { Probes::attach(&ebpf, &facts.probes)? } else { Probes::default() };
        for Outcome { function, refused } in &probes.outcomes {
            if let Some(why) = refused {
                info!("no probe on {function}: {why}");
            }
        }
        let link = attach_program(&mut ebpf, attach)?;
        debug!("attached to {TRACEPOINT} by {attach:?}");
        Ok((Self { ebpf, link: Some(link), probes, attach, counters }, ring))
    }

    /// The loaded object, from which aya-log takes the kernel side's log.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// How it is attached, in a word.
    pub const fn how(&self) -> &'static str {
        match self.attach {
            Attach::TpBtf => "tp_btf",
            Attach::RawTracepoint => "raw_tracepoint",
        }
    }

    /// Takes the program off and waits until no CPU runs it any more: from then on the counters are final.
    pub fn detach(&mut self) {
        self.link = None;
        self.probes = Probes::default();
        sys::synchronize();
    }

    /// Drops that the kernel did not call the program for, since they came while it was running on the same CPU.
    pub fn missed(&self) -> u64 {
        let program = match self.attach {
            Attach::TpBtf => self.ebpf.program(TP_BTF),
            Attach::RawTracepoint => self.ebpf.program(RAW_TRACEPOINT),
        };
        program.and_then(|program| program.fd().ok()).map_or(0, |fd| sys::recursion_misses(fd.as_fd()))
    }
}

/// The best way that the kernel takes: how it is attached, and whether with the optional probes. They go with typed pointers
/// only: a kernel that takes the probes takes those, too.
fn load_best(facts: &KernelFacts, options: &Options) -> Result<(Ebpf, Attach, bool)> {
    let probes = options.probes && allows_probes();
    let ways = [(Attach::TpBtf, true), (Attach::TpBtf, false), (Attach::RawTracepoint, false)];
    let mut refused = Error::Bytecode { missing: TP_BTF };
    for (attach, with_probes) in ways {
        if options.attach.is_some_and(|wanted| wanted != attach) || (with_probes && !probes) {
            continue;
        }
        let options = Options { probes: with_probes, ..options.clone() };
        match load(facts, &options, attach) {
            Ok(ebpf) => return Ok((ebpf, attach, with_probes)),
            Err(error) => {
                info!("{attach:?} is refused (optional probes: {with_probes}): {error}");
                refused = error;
            }
        }
    }
    Err(refused)
}

fn load(facts: &KernelFacts, options: &Options, attach: Attach) -> Result<Ebpf> {
    sys::lift_memlock_limit();
    let config = Config {
        offsets: facts.offsets,
        fact_offsets: facts.fact_offsets,
        args: facts.args,
        filters: options.filter.kinds().0,
        facts: match (options.facts, options.probes) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => Config::FACTS_WITH_PROBES,
        },
        pad: 0,
        rate: options.rate.map_or(RATE_UNLIMITED, u64::from),
        slots: options.keys,
        snaplen: options.snaplen.min(MAX_SNAPLEN),
        stack_bytes: options.stack_bytes(),
        debug: options.debug.into(),
    };
    let cpus = possible_cpus()?;
    let filter = &options.filter;
    let mut ebpf = EbpfLoader::new()
        .btf(None)
        .override_global("CONFIG", &config, true)
        .map_max_entries("SLOTS", cpus * (options.keys + 1))
        .map_max_entries("TOTALS", cpus)
        .map_max_entries("SCRATCH", cpus)
        .map_max_entries("NETFILTER", cpus)
        .map_max_entries("EVENTS", options.ring_bytes)
        .map_max_entries("AYA_LOGS", if options.debug { 1 << 18 } else { 4096 })
        .map_max_entries("FILTER_REASON", entries(filter.reasons.len()))
        .map_max_entries("FILTER_NETNS", entries(filter.netns.len()))
        .map_max_entries("FILTER_IFACE", entries(filter.ifaces.len()))
        .map_max_entries("FILTER_PROTO", entries(filter.protocols.len()))
        .map_max_entries("FILTER_PORTS", if filter.ports.is_empty() { 1 } else { PortBits::WORDS })
        .map_max_entries("FILTER_HOSTS", entries(filter.hosts.len()))
        .load(BYTECODE)?;
    let loaded = match attach {
        Attach::TpBtf => {
            let btf = Btf::from_sys_fs()
                .map_err(|error| Error::Btf { path: facts.btf_path.clone(), why: error.to_string() })?;
            program::<BtfTracePoint>(&mut ebpf, TP_BTF)?.load(TRACEPOINT, &btf)
        }
        Attach::RawTracepoint => program::<RawTracePoint>(&mut ebpf, RAW_TRACEPOINT)?.load(),
    };
    if let Err(ProgramError::LoadError { verifier_log, .. }) = &loaded {
        debug!("the verifier's log:\n{verifier_log}");
    }
    loaded?;
    Ok(ebpf)
}

fn attach_program(ebpf: &mut Ebpf, attach: Attach) -> Result<Link> {
    Ok(match attach {
        Attach::TpBtf => {
            let program = program::<BtfTracePoint>(ebpf, TP_BTF)?;
            let id = program.attach()?;
            Link::TpBtf(program.take_link(id)?)
        }
        Attach::RawTracepoint => {
            let program = program::<RawTracePoint>(ebpf, RAW_TRACEPOINT)?;
            let id = program.attach(TRACEPOINT)?;
            Link::RawTracepoint(program.take_link(id)?)
        }
    })
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(Error::Bytecode { missing: name })
}

/// A map has at least one entry.
fn entries(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(1)
}

fn map<'a, M>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<M>
where
    M: TryFrom<&'a mut Map, Error = MapError>,
{
    Ok(ebpf.map_mut(name).ok_or(Error::Bytecode { missing: name })?.try_into()?)
}

fn fill_filters(ebpf: &mut Ebpf, filter: &KernelFilter) -> Result<()> {
    fill(ebpf, "FILTER_REASON", filter.reasons.iter().copied())?;
    fill(ebpf, "FILTER_NETNS", filter.netns.iter().copied())?;
    fill(ebpf, "FILTER_IFACE", filter.ifaces.iter().copied())?;
    fill(ebpf, "FILTER_PROTO", filter.protocols.iter().copied())?;
    if !filter.ports.is_empty() {
        let mut words = map::<Array<_, PortWord>>(ebpf, "FILTER_PORTS")?;
        for (index, word) in (0..).zip(&filter.ports) {
            words.set(index, word, 0)?;
        }
    }
    let mut hosts = map::<LpmTrie<_, HostKey, u32>>(ebpf, "FILTER_HOSTS")?;
    for (prefix, bits) in &filter.hosts {
        let (len, key) = host_key(prefix);
        hosts.insert(&Key::new(len, key), bits, 0)?;
    }
    Ok(())
}

fn fill<K: aya::Pod>(ebpf: &mut Ebpf, name: &'static str, keys: impl Iterator<Item = K>) -> Result<()> {
    let mut set = map::<HashMap<_, K, u8>>(ebpf, name)?;
    for key in keys {
        set.insert(key, 1, 0)?;
    }
    Ok(())
}

impl Options {
    /// Where the variable parts of an event lie with these options.
    pub fn layout(&self) -> Layout {
        Layout {
            facts: self.facts,
            stack_bytes: self.stack_bytes() as usize,
            snaplen: self.snaplen.min(MAX_SNAPLEN).next_multiple_of(8) as usize,
        }
    }

    fn stack_bytes(&self) -> u32 {
        if self.stack { MAX_STACK * 8 } else { 0 }
    }
}

/// The kernel has BPF ring buffers.
pub fn has_ring_buffer() -> bool {
    aya::sys::is_map_supported(MapType::RingBuf).unwrap_or(true)
}

/// Attaches and detaches; returns how many instructions the verifier looked at, 0 where the kernel does not tell.
pub fn attach_for_a_moment(facts: &KernelFacts, options: &Options) -> Result<u32> {
    let attach = options.attach.unwrap_or(Attach::TpBtf);
    let mut ebpf = load(facts, options, attach)?;
    let _link = attach_program(&mut ebpf, attach)?;
    let info = match attach {
        Attach::TpBtf => program::<BtfTracePoint>(&mut ebpf, TP_BTF)?.info(),
        Attach::RawTracepoint => program::<RawTracePoint>(&mut ebpf, RAW_TRACEPOINT)?.info(),
    };
    Ok(info.ok().and_then(|info| info.verified_instruction_count()).unwrap_or(0))
}

/// Attaches the optional probes for a moment.
pub fn try_probes(facts: &KernelFacts) -> Result<Vec<Outcome>> {
    let options = Options { facts: true, keys: 1, ring_bytes: 4096, ..Options::default() };
    // Any way to attach will do: the probes need the maps alone.
    let ebpf = load(facts, &options, Attach::RawTracepoint)?;
    Ok(Probes::attach(&ebpf, &facts.probes)?.outcomes)
}

/// Where the kernel allows none, the program is loaded without what only they need.
fn allows_probes() -> bool {
    try_fentry().inspect_err(|error| info!("no probes here: {error}")).is_ok()
}

/// Loads an empty `fentry` program, which some kernels refuse.
pub fn try_fentry() -> Result<()> {
    let mut ebpf = EbpfLoader::new().btf(None).load(BYTECODE)?;
    let btf = Btf::from_sys_fs().map_err(ProgramError::from)?;
    Ok(program::<FEntry>(&mut ebpf, FENTRY)?.load(FENTRY_FUNCTION, &btf)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_room_for_what_was_asked_for_and_no_more() {
        for (snaplen, room) in [(0, 0), (1, 8), (8, 8), (100, 104), (256, 256), (257, 256), (u32::MAX, 256)] {
            let layout = Options { snaplen, ..Options::default() }.layout();
            assert_eq!(layout, Layout { snaplen: room, ..Layout::default() }, "{snaplen}");
        }
        let layout = Options { stack: true, ..Options::default() }.layout();
        assert_eq!(layout, Layout { stack_bytes: 32 * 8, ..Layout::default() });
        let layout = Options { facts: true, ..Options::default() }.layout();
        assert_eq!(layout, Layout { facts: true, ..Layout::default() });
    }

    #[test]
    fn a_map_has_at_least_one_entry() {
        assert_eq!([0, 1, 7, usize::MAX].map(entries), [1, 1, 7, u32::MAX]);
    }
}
