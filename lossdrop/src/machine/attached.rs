//! What is attached to a device's way in and out: filters of `tc` with their actions, and BPF programs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    netlink::{Fields as _, attribute, attributes, dump, text},
    qdiscs::{self, Counters, counters_in, handle},
    take::within,
};
use crate::kernel::programs::{self, Program};

/// Everything on one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// In the order in which the kernel asks them.
    pub filters: Vec<Filter>,
    /// Programs without filters (tcx, since 6.6).
    pub tcx: Vec<(Hook, Program)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Ingress,
    Egress,
    /// Where the discipline of this handle sorts packets into its classes.
    Qdisc(u32),
}

impl Hook {
    /// The parent of its filters: `ffff:fff2` and `ffff:fff3` on `ingress` or `clsact`.
    const fn parent(self) -> u32 {
        match self {
            Self::Ingress => 0xffff_fff2,
            Self::Egress => 0xffff_fff3,
            Self::Qdisc(handle) => handle,
        }
    }
}

/// As `tc` takes it.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress => f.write_str("ingress"),
            Self::Egress => f.write_str("egress"),
            Self::Qdisc(number) => write!(f, "parent {}", handle(*number)),
        }
    }
}

/// A filter of `tc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub hook: Hook,
    /// `u32`, `matchall`, `flower`, `bpf` and the like.
    pub kind: String,
    pub preference: u16,
    /// The protocol that it is asked for: an Ethernet type, 3 for all.
    pub protocol: u16,
    pub chain: u32,
    /// As `tc` writes it.
    pub handle: String,
    pub program: Option<Program>,
    pub actions: Vec<Action>,
}

impl Filter {
    /// Whether an action drops what the filter matches. What a BPF program does is not known.
    pub fn drops(&self) -> bool {
        self.actions.iter().any(|action| action.drops)
    }

    /// The action that has dropped most since it was set up.
    pub fn dropper(&self) -> Option<&Action> {
        self.actions.iter().filter(|action| action.drops).max_by_key(|action| action.counters.drops)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `gact`, `police`, `mirred` and the like.
    pub kind: String,
    /// It drops; a `police` drops what exceeds the rate.
    pub drops: bool,
    /// Of a `police`: bytes a second.
    pub rate: Option<u64>,
    pub counters: Counters,
}

/// What is attached to the device of an index in a namespace.
pub fn attached(netns: &Path, index: u32, limit: Duration) -> io::Result<Attached> {
    within(netns, limit, move |deadline| read(index, deadline))?
}

/// The filters at a hook of the device of an index in a namespace.
pub fn filters(netns: &Path, index: u32, hook: Hook, limit: Duration) -> io::Result<Vec<Filter>> {
    within(netns, limit, move |deadline| filters_at(index, hook, deadline))?
}

/// Where the unified hierarchy of cgroups is; `None` where there is none.
pub fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    unified_mount(&mounts).map(PathBuf::from)
}

/// Where `/proc/self/mountinfo` says that the unified hierarchy is: the kind of file system is behind the dash.
fn unified_mount(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4)).flatten()
    })
}

fn read(index: u32, deadline: Instant) -> io::Result<Attached> {
    let mut attached = Attached::default();
    for hook in [Hook::Ingress, Hook::Egress] {
        attached.filters.extend(filters_at(index, hook, deadline)?);
    }
    for (hook, programs) in
        [(Hook::Ingress, programs::tcx_ingress(index)), (Hook::Egress, programs::tcx_egress(index))]
    {
        attached.tcx.extend(programs.into_iter().map(|program| (hook, program)));
    }
    Ok(attached)
}

fn filters_at(index: u32, hook: Hook, deadline: Instant) -> io::Result<Vec<Filter>> {
    let answers = match dump(libc::RTM_GETTFILTER, &qdiscs::header(index, hook.parent()), deadline) {
        // There is no discipline that has filters here.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => Vec::new(),
        answers => answers?,
    };
    let mut filters: Vec<Filter> = answers.iter().filter_map(|answer| parse(answer, hook)).collect();
    for program in filters.iter_mut().filter_map(|filter| filter.program.as_mut()) {
        program.name = programs::name(program.id);
    }
    Ok(filters)
}

fn parse(message: &[u8], hook: Hook) -> Option<Filter> {
    // The libc crate has it for glibc only.
    const TCA_CHAIN: u16 = 11;
    const TCA_BPF_ID: u16 = 11;
    let (number, info) = (message.u32_at(8)?, message.u32_at(16)?);
    let body = message.get(qdiscs::HEADER..)?;
    let kind = attribute(body, libc::TCA_KIND).map(text)?;
    let options = attribute(body, libc::TCA_OPTIONS).unwrap_or_default();
    // Each kind first announces itself without a filter.
    if number == 0 && options.is_empty() {
        return None;
    }
    let program = || attribute(options, TCA_BPF_ID).and_then(|id| id.u32_at(0));
    Some(Filter {
        hook,
        preference: u16::try_from(info >> 16).ok()?,
        protocol: u16::from_be_bytes(u16::try_from(info & 0xffff).ok()?.to_ne_bytes()),
        chain: attribute(body, TCA_CHAIN).and_then(|chain| chain.u32_at(0)).unwrap_or(0),
        handle: filter_handle(&kind, number),
        program: (kind == "bpf").then(program).flatten().map(|id| Program { id, name: None }),
        actions: actions(&kind, options, body),
        kind,
    })
}

