//! Reads the namespaces: several at once, each on a thread that has gone there, until the time is up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};

use super::{
    Gap, Machine, NetState, Part, addresses, conntrack, links, neighbours, nfqueue, pool::for_each, qdiscs,
    snmp, sockets, softnet, sysctl,
};
use crate::identity::namespaces::{self, Namespace, Namespaces};

/// How many namespaces are read at once: the kernel has one lock for all devices.
const THREADS: usize = 4;

/// Settings that hold for all namespaces, of which only the first shows most.
const SYSCTLS: [&str; 10] = [
    "net.core.netdev_budget",
    "net.core.netdev_budget_usecs",
    "net.core.netdev_max_backlog",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.tcp_mem",
    "net.ipv4.udp_mem",
    "net.netfilter.nf_conntrack_max",
];

impl Machine {
    /// Reads the wanted namespaces, or all if `wanted` is empty. What is not read by the deadline is a gap.
    pub fn take(namespaces: &Namespaces, wanted: &BTreeSet<u32>, deadline: Instant) -> Self {
        let mut machine = Self::shared(namespaces, deadline);
        let inums: Vec<u32> = match wanted.is_empty() {
            true => namespaces.iter().map(|(inum, _)| inum).collect(),
            false => wanted.iter().copied().collect(),
        };
        let all = namespaces.clone();
        let visit = move |inum| visit(inum, &all, deadline);
        let late = for_each(inums, THREADS, deadline, visit, |inum, result| match result {
            Ok((state, gaps)) => {
                machine.netns.insert(inum, state);
                machine.gaps.extend(gaps);
            }
            // A namespace that disappeared is not an error.
            Err(_) if is_gone(namespaces, inum) => {}
            Err(error) => machine.gaps.push(unread(&name(namespaces, inum), &error)),
        });
        let error = io::Error::from(io::ErrorKind::TimedOut);
        machine.gaps.extend(late.iter().map(|inum| unread(&name(namespaces, *inum), &error)));
        machine
    }

    /// What belongs to no namespace.
    fn shared(namespaces: &Namespaces, deadline: Instant) -> Self {
        let own = PathBuf::from("/proc/thread-self/ns/net");
        let host = namespaces.find("host").ok().and_then(|host| namespaces.get(host));
        let path = host.map_or(own, |host| host.path.clone());
        let limit = deadline.saturating_duration_since(Instant::now());
        within(&path, limit, |_| {
            let sysctls = SYSCTLS.iter().filter_map(|key| Some(((*key).to_owned(), sysctl::here(key)?)));
            Self {
                softnet: softnet::parse(&net("softnet_stat")),
                sysctls: sysctls.collect(),
                neighbour_tables: neighbour_tables(),
                ..Self::default()
            }
        })
        .unwrap_or_else(|error| Self {
            gaps: vec![Gap {
                what: format!("the counters of the CPUs and the machine's settings: {error}"),
                consequence: "losses in the CPUs' backlogs are unknown".to_owned(),
            }],
            ..Self::default()
        })
    }
}

fn is_gone(namespaces: &Namespaces, inum: u32) -> bool {
    namespaces.get(inum).is_none_or(|namespace| namespaces::inum(&namespace.path) != Some(inum))
}

fn name(namespaces: &Namespaces, inum: u32) -> String {
    namespaces.get(inum).map_or_else(|| inum.to_string(), |namespace| namespace.name.clone())
}

fn unread(name: &str, error: &io::Error) -> Gap {
    Gap {
        what: format!("the network namespace {name}: {error}"),
        consequence: "its counters and settings are unknown".to_owned(),
    }
}

/// A file below `/proc/net`, as the thread's namespace has it; empty if there is none.
fn net(file: &str) -> String {
    fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).unwrap_or_default()
}

fn neighbour_tables() -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for table in ["arp_cache", "ndisc_cache"] {
        let sums = conntrack::sums(&net(&format!("stat/{table}")));
        counters.extend(sums.into_iter().map(|(name, sum)| (format!("{table}.{name}"), sum)));
    }
    counters
}

/// Opens a namespace, if its path still leads there: a process may have left meanwhile, or another have its number.
pub(crate) fn open(inum: u32, namespace: &Namespace) -> io::Result<File> {
    let file = File::open(&namespace.path)?;
    if file.metadata()?.ino() == u64::from(inum) { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Reads one namespace, to which the calling thread goes for good.
fn visit(wanted: u32, namespaces: &Namespaces, deadline: Instant) -> io::Result<(NetState, Vec<Gap>)> {
    let namespace = namespaces.get(wanted).ok_or(io::ErrorKind::NotFound)?;
    setns(open(wanted, namespace)?, CloneFlags::CLONE_NEWNET)?;
    let mut gaps = Gaps { name: &namespace.name, unread: BTreeSet::new(), found: Vec::new() };
    let mut state = NetState {
        inum: wanted,
        links: gaps.note(Part::Links, links::read(wanted, namespaces, deadline)),
        addresses: gaps.note(Part::Addresses, addresses::read(deadline)),
        snmp: gaps.note(Part::Counters, snmp::read()),
        conntrack: conntrack::read(),
        nfqueues: nfqueue::parse(&net("netfilter/nfnetlink_queue")),
        listeners: gaps.note(Part::Listeners, sockets::listeners(deadline)),
        udp: gaps.note(Part::Udp, sockets::udp(deadline)),
        neighbours: gaps.note(Part::Neighbours, neighbours::read(deadline)),
        ..NetState::default()
    };
    let txqlen = |index| state.link(index).map(|link| link.txqlen);
    state.qdiscs = gaps.note(Part::Qdiscs, qdiscs::read(txqlen, deadline));
    state.classes = gaps.note(Part::Classes, qdiscs::classes(&state.qdiscs, deadline));
    state.unread = gaps.unread;
    Ok((state, gaps.found))
}

/// What a namespace did not tell.
struct Gaps<'a> {
    name: &'a str,
    unread: BTreeSet<Part>,
    found: Vec<Gap>,
}

impl Gaps<'_> {
    fn note<T: Default>(&mut self, part: Part, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            let what = part.name();
            self.unread.insert(part);
            self.found.push(Gap {
                what: format!("the {what} of {}: {error}", self.name),
                consequence: format!("nothing is known by its {what}"),
            });
            T::default()
        })
    }
}

/// Calls a function on a thread in a namespace, and waits for it until the time is up.
pub(crate) fn within<T: Send + 'static>(
    netns: &Path,
    limit: Duration,
    work: impl FnOnce(Instant) -> T + Send + 'static,
) -> io::Result<T> {
    let deadline = Instant::now() + limit;
    let file = File::open(netns)?;
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let result = setns(&file, CloneFlags::CLONE_NEWNET).map(|()| work(deadline));
        // Whoever asked may have gone.
        let _ = sender.send(result);
    });
    match result.recv_timeout(limit) {
        Ok(result) => Ok(result?),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the thread in the namespace died"))
        }
    }
}
