//! Netfilter: the rule or policy that said drop, or what else in it did.

mod full_table;
mod packet;

use full_table::conntrack;
use packet::packet;

use super::{Story, Suspect, other, probed};
use crate::{
    diagnose::{
        context::{Context, Rules},
        finding::{Culprit, Object},
        group::{Group, share_out},
    },
    drops::Kept,
    knowledge::{Confidence, Kind, Severity, kinds},
    rules::{
        self, Blame, Candidate, Certainty, Comparison, Place, Undecided, Verdict, What, blame,
        delete_command,
        hook::{Engine, HookPoint, hook},
    },
};

pub(super) fn suspects<'a>(group: Group, context: &Context) -> Vec<(Group, Suspect<'a>)> {
    let kind = group.verdict.assessment.kind;
    let by_rules =
        [&kinds::NETFILTER_DROP, &kinds::NETFILTER_PMTU_BLACKHOLE, &kinds::NETFILTER_NFQUEUE_NO_LISTENER];
    let Some(point) = group.find(|sample| hook(&sample.frames)).filter(|_| by_rules.contains(&kind)) else {
        let suspect = other::suspect(&group, context);
        return vec![(group, suspect)];
    };
    let (mut found, group) = conntrack(group, point, context);
    let Some(group) = group else { return found };
    let Some(rules) = context.rules.get(&group.key.netns) else {
        let suspect = unnamed(&group, point);
        found.push((group, suspect));
        return found;
    };
    let comparison = Comparison::new(&rules.before, &rules.after);
    let place = place(point, context);
    let sampled: Vec<(Vec<Candidate>, u64)> = group
        .samples
        .iter()
        .map(|sample| (probed::narrowed(comparison.candidates(&place, &packet(sample, point)), sample), 1))
        .collect();
    let blame = judge(&sampled, &group, rules);
    let whole = blame.culprits.len() + blame.undecided.len() + usize::from(blame.unexplained > 0) == 1;
    let part = |count: u64, wanted: &dyn Fn(&Candidate) -> bool| {
        if whole {
            let mut whole = group.clone();
            whole.count = count;
            return whole;
        }
        let own =
            sampled.iter().zip(&group.samples).filter(|((candidates, _), _)| candidates.iter().any(wanted));
        group.part(count, own.map(|(_, sample)| sample.clone()))
    };
    for culprit in &blame.culprits {
        let own = part(culprit.count, &|candidate| candidate.is(&culprit.candidate));
        let suspect = rule(&own, culprit, point, context);
        found.push((own, suspect));
    }
    for undecided in &blame.undecided {
        let own =
            part(undecided.count, &|candidate| undecided.candidates.iter().any(|one| one.is(candidate)));
        let suspect = one_of(&own, undecided, point);
        found.push((own, suspect));
    }
    if blame.unexplained > 0 {
        let own =
            if whole { group.clone() } else { group.part(blame.unexplained, group.samples.iter().cloned()) };
        let suspect = unnamed(&own, point);
        found.push((own, suspect));
    }
    found
}

/// Blames for the packets that the counters have counted, since counts and deltas are compared; then for all.
fn judge(sampled: &[(Vec<Candidate>, u64)], group: &Group, rules: &Rules) -> Blame {
    let inside = |sample: &Kept| rules.counted.contains(&sample.unix_ns);
    let counted: Vec<(Vec<Candidate>, u64)> = sampled
        .iter()
        .zip(&group.samples)
        .filter(|(_, sample)| inside(sample))
        .map(|(sampled, _)| sampled.clone())
        .collect();
    if counted.is_empty() || counted.len() == sampled.len() {
        return blame(sampled, group.count);
    }
    let (all, part) = (sampled.len() as u64, counted.len() as u64);
    let (parts, _) = share_out(group.count, &[part, all - part]);
    let mut blame = blame(&counted, parts[0]);
    let counts: Vec<u64> = blame
        .culprits
        .iter()
        .map(|culprit| culprit.count)
        .chain(blame.undecided.iter().map(|undecided| undecided.count))
        .chain([blame.unexplained])
        .collect();
    let (whole, _) = share_out(group.count, &counts);
    let mut whole = whole.into_iter();
    for culprit in &mut blame.culprits {
        culprit.count = whole.next().unwrap_or(culprit.count);
    }
    for undecided in &mut blame.undecided {
        undecided.count = whole.next().unwrap_or(undecided.count);
    }
    blame.unexplained = whole.next().unwrap_or(blame.unexplained);
    blame
}

