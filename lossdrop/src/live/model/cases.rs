//! Cases: first a group of drops that look alike, then the culprits that a look at the machine names.

use std::{collections::HashMap, time::Duration};

use super::table::is_rule;
use crate::{
    diagnose::{
        build::Named,
        finding::{Culprit, Finding, Object},
        group::{GroupKey, Target},
    },
    drops::{Kept, packet, verdict::Verdict},
    knowledge::{Assessment, Kind, Severity},
};

/// The number of a case.
pub(crate) type CaseId = u32;

/// Groups that are kept apart; drops beyond are grouped by kind and device alone.
const GROUPS_AT_MOST: usize = 4096;
/// Culprits of one kind in one namespace; those beyond are reported together.
const OF_ONE_KIND: usize = 24;

/// A case of drops.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub assessment: Assessment,
    pub culprit: Option<Culprit>,
    pub evidence: Vec<String>,
    pub finding: Option<Finding>,
    /// When the finding was made, since the counting began.
    pub at: Duration,
    pub sample: Option<Kept>,
    /// Drops that look alike, and no culprit.
    group: Option<Target>,
    /// For such: whose its drops were when the machine was last looked at.
    parts: Vec<(CaseId, u64)>,
    search: Search,
    /// The number of its rule; 0 for none.
    rule: u32,
}

impl Case {
    /// What stands for the culprit while none is named: what the drops have in common.
    pub(crate) fn target(&self) -> Option<String> {
        match self.group.as_ref()? {
            Target::None | Target::Number(_) => None,
            Target::Hook(hook) => Some(hook.clone()).filter(|hook| !hook.is_empty()),
            Target::Port(l4, address, 0) => Some(format!("{} {address}", packet::protocol_word(*l4))),
            Target::Port(l4, address, port) => {
                Some(format!("{} {}", packet::protocol_word(*l4), packet::endpoint(*address, *port)))
            }
            Target::Destination(address) | Target::Path(_, address) => Some(format!("to {address}")),
        }
    }
}

/// How far the search for the culprit of a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    Wanted,
    /// The machine was looked at since its first drop.
    UnderWay,
    Over,
}

/// What makes a culprit the same one as before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    kind: &'static Kind,
    netns: u32,
    /// Type and name.
    culprit: Option<(Object, String)>,
}

