//! Programs and filters that drop: XDP, tc, cgroups.

use std::path::{Path, PathBuf};

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    identity::owners::Owner,
    kernel::programs::{self, Program},
    knowledge::{Confidence, kinds},
    machine::{Filter, Hook, cgroup_root},
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let kind = group.verdict.assessment.kind;
    if kind == &kinds::BPF_XDP {
        xdp(group, context)
    } else if kind == &kinds::BPF_TC_INGRESS {
        tc(Hook::Ingress, group, context)
    } else if kind == &kinds::BPF_TC_EGRESS {
        tc(Hook::Egress, group, context)
    } else if kind == &kinds::BPF_CGROUP_EGRESS || kind == &kinds::BPF_CGROUP_INGRESS {
        let owner = group.find(|sample| sample.owner.clone());
        cgroup(owner.as_ref(), group, context)
    } else {
        other::suspect(group, context)
    }
}

/// `drop_all id 12`.
fn called(program: &Program) -> String {
    match &program.name {
        Some(name) => format!("{name} id {}", program.id),
        None => format!("id {}", program.id),
    }
}

fn xdp(group: &Group, context: &Context) -> Suspect<'static> {
    let netns = group.key.netns;
    let Some(link) = context.link(netns, group.key.ifindex) else { return other::suspect(group, context) };
    // A veth runs the program of the end that receives, which is where the packet is.
    let (id, mode) = match (link.xdp.native, link.xdp.generic, link.xdp.offload) {
        (Some(id), ..) => (id, "xdpdrv"),
        (_, Some(id), _) => (id, "xdpgeneric"),
        (.., Some(id)) => (id, "xdpoffload"),
        _ => return other::suspect(group, context),
    };
    let program = Program::named(id);
    let device = link.name.clone();
    let culprit = Culprit::new(Object::Program, format!("{} on {device}", called(&program)))
        .text(mode)
        .with("id", id)
        .with("dev", device.clone());
    Suspect::of(group, Some(culprit), move |group, context| {
        let netns = group.key.netns;
        let text = format!(
            "The XDP program {} ({mode}) on {device} looks at each packet before the kernel does, and said drop. It was loaded to do \
             that: a firewall, a load balancer, DDoS protection.",
            called(&program)
        );
        Story::new(format!("the XDP program {} drops them at {device}", called(&program)), text)
            .number("id", id)
            .fix(
                context.places.ip(netns, &format!("link set dev {device} {mode} off")),
                "takes the program off the device, with all else that it does; its owner may put it back",
            )
            .look(Some(format!("bpftool prog show id {id}")), "who loaded it, and when")
    })
    .confidence(Confidence::Certain)
}

fn tc(hook: Hook, group: &Group, context: &Context) -> Suspect<'static> {
    let netns = group.key.netns;
    let Some(device) = other::device(group, context).map(|device| device.name) else {
        return other::suspect(group, context);
    };
    let Some(attached) = context.attached(netns, group.key.ifindex) else {
        return other::suspect(group, context);
    };
    let able = able(attached.filters.into_iter().filter(|filter| filter.hook == hook));
    let programs: Vec<&Program> =
        attached.tcx.iter().filter(|(at, _)| *at == hook).map(|(_, program)| program).collect();
    let confidence =
        if able.len() + programs.len() == 1 { Confidence::Certain } else { Confidence::Possible };
    if let Some(filter) = able.into_iter().next() {
        return tc_filter(filter, device, group).confidence(confidence);
    }
    let Some(program) = programs.first().map(|program| (*program).clone()) else {
        return other::suspect(group, context);
    };
    let culprit = Culprit::new(Object::Program, format!("{} on {device}", called(&program)))
        .text(format!("tcx {hook}"))
        .with("id", program.id)
        .with("dev", device.clone());
    Suspect::of(group, Some(culprit), move |_, _| {
        let text = format!(
            "The BPF program {} at the tcx {hook} hook of {device} said drop. It was attached to do that, such as a container network.",
            called(&program)
        );
        Story::new(format!("the tc program {} drops them at {device}", called(&program)), text)
            .number("id", program.id)
            .look(Some(format!("bpftool prog show id {}", program.id)), "who loaded it, and when")
    })
    .confidence(confidence)
}

/// A filter that drops where the discipline of a handle sorts packets into its classes.
pub(super) fn classifier(
    handle: u32,
    device: &str,
    group: &Group,
    context: &Context,
) -> Option<Suspect<'static>> {
    let filters = context.filters(group.key.netns, group.key.ifindex, Hook::Qdisc(handle));
    let able = able(filters.into_iter());
    let confidence = if able.len() == 1 { Confidence::Certain } else { Confidence::Possible };
    let filter = able.into_iter().next()?;
    Some(tc_filter(filter, device.to_owned(), group).confidence(confidence))
}

/// Those of the filters that may have dropped.
fn able(filters: impl Iterator<Item = Filter>) -> Vec<Filter> {
    let mut able: Vec<Filter> = filters.filter(|filter| filter.drops() || filter.program.is_some()).collect();
    // An action counts what it drops.
    if able.iter().any(|filter| dropped(filter) > 0) {
        able.retain(|filter| dropped(filter) > 0 || filter.program.is_some());
    }
    able
}

/// Packets that a filter's actions have dropped since it was set up.
fn dropped(filter: &Filter) -> u32 {
    filter.dropper().map_or(0, |action| action.counters.drops)
}