/// What the rules are asked for.
fn place(point: HookPoint, context: &Context) -> Place {
    let nft = match point.engine {
        Engine::Nft => Some(true),
        // A kernel that frees nft's drops in nft's own code shows so elsewhere in the run; one that does not never does.
        Engine::Other => context.frees_in_nft.then_some(false),
        Engine::Queue => None,
    };
    Place { family: point.family, hook: point.hook, nft, queued: point.engine == Engine::Queue }
}

/// A rule or a policy.
fn rule<'a>(group: &Group, culprit: &rules::Culprit, point: HookPoint, context: &Context) -> Suspect<'a> {
    let candidate = culprit.candidate.clone();
    let kind = kind_of(group.verdict.assessment.kind, &candidate, group, context);
    let by_chance = matches!(candidate.what, What::Rule { by_chance: true, .. });
    let severity = if by_chance { Severity::Fault } else { kind.severity };
    let confidence = match culprit.certainty {
        Certainty::Likely => Confidence::Likely,
        Certainty::Certain => Confidence::Certain,
    };
    let why = culprit.why.clone();
    let described = describe(&candidate, kind);
    Suspect::of(group, Some(described), move |group, context| {
        let story = tell_rule(&candidate, kind, &why, point, group, context);
        match candidate.delta {
            Some(delta) => story.number("packets", delta),
            None => story,
        }
    })
    .kind(kind)
    .severity(severity)
    .confidence(confidence)
}