fn filter_handle(kind: &str, number: u32) -> String {
    match kind {
        // Hash table, bucket, and node.
        "u32" => format!("{:x}:{:x}:{:x}", number >> 20, number >> 12 & 0xff, number & 0xfff),
        "bpf" | "matchall" | "flower" | "fw" => format!("{number:#x}"),
        _ => handle(number),
    }
}

/// The actions of a filter, in their order. Where they are depends on its kind (`TCA_…_ACT` in `linux/pkt_cls.h`), and so does
/// where the one of old is, `police` without the word `action` before it (`TCA_…_POLICE`).
fn actions(kind: &str, options: &[u8], body: &[u8]) -> Vec<Action> {
    let (place, of_old) = match kind {
        "bpf" | "cgroup" => (1, Some(2)),
        "matchall" => (2, None),
        "basic" => (3, Some(4)),
        "flower" => (3, None),
        "fw" => (4, Some(2)),
        "route" => (6, Some(5)),
        "u32" => (7, Some(6)),
        "flow" => (9, Some(10)),
        _ => return Vec::new(),
    };
    let list = attribute(options, place).unwrap_or_default();
    let police = of_old.and_then(|place| attribute(options, place)).map(|options| {
        let stats = attribute(body, libc::TCA_STATS).unwrap_or_default();
        action("police".to_owned(), options, counters_of_old(stats))
    });
    attributes(list).filter_map(|(_, action)| parse_action(action)).chain(police).collect()
}

/// `struct tc_stats`: the bytes take 8.
fn counters_of_old(stats: &[u8]) -> Counters {
    let number = |offset| stats.u32_at(offset).unwrap_or(0);
    Counters {
        bytes: stats.u64_at(0).unwrap_or(0),
        packets: number(8).into(),
        drops: number(12),
        overlimits: number(16),
        ..Counters::default()
    }
}

fn parse_action(reported: &[u8]) -> Option<Action> {
    const TCA_ACT_KIND: u16 = 1;
    const TCA_ACT_OPTIONS: u16 = 2;
    const TCA_ACT_STATS: u16 = 4;
    let kind = attribute(reported, TCA_ACT_KIND).map(text)?;
    let options = attribute(reported, TCA_ACT_OPTIONS).unwrap_or_default();
    let counters = counters_in(attribute(reported, TCA_ACT_STATS).unwrap_or_default());
    Some(action(kind, options, counters))
}

fn action(kind: String, options: &[u8], counters: Counters) -> Action {
    let rate = (kind == "police").then(|| police_rate(options)).flatten();
    Action { drops: drops(&kind, options), kind, rate, counters }
}

/// `struct tc_police`: the rate is the last field of a `struct tc_ratespec` at 20; above 32 bits it stands by itself.
fn police_rate(options: &[u8]) -> Option<u64> {
    const TCA_POLICE_TBF: u16 = 1;
    const TCA_POLICE_RATE64: u16 = 8;
    let whole = attribute(options, TCA_POLICE_RATE64).and_then(|rate| rate.u64_at(0));
    whole.or_else(|| attribute(options, TCA_POLICE_TBF)?.u32_at(28).map(u64::from)).filter(|rate| *rate != 0)
}

