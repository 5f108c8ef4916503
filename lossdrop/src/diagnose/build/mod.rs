//! From groups to findings: suspects are named, groups with the same one become one, the worst come first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use lossdrop_common::DropKey;

use super::{
    collect::Collected,
    context::{Context, Rules},
    finding::{Benign, CounterLine, Culprit, Diagnosis, Finding},
    group::{Group, GroupKey},
    place::Places,
    reconcile::{self, Part},
    ruled_out::ruled_out,
    survey::Survey,
    suspects::{self, Suspect, several, suspects},
    untraced,
};
use crate::{
    diagnose::finding::Object,
    drops::{Kept, accounting::Accounting, select::Selection},
    identity::{namespaces::Namespaces, owners},
    kernel::counters::Counters,
    knowledge::{Assessment, KINDS, Kind, Severity},
    machine,
    text::JSON_VERSION,
};

/// The questions that are still asked when the run is over may take so long in all.
const QUESTIONS: Duration = Duration::from_secs(3);
/// Findings of one kind in one namespace; those of fewer drops are reported together.
const OF_ONE_KIND: usize = 8;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// All if it is empty.
    pub netns: BTreeSet<u32>,
    /// The filters in words; `None` without any.
    pub filter: Option<String>,
    pub selection: Selection,
}

/// What the surveys and the run found.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub namespaces: Namespaces,
    pub before: Survey,
    pub after: Survey,
    pub collected: Collected,
    pub counters: Counters,
    pub elapsed: Duration,
    pub scope: Scope,
    /// As `uname -r` says.
    pub kernel: String,
    pub host: String,
}

/// The whole diagnosis.
pub(crate) fn diagnosis(evidence: Evidence) -> Diagnosis {
    let Evidence { namespaces, before, after, mut collected, counters, elapsed, scope, kernel, host } =
        evidence;
    let mut notes: BTreeSet<String> = before.notes.union(&after.notes).cloned().collect();
    let mut context = context(Places::new(namespaces), before, after, &collected.groups);
    collected.judge(|group| suspects::recount(group, &context));
    let suspected = gather(suspected(collected.groups, &context));
    leave_out_others(&mut context, &scope, &suspected);
    let (selected, refused) = select(found(&suspected, &context), &scope.selection);
    let (findings, mut parts) = numbered(selected);
    parts.extend(unshown(&collected.noise, &refused));
    let lines = reconcile::lines(&context, &parts, &findings);
    let unselected = drops_of(refused.iter().map(|(finding, _)| finding));
    notes.extend(remarks(&counters, &scope, &lines, unselected));
    Diagnosis {
        v: JSON_VERSION,
        accounting: books(&counters, &findings, &collected.benign, unselected),
        ruled_out: ruled_out(&context, &findings),
        counters: lines,
        benign: benign(collected.benign),
        findings,
        notes: notes.into_iter().collect(),
        duration_s: elapsed.as_secs_f64(),
        kernel,
        host,
    }
}

/// A finding with the drops that it stands for.
type Found = (Finding, Vec<Part>);

/// What is responsible for a group of drops, and which parts of the groups that were collected that is.
struct Suspected<'a> {
    group: Group,
    suspect: Suspect<'a>,
    parts: Vec<(GroupKey, u64)>,
}

/// Groups with their suspects: those with the same one are one.
fn suspected<'a>(groups: Vec<Group>, context: &Context) -> Vec<Suspected<'a>> {
    let mut all: Vec<Suspected<'a>> = Vec::new();
    for group in groups {
        let key = group.key.clone();
        for (group, suspect) in suspects(group, context) {
            let part = (key.clone(), group.count);
            match all.iter_mut().find(|known| known.suspect.is(&suspect)) {
                Some(known) => known.absorb(Suspected { group, suspect, parts: vec![part] }),
                None => all.push(Suspected { group, suspect, parts: vec![part] }),
            }
        }
    }
    all
}

