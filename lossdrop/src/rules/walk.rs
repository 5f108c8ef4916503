//! The way of a packet through the chains of a hook.

use super::{
    candidates::{Candidate, Decisive, Place, What},
    evaluate::{self, looked_up},
    model::{Base, Chain, Operand, Rule, Ruleset, Table, Values, Verdict},
    packet::Packet,
    values::Truth,
};
use crate::knowledge::{Family, Hook};

/// How a chain lets a packet go, unless it dropped it.
#[derive(Clone, Copy, Debug)]
struct Flow {
    /// It may come out at the end, or return.
    continues: bool,
    /// It may have been accepted.
    accepted: bool,
}

/// Rules looked at for one packet, at the most.
const RULES_AT_MOST: usize = 200_000;
/// Deeper than the kernel jumps (`NFT_JUMP_STACK_SIZE` is 16).
const DEPTH_AT_MOST: usize = 32;

pub(super) struct Walk<'a> {
    place: Place,
    packet: &'a Packet,
    sets_marks: bool,
    table: &'a Table,
    path: Vec<&'a str>,
    budget: usize,
    found: Vec<Candidate>,
}

/// A rule that is reached in several ways is one candidate.
fn add(found: &mut Vec<Candidate>, candidate: Candidate) {
    match found.iter_mut().find(|known| known.is(&candidate)) {
        Some(known) => known.sure |= candidate.sure,
        None => found.push(candidate),
    }
}

impl<'a> Walk<'a> {
    /// Through every base chain of the place, by priority.
    pub(super) fn of(
        ruleset: &'a Ruleset,
        place: Place,
        packet: &'a Packet,
        sets_marks: bool,
    ) -> Vec<Candidate> {
        let mut bases: Vec<(&Table, &Chain, &Base)> = Vec::new();
        for table in ruleset.tables.iter().filter(|table| sees(table, place)) {
            let of_table = table.chains.iter().filter_map(|chain| Some((table, chain, chain.base.as_ref()?)));
            bases.extend(
                of_table.filter(|(_, _, base)| base.hook == place.hook && of_device(base, place, packet)),
            );
        }
        bases.sort_by_key(|(_, _, base)| base.priority);
        let mut found = Vec::new();
        for (table, chain, base) in bases {
            let mut walk =
                Self { place, packet, sets_marks, table, path: Vec::new(), budget: RULES_AT_MOST, found };
            // Known connections pass by chains of type nat. Accepted in one base chain, a packet goes on to the next.
            let flow = walk.chain(chain, !base.nat);
            let policy_drops = flow.continues && base.drops;
            if policy_drops && !place.queued {
                walk.policy(chain, !base.nat && !flow.accepted);
            }
            found = walk.found;
            if !base.nat && !flow.accepted && (policy_drops || !flow.continues) {
                break;
            }
        }
        found
    }

    fn chain(&mut self, chain: &'a Chain, mut sure: bool) -> Flow {
        let mut flow = Flow { continues: false, accepted: false };
        if self.path.len() >= DEPTH_AT_MOST {
            return Flow { continues: true, accepted: true };
        }
        for rule in &chain.rules {
            let Some(budget) = self.budget.checked_sub(1) else {
                return Flow { continues: true, accepted: true };
            };
            self.budget = budget;
            let matches = evaluate::rule(rule, self.table, self.packet, self.sets_marks);
            if matches == Truth::No {
                continue;
            }
            let Step { ends, went } = self.follow(chain, rule, &rule.verdict, None, sure, matches);
            flow.accepted |= went.accepted;
            if ends == Truth::Yes {
                flow.continues |= went.continues;
                return flow;
            }
            flow.continues |= went.continues;
            // It may be elsewhere by now, other than dropped.
            sure &= !(went.accepted || went.continues);
        }
        flow.continues = true;
        flow
    }