/// Whether the verdict is `TC_ACT_SHOT`. It stands behind index and capabilities in the parameters that all kinds have
/// (`tc_gen`); of a `police` it is that for what exceeds the rate, and the other one stands by itself.
fn drops(kind: &str, options: &[u8]) -> bool {
    const TC_ACT_SHOT: u32 = 2;
    const PARAMETERS: u16 = 2;
    const TCA_POLICE_TBF: u16 = 1;
    const TCA_POLICE_RESULT: u16 = 5;
    let verdict =
        |attribute_type, offset| attribute(options, attribute_type).and_then(|value| value.u32_at(offset));
    match kind {
        "police" => {
            verdict(TCA_POLICE_TBF, 4) == Some(TC_ACT_SHOT)
                || verdict(TCA_POLICE_RESULT, 0) == Some(TC_ACT_SHOT)
        }
        _ => verdict(PARAMETERS, 8) == Some(TC_ACT_SHOT),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::netlink::{nested, push_attribute},
        *,
    };

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn filter(kind: &str, number: u32, options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; qdiscs::HEADER];
        message[8..12].copy_from_slice(&number.to_ne_bytes());
        let info = 49152 << 16 | u32::from(u16::from_ne_bytes(3_u16.to_be_bytes()));
        message[16..20].copy_from_slice(&info.to_ne_bytes());
        push_attribute(&mut message, libc::TCA_KIND, format!("{kind}\0").as_bytes());
        push_attribute(&mut message, libc::TCA_OPTIONS, options);
        message
    }

    #[test]
    fn a_filter_that_drops_is_named() {
        let action = nested(&[(1, b"gact\0"), (2, &nested(&[(2, &words(&[1, 0, 2, 1, 1]))]))]);
        let message = filter("matchall", 1, &nested(&[(2, &nested(&[(1, &action)]))]));
        let filter = parse(&message, Hook::Egress).expect("whole");
        assert_eq!((filter.kind.as_str(), filter.preference, filter.protocol), ("matchall", 49152, 3));
        assert_eq!((filter.handle.as_str(), filter.drops()), ("0x1", true));
        assert_eq!(filter.actions[0].kind, "gact");
    }

    #[test]
    fn a_hook_is_reported_as_tc_takes_it() {
        let reported = [Hook::Ingress, Hook::Egress, Hook::Qdisc(0x1_0000)].map(|hook| hook.to_string());
        assert_eq!(reported, ["ingress", "egress", "parent 1:"]);
    }

    #[test]
    fn a_bpf_filter_has_its_program_s_number() {
        let message = filter("bpf", 1, &nested(&[(7, b"x.o:[tc]\0"), (11, &words(&[12]))]));
        let filter = parse(&message, Hook::Ingress).expect("whole");
        assert_eq!(filter.program, Some(Program { id: 12, name: None }));
        assert!(!filter.drops());
    }

    #[test]
    fn a_police_drops_what_exceeds_and_others_do_not() {
        assert!(drops("police", &nested(&[(1, &words(&[1, 2]))])));
        assert!(!drops("police", &nested(&[(1, &words(&[1, 0])), (5, &words(&[0]))])));
        assert!(!drops("mirred", &nested(&[(2, &words(&[1, 0, 4, 1, 1]))])));
        assert!(!drops("gact", &[]));
    }

    #[test]
    fn a_police_of_old_is_an_action_like_others() {
        let police = nested(&[(1, &words(&[1, 2, 0, 100, 2047, 0, 0, 1000, 0, 0, 0]))]);
        for (kind, place) in [("u32", 6), ("fw", 2), ("basic", 4), ("bpf", 2)] {
            let mut message = filter(kind, 1, &nested(&[(place, &police)]));
            push_attribute(&mut message, libc::TCA_STATS, &words(&[3000, 0, 30, 7, 8, 0, 0, 0, 0]));
            let filter = parse(&message, Hook::Qdisc(0x1_0000)).expect("whole");
            let counters =
                Counters { bytes: 3000, packets: 30, drops: 7, overlimits: 8, ..Counters::default() };
            let action = Action { kind: "police".to_owned(), drops: true, rate: Some(1000), counters };
            assert_eq!(filter.actions, [action], "{kind}");
        }
    }

    #[test]
    fn a_police_tells_its_rate() {
        let parameters = words(&[1, 2, 0, 100, 2047, 0, 0, 1000, 0, 0, 0]);
        assert_eq!(police_rate(&nested(&[(1, &parameters)])), Some(1000));
        let whole = (8, &5_000_000_000_u64.to_ne_bytes()[..]);
        assert_eq!(police_rate(&nested(&[(1, &parameters), whole])), Some(5_000_000_000));
        assert_eq!(police_rate(&nested(&[(1, &words(&[1, 2]))])), None);
    }

    #[test]
    fn the_action_that_dropped_most_is_the_one_that_dropped() {
        let action = |drops, count| Action {
            kind: "gact".to_owned(),
            drops,
            rate: None,
            counters: Counters { drops: count, ..Counters::default() },
        };
        let message = filter("matchall", 1, &nested(&[(1, &[0; 4])]));
        let filter = Filter {
            actions: vec![action(true, 3), action(false, 9), action(true, 4)],
            ..parse(&message, Hook::Ingress).expect("whole")
        };
        assert_eq!(filter.dropper().map(|action| action.counters.drops), Some(4));
    }

    #[test]
    fn the_unified_hierarchy_is_where_its_file_system_is_mounted() {
        let mounts = "28 24 0:25 / /sys/fs/cgroup/cpu rw shared:9 - cgroup none rw,cpu\n\
                      29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(unified_mount(mounts), Some("/sys/fs/cgroup"));
        assert_eq!(unified_mount("28 24 0:25 / /sys/fs/cgroup/cpu rw shared:9 - cgroup none rw,cpu\n"), None);
    }

    #[test]
    fn an_announcement_without_a_filter_is_none() {
        assert_eq!(parse(&filter("u32", 0, &[]), Hook::Ingress), None);
        assert_eq!(filter_handle("u32", 0x8000_0800), "800:0:800");
    }
}
