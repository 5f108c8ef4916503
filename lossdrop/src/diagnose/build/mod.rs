//! From groups to findings: suspects are named, groups with the same one become one, the worst come first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    collect::Collected,
    context::{Context, Rules},
    finding::{Benign, Culprit, Diagnosis, Finding},
    group::{Group, GroupKey},
    place::Places,
    reconcile::{self, Part},
    ruled_out::ruled_out,
    survey::Survey,
    suspects::{self, Suspect, several, suspects},
    untraced,
};
use crate::{
    drops::{Kept, accounting::Accounting, select::Selection},
    identity::{namespaces::Namespaces, owners},
    kernel::counters::Counters,
    knowledge::{Confidence, KINDS, Kind, Severity},
    machine,
};

/// The questions that are still asked when the run is over may take so long in all.
const QUESTIONS: Duration = Duration::from_secs(3);
/// Findings of one kind in one namespace; those of fewer drops are told together.
const OF_ONE_KIND: usize = 8;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// All if it is empty.
    pub netns: BTreeSet<u32>,
    /// The filters in words; `None` without any.
    pub filter: Option<String>,
    pub selection: Selection,
}

/// What the surveys and the run found.
#[derive(Debug)]
pub struct Evidence {
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
pub fn diagnosis(evidence: Evidence) -> Diagnosis {
    let Evidence { namespaces, before, after, mut collected, counters, elapsed, scope, kernel, host } =
        evidence;
    let mut notes = before.notes.clone();
    notes.extend(after.notes.iter().cloned());
    let mut context = context(Places::new(namespaces), before, after, &collected.groups);
    collected.judge(|group| suspects::recount(group, &context));
    let named = name(collected.groups, &context);
    if !scope.netns.is_empty() {
        // Other namespaces were not asked for, unless a culprit is in one.
        let culprits: BTreeSet<u32> = named.iter().map(|(_, suspect)| suspect.netns).collect();
        let asked_for = |netns: u32| scope.netns.contains(&netns) || culprits.contains(&netns);
        context.moved.retain(|moved| moved.netns.is_none_or(asked_for));
        context.after.netns.retain(|netns, _| asked_for(*netns));
    }
    let mut findings: Vec<(Finding, Vec<Part>)> = named
        .into_iter()
        .map(|(group, suspect)| {
            let parts = parts(&group, &suspect);
            (finding(&group, &suspect, &context), parts)
        })
        .collect();
    reconcile::confirm(&context, &mut findings);
    let traced: Vec<Part> = findings.iter().flat_map(|(_, parts)| parts.clone()).collect();
    let untraced: Vec<_> = untraced::findings(&context, &traced)
        .into_iter()
        .map(|(finding, part)| (finding, vec![part]))
        .collect();
    findings.extend(untraced);
    let (mut findings, refused): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|(finding, _)| scope.selection.takes_kind(finding.kind, finding.severity));
    findings.sort_by_cached_key(|(finding, _)| rank(finding));
    let (findings, mut all_parts) = numbered(findings);
    all_parts.extend(collected.noise.iter().map(|(key, kind, count)| Part {
        finding: None,
        kind,
        key: *key,
        count: *count,
        netns: key.netns,
        device: String::new(),
        benign: true,
    }));
    all_parts.extend(refused.iter().flat_map(|(_, parts)| parts.clone()));
    let lines = reconcile::lines(&context, &all_parts, &findings);
    let unselected =
        refused.iter().filter(|(finding, _)| finding.traced).map(|(finding, _)| finding.count).sum();
    let books = books(&counters, &findings, &collected.benign, unselected);
    notes.extend(remarks(&counters));
    if unselected > 0 {
        notes.insert(format!(
            "drops of other causes than {}: {unselected}, counted as suppressed",
            scope.selection
        ));
    }
    if let Some(filter) = scope.filter.filter(|_| lines.iter().any(|line| line.explained < line.delta)) {
        notes.insert(format!(
            "the kernel's counters count all packets, the findings only those that pass the filter ({filter})"
        ));
    }
    Diagnosis {
        ruled_out: ruled_out(&context, &findings),
        counters: lines,
        benign: benign(collected.benign),
        findings,
        notes: notes.into_iter().collect(),
        accounting: books,
        duration_s: elapsed.as_secs_f64(),
        kernel,
        host,
    }
}

/// A culprit, for a live view: what a diagnosis says of it, and which drops are its own.
#[derive(Clone, Debug)]
pub struct Named {
    pub kind: &'static Kind,
    pub severity: Severity,
    pub confidence: Confidence,
    /// Where the culprit is.
    pub netns: u32,
    pub culprit: Option<Culprit>,
    /// `None` for noise.
    pub finding: Option<Finding>,
    /// Its part of each group.
    pub parts: Vec<(GroupKey, u64)>,
    /// The last that was told in detail.
    pub sample: Option<Kept>,
}

/// A suspect, and which drops are its own.
struct Suspected<'a> {
    group: Group,
    suspect: Suspect<'a>,
    parts: Vec<(GroupKey, u64)>,
}