/// A group, whose its drops are, and whether that is exact.
pub(super) type Resolved = (CaseId, Vec<(CaseId, u64)>, bool);

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cases {
    all: Vec<Case>,
    /// Noise apart from what is none.
    groups: HashMap<(GroupKey, bool), CaseId>,
    known: HashMap<Identity, CaseId>,
    of_kind: HashMap<(&'static Kind, u32), usize>,
    /// Names of rules with their namespaces: a rule may be the culprit of several cases.
    rules: Vec<(u32, String)>,
}

impl Cases {
    pub(crate) fn get(&self, id: CaseId) -> Option<&Case> {
        self.all.get(id as usize)
    }

    fn add(&mut self, case: Case) -> CaseId {
        self.all.push(case);
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    /// The case that stands for a group.
    pub(super) fn of_group(&mut self, mut key: GroupKey, verdict: &Verdict) -> CaseId {
        if let Some(known) = self.known_group(&key, verdict) {
            return known;
        }
        if self.groups.len() >= GROUPS_AT_MOST {
            key.target = Target::None;
            if let Some(known) = self.known_group(&key, verdict) {
                return known;
            }
        }
        let id = self.add(Case {
            assessment: verdict.assessment,
            culprit: None,
            evidence: verdict.evidence.clone(),
            finding: None,
            at: Duration::ZERO,
            sample: None,
            group: Some(key.target.clone()),
            parts: Vec::new(),
            search: Search::Wanted,
            rule: 0,
        });
        self.groups.insert((key, verdict.assessment.severity == Severity::Benign), id);
        id
    }

    /// A group is as bad as the worst of its drops, and as sure as the least sure of them.
    fn known_group(&mut self, key: &GroupKey, verdict: &Verdict) -> Option<CaseId> {
        let id = *self.groups.get(&(key.clone(), verdict.assessment.severity == Severity::Benign))?;
        let case = self.all.get_mut(id as usize)?;
        case.assessment.severity = case.assessment.severity.max(verdict.assessment.severity);
        case.assessment.confidence = case.assessment.confidence.min(verdict.assessment.confidence);
        Some(id)
    }

    /// Takes in the culprits; returns for each group whose its drops are, and whether that is exact.
    pub(super) fn learn(&mut self, named: Vec<Named>, at: Duration) -> Vec<Resolved> {
        let mut resolved: HashMap<CaseId, (Vec<(CaseId, u64)>, bool)> = HashMap::new();
        for named in named {
            let parts = named.parts.clone();
            let exact = named.finding.as_ref().is_none_or(|finding| finding.exact);
            let id = self.culprit(named, at);
            for (group, count) in parts {
                if let Some(group) = self.groups.get(&(group, false)) {
                    let (parts, all_exact) = resolved.entry(*group).or_insert((Vec::new(), true));
                    parts.push((id, count));
                    *all_exact &= exact;
                }
            }
        }
        let mut resolved: Vec<Resolved> =
            resolved.into_iter().map(|(group, (parts, exact))| (group, parts, exact)).collect();
        for (_, parts, exact) in &mut resolved {
            // Which of several had a drop that no look has seen is a guess.
            *exact &= parts.iter().filter(|(_, weight)| *weight > 0).count() < 2;
        }
        resolved.sort_unstable();
        for (group, parts, _) in &resolved {
            if let Some(case) = self.all.get_mut(*group as usize) {
                case.parts.clone_from(parts);
            }
        }
        resolved
    }

    /// The case of a culprit, with the latest that is known of it.
    fn culprit(&mut self, named: Named, at: Duration) -> CaseId {
        let kind = named.assessment.kind;
        let name = named.culprit.as_ref().map(|culprit| (culprit.r#type, culprit.name.clone()));
        let mut identity = Identity { kind, netns: named.netns, culprit: name };
        let mut culprit = named.culprit;
        if !self.known.contains_key(&identity) {
            let of_kind = self.of_kind.entry((kind, named.netns)).or_default();
            *of_kind += 1;
            if *of_kind > OF_ONE_KIND {
                identity.culprit = Some((Object::Others, String::new()));
                culprit = Some(Culprit::new(Object::Others, "others"));
            }
        }
        let evidence = named.finding.as_ref().map(|finding| finding.evidence.clone()).unwrap_or_default();
        if let Some(id) = self.known.get(&identity) {
            if let Some(known) = self.all.get_mut(*id as usize)
                && (named.assessment.confidence >= known.assessment.confidence || known.finding.is_none())
            {
                known.assessment = named.assessment;
                known.evidence = evidence;
                known.finding = named.finding;
                known.culprit = culprit;
                known.at = at;
                known.sample = named.sample.or(known.sample.take());
            }
            return *id;
        }
        let rule = self.number_rule(named.assessment.kind, named.netns, culprit.as_ref());
        let id = self.add(Case {
            assessment: named.assessment,
            culprit,
            evidence,
            finding: named.finding,
            at,
            sample: named.sample,
            group: None,
            parts: Vec::new(),
            search: Search::Over,
            rule,
        });
        self.known.insert(identity, id);
        id
    }

    /// The number of a case's rule, from 1; 0 for none.
    pub(super) fn rule(&self, id: CaseId) -> u32 {
        self.get(id).map_or(0, |case| case.rule)
    }

    pub(super) fn rule_name(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.rules.get(index).map(|(_, name)| name.as_str())
    }

    /// Numbers the rule, if the culprit is one.
    fn number_rule(&mut self, kind: &Kind, netns: u32, culprit: Option<&Culprit>) -> u32 {
        let Some(culprit) = culprit.filter(|culprit| is_rule(kind, culprit)) else { return 0 };
        let known = self.rules.iter().position(|(of, name)| *of == netns && *name == culprit.name);
        let index = known.unwrap_or_else(|| {
            self.rules.push((netns, culprit.name.clone()));
            self.rules.len() - 1
        });
        u32::try_from(index + 1).unwrap_or(0)
    }

    /// The machine was looked at after a drop of this case.
    pub(super) fn note_survey(&mut self, id: CaseId) {
        if let Some(case) = self.all.get_mut(id as usize)
            && case.search == Search::Wanted
        {
            case.search = Search::UnderWay;
        }
    }

    /// The search is over: what has no culprit now gets none by looking again at once. Groups whose first drops came
    /// after the look still wait for theirs.
    pub(super) fn searched(&mut self) {
        for case in self.all.iter_mut().filter(|case| case.search == Search::UnderWay) {
            case.search = Search::Over;
        }
    }

    /// A group whose culprit was not looked for yet. Noise has none.
    pub(super) fn is_unnamed(&self, id: CaseId) -> bool {
        self.get(id)
            .is_some_and(|case| case.search != Search::Over && case.assessment.severity != Severity::Benign)
    }

    /// Whose the drops of a case are: its own, or by weights those of the culprits that its group had last.
    pub(super) fn resolve(&self, id: CaseId) -> &[(CaseId, u64)] {
        self.get(id).map(|case| case.parts.as_slice()).unwrap_or_default()
    }
}
