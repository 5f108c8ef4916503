//! The queueing disciplines and classes of a namespace's devices, with their limits and counters.

use std::{collections::BTreeSet, fmt, fs, io, time::Instant};

use super::netlink::{Fields as _, attribute, attributes, dump, push_attribute, text};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qdisc {
    /// The device's index.
    pub index: u32,
    pub kind: String,
    /// As `tc` writes it: `8001:`; `0:` for one that the kernel set up by itself.
    pub handle: String,
    /// `root`, `ingress`, or the class that it belongs to: `8001:1`.
    pub parent: String,
    pub limit: Option<Limit>,
    /// Of `fq`: packets that one flow may have in it.
    pub flow_limit: Option<u32>,
    /// Of `tbf`: bytes a second.
    pub rate: Option<u64>,
    /// Of `tbf`: bytes; no larger packet ever passes.
    pub burst: Option<u64>,
    /// Of `netem`: it loses packets on purpose.
    pub loses: bool,
    pub counters: Counters,
}

impl Qdisc {
    /// `ingress` or `clsact`: a place for filters rather than a queue.
    pub fn is_hook(&self) -> bool {
        matches!(self.kind.as_str(), "ingress" | "clsact")
    }

    /// It only sorts packets into its classes: what it drops itself is dropped by its filters, or for want of a class.
    pub fn only_sorts(&self) -> bool {
        matches!(self.kind.as_str(), "prio" | "htb" | "drr" | "qfq" | "ets" | "hfsc" | "multiq")
    }

    /// It drops packets that no filter and no default gives to a class.
    pub fn wants_a_class(&self) -> bool {
        matches!(self.kind.as_str(), "drr" | "qfq" | "hfsc")
    }

    /// The number of its handle; `None` for one that the kernel set up by itself.
    pub fn number(&self) -> Option<u32> {
        let major = u32::from_str_radix(self.handle.strip_suffix(':')?, 16).ok()?;
        Some(major << 16).filter(|number| *number != 0)
    }
}

/// A class of a discipline such as `htb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    pub index: u32,
    pub kind: String,
    /// `8001:10`.
    pub handle: String,
    pub parent: String,
    /// The handle of the discipline in it.
    pub leaf: Option<String>,
    /// Of `htb`: bytes a second, guaranteed and at most.
    pub rate: Option<u64>,
    pub ceil: Option<u64>,
    /// Of `htb`: bytes.
    pub burst: Option<u64>,
    pub counters: Counters,
}

/// How much fits into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Packets(u32),
    Bytes(u32),
}

impl Limit {
    pub const fn amount(self) -> u32 {
        match self {
            Self::Packets(amount) | Self::Bytes(amount) => amount,
        }
    }

    pub const fn unit(self) -> &'static str {
        match self {
            Self::Packets(_) => "packets",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.unit())
    }
}

/// What `tc -s` shows of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub bytes: u64,
    pub packets: u64,
    pub drops: u32,
    pub overlimits: u32,
    pub requeues: u32,
    /// What waits now: bytes, and packets.
    pub backlog: u32,
    pub qlen: u32,
}

/// `struct tcmsg`: family, padding, index at 4, handle at 8, parent at 12, info at 16.
pub(crate) const HEADER: usize = 20;

const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;

/// The disciplines of the thread's namespace; `txqlen` tells a device's transmit queue length.
pub(crate) fn read(txqlen: impl Fn(u32) -> Option<u32>, deadline: Instant) -> io::Result<Vec<Qdisc>> {
    // The libc crate has it for glibc only.
    const TCA_DUMP_INVISIBLE: u16 = 10;
    let mut request = vec![0; HEADER];
    // Without it, the default queue in a class is kept secret.
    push_attribute(&mut request, TCA_DUMP_INVISIBLE, &[]);
    let ticks = Ticks::read();
    let answers = dump(libc::RTM_GETQDISC, &request, deadline)?;
    let mut qdiscs: Vec<Qdisc> = answers.iter().filter_map(|answer| parse(answer, ticks)).collect();
    for qdisc in qdiscs.iter_mut().filter(|qdisc| qdisc.kind == "pfifo_fast") {
        qdisc.limit = txqlen(qdisc.index).map(Limit::Packets);
    }
    Ok(qdiscs)
}