fn tc_filter(filter: Filter, device: String, group: &Group) -> Suspect<'static> {
    let hook = filter.hook;
    let name = match &filter.program {
        Some(program) => format!("{} on {device}", called(program)),
        None => format!("filter {} pref {} on {device}", filter.kind, filter.preference),
    };
    let culprit = Culprit::new(if filter.program.is_some() { Object::Program } else { Object::Filter }, name)
        .text(format!("tc filter {hook} pref {} {} handle {}", filter.preference, filter.kind, filter.handle))
        .with("dev", device.clone())
        .with("pref", filter.preference);
    // One that polices lets through what its rate allows.
    let police = filter.dropper().filter(|action| action.kind == "police").cloned();
    let kind = match (&police, hook) {
        (Some(_), _) => &kinds::BPF_TC_POLICE,
        (None, Hook::Ingress) => &kinds::BPF_TC_INGRESS,
        (None, Hook::Egress | Hook::Qdisc(_)) => &kinds::BPF_TC_EGRESS,
    };
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let netns = group.key.netns;
        let rate = police.as_ref().and_then(|police| police.rate).map(|rate| rate * 8);
        let what = match &filter.program {
            Some(program) => format!("the BPF program {}", called(program)),
            None => format!("its action {}", actions(&filter)),
        };
        let text = format!(
            "A tc filter at {} of {device} ({} pref {}) matched the packets, and {what} dropped {}. It was set up to do that.",
            match hook {
                Hook::Ingress | Hook::Egress => format!("the {hook}"),
                Hook::Qdisc(_) => format!("the queue ({hook})"),
            },
            filter.kind,
            filter.preference,
            match rate {
                Some(rate) => format!("those over its rate of {rate} bit/s"),
                None => "them".to_owned(),
            }
        );
        let title = match (&police, hook) {
            (Some(_), _) => format!("a tc policer drops what is over its rate at {device}"),
            (None, Hook::Qdisc(_)) => format!("a tc filter of the queue drops them at {device}"),
            (None, _) => format!("a tc {hook} filter drops them at {device}"),
        };
        let story = Story::new(title, text);
        let story = match filter.dropper() {
            Some(action) => story.number("packets", action.counters.drops),
            None => story,
        };
        let story = match rate {
            Some(rate) => story.number("rate", rate),
            None => story,
        };
        story
            .fix(
                context
                    .places
                    .tc(netns, &format!("filter del dev {device} {hook} pref {}", filter.preference)),
                "takes the filter away, with all else that it does",
            )
            .look(
                context.places.tc(netns, &format!("-s filter show dev {device} {hook}")),
                "the filters and their counts",
            )
    });
    if kind == group.verdict.assessment.kind { suspect } else { suspect.kind(kind) }
}

fn actions(filter: &Filter) -> String {
    let kinds: Vec<&str> =
        filter.actions.iter().filter(|action| action.drops).map(|action| action.kind.as_str()).collect();
    if kinds.is_empty() { "of unknown kind".to_owned() } else { kinds.join(", ") }
}

/// A program that sees the packets of a process, and the cgroup that it is attached to: the topmost that has it.
fn attached_to(owner: &Owner, egress: bool) -> Option<(Program, PathBuf)> {
    let root = cgroup_root()?;
    let effective = |path: &Path| {
        let attached = programs::cgroup(&root.join(path)).ok()?;
        Some(if egress { attached.egress } else { attached.ingress })
    };
    let mut path = PathBuf::from(owner.cgroup.trim_start_matches('/'));
    let program = effective(&path)?.into_iter().next()?;
    while let Some(above) = path.parent().map(Path::to_owned) {
        if !effective(&above).is_some_and(|programs| programs.contains(&program)) {
            break;
        }
        path = above;
    }
    Some((program, path))
}

/// Some program of its cgroup sees what a process receives.
pub(super) fn is_watched(owner: &Owner) -> bool {
    attached_to(owner, false).is_some()
}

/// A program of the process's cgroup, or of one above it.
pub(super) fn cgroup(owner: Option<&Owner>, group: &Group, context: &Context) -> Suspect<'static> {
    let egress = group.verdict.assessment.kind == &kinds::BPF_CGROUP_EGRESS;
    let found = owner.and_then(|owner| attached_to(owner, egress));
    let Some((program, path)) = found else { return other::suspect(group, context) };
    let directory = cgroup_root().unwrap_or_default().join(&path);
    let directory = directory.display().to_string();
    let path = format!("/{}", path.display());
    let culprit = Culprit::new(Object::Program, format!("{} on cgroup {path}", called(&program)))
        .text(if egress { "cgroup egress" } else { "cgroup ingress" })
        .with("id", program.id)
        .with("cgroup", path.clone());
    Suspect::of(group, Some(culprit), move |_, _| {
        let way = if egress { "egress" } else { "ingress" };
        let text = format!(
            "The BPF program {} on the cgroup {path} looks at what its processes send and receive ({way}), and refused the packets. systemd \
             (IPAddressDeny=), container runtimes and security agents attach such programs.",
            called(&program)
        );
        Story::new(format!("the cgroup program {} refuses them", called(&program)), text)
            .number("id", program.id)
            .look(Some(format!("bpftool cgroup show {directory} effective")), "the programs of this cgroup")
            .look(
                Some(format!("bpftool prog show id {}", program.id)),
                "who loaded it: that one must take it off",
            )
    })
}