fn kind_of(verdict: &'static Kind, candidate: &Candidate, group: &Group, context: &Context) -> &'static Kind {
    if verdict == &kinds::NETFILTER_PMTU_BLACKHOLE {
        return verdict;
    }
    match &candidate.what {
        What::Policy => &kinds::NETFILTER_POLICY,
        What::Rule { verdict: Verdict::Queue, .. } => {
            let state = context.state(group.key.netns);
            let listened = state.is_some_and(|state| {
                queue_number(&candidate.text())
                    .is_none_or(|number| state.nfqueues.iter().any(|queue| u64::from(queue.number) == number))
                    && !state.nfqueues.is_empty()
            });
            if listened { &kinds::NETFILTER_NFQUEUE_FULL } else { &kinds::NETFILTER_NFQUEUE_NO_LISTENER }
        }
        What::Rule { verdict: Verdict::SynProxy, .. } => &kinds::NETFILTER_SYNPROXY,
        What::Rule { ct_invalid: true, .. } => &kinds::NETFILTER_CONNTRACK_INVALID,
        What::Rule { verdict: Verdict::Reject, .. } => &kinds::NETFILTER_REJECT,
        What::Rule { .. } => &kinds::NETFILTER_RULE,
    }
}

/// The queue's number in a rule's text; without one it is 0.
fn queue_number(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace().skip_while(|word| !matches!(*word, "queue" | "NFQUEUE"));
    words.next()?;
    Some(words.find_map(|word| word.split(['-', ':']).next()?.parse().ok()).unwrap_or(0))
}

fn describe(candidate: &Candidate, kind: &Kind) -> Culprit {
    let queue = (kind.slug == "nfqueue-no-listener" || kind.slug == "nfqueue-full")
        .then(|| queue_number(&candidate.text()))
        .flatten();
    let culprit = match (&candidate.what, queue) {
        (_, Some(number)) => Culprit::new(Object::Nfqueue, format!("NFQUEUE {number}")).with("queue", number),
        (What::Rule { .. }, None) => Culprit::new(Object::Rule, candidate.name()),
        (What::Policy, None) => Culprit::new(Object::Chain, candidate.name()),
    };
    let culprit = culprit
        .text(candidate.text())
        .with("family", candidate.family.name())
        .with("table", candidate.table.clone())
        .with("chain", candidate.chain.clone())
        .with("hook", candidate.hook.name())
        .with("path", candidate.path.clone());
    match &candidate.what {
        What::Rule { position, handle, .. } => culprit.with("position", *position).with("handle", *handle),
        What::Policy => culprit,
    }
}

fn tell_rule(
    candidate: &Candidate,
    kind: &'static Kind,
    why: &str,
    point: HookPoint,
    group: &Group,
    context: &Context,
) -> Story {
    let netns = group.key.netns;
    let name = candidate.name();
    let jumps = if candidate.path.is_empty() {
        String::new()
    } else {
        format!(" It is reached from {}.", candidate.path.join(", then "))
    };
    let (title, what) = words(candidate, kind, &name);
    let text = format!(
        "{what} It was met at the hook {point}{}.{jumps} {}",
        in_netns(netns, context),
        other::sentence(why)
    );
    let (command, effect) = delete_command(candidate);
    let story = Story::new(title, text);
    let story = match mtu_of_message(group).filter(|_| kind == &kinds::NETFILTER_PMTU_BLACKHOLE) {
        Some(mtu) => story.number("mtu", mtu),
        None => story,
    };
    let story = match queue_number(&candidate.text()).filter(|_| kind.slug.starts_with("nfqueue")) {
        Some(number) => story.number("queue", number),
        None => story,
    };
    story.fix(context.places.exec(netns, &command), effect)
}

fn in_netns(netns: u32, context: &Context) -> String {
    context.places.of(netns).replacen(" of", " in", 1)
}

/// A title, and what the rule does in a sentence.
fn words(candidate: &Candidate, kind: &'static Kind, name: &str) -> (String, String) {
    if kind == &kinds::NETFILTER_PMTU_BLACKHOLE {
        return (
            "a firewall eats the message that packets are too big".to_owned(),
            format!(
                "{name} drops ICMP \"fragmentation needed\" (ICMPv6 \"packet too big\"). Whoever sent the large packets never learns that \
                 send smaller ones: connections open, then hang as soon as much data flows (a PMTU black hole). Let these messages \
                 pass."
            ),
        );
    }
    match &candidate.what {
        What::Policy => (
            format!("the policy of {} drops what no rule lets through", candidate.chain),
            format!("No rule of the chain {} let the packets through, and its policy is drop.", candidate.chain),
        ),
        What::Rule { by_chance: true, .. } => (
            "a rule drops by chance or by rate".to_owned(),
            "The rule drops only some of the packets that it is about, by chance, rate or quota: \"now and then\" to whoever sends \
             them."
                .to_owned(),
        ),
        What::Rule { verdict: Verdict::SynProxy, .. } => (
            "SYNPROXY refuses acknowledgements whose cookie is wrong".to_owned(),
            "The rule answers SYNs in the server's place and lets a client through only when its acknowledgement brings the cookie back. \
             These did not: an ACK flood, clients that answer after minutes, or connections that are older than the rule \
             (conntrack calls them invalid, as net.netfilter.nf_conntrack_tcp_loose is 0)."
                .to_owned(),
        ),
        What::Rule { ct_invalid: true, .. } => (
            "a rule drops what conntrack finds invalid".to_owned(),
            "The packets belong to no connection that conntrack knows, so a rule on ctstate INVALID drops them: asymmetric routing, a \
             connection that timed out in conntrack, or segments outside of its window (net.netfilter.nf_conntrack_tcp_be_liberal)."
                .to_owned(),
        ),
        What::Rule { verdict: Verdict::Queue, .. } if kind == &kinds::NETFILTER_NFQUEUE_FULL => (
            "a program behind NFQUEUE is too slow".to_owned(),
            "The rule hands the packets to a program, and its queue is full: the program takes too long.".to_owned(),
        ),
        What::Rule { verdict: Verdict::Queue, .. } => (
            "no program listens on an NFQUEUE".to_owned(),
            "The rule hands the packets to a program by NFQUEUE, and no program listens on that queue. The option bypass (nft: queue flags \
             bypass, iptables: --queue-bypass) would let them pass meanwhile."
                .to_owned(),
        ),
        What::Rule { verdict: Verdict::Reject, .. } => (
            format!("{name} rejects them"),
            "A rule was set up that refuses these packets and tells the sender so.".to_owned(),
        ),
        What::Rule { .. } => (format!("{name} drops them"), "A rule was set up that drops these packets.".to_owned()),
    }
}

/// The MTU that an ICMP "fragmentation needed" or ICMPv6 "packet too big" tells.
fn mtu_of_message(group: &Group) -> Option<u64> {
    group.find(|sample| {
        let (at, wide) = if sample.is_ipv6() {
            (40 + 4, true)
        } else {
            (usize::from(sample.packet.first()? & 0x0f) * 4 + 6, false)
        };
        let bytes = sample.packet.get(at..)?;
        Some(if wide {
            u32::from_be_bytes(*bytes.first_chunk()?).into()
        } else {
            u16::from_be_bytes(*bytes.first_chunk()?).into()
        })
    })
}

/// Several rules, of which the facts do not say which.
fn one_of<'a>(group: &Group, undecided: &Undecided, point: HookPoint) -> Suspect<'a> {
    let names: Vec<String> = undecided.candidates.iter().map(Candidate::name).collect();
    let texts: Vec<String> = undecided
        .candidates
        .iter()
        .map(|candidate| format!("{}: {}", candidate.name(), candidate.text()))
        .collect();
    let culprit = Culprit::new(Object::Rules, names.join(" or ")).text(texts.join("; "));
    Suspect::of(group, Some(culprit), move |group, context| {
        let text = format!(
            "At the hook {point}{} several rules fit these packets, and neither counters nor conditions tell which of them it was: {}. \
             Rules with counters would tell.",
            in_netns(group.key.netns, context),
            texts.join("; ")
        );
        Story::new("one of several rules drops them", text).look(
            context.places.exec(group.key.netns, "nft -a list ruleset"),
            "the rules with their handles",
        )
    })
    .confidence(Confidence::Possible)
}

/// No rule that was read fits.
fn unnamed<'a>(group: &Group, point: HookPoint) -> Suspect<'a> {
    let culprit = Culprit::new(Object::Hook, point.to_string());
    let kind = group.verdict.assessment.kind;
    Suspect::of(group, Some(culprit), move |group, context| {
        let complete = context.rules.get(&group.key.netns).is_some_and(|rules| rules.complete);
        let why = if complete {
            "No rule or policy that could be read fits the packets: another module of netfilter, or a rule that is gone."
        } else {
            "The rules could not all be read (see the notes), so that which one it was stays open."
        };
        let text = format!("Netfilter said drop at the hook {point}{}. {why}", in_netns(group.key.netns, context));
        Story::new(kind.title, text)
            .look(context.places.exec(group.key.netns, "nft -a list ruleset"), "the rules of nft and iptables-nft")
            .look(context.places.exec(group.key.netns, "iptables-legacy-save -c"), "the legacy rules and their counts")
    })
    .confidence(Confidence::Likely)
}

/// Whether some drop was freed in nft's own code: a kernel that frees there shows so.
pub(in crate::diagnose) fn frees_in_nft(groups: &[Group]) -> bool {
    let samples = groups.iter().flat_map(|group| &group.samples);
    samples.filter_map(|sample| hook(&sample.frames)).any(|point| point.engine == Engine::Nft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_the_number_in_the_rule() {
        assert_eq!(queue_number("-A INPUT -p udp -j NFQUEUE --queue-num 3"), Some(3));
        assert_eq!(queue_number("udp dport 9 queue to 7"), Some(7));
        assert_eq!(queue_number("udp dport 9 queue flags bypass to 2-5"), Some(2));
        assert_eq!(queue_number("-j NFQUEUE"), Some(0));
        assert_eq!(queue_number("udp dport 9 drop"), None);
    }
}