/// The classes of the devices that have disciplines with classes.
pub(crate) fn classes(qdiscs: &[Qdisc], deadline: Instant) -> io::Result<Vec<Class>> {
    let ticks = Ticks::read();
    let with_classes = ["htb", "hfsc", "drr", "qfq", "ets", "cbq"];
    let devices: BTreeSet<u32> = qdiscs
        .iter()
        .filter(|qdisc| with_classes.contains(&qdisc.kind.as_str()))
        .map(|qdisc| qdisc.index)
        .collect();
    let mut classes = Vec::new();
    for device in devices {
        let answers = dump(libc::RTM_GETTCLASS, &header(device, 0), deadline)?;
        classes.extend(answers.iter().filter_map(|answer| parse_class(answer, ticks)));
    }
    Ok(classes)
}

/// The header of a question about a device's traffic control.
pub(crate) fn header(index: u32, parent: u32) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    header
}

fn parse(message: &[u8], ticks: Ticks) -> Option<Qdisc> {
    let body = message.get(HEADER..)?;
    let mut qdisc = Qdisc {
        index: message.u32_at(4)?,
        kind: attribute(body, libc::TCA_KIND).map(text)?,
        handle: handle(message.u32_at(8)?),
        parent: handle(message.u32_at(12)?),
        counters: counters(body),
        ..Qdisc::default()
    };
    options(attribute(body, libc::TCA_OPTIONS).unwrap_or_default(), ticks, &mut qdisc);
    Some(qdisc)
}

/// What a discipline of a known kind says about its limits, by `linux/pkt_sched.h`.
fn options(options: &[u8], ticks: Ticks, qdisc: &mut Qdisc) {
    let number = |kind| attribute(options, kind).and_then(|value| value.u32_at(0));
    match qdisc.kind.as_str() {
        "tbf" => tbf(options, ticks, qdisc),
        "bfifo" => qdisc.limit = options.u32_at(0).map(Limit::Bytes),
        "pfifo" | "pfifo_head_drop" => qdisc.limit = options.u32_at(0).map(Limit::Packets),
        // TCA_FQ_CODEL_LIMIT, TCA_CODEL_LIMIT, TCA_PIE_LIMIT, TCA_FQ_PIE_LIMIT are 2, 2, 2 and 1.
        "fq_codel" | "codel" | "pie" => qdisc.limit = number(2).map(Limit::Packets),
        "fq_pie" => qdisc.limit = number(1).map(Limit::Packets),
        // TCA_FQ_PLIMIT, TCA_FQ_FLOW_PLIMIT
        "fq" => {
            qdisc.limit = number(1).map(Limit::Packets);
            qdisc.flow_limit = number(2);
        }
        // `struct tc_sfq_qopt`: quantum, perturbation, limit.
        "sfq" => qdisc.limit = options.u32_at(8).map(Limit::Packets),
        // TCA_RED_PARMS, whose first field is the limit.
        "red" => qdisc.limit = number(1).map(Limit::Bytes),
        "netem" => netem(options, qdisc),
        _ => {}
    }
}

/// TCA_TBF_PARMS: two rates of 12 bytes with the bytes a second at 8, then limit, burst in ticks, burst of the peak.
fn tbf(options: &[u8], ticks: Ticks, qdisc: &mut Qdisc) {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    let Some(parameters) = attribute(options, TCA_TBF_PARMS) else { return };
    let rate = attribute(options, TCA_TBF_RATE64)
        .and_then(|rate| rate.u64_at(0))
        .or_else(|| parameters.u32_at(8).map(u64::from));
    qdisc.rate = rate;
    qdisc.limit = parameters.u32_at(24).map(Limit::Bytes);
    qdisc.burst = rate.zip(parameters.u32_at(28)).map(|(rate, burst)| ticks.bytes(burst, rate));
}

/// `struct tc_netem_qopt` (latency, limit, loss, …), then attributes.
fn netem(options: &[u8], qdisc: &mut Qdisc) {
    const LEN: usize = 24;
    const TCA_NETEM_LOSS: u16 = 5;
    qdisc.limit = options.u32_at(4).map(Limit::Packets);
    let model = options.get(LEN..).and_then(|more| attribute(more, TCA_NETEM_LOSS));
    qdisc.loses = options.u32_at(8).is_some_and(|loss| loss != 0) || model.is_some();
}