impl Suspected<'_> {
    /// Takes in drops of the same suspect, or of one that it stands for. It is as sure as the least sure of them.
    fn absorb(&mut self, other: Suspected<'_>) {
        let confidence = &mut self.suspect.assessment.confidence;
        *confidence = (*confidence).min(other.suspect.assessment.confidence);
        self.group.absorb(other.group);
        self.parts.extend(other.parts);
    }

    fn culprit(&self) -> Option<&str> {
        self.suspect.culprit.as_ref().map(|culprit| culprit.name.as_str())
    }
}

/// Namespaces that were not asked for are left out, unless a culprit is in one.
fn leave_out_others(context: &mut Context, scope: &Scope, suspected: &[Suspected<'_>]) {
    if scope.netns.is_empty() {
        return;
    }
    let culprits: BTreeSet<u32> = suspected.iter().map(|known| known.suspect.netns).collect();
    let asked_for = |netns: u32| scope.netns.contains(&netns) || culprits.contains(&netns);
    context.moved.retain(|moved| moved.netns.is_none_or(asked_for));
    context.after.netns.retain(|netns, _| asked_for(*netns));
}

/// A finding for each suspect, made as sure as the kernel's counters allow, and those of losses that only they tell of.
fn found(suspected: &[Suspected<'_>], context: &Context) -> Vec<Found> {
    let mut found = findings(suspected, context);
    let traced: Vec<Part> = found.iter().flat_map(|(_, parts)| parts.clone()).collect();
    let untraced = untraced::findings(context, &traced).into_iter();
    found.extend(untraced.map(|(finding, part)| (finding, vec![part])));
    found
}

fn findings(suspected: &[Suspected<'_>], context: &Context) -> Vec<Found> {
    let of = |known: &Suspected<'_>| {
        (finding(&known.group, &known.suspect, context), parts(&known.group, &known.suspect))
    };
    let mut findings: Vec<Found> = suspected.iter().map(of).collect();
    reconcile::confirm(context, &mut findings);
    findings
}

/// Those that were asked for, the worst first, and the others.
fn select(found: Vec<Found>, selection: &Selection) -> (Vec<Found>, Vec<Found>) {
    let (mut selected, refused): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|(finding, _)| selection.takes(&finding.assessment));
    selected.sort_by_cached_key(|(finding, _)| rank(finding));
    (selected, refused)
}

/// Drops that move counters, too, though no finding that is shown stands for them.
fn unshown<'a>(
    noise: &'a [(DropKey, &'static Kind, u64)],
    refused: &'a [Found],
) -> impl Iterator<Item = Part> + 'a {
    let noise = noise.iter().map(|(key, kind, count)| Part {
        finding: None,
        kind,
        key: *key,
        count: *count,
        netns: key.netns,
        device: String::new(),
        benign: true,
    });
    noise.chain(refused.iter().flat_map(|(_, parts)| parts.clone()))
}

/// Drops that findings stand for; what only counters tell of are none.
fn drops_of<'a>(findings: impl Iterator<Item = &'a Finding>) -> u64 {
    findings.filter(|finding| finding.traced).map(|finding| finding.count).sum()
}

/// A culprit, for a live view: what a diagnosis says of it, and which drops are its own.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub assessment: Assessment,
    /// Where the culprit is.
    pub netns: u32,
    pub culprit: Option<Culprit>,
    /// `None` for noise.
    pub finding: Option<Finding>,
    /// Its part of each group.
    pub parts: Vec<(GroupKey, u64)>,
    /// The last that was reported in detail.
    pub sample: Option<Kept>,
}

/// The culprits of a part of a run: between two surveys.
pub(crate) fn named(
    namespaces: Namespaces,
    before: Survey,
    after: Survey,
    mut collected: Collected,
) -> Vec<Named> {
    collected.find_late_owners();
    let context = context(Places::new(namespaces), before, after, &collected.groups);
    for group in &mut collected.groups {
        suspects::recount(group, &context);
    }
    let is_noise = |group: &Group| group.verdict.assessment.benign();
    let (noisy, groups): (Vec<Group>, Vec<Group>) = collected.groups.into_iter().partition(is_noise);
    let suspected = suspected(groups, &context);
    let findings = findings(&suspected, &context);
    let culprits = suspected.into_iter().zip(findings).map(|(known, (finding, _))| Named {
        assessment: finding.assessment,
        netns: known.suspect.netns,
        culprit: finding.culprit.clone(),
        finding: Some(finding),
        parts: known.parts,
        sample: known.group.samples.last().cloned(),
    });
    noisy.into_iter().map(noise).chain(culprits).collect()
}

