//! What a diagnosis is made of, made up: drops in groups, and a machine of two namespaces that cannot be asked.

use std::{path::PathBuf, time::Instant};

use lossdrop_common::{DropKey, Event, Facts};

use super::{ipv4, packet};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Finding},
        group::{Group, GroupKey, Target},
        place::Places,
    },
    drops::{Detail, Kept, verdict::Verdict},
    identity::{Identity, Namespace, Namespaces},
    knowledge::{Assessment, Confidence, Kind},
    machine::{Link, Machine, Moved, NetState, Scope},
};

pub(crate) const UDP: u8 = 17;
pub(crate) const TCP: u8 = 6;
/// Called `web`; in `facts()` the other end of the veth is there.
pub(crate) const WEB: u32 = 42;
/// Called `edge`.
pub(crate) const EDGE: u32 = 7;
/// Nothing leads there.
pub(crate) const GONE: u32 = 9;

pub(crate) fn namespaces() -> Namespaces {
    Namespaces::from_known([(WEB, "web"), (EDGE, "edge")].map(|(inum, name)| {
        let path = PathBuf::from(format!("/run/netns/{name}"));
        (inum, Namespace::new(Identity::Named(name.to_owned()), path))
    }))
}

/// Nothing is known but the namespaces, and there is no time to ask.
pub(crate) fn context() -> Context {
    Context {
        before: machine([]),
        after: machine([]),
        moved: Vec::new(),
        rules: [].into(),
        places: Places::new(namespaces()),
        frees_in_nft: false,
        owners: [].into(),
        deadline: Instant::now(),
    }
}

pub(crate) fn machine(states: impl IntoIterator<Item = NetState>) -> Machine {
    Machine { netns: states.into_iter().map(|state| (state.inum, state)).collect(), ..Machine::default() }
}

pub(crate) fn state(inum: u32, links: impl IntoIterator<Item = Link>) -> NetState {
    NetState { inum, links: links.into_iter().collect(), ..NetState::default() }
}

/// A device that is up.
pub(crate) fn link(index: u32, name: &str, mtu: u32) -> Link {
    Link { index, name: name.to_owned(), mtu, flags: 1, carrier: true, ..Link::default() }
}

pub(crate) fn moved(netns: u32, scope: Scope, name: &str, delta: u64) -> Moved {
    Moved { netns: Some(netns), scope, name: name.to_owned(), delta }
}

pub(crate) fn of_link(index: u32, name: &str) -> Scope {
    Scope::Link { index, name: name.to_owned() }
}

pub(crate) fn verdict(kind: &'static Kind) -> Verdict {
    Verdict {
        assessment: Assessment::new(kind, Confidence::Likely),
        evidence: vec!["the kernel says so".to_owned()],
    }
}

/// The key of an IPv4 packet on device 2 of a namespace.
pub(crate) fn key(netns: u32, l4: u8) -> DropKey {
    DropKey { netns, ..ipv4(l4, &[]) }
}

/// From 10.0.0.1 port 40000 to 10.0.0.2 at the port, of so many bytes of IP, at `veth0` in a namespace.
pub(crate) fn event(netns: u32, l4: u8, port: u16, len: u32) -> Event {
    let event = packet(key(netns, l4), "10.0.0.1", "10.0.0.2", Some((40_000, port)));
    Event { len, skb_len: len + 14, ..event }
}

pub(crate) fn sample(event: Event, facts: Option<Facts>) -> Kept {
    let detail = Detail { event, facts: facts.map(Into::into) };
    Kept { detail, unix_ns: 1_000, frames: [].into(), packet: [].into(), owner: None }
}

/// Drops of one kind, all reported in detail, at the device and in the namespace of the first.
pub(crate) fn group(kind: &'static Kind, target: Target, samples: impl IntoIterator<Item = Kept>) -> Group {
    let mut samples = samples.into_iter().peekable();
    let first = samples.peek().map(|sample| sample.event.key).unwrap_or_default();
    let key = GroupKey { kind, netns: first.netns, ifindex: first.ifindex, target };
    let mut group = Group::new(key, verdict(kind));
    for sample in samples {
        *group.keys.entry(sample.event.key).or_default() += 1;
        group.count += 1;
        group.add_kept(&sample);
    }
    group
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// In `web`, sure, and traced.
pub(crate) fn finding(
    kind: &'static Kind,
    count: u64,
    culprit: Culprit,
    numbers: impl IntoIterator<Item = (&'static str, u64)>,
) -> Finding {
    Finding {
        assessment: Assessment::new(kind, Confidence::Certain),
        traced: true,
        title: kind.title.to_owned(),
        count,
        exact: true,
        first_ts: None,
        last_ts: None,
        netns: Some("web".to_owned()),
        culprit: Some(culprit),
        numbers: numbers.into_iter().collect(),
        sizes: Vec::new(),
        flows: Vec::new(),
        evidence: Vec::new(),
        explanation: "It was so.".to_owned(),
        fixes: Vec::new(),
        look: Vec::new(),
    }
}
