//! Loads the kernel program, attaches it, and takes it off again.

use std::{net::IpAddr, os::fd::AsFd as _};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, HashMap, LpmTrie, Map, MapError, MapType, lpm_trie::Key},
    programs::{
        BtfTracePoint, FEntry, Program, ProgramError, RawTracePoint, raw_trace_point::RawTracePointLink,
        tp_btf::BtfTracePointLink,
    },
};
use aya_log::EbpfLogger;
use ipnet::IpNet;
use log::debug;
use lossdrop_common::{Attach, Config, HostKey, L3, MAX_SNAPLEN, MAX_STACK, RATE_UNLIMITED, event::words_of};

use super::{
    counters::CounterMaps,
    error::{Error, Result, root_cause},
    filter::{Entries, Filter},
    info::KernelInfo,
    layout::Layout,
    probes::{Outcome, Probes},
    ring::Ring,
    sys::{self, possible_cpus},
};

pub(super) const TRACEPOINT: &str = "kfree_skb";
/// The programs in the object file, by their functions' names (`lossdrop-ebpf/src/probes/`).
const TP_BTF: &str = "kfree_skb_btf";
const RAW_TRACEPOINT: &str = "kfree_skb_raw";
const FENTRY: &str = "trial_fentry";
/// A function that every kernel with a network has.
const FENTRY_FUNCTION: &str = "ip_rcv";

/// The compiled kernel program (`cargo xtask build-bpf`).
pub(super) static BYTECODE: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/lossdrop.o"));

/// How the kernel program is to work; the default is that of `lossdrop trace --json`.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: what the kernel allows, [`Attach::TpBtf`] first.
    pub attach: Option<Attach>,
    pub filter: Filter,
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
            filter: Filter::default(),
            rate: Some(100),
            snaplen: 128,
            stack: true,
            facts: true,
            probes: true,
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
pub struct Kernel {
    ebpf: Ebpf,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    link: Option<Link>,
    probes: Probes,
    pub way: Way,
    pub counters: CounterMaps,
}

/// How the program is attached, and whether with the optional probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub attach: Attach,
    pub probes: bool,
}

impl Way {
    /// The best first. The probes go with typed pointers only: a kernel that takes the probes takes those, too.
    pub const ALL: [Self; 3] = [
        Self { attach: Attach::TpBtf, probes: true },
        Self { attach: Attach::TpBtf, probes: false },
        Self { attach: Attach::RawTracepoint, probes: false },
    ];

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match (self.attach, self.probes) {
            (Attach::TpBtf, true) => "tp_btf with probes",
            (Attach::TpBtf, false) => "tp_btf",
            (Attach::RawTracepoint, _) => "raw_tracepoint",
        }
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads and attaches in the best way that the kernel takes. The counters start at 0, and every drop from now on is seen.
    pub fn start(info: &KernelInfo, options: &Options) -> Result<(Self, Ring)> {
        let probes = options.probes && allows_probes();
        let mut refused = Error::Bytecode { missing: TP_BTF };
        for way in Way::ALL {
            if options.attach.is_some_and(|wanted| wanted != way.attach) || (way.probes && !probes) {
                continue;
            }
            match Self::start_by(way, info, options) {
                Ok(started) => return Ok(started),
                Err(error) => {
                    log::info!("{} is refused: {}", way.name(), error.why());
                    refused = error;
                }
            }
        }
        Err(refused)
    }