fn noise(group: Group) -> Named {
    Named {
        assessment: group.verdict.assessment,
        netns: group.key.netns,
        culprit: None,
        finding: None,
        sample: group.samples.last().cloned(),
        parts: vec![(group.key, group.count)],
    }
}

fn context(places: Places, before: Survey, after: Survey, groups: &[Group]) -> Context {
    let mut rules: BTreeMap<u32, Rules> = BTreeMap::new();
    let mut old = before.rules;
    for (netns, after) in after.rules {
        let before = old.remove(&netns).unwrap_or_default();
        let counted = before.ended..after.began;
        let complete = before.complete && after.complete;
        rules.insert(netns, Rules { before: before.ruleset, after: after.ruleset, complete, counted });
    }
    let moved = machine::delta(&before.machine, &after.machine);
    // The processes behind listeners, and behind sockets that lost something.
    let inodes = after.machine.netns.values().flat_map(|state| {
        let listeners = state.listeners.iter().map(|socket| u64::from(socket.inode));
        let udp = state.udp.iter().filter(|socket| socket.drops > 0).map(|socket| u64::from(socket.inode));
        listeners.chain(udp)
    });
    let inodes = inodes.filter(|inode| *inode != 0).collect();
    Context {
        owners: owners::find(&inodes).into_iter().collect(),
        frees_in_nft: suspects::frees_in_nft(groups),
        before: before.machine,
        after: after.machine,
        moved,
        rules,
        places,
        deadline: Instant::now() + QUESTIONS,
    }
}

/// A scan of a thousand ports is one finding, not a thousand.
fn gather<'a>(mut suspected: Vec<Suspected<'a>>) -> Vec<Suspected<'a>> {
    suspected.sort_by_key(|known| std::cmp::Reverse(known.group.count));
    let mut numbers: HashMap<(&Kind, u32), usize> = HashMap::new();
    let mut kept = Vec::new();
    let mut rest: BTreeMap<(&Kind, u32), Vec<Suspected<'a>>> = BTreeMap::new();
    for known in suspected {
        let of_kind = (known.suspect.assessment.kind, known.suspect.netns);
        let number = numbers.entry(of_kind).or_default();
        *number += 1;
        if *number < OF_ONE_KIND {
            kept.push(known);
        } else {
            rest.entry(of_kind).or_default().push(known);
        }
    }
    for mut others in rest.into_values() {
        let Some(mut last) = others.pop() else { continue };
        if !others.is_empty() {
            let names = std::iter::once(&last).chain(&others).filter_map(Suspected::culprit);
            let names: Vec<String> = names.map(str::to_owned).collect();
            others.into_iter().for_each(|other| last.absorb(other));
            last.suspect = several(&last.group, last.suspect, &names);
        }
        kept.push(last);
    }
    kept
}

