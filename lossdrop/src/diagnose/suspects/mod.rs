//! Who is responsible for a group of drops: one file a cause.
//!
//! First each group gets its suspects, then groups with the same suspect become one, then its story is written: with the
//! numbers of all of them.

mod bpf;
mod counted;
mod device;
mod memory;
mod mtu;
mod neighbour;
mod netfilter;
mod other;
mod probed;
mod queue;
mod routing;
mod socket;
mod tunnel;
mod xfrm;

pub(super) use counted::recount;
pub(super) use netfilter::frees_in_nft;
pub(super) use socket::{process, socket_name};

use super::{
    build::others,
    context::Context,
    finding::{Culprit, Fix, Numbers},
    group::Group,
};
use crate::{
    diagnose::finding::Object,
    knowledge::{Assessment, Cause, Confidence, Kind, Severity},
};

/// What is to be said of a suspect, when all its drops are together.
type Tell<'a> = Box<dyn Fn(&Group, &Context) -> Story + 'a>;

/// What may be responsible for a group.
pub(crate) struct Suspect<'a> {
    pub assessment: Assessment,
    /// Where the culprit is: for a veth, not where the packet was.
    pub netns: u32,
    pub culprit: Option<Culprit>,
    tell: Tell<'a>,
}

impl std::fmt::Debug for Suspect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.culprit.as_ref().map(|culprit| culprit.name.as_str());
        f.debug_struct("Suspect")
            .field("kind", &self.assessment.kind.slug)
            .field("culprit", &name)
            .finish_non_exhaustive()
    }
}

/// What a finding says of its suspect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub title: String,
    pub numbers: Numbers,
    /// The lengths of the packets matter.
    pub sizes: bool,
    pub explanation: String,
    pub fixes: Vec<Fix>,
    pub look: Vec<Fix>,
}

impl Story {
    /// A title and two or three plain sentences.
    pub(crate) fn new(title: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self { title: title.into(), explanation: explanation.into(), ..Self::default() }
    }

    #[must_use]
    pub(crate) fn number(mut self, name: &'static str, value: impl Into<u64>) -> Self {
        self.numbers.insert(name, value.into());
        self
    }

    #[must_use]
    pub(crate) fn sizes(self) -> Self {
        Self { sizes: true, ..self }
    }

    /// A command that ends the drops; nothing where there is no way to the namespace.
    #[must_use]
    pub(crate) fn fix(mut self, command: Option<String>, effect: impl Into<String>) -> Self {
        self.fixes.extend(command.map(|command| Fix::new(command, effect)));
        self
    }

    /// A command that shows more.
    #[must_use]
    pub(crate) fn look(mut self, command: Option<String>, shows: impl Into<String>) -> Self {
        self.look.extend(command.map(|command| Fix::new(command, shows)));
        self
    }
}

impl<'a> Suspect<'a> {
    /// As the group's verdict has it.
    pub(crate) fn of(
        group: &Group,
        culprit: Option<Culprit>,
        tell: impl Fn(&Group, &Context) -> Story + 'a,
    ) -> Self {
        Self { assessment: group.verdict.assessment, netns: group.key.netns, culprit, tell: Box::new(tell) }
    }

    /// With another kind, and its severity.
    #[must_use]
    pub(crate) fn kind(self, kind: &'static Kind) -> Self {
        Self { assessment: Assessment { kind, severity: kind.severity, ..self.assessment }, ..self }
    }

    #[must_use]
    pub(crate) fn confidence(self, confidence: Confidence) -> Self {
        Self { assessment: Assessment { confidence, ..self.assessment }, ..self }
    }

    #[must_use]
    pub(crate) fn severity(self, severity: Severity) -> Self {
        Self { assessment: Assessment { severity, ..self.assessment }, ..self }
    }

    #[must_use]
    pub(crate) fn in_netns(self, netns: u32) -> Self {
        Self { netns, ..self }
    }

    pub(crate) fn tell(&self, group: &Group, context: &Context) -> Story {
        (self.tell)(group, context)
    }

    /// Both are the same: their drops belong to one finding.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let name =
            |suspect: &Self| suspect.culprit.as_ref().map(|culprit| (culprit.r#type, culprit.name.clone()));
        self.assessment.kind == other.assessment.kind
            && self.netns == other.netns
            && name(self) == name(other)
    }
}

/// The suspects of a group, each with its part of the drops.
pub(crate) fn suspects<'a>(group: Group, context: &Context) -> Vec<(Group, Suspect<'a>)> {
    let one = |group: Group, find: fn(&Group, &Context) -> Suspect<'static>| {
        let suspect = find(&group, context);
        vec![(group, suspect)]
    };
    match group.verdict.assessment.kind.cause {
        Cause::Netfilter => netfilter::suspects(group, context),
        Cause::Mtu => one(group, mtu::suspect),
        Cause::Queue => one(group, queue::suspect),
        Cause::Socket => one(group, socket::suspect),
        Cause::Routing => one(group, routing::suspect),
        Cause::Neighbour => one(group, neighbour::suspect),
        Cause::Bpf => one(group, bpf::suspect),
        Cause::Tunnel => one(group, tunnel::suspect),
        Cause::Memory => one(group, memory::suspect),
        Cause::Xfrm => one(group, xfrm::suspect),
        Cause::Device => one(group, device::suspect),
        Cause::Tcp | Cause::Checksum | Cause::Malformed | Cause::Housekeeping | Cause::Unknown => {
            one(group, other::suspect)
        }
    }
}

/// One suspect that stands for many of its kind.
pub(super) fn several<'a>(group: &Group, one: Suspect<'_>, names: &[String]) -> Suspect<'a> {
    let kind = one.culprit.as_ref().map_or(Object::Others, |culprit| culprit.r#type);
    let suspect = Suspect::of(group, Some(others(kind, names)), other::tell);
    Suspect { assessment: one.assessment, netns: one.netns, ..suspect }
}

#[cfg(test)]
mod tests;