    /// As [`start`](Self::start), in this way and no other.
    pub fn start_by(way: Way, info: &KernelInfo, options: &Options) -> Result<(Self, Ring)> {
        let options = &Options { probes: way.probes, ..options.clone() };
        let mut ebpf = load(info, options, way.attach)?;
        let counters = CounterMaps::new(&ebpf, options.keys)?;
        let ring = Ring::new(&mut ebpf)?;
        fill_filters(&mut ebpf, &options.filter)?;
        let probes = if way.probes { Probes::attach(&ebpf, &info.probes)? } else { Probes::default() };
        for Outcome { function, refused } in &probes.outcomes {
            if let Some(why) = refused {
                log::info!("no probe on {function}: {why}");
            }
        }
        let link = attach_program(&mut ebpf, way.attach)?;
        let log = options.debug.then(|| EbpfLogger::init(&mut ebpf));
        let log =
            log.and_then(|log| log.inspect_err(|error| debug!("no log from the kernel side: {error}")).ok());
        let kernel = Self { ebpf, log, link: Some(link), probes, way, counters };
        if let Some(instructions) = kernel.verified_instructions() {
            log::info!("attached; {instructions} instructions verified");
        }
        Ok((kernel, ring))
    }

    /// Passes on what the kernel side has logged, where it was asked to.
    pub fn pass_on_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// How many instructions the verifier looked at, of the million that it allows; `None` where the kernel does not tell
    /// (before 5.16).
    pub fn verified_instructions(&self) -> Option<u32> {
        let info = match self.program()? {
            Program::BtfTracePoint(program) => program.info(),
            Program::RawTracePoint(program) => program.info(),
            _ => return None,
        };
        info.ok()?.verified_instruction_count()
    }

    /// What became of each optional probe.
    pub fn probes(&self) -> &[Outcome] {
        &self.probes.outcomes
    }

    fn program(&self) -> Option<&Program> {
        self.ebpf.program(match self.way.attach {
            Attach::TpBtf => TP_BTF,
            Attach::RawTracepoint => RAW_TRACEPOINT,
        })
    }

    /// Takes the program off and waits until no CPU runs it any more: from then on the counters are final.
    pub fn detach(&mut self) {
        self.link = None;
        self.probes = Probes::default();
        sys::synchronize();
    }

    /// Drops that the kernel did not call the program for, since they came while it was running on the same CPU.
    pub fn missed(&self) -> u64 {
        self.program().and_then(|program| program.fd().ok()).map_or(0, |fd| sys::recursion_misses(fd.as_fd()))
    }
}