fn parse_class(message: &[u8], ticks: Ticks) -> Option<Class> {
    const TCA_HTB_PARMS: u16 = 1;
    const TCA_HTB_RATE64: u16 = 6;
    const TCA_HTB_CEIL64: u16 = 7;
    let body = message.get(HEADER..)?;
    let mut class = Class {
        index: message.u32_at(4)?,
        kind: attribute(body, libc::TCA_KIND).map(text)?,
        handle: handle(message.u32_at(8)?),
        parent: handle(message.u32_at(12)?),
        leaf: message.u32_at(16).filter(|leaf| *leaf != 0).map(handle),
        counters: counters(body),
        ..Class::default()
    };
    let options = attribute(body, libc::TCA_OPTIONS).unwrap_or_default();
    if let (Some(parameters), "htb") = (attribute(options, TCA_HTB_PARMS), class.kind.as_str()) {
        let wide = |kind| attribute(options, kind).and_then(|rate| rate.u64_at(0));
        class.rate = wide(TCA_HTB_RATE64).or_else(|| parameters.u32_at(8).map(u64::from));
        class.ceil = wide(TCA_HTB_CEIL64).or_else(|| parameters.u32_at(20).map(u64::from));
        class.burst = class.rate.zip(parameters.u32_at(24)).map(|(rate, burst)| ticks.bytes(burst, rate));
    }
    Some(class)
}

/// TCA_STATS2: `struct gnet_stats_basic` and `struct gnet_stats_queue`, packets in 64 bits since 5.5.
pub(crate) fn counters(body: &[u8]) -> Counters {
    counters_in(attribute(body, libc::TCA_STATS2).unwrap_or_default())
}

pub(crate) fn counters_in(stats: &[u8]) -> Counters {
    const TCA_STATS_BASIC: u16 = 1;
    const TCA_STATS_QUEUE: u16 = 3;
    const TCA_STATS_PKT64: u16 = 8;
    let mut counters = Counters::default();
    let mut packets = None;
    for (kind, value) in attributes(stats) {
        let number = |offset| value.u32_at(offset).unwrap_or(0);
        match kind {
            TCA_STATS_BASIC => {
                counters.bytes = value.u64_at(0).unwrap_or(0);
                counters.packets = number(8).into();
            }
            TCA_STATS_QUEUE => {
                counters.qlen = number(0);
                counters.backlog = number(4);
                counters.drops = number(8);
                counters.requeues = number(12);
                counters.overlimits = number(16);
            }
            TCA_STATS_PKT64 => packets = value.u64_at(0),
            _ => {}
        }
    }
    counters.packets = packets.unwrap_or(counters.packets);
    counters
}

/// A handle as `tc` writes it.
pub(crate) fn handle(handle: u32) -> String {
    match (handle, handle >> 16, handle & 0xffff) {
        (TC_H_ROOT, ..) => "root".to_owned(),
        (TC_H_INGRESS, ..) => "ingress".to_owned(),
        (_, major, 0) => format!("{major:x}:"),
        (_, 0, minor) => format!(":{minor:x}"),
        (_, major, minor) => format!("{major:x}:{minor:x}"),
    }
}

/// The unit that the kernel gives bursts in: the time that they take at the rate.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    /// Nanoseconds a tick.
    nanoseconds: u64,
}

impl Ticks {
    /// `PSCHED_SHIFT` is 6 since 2.6.30.
    const USUAL: Self = Self { nanoseconds: 64 };

    fn read() -> Self {
        fs::read_to_string("/proc/thread-self/net/psched")
            .ok()
            .and_then(|text| Self::parse(&text))
            .unwrap_or(Self::USUAL)
    }