    /// What a verdict does to a packet that matches so.
    fn follow(
        &mut self,
        chain: &'a Chain,
        rule: &'a Rule,
        verdict: &'a Verdict,
        element: Option<Decisive>,
        sure: bool,
        matches: Truth,
    ) -> Step {
        let sure_here = sure && matches == Truth::Yes;
        let step = |continues, accepted| Step { ends: matches, went: Flow { continues, accepted } };
        match verdict {
            Verdict::Continue => Step::ON,
            Verdict::Accept => step(false, true),
            Verdict::Stolen => step(false, false),
            Verdict::Return => step(true, false),
            Verdict::Drop | Verdict::Reject | Verdict::SynProxy => {
                if !self.place.queued {
                    self.rule(chain, rule, verdict, element, sure_here);
                }
                step(false, false)
            }
            Verdict::Queue => {
                if self.place.queued {
                    self.rule(chain, rule, verdict, element, sure_here);
                }
                step(false, true)
            }
            Verdict::Unknown(_) => {
                if !self.place.queued {
                    self.rule(chain, rule, verdict, element, false);
                }
                Step { ends: Truth::Maybe, went: Flow { continues: false, accepted: true } }
            }
            Verdict::Jump(target) | Verdict::Goto(target) => {
                let Some(target) = self.table.chain(target) else { return Step::ON };
                self.path.push(&chain.name);
                let went = self.chain(target, sure_here);
                self.path.pop();
                let goto = matches!(verdict, Verdict::Goto(_));
                // A jump comes back here; a goto ends this chain, too.
                let ends = if !goto && went.continues { Truth::Maybe } else { matches };
                if !goto && went.continues && !went.accepted {
                    // Whether it went there or not, it is back, unless it was dropped.
                    return Step::ON;
                }
                Step { ends, went: Flow { continues: goto && went.continues, ..went } }
            }
            Verdict::Map { key, elements } => self.map(chain, rule, key.as_deref(), elements, sure, matches),
        }
    }

    fn map(
        &mut self,
        chain: &'a Chain,
        rule: &'a Rule,
        key: Option<&'a [Operand]>,
        elements: &'a Values,
        sure: bool,
        matches: Truth,
    ) -> Step {
        let found = looked_up(key, elements, self.table, self.packet, self.sets_marks);
        let mut all = Step { ends: Truth::No, went: Flow { continues: false, accepted: false } };
        for (element, of_element) in found {
            let of_named = match elements {
                Values::Named(set) => Some(Decisive { set: set.clone(), key: element.text.clone() }),
                Values::Given(_) => None,
            };
            let step = self.follow(chain, rule, &element.verdict, of_named, sure, matches.and(of_element));
            all.went.continues |= step.went.continues;
            all.went.accepted |= step.went.accepted;
            all.ends = if step.ends == Truth::No { all.ends } else { step.ends };
        }
        all
    }

    fn candidate(&self, chain: &Chain, what: What, sure: bool) -> Candidate {
        Candidate {
            what,
            api: self.table.api,
            family: self.table.family,
            table: self.table.name.clone(),
            chain: chain.name.clone(),
            hook: self.place.hook,
            path: self.path.iter().map(|name| (*name).to_owned()).collect(),
            sure,
            delta: None,
            exact: false,
            tool: self.table.tool.clone(),
        }
    }

    fn rule(&mut self, chain: &Chain, rule: &Rule, verdict: &Verdict, of_map: Option<Decisive>, sure: bool) {
        let element = of_map.or_else(|| evaluate::deciding_element(rule, self.table, self.packet));
        let what = What::Rule {
            position: rule.position,
            handle: rule.handle,
            text: rule.text.clone(),
            verdict: verdict.clone(),
            element,
            by_chance: rule.by_chance,
            ct_invalid: rule.ct_invalid,
        };
        let candidate = self.candidate(chain, what, sure);
        add(&mut self.found, candidate);
    }

    fn policy(&mut self, chain: &Chain, sure: bool) {
        let candidate = self.candidate(chain, What::Policy, sure);
        add(&mut self.found, candidate);
    }
}

/// What a rule did to a packet.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The packet does not get to the next rule.
    ends: Truth,
    went: Flow,
}

impl Step {
    /// To the next rule.
    const ON: Self = Self { ends: Truth::No, went: Flow { continues: false, accepted: false } };
}

/// The table is asked at this place.
fn sees(table: &Table, place: Place) -> bool {
    let family = match table.family {
        Family::Inet => matches!(place.family, Family::Ip | Family::Ip6) || place.hook == Hook::Ingress,
        family => family == place.family,
    };
    family && place.nft.is_none_or(|nft| nft == table.api.is_nft())
}

/// The chain is asked for this packet's device.
fn of_device(base: &Base, place: Place, packet: &Packet) -> bool {
    let device = match place.hook {
        Hook::Ingress => &packet.input_device,
        Hook::Egress => &packet.output_device,
        _ => return true,
    };
    base.devices.is_empty() || device.as_ref().is_none_or(|device| base.devices.contains(device))
}
