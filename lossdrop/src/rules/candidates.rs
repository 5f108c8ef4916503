//! Which rules and policies of a hook may have dropped a packet.

use super::{
    evaluate::{self, looked_up},
    model::{Api, Base, Chain, Family, Hook, Operand, Rule, Ruleset, Table, Values, Verdict},
    packet::Packet,
    values::Truth,
};

/// Where a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose hook it was; that of a bridge for frames, of netdev for ingress and egress. Never inet.
    pub family: Family,
    /// Which hook.
    pub hook: Hook,
    /// The drop's stack shows nft at work (`Some(true)`), or shows that it was not (`Some(false)`).
    pub nft: Option<bool>,
    /// It was on its way to a program, or came back from there: only queues are of interest.
    pub queued: bool,
}

/// What may have dropped a packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// A rule, or what happens without any.
    pub what: What,
    /// Whose table it is.
    pub api: Api,
    /// The table's family.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain that it is in.
    pub chain: String,
    /// The hook of the chain that the kernel entered.
    pub hook: Hook,
    /// The chains jumped through, from the base chain on; without `chain` itself.
    pub path: Vec<String>,
    /// The packet matches for sure, and got here unless an earlier candidate dropped it.
    pub sure: bool,
    /// Packets counted between the two readings; `None` without a counter.
    pub delta: Option<u64>,
    /// The counter counts nothing but what this dropped.
    pub exact: bool,
    /// The command that changes the table.
    pub tool: String,
}

/// The two kinds of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A rule.
    Rule {
        /// Its place in the chain, from 1.
        position: usize,
        /// nft's name for it.
        handle: Option<u64>,
        /// As its tool prints it.
        text: String,
        /// [`Verdict::Drop`], [`Verdict::Reject`], [`Verdict::Queue`] or [`Verdict::Unknown`].
        verdict: Verdict,
        /// The element of a map or set that decided.
        element: Option<Decisive>,
        /// Matches by rate, share or quota.
        by_chance: bool,
        /// Matches what conntrack found invalid.
        ct_invalid: bool,
    },
    /// The policy of a base chain.
    Policy,
}

/// An element of a named set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisive {
    /// The set's or map's name.
    pub set: String,
    /// The key, as nft writes it.
    pub key: String,
}

impl Candidate {
    /// Both are the same rule or policy, whatever packet they were found for.
    pub fn is(&self, other: &Self) -> bool {
        let key = |what: &What| match what {
            What::Rule { position, handle, .. } => Some((*position, *handle)),
            What::Policy => None,
        };
        (self.api, self.family, key(&self.what)) == (other.api, other.family, key(&other.what))
            && self.table == other.table
            && self.chain == other.chain
            && self.hook == other.hook
    }

    /// `iptables filter INPUT rule 1`, `nft inet lab input handle 3`, `iptables filter INPUT policy DROP`.
    pub fn name(&self) -> String {
        let place = format!("{} {}", self.owner(), self.chain);
        match (&self.what, self.api) {
            (What::Rule { handle: Some(handle), .. }, Api::Nft) => format!("{place} handle {handle}"),
            (What::Rule { position, .. }, _) => format!("{place} rule {position}"),
            (What::Policy, Api::Nft) => format!("{place} policy drop"),
            (What::Policy, _) => format!("{place} policy DROP"),
        }
    }

    /// Tool and table: `iptables filter`, `nft inet lab`.
    fn owner(&self) -> String {
        let tool = match (self.api, self.family) {
            (Api::IptablesLegacy, Family::Ip6) => "ip6tables-legacy",
            (Api::IptablesLegacy, _) => "iptables-legacy",
            (Api::IptablesNft, Family::Ip6) => "ip6tables",
            (Api::IptablesNft, _) => "iptables",
            (Api::ArptablesNft, _) => "arptables",
            (Api::EbtablesNft, _) => "ebtables",
            (Api::Nft, family) => return format!("nft {} {}", family.name(), self.table),
        };
        format!("{tool} {}", self.table)
    }

    /// The rule's text; of a policy, what makes it.
    pub fn text(&self) -> String {
        match (&self.what, self.api) {
            (What::Rule { text, .. }, _) => text.clone(),
            (What::Policy, Api::Nft) => "policy drop".to_owned(),
            (What::Policy, _) => format!("-P {} DROP", self.chain),
        }
    }
}

/// A namespace's rules before and after packets were dropped.
#[derive(Debug)]
pub struct Comparison<'a> {
    before: &'a Ruleset,
    after: &'a Ruleset,
    /// Rules came or went meanwhile: those of either reading may have dropped it.
    changed: bool,
}