fn load(info: &KernelInfo, options: &Options, attach: Attach) -> Result<Ebpf> {
    sys::lift_memlock_limit();
    let config = Config {
        offsets: info.offsets,
        fact_offsets: info.fact_offsets,
        args: info.args,
        filters: options.filter.kinds.0,
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
    let mut loader = EbpfLoader::new();
    loader
        .btf(None)
        .override_global("CONFIG", &config, true)
        .map_max_entries("SLOTS", cpus * (options.keys + 1))
        .map_max_entries("TOTALS", cpus)
        .map_max_entries("SCRATCH", cpus)
        .map_max_entries("NETFILTER", cpus)
        .map_max_entries("EVENTS", options.ring_bytes)
        .map_max_entries("AYA_LOGS", if options.debug { 1 << 18 } else { 4096 });
    for (name, entries) in &options.filter.maps {
        // A map has at least one entry.
        loader.map_max_entries(name, u32::try_from(entries.len()).unwrap_or(u32::MAX).max(1));
    }
    let mut ebpf = loader.load(BYTECODE)?;
    let loaded = match attach {
        Attach::TpBtf => program::<BtfTracePoint>(&mut ebpf, TP_BTF)?.load(TRACEPOINT, &own_btf()?),
        Attach::RawTracepoint => program::<RawTracePoint>(&mut ebpf, RAW_TRACEPOINT)?.load(),
    };
    if let Err(ProgramError::LoadError { verifier_log, .. }) = &loaded {
        debug!("the verifier's log:\n{verifier_log}");
    }
    loaded?;
    Ok(ebpf)
}

/// The kernel judges typed pointers by its own BTF, whatever file was given.
fn own_btf() -> Result<Btf> {
    Btf::from_sys_fs().map_err(|error| Error::OwnBtf { why: root_cause(&error) })
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

fn map<'a, M>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<M>
where
    M: TryFrom<&'a mut Map, Error = MapError>,
{
    Ok(ebpf.map_mut(name).ok_or(Error::Bytecode { missing: name })?.try_into()?)
}

fn fill_filters(ebpf: &mut Ebpf, filter: &Filter) -> Result<()> {
    for (name, entries) in &filter.maps {
        match entries {
            Entries::Numbers(numbers) => fill_set(ebpf, name, numbers.iter().copied())?,
            Entries::Names(names) => fill_set(ebpf, name, names.iter().copied())?,
            Entries::Ports(words) => fill_array(ebpf, name, words)?,
            Entries::Marks(marks) => fill_array(ebpf, name, marks)?,
            Entries::Lengths(lengths) => fill_array(ebpf, name, lengths)?,
            Entries::Prefixes(prefixes) => {
                let mut trie = map::<LpmTrie<_, HostKey, u32>>(ebpf, name)?;
                for (prefix, bits) in prefixes {
                    let (len, key) = host_key(prefix);
                    trie.insert(&Key::new(len, key), bits, 0)?;
                }
            }
        }
    }
    Ok(())
}

fn fill_set<K: aya::Pod>(ebpf: &mut Ebpf, name: &'static str, keys: impl Iterator<Item = K>) -> Result<()> {
    let mut set = map::<HashMap<_, K, u8>>(ebpf, name)?;
    for key in keys {
        set.insert(key, 1, 0)?;
    }
    Ok(())
}

fn fill_array<T: aya::Pod>(ebpf: &mut Ebpf, name: &'static str, values: &[T]) -> Result<()> {
    let mut array = map::<Array<_, T>>(ebpf, name)?;
    for (index, value) in (0..).zip(values) {
        array.set(index, value, 0)?;
    }
    Ok(())
}

/// The prefix as the kernel program's trie keeps it, with its length in bits.
pub fn host_key(prefix: &IpNet) -> (u32, HostKey) {
    let mut address = [0; 16];
    let l3 = match prefix.network() {
        IpAddr::V4(network) => {
            address[..4].copy_from_slice(&network.octets());
            L3::Ipv4
        }
        IpAddr::V6(network) => {
            address = network.octets();
            L3::Ipv6
        }
    };
    (HostKey::FAMILY_BITS + u32::from(prefix.prefix_len()), HostKey::new(l3 as u8, words_of(address)))
}

impl Options {
    /// Where the variable parts of an event lie with these options.
    pub fn layout(&self) -> Layout {
        Layout {
            facts: self.facts,
            stack_bytes: self.stack_bytes() as usize,
            snaplen: self.snaplen.min(MAX_SNAPLEN).next_multiple_of(8) as usize,
            withheld: 0,
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

/// Where the kernel allows none, the program is loaded without what only they need.
fn allows_probes() -> bool {
    try_fentry().inspect_err(|error| log::info!("no probes here: {}", error.why())).is_ok()
}

/// Loads an empty `fentry` program, which some kernels refuse.
pub fn try_fentry() -> Result<()> {
    let mut ebpf = EbpfLoader::new().btf(None).load(BYTECODE)?;
    Ok(program::<FEntry>(&mut ebpf, FENTRY)?.load(FENTRY_FUNCTION, &own_btf()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events alone.
    fn plain() -> Options {
        Options { snaplen: 0, stack: false, facts: false, ..Options::default() }
    }

    #[test]
    fn an_event_has_room_for_what_was_asked_for_and_no_more() {
        for (snaplen, room) in [(0, 0), (1, 8), (8, 8), (100, 104), (256, 256), (257, 256), (u32::MAX, 256)] {
            let layout = Options { snaplen, ..plain() }.layout();
            assert_eq!(layout, Layout { snaplen: room, ..Layout::default() }, "{snaplen}");
        }
        let layout = Options { stack: true, ..plain() }.layout();
        assert_eq!(layout, Layout { stack_bytes: 32 * 8, ..Layout::default() });
        let layout = Options { facts: true, ..plain() }.layout();
        assert_eq!(layout, Layout { facts: true, ..Layout::default() });
    }
}