/// The culprits of a part of a run: between two surveys.
pub fn named(namespaces: Namespaces, before: Survey, after: Survey, mut collected: Collected) -> Vec<Named> {
    collected.find_late_owners();
    let context = context(Places::new(namespaces), before, after, &collected.groups);
    let mut named: Vec<Named> = Vec::new();
    let mut suspected: Vec<Suspected<'_>> = Vec::new();
    for mut group in collected.groups {
        suspects::recount(&mut group, &context);
        let key = group.key.clone();
        if group.verdict.severity == Severity::Benign {
            named.push(noise(key, group));
            continue;
        }
        for (group, suspect) in suspects(group, &context) {
            let part = (key.clone(), group.count);
            match suspected.iter_mut().find(|known| known.suspect.is(&suspect)) {
                Some(known) => {
                    known.suspect.confidence = known.suspect.confidence.min(suspect.confidence);
                    known.group.absorb(group);
                    known.parts.push(part);
                }
                None => suspected.push(Suspected { group, suspect, parts: vec![part] }),
            }
        }
    }
    let mut findings: Vec<(Finding, Vec<Part>)> = suspected
        .iter()
        .map(|Suspected { group, suspect, .. }| (finding(group, suspect, &context), parts(group, suspect)))
        .collect();
    reconcile::confirm(&context, &mut findings);
    named.extend(suspected.into_iter().zip(findings).map(|(known, (finding, _))| Named {
        kind: finding.kind,
        severity: finding.severity,
        confidence: finding.confidence,
        netns: known.suspect.netns,
        culprit: finding.culprit.clone(),
        finding: Some(finding),
        parts: known.parts,
        sample: known.group.samples.last().cloned(),
    }));
    named
}

fn noise(key: GroupKey, group: Group) -> Named {
    Named {
        kind: group.verdict.kind,
        severity: group.verdict.severity,
        confidence: group.verdict.confidence,
        netns: key.netns,
        culprit: None,
        finding: None,
        parts: vec![(key, group.count)],
        sample: group.samples.last().cloned(),
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

/// Groups with their suspects, one for each suspect.
fn name<'a>(groups: Vec<Group>, context: &Context) -> Vec<(Group, Suspect<'a>)> {
    let mut named: Vec<(Group, Suspect<'a>)> = Vec::new();
    for (group, suspect) in groups.into_iter().flat_map(|group| suspects(group, context)) {
        match named.iter_mut().find(|(_, known)| known.is(&suspect)) {
            Some((known, by)) => {
                by.confidence = by.confidence.min(suspect.confidence);
                known.absorb(group);
            }
            None => named.push((group, suspect)),
        }
    }
    gather(named)
}

/// A scan of a thousand ports is one finding, not a thousand.
fn gather<'a>(mut named: Vec<(Group, Suspect<'a>)>) -> Vec<(Group, Suspect<'a>)> {
    named.sort_by_key(|(group, _)| std::cmp::Reverse(group.count));
    let mut seen: HashMap<(String, u32), usize> = HashMap::new();
    let mut kept = Vec::new();
    let mut rest: BTreeMap<(String, u32), Vec<(Group, Suspect<'a>)>> = BTreeMap::new();
    for (group, suspect) in named {
        let key = (suspect.kind.to_string(), suspect.netns);
        let number = seen.entry(key.clone()).or_default();
        *number += 1;
        if *number < OF_ONE_KIND {
            kept.push((group, suspect));
        } else {
            rest.entry(key).or_default().push((group, suspect));
        }
    }
    for mut others in rest.into_values() {
        let Some((mut group, suspect)) = others.pop() else { continue };
        if others.is_empty() {
            kept.push((group, suspect));
            continue;
        }
        let names: Vec<String> = std::iter::once(&suspect)
            .chain(others.iter().map(|(_, suspect)| suspect))
            .filter_map(|suspect| Some(suspect.culprit.as_ref()?.name.clone()))
            .collect();
        for (other, _) in others {
            group.absorb(other);
        }
        let suspect = several(&group, suspect, &names);
        kept.push((group, suspect));
    }
    kept
}

fn parts(group: &Group, suspect: &Suspect<'_>) -> Vec<Part> {
    let device = suspect
        .culprit
        .as_ref()
        .filter(|culprit| culprit.r#type == "device")
        .map(|culprit| culprit.name.clone())
        .unwrap_or_default();
    let part = |(key, count): (&lossdrop_common::DropKey, &u64)| Part {
        finding: None,
        kind: suspect.kind,
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
    let told = group.detailed > 0;
    Finding {
        cause: suspect.kind.class.as_str(),
        kind: suspect.kind,
        severity: suspect.severity,
        confidence: suspect.confidence,
        traced: true,
        title: story.title,
        count: group.count,
        exact: group.exact,
        first_ts: told.then(|| timestamp(group.first_ns)).flatten(),
        last_ts: told.then(|| timestamp(group.last_ns)).flatten(),
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
    let place = KINDS.iter().position(|kind| *kind == finding.kind).unwrap_or(usize::MAX);
    let culprit = finding.culprit.as_ref().map(|culprit| culprit.name.clone());
    (
        std::cmp::Reverse((finding.severity, finding.kind.severity, finding.confidence, finding.count)),
        place,
        culprit,
        finding.netns.clone(),
    )
}

/// The parts know by which finding they are told.
fn numbered(findings: Vec<(Finding, Vec<Part>)>) -> (Vec<Finding>, Vec<Part>) {
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
    let shown = findings.iter().filter(|finding| finding.traced).map(|finding| finding.count).sum();
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

fn remarks(counters: &Counters) -> BTreeSet<String> {
    let mut remarks = BTreeSet::new();
    let details = counters.details_lost();
    if details > 0 {
        remarks.insert(format!(
            "details that found no room in the ring buffer (--buffer makes it larger): {details}; all drops are counted, and those are told \
             by their kind alone"
        ));
    }
    if counters.other.count > 0 {
        remarks.insert(format!(
            "{} drops are of kinds for which the key table had no room (--keys makes it larger): they are counted as suppressed",
            counters.other.count
        ));
    }
    remarks
}

/// The worst severity decides the exit code.
pub fn is_healthy(diagnosis: &Diagnosis) -> bool {
    diagnosis.severity() <= Severity::Policy
}

/// A culprit that stands for several.
pub(super) fn crowd(kind: &'static str, names: &[String]) -> Culprit {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    Culprit::new(kind, format!("{} others", names.len())).text(format!("{}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests;