impl<'a> Comparison<'a> {
    /// Of two readings.
    pub fn new(before: &'a Ruleset, after: &'a Ruleset) -> Self {
        Self { before, after, changed: !same_rules(before, after) }
    }

    /// Everything that may have dropped the packet, in the order in which the kernel asks it.
    pub fn candidates(&self, place: &Place, packet: &Packet) -> Vec<Candidate> {
        let packet = at_hook(packet, place.hook);
        let mut found = Walk::of(self.before, *place, &packet);
        if self.changed {
            let later = Walk::of(self.after, *place, &packet);
            let same = |a: &Candidate, b: &Candidate| a.is(b) && a.text() == b.text();
            for candidate in &mut found {
                candidate.sure &= later.iter().any(|other| same(candidate, other));
            }
            for mut candidate in later {
                if !found.iter().any(|known| same(known, &candidate)) {
                    candidate.sure = false;
                    found.push(candidate);
                }
            }
        }
        for candidate in &mut found {
            let before = count(self.before, candidate);
            let after = count(self.after, candidate);
            // One that is newer than the first reading began at nothing; one that is gone was not read again.
            candidate.delta = match (before, after) {
                (_, None) => None,
                (before, Some((after, _))) => after.checked_sub(before.map_or(0, |(before, _)| before)),
            };
            candidate.exact = after.is_some_and(|(_, exact)| exact);
        }
        found
    }
}

/// On some hooks there is no device yet, or no longer.
fn at_hook(packet: &Packet, hook: Hook) -> Packet {
    let mut packet = packet.clone();
    match hook {
        Hook::Ingress | Hook::Prerouting | Hook::Input => packet.output_device = Some(String::new()),
        Hook::Output | Hook::Egress => packet.input_device = Some(String::new()),
        Hook::Forward | Hook::Postrouting => {}
    }
    packet
}

fn same_rules(one: &Ruleset, other: &Ruleset) -> bool {
    let same_chain = |(a, b): (&Chain, &Chain)| {
        a.name == b.name
            && a.base == b.base
            && a.rules.len() == b.rules.len()
            && a.rules.iter().zip(&b.rules).all(|(a, b)| a.handle == b.handle && a.text == b.text)
    };
    one.tables.len() == other.tables.len()
        && one.tables.iter().zip(&other.tables).all(|(a, b)| {
            (a.api, a.family, &a.name) == (b.api, b.family, &b.name)
                && a.chains.len() == b.chains.len()
                && a.chains.iter().zip(&b.chains).all(same_chain)
                && a.sets == b.sets
        })
}

/// Packets and whether they are this candidate's alone.
fn count(ruleset: &Ruleset, candidate: &Candidate) -> Option<(u64, bool)> {
    let table = ruleset.table(candidate.api, candidate.family, &candidate.table)?;
    let chain = table.chain(&candidate.chain)?;
    let What::Rule { position, handle, text, .. } = &candidate.what else {
        return Some((chain.policy_packets?, true));
    };
    let counter = this_rule(chain, *position, *handle, text)?.counter?;
    Some((counter.packets, counter.exact))
}

/// By its handle; else the one of this text that is nearest to its old position.
fn this_rule<'a>(chain: &'a Chain, position: usize, handle: Option<u64>, text: &str) -> Option<&'a Rule> {
    if handle.is_some() {
        return chain.rules.iter().find(|rule| rule.handle == handle);
    }
    let same = chain.rules.iter().filter(|rule| rule.text == text);
    same.min_by_key(|rule| rule.position.abs_diff(position))
}

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

struct Walk<'a> {
    place: Place,
    packet: &'a Packet,
    sets_marks: bool,
    table: &'a Table,
    hook: Hook,
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
    fn of(ruleset: &'a Ruleset, place: Place, packet: &'a Packet) -> Vec<Candidate> {
        let mut bases: Vec<(&Table, &Chain, &Base)> = Vec::new();
        for table in ruleset.tables.iter().filter(|table| sees(table, place)) {
            let of_table = table.chains.iter().filter_map(|chain| Some((table, chain, chain.base.as_ref()?)));
            bases.extend(
                of_table.filter(|(_, _, base)| base.hook == place.hook && of_device(base, place, packet)),
            );
        }
        bases.sort_by_key(|(_, _, base)| base.priority);
        let mut found = Vec::new();
        let sets_marks = ruleset.sets_marks();
        for (table, chain, base) in bases {
            let hook = place.hook;
            let mut walk = Self {
                place,
                packet,
                sets_marks,
                table,
                hook,
                path: Vec::new(),
                budget: RULES_AT_MOST,
                found,
            };
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
            Verdict::Drop | Verdict::Reject => {
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
            hook: self.hook,
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