fn parts(group: &Group, suspect: &Suspect<'_>) -> Vec<Part> {
    let device = suspect
        .culprit
        .as_ref()
        .filter(|culprit| culprit.r#type == Object::Device)
        .map(|culprit| culprit.name.clone())
        .unwrap_or_default();
    let part = |(key, count): (&DropKey, &u64)| Part {
        finding: None,
        kind: suspect.assessment.kind,
        key: *key,
        count: *count,
        netns: suspect.netns,
        device: device.clone(),
        benign: false,
    };
    group.keys.iter().map(part).collect()
}

fn finding(group: &Group, suspect: &Suspect<'_>, context: &Context) -> Finding {
    let story = suspect.tell(group, context);
    let timestamp = |unix_ns: i128| Some(format!("{:.9}", Timestamp::from_nanosecond(unix_ns).ok()?));
    let reported = group.detailed > 0;
    Finding {
        assessment: suspect.assessment,
        traced: true,
        title: story.title,
        count: group.count,
        exact: group.exact,
        first_ts: reported.then(|| timestamp(group.first_ns)).flatten(),
        last_ts: reported.then(|| timestamp(group.last_ns)).flatten(),
        netns: context.places.name(suspect.netns),
        culprit: suspect.culprit.clone(),
        numbers: story.numbers,
        sizes: if story.sizes { group.sizes() } else { Vec::new() },
        flows: group.top_flows(),
        evidence: group.verdict.evidence.clone(),
        explanation: story.explanation,
        fixes: story.fixes,
        look: story.look,
    }
}

/// The worst first: what is always a fault before what is one by chance, what is sure before what is not, the more
/// frequent first.
fn rank(finding: &Finding) -> impl Ord + use<> {
    let place = KINDS.iter().position(|kind| *kind == finding.assessment.kind).unwrap_or(usize::MAX);
    let culprit = finding.culprit.as_ref().map(|culprit| culprit.name.clone());
    (
        std::cmp::Reverse((
            finding.assessment.severity,
            finding.assessment.kind.severity,
            finding.assessment.confidence,
            finding.count,
        )),
        place,
        culprit,
        finding.netns.clone(),
    )
}

/// The parts know by which finding they are reported.
fn numbered(findings: Vec<Found>) -> (Vec<Finding>, Vec<Part>) {
    let mut all = Vec::new();
    let findings = findings.into_iter().enumerate().map(|(index, (finding, parts))| {
        all.extend(parts.into_iter().map(|part| Part { finding: Some(index), ..part }));
        finding
    });
    (findings.collect(), all)
}

fn benign(noise: BTreeMap<String, (&'static Kind, u64)>) -> Vec<Benign> {
    let mut benign: Vec<Benign> = noise
        .into_values()
        .map(|(kind, count)| Benign { kind, count })
        .filter(|noise| noise.count > 0)
        .collect();
    benign.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.slug.cmp(b.kind.slug)));
    benign
}

fn books(
    counters: &Counters,
    findings: &[Finding],
    benign: &BTreeMap<String, (&'static Kind, u64)>,
    unselected: u64,
) -> Accounting {
    let shown = drops_of(findings.iter());
    let noise: u64 = benign.values().map(|(_, count)| count).sum();
    let counted = counters.counted();
    Accounting {
        seen: counters.seen,
        shown,
        suppressed: noise + unselected + counters.other.count,
        filtered: counters.filtered,
        // Those that have no key; a lost detail is still counted under its key.
        lost: counters.seen.saturating_sub(counters.filtered + counted + counters.other.count),
        benign: noise,
        unselected,
    }
}

fn remarks(counters: &Counters, scope: &Scope, lines: &[CounterLine], unselected: u64) -> BTreeSet<String> {
    let mut remarks = BTreeSet::new();
    let details = counters.details_lost();
    if details > 0 {
        remarks.insert(format!(
            "details that found no room in the ring buffer (--buffer makes it larger): {details}; all drops are counted, and those are reported \
             by their kind alone"
        ));
    }
    if counters.other.count > 0 {
        remarks.insert(format!(
            "{} drops are of kinds for which the key table had no room (--keys makes it larger): they are counted as suppressed",
            counters.other.count
        ));
    }
    if unselected > 0 {
        remarks.insert(format!(
            "drops of other causes than {}: {unselected}, counted as suppressed",
            scope.selection
        ));
    }
    if let Some(filter) =
        scope.filter.as_ref().filter(|_| lines.iter().any(|line| line.explained < line.delta))
    {
        remarks.insert(format!(
            "the kernel's counters count all packets, the findings only those that pass the filter ({filter})"
        ));
    }
    remarks
}

/// The worst severity decides the exit code.
pub(crate) fn is_healthy(diagnosis: &Diagnosis) -> bool {
    diagnosis.severity() <= Severity::Policy
}

/// A culprit that stands for several.
pub(super) fn others(kind: Object, names: &[String]) -> Culprit {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    Culprit::new(kind, format!("{} others", names.len())).text(format!("{}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests;