    /// `/proc/net/psched`: how many nanoseconds make how many microseconds' worth of ticks, and more.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().map(|number| u64::from_str_radix(number, 16).ok());
        let (per_microsecond, nanoseconds) = (numbers.next()??, numbers.next()??);
        (per_microsecond == 1000 && nanoseconds > 0).then_some(Self { nanoseconds })
    }

    /// How many bytes take so many ticks at a rate in bytes a second.
    fn bytes(self, ticks: u32, rate: u64) -> u64 {
        const SECOND: u128 = 1_000_000_000;
        let time = u128::from(ticks) * u128::from(self.nanoseconds);
        // `tc` cut what the rate did not divide.
        let bytes = (time * u128::from(rate) + SECOND / 2) / SECOND;
        bytes.try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        message[8..12].copy_from_slice(&0x8001_0000_u32.to_ne_bytes());
        message[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
        push_attribute(&mut message, libc::TCA_KIND, format!("{kind}\0").as_bytes());
        push_attribute(&mut message, libc::TCA_OPTIONS, options);
        let mut stats = Vec::new();
        let basic: Vec<u8> = [2084_u64.to_ne_bytes().as_slice(), &2_u32.to_ne_bytes()].concat();
        push_attribute(&mut stats, 1, &basic);
        let queue: Vec<u8> = [1_u32, 1042, 9, 0, 12].iter().flat_map(|number| number.to_ne_bytes()).collect();
        push_attribute(&mut stats, 3, &queue);
        push_attribute(&mut message, libc::TCA_STATS2, &stats);
        message
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn a_tbf_tells_its_burst_in_bytes() {
        let mut options = Vec::new();
        // 8 Mbit/s, limit 3000, burst 1600: 1.6 ms, or 25,000 ticks.
        push_attribute(&mut options, 1, &words(&[0, 0, 1_000_000, 0, 0, 0, 3000, 25_000, 0]));
        let qdisc = parse(&message("tbf", &options), Ticks::USUAL).expect("whole");
        assert_eq!(
            (qdisc.limit, qdisc.rate, qdisc.burst),
            (Some(Limit::Bytes(3000)), Some(1_000_000), Some(1600))
        );
        assert_eq!((qdisc.handle.as_str(), qdisc.parent.as_str(), qdisc.index), ("8001:", "root", 7));
        let Counters { bytes, packets, drops, overlimits, backlog, qlen, .. } = qdisc.counters;
        assert_eq!((bytes, packets, drops, overlimits, backlog, qlen), (2084, 2, 9, 12, 1042, 1));
    }

    #[test]
    fn limits_are_where_each_kind_has_them() {
        let limit = |kind, options: &[u8]| parse(&message(kind, options), Ticks::USUAL).expect("whole").limit;
        assert_eq!(limit("pfifo", &words(&[5])), Some(Limit::Packets(5)));
        assert_eq!(limit("bfifo", &words(&[5000])), Some(Limit::Bytes(5000)));
        let mut nested = Vec::new();
        push_attribute(&mut nested, 1, &words(&[5000]));
        push_attribute(&mut nested, 2, &words(&[10_240]));
        assert_eq!(limit("fq_codel", &nested), Some(Limit::Packets(10_240)));
        assert_eq!(limit("fq", &nested), Some(Limit::Packets(5000)));
        assert_eq!(limit("unheard-of", &nested), None);
        assert_eq!(limit("tbf", &[]), None);
    }

    #[test]
    fn a_netem_that_loses_packets_is_told_from_one_that_delays_them() {
        let netem =
            |loss| parse(&message("netem", &words(&[1, 1000, loss, 0, 0, 0])), Ticks::USUAL).expect("whole");
        assert!(netem(1).loses && !netem(0).loses);
        assert_eq!(netem(0).limit.expect("a limit").to_string(), "1000 packets");
    }

    #[test]
    fn handles_are_written_as_tc_does() {
        for (number, text) in
            [(TC_H_ROOT, "root"), (TC_H_INGRESS, "ingress"), (0x1_0010, "1:10"), (1, ":1"), (0, "0:")]
        {
            assert_eq!(handle(number), text);
        }
    }

    #[test]
    fn ticks_are_as_long_as_the_kernel_says() {
        assert_eq!(Ticks::parse("000003e8 00000040 000f4240 3b9aca00\n").expect("whole").nanoseconds, 64);
        assert!(Ticks::parse("odd").is_none());
        assert_eq!(Ticks::USUAL.bytes(u32::MAX, u64::MAX), u64::MAX);
    }
}
