//! `nft -n -j -a list ruleset`: the tables of nft, and of the iptables that is made of it.

mod key;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use self::key::{elements, operands, relation, values};
use super::{
    model::{
        Api, Base, Chain, Counter, Match, NamedSet, Operand, Relation, Rule, Ruleset, Table, Test, Values,
        Verdict,
    },
    packet::Field,
    values::Element,
};

/// What `nft -a list ruleset` says beyond the JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// A rule's text by family, table, chain and handle.
    pub texts: HashMap<(String, String, String, u64), String>,
    /// A base chain's devices by family, table and name; old versions leave them out of the JSON.
    pub devices: HashMap<(String, String, String), Vec<String>>,
}

/// Reads the plain listing.
pub(super) fn listing(text: &str) -> Listing {
    let mut found = Listing::default();
    let (mut family, mut table, mut chain) = (String::new(), String::new(), String::new());
    // A rule with a chain of its own spans lines.
    let mut pending = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["table", of, name, "{", ..] if !line.starts_with(char::is_whitespace) => {
                (family, table) = ((*of).to_owned(), (*name).to_owned());
            }
            ["chain", name, "{", ..] if line.starts_with('\t') && !line.starts_with("\t\t") => {
                chain = (*name).to_owned();
            }
            [] | ["}"] => {}
            ["type", _, "hook", _, rest @ ..] if line.starts_with("\t\ttype") => {
                let key = (family.clone(), table.clone(), chain.clone());
                found.devices.insert(key, devices(rest));
            }
            _ => {
                if !pending.is_empty() {
                    pending.push(' ');
                }
                match line.rsplit_once(" # handle ") {
                    Some((rule, handle)) => {
                        pending.push_str(rule.trim());
                        if let Ok(handle) = handle.trim().parse() {
                            let key = (family.clone(), table.clone(), chain.clone(), handle);
                            found.texts.insert(key, std::mem::take(&mut pending));
                        }
                        pending.clear();
                    }
                    None if line.starts_with("\t\t") => pending.push_str(line.trim()),
                    None => pending.clear(),
                }
            }
        }
    }
    found
}

/// Those between `device` or `devices` and `priority`.
fn devices(words: &[&str]) -> Vec<String> {
    let named = words.iter().skip_while(|word| !word.starts_with("device")).skip(1);
    let until = named.take_while(|word| **word != "priority" && !word.contains('}'));
    let names = until.map(|word| word.trim_matches(['{', '"', ',']));
    names.filter(|name| !name.is_empty() && *name != "=").map(str::to_owned).collect()
}

/// Reads the JSON; an error is a sentence.
pub(super) fn parse(json: &str, listing: &Listing) -> Result<Ruleset, String> {
    let document: Value =
        serde_json::from_str(json).map_err(|error| format!("its JSON ends early: {error}"))?;
    let objects = document["nftables"].as_array().ok_or("its JSON has no list of tables")?;
    let mut ruleset = Ruleset::default();
    let mut named_counters = HashMap::new();
    // Everything that rules refer to comes first: nft lists it in no such order.
    for object in objects {
        if let Some(table) = object.get("table") {
            if let (Ok(family), Some(name)) = (text(table, "family").parse(), table["name"].as_str()) {
                ruleset.tables.push(Table::new(Api::Nft, family, name, "nft"));
            }
        } else if let Some(counter) = object.get("counter") {
            let key = (text(counter, "family"), text(counter, "table"), text(counter, "name"));
            named_counters.insert(key, counter["packets"].as_u64());
        }
    }
    for object in objects {
        if let Some(chain) = object.get("chain") {
            add_chain(&mut ruleset, chain, listing);
        } else if let Some(set) = object.get("set").or_else(|| object.get("map")) {
            add_set(&mut ruleset, set);
        }
    }
    for object in objects {
        if let Some(rule) = object.get("rule") {
            add_rule(&mut ruleset, rule, listing, &named_counters);
        }
    }
    ruleset.tables.iter_mut().for_each(mark_updated_sets);
    Ok(ruleset)
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn table_of<'a>(ruleset: &'a mut Ruleset, object: &Value) -> Option<&'a mut Table> {
    let family = text(object, "family").parse().ok()?;
    ruleset.tables.iter_mut().find(|table| table.family == family && table.name == text(object, "table"))
}

fn add_chain(ruleset: &mut Ruleset, chain: &Value, listing: &Listing) {
    let Some(table) = table_of(ruleset, chain) else { return };
    let key = ["family", "table", "name"].map(|key| text(chain, key).to_owned()).into();
    let base = text(chain, "hook").parse().ok().map(|hook| Base {
        hook,
        priority: chain["prio"].as_i64().and_then(|priority| priority.try_into().ok()).unwrap_or(0),
        drops: text(chain, "policy") == "drop",
        nat: text(chain, "type") == "nat",
        devices: match &chain["dev"] {
            Value::String(device) => vec![device.clone()],
            Value::Array(devices) => {
                devices.iter().filter_map(|device| Some(device.as_str()?.to_owned())).collect()
            }
            _ => listing.devices.get(&key).cloned().unwrap_or_default(),
        },
    });
    table.add(Chain { name: key.2, base, policy_packets: None, rules: Vec::new() });
}

fn add_set(ruleset: &mut Ruleset, set: &Value) {
    let Some(table) = table_of(ruleset, set) else { return };
    let types = match &set["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap_or_default()],
    };
    let flags = set["flags"].as_array().into_iter().flatten();
    let volatile = flags.filter_map(Value::as_str).any(|flag| matches!(flag, "timeout" | "dynamic"));
    let elements =
        elements(&set["elem"], &types.iter().map(|name| key::kind_of_type(name)).collect::<Vec<_>>());
    table.sets.insert(text(set, "name").to_owned(), NamedSet { elements, volatile });
}

fn add_rule(
    ruleset: &mut Ruleset,
    rule: &Value,
    listing: &Listing,
    named_counters: &HashMap<(&str, &str, &str), Option<u64>>,
) {
    let (family, table_name, chain_name) = (text(rule, "family"), text(rule, "table"), text(rule, "chain"));
    let Some(table) = table_of(ruleset, rule) else { return };
    let handle = rule["handle"].as_u64();
    let listed = handle.and_then(|handle| {
        listing.texts.get(&(family.to_owned(), table_name.to_owned(), chain_name.to_owned(), handle))
    });
    let Some(chain) = table.chain_mut(chain_name) else { return };
    let statements = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = Rule {
        position: chain.rules.len() + 1,
        handle,
        text: listed.map_or_else(|| rule["expr"].to_string(), |text| without_counts(text)),
        matches: Vec::new(),
        verdict: Verdict::Continue,
        counter: None,
        by_chance: false,
        ct_invalid: false,
        sets_mark: false,
    };
    for statement in statements {
        let named = |name: &str| named_counters.get(&(family, table_name, name)).copied().flatten();
        add_statement(&mut found, statement, named);
    }
    chain.rules.push(found);
}

/// A rule's text without the numbers of its counter, which change.
fn without_counts(text: &str) -> String {
    let mut words = text.split(' ').peekable();
    let mut kept: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word == "counter" && words.peek() == Some(&"packets") {
            // "packets N bytes N"
            words.by_ref().take(4).for_each(drop);
        }
    }
    kept.join(" ")
}

fn add_statement(rule: &mut Rule, statement: &Value, named_counter: impl Fn(&str) -> Option<u64>) {
    let Some((name, body)) = statement.as_object().and_then(|object| object.iter().next()) else {
        // Old versions print a chain within a rule as bare text.
        rule.verdict = Verdict::Unknown(statement.to_string());
        return;
    };
    match name.as_str() {
        "match" => add_condition(rule, condition(body), &body.to_string()),
        "limit" | "quota" | "ct count" => rule.add_chance(statement),
        "counter" => {
            let packets = match body {
                Value::String(of) => named_counter(of),
                own => own["packets"].as_u64(),
            };
            // Of a named counter, other rules may use the same.
            rule.counter = packets.map(|packets| Counter { packets, exact: !body.is_string() });
        }
        "vmap" => rule.verdict = verdict_map(rule, body),
        "accept" => rule.verdict = Verdict::Accept,
        "drop" => rule.verdict = Verdict::Drop,
        "reject" => rule.verdict = Verdict::Reject,
        "queue" => rule.verdict = Verdict::Queue,
        "return" => rule.verdict = Verdict::Return,
        "jump" => rule.verdict = Verdict::Jump(text(body, "target").to_owned()),
        "goto" => rule.verdict = Verdict::Goto(text(body, "target").to_owned()),
        "snat" | "dnat" | "masquerade" | "redirect" => rule.verdict = Verdict::Accept,
        "fwd" => rule.verdict = Verdict::Stolen,
        "synproxy" => rule.verdict = Verdict::SynProxy,
        "xt" => add_xt(rule, body),
        "set" => add_update(rule, body),
        "mangle" => {
            let key = &body["key"];
            rule.sets_mark |= key["meta"]["key"] == "mark";
        }
        // On to the next statement, whatever they do.
        "continue" | "log" | "notrack" | "dup" | "flow" | "tproxy" | "ct helper" | "ct timeout"
        | "ct expectation" | "secmark" | "map" | "last" | "comment" | "reset" => {}
        _ => rule.matches.push(Match::Unknown(statement.to_string())),
    }
}

impl Rule {
    fn add_chance(&mut self, statement: &Value) {
        self.by_chance = true;
        self.matches.push(Match::Chance(statement.to_string()));
        self.loosen_counter();
    }

    /// A condition after the counter: the counter counts more than the rule matches.
    fn loosen_counter(&mut self) {
        if let Some(counter) = &mut self.counter {
            counter.exact = false;
        }
    }
}

fn add_condition(rule: &mut Rule, found: Option<Test>, text: &str) {
    rule.loosen_counter();
    let chance = ["\"numgen\"", "\"jhash\"", "\"symhash\""].iter().any(|by| text.contains(by));
    rule.by_chance |= text.contains("\"numgen\"");
    rule.matches.push(match found {
        Some(test) => {
            rule.ct_invalid |= asks_for_invalid(&test);
            Match::Test(test)
        }
        None if chance => Match::Chance(text.to_owned()),
        None => Match::Unknown(text.to_owned()),
    });
}

fn asks_for_invalid(test: &Test) -> bool {
    const INVALID: u128 = 1;
    test.key.iter().any(|part| part.field == Field::ConnectionState && part.bits.is_empty())
        && matches!(test.relation, Relation::Within | Relation::AnyBit)
        && matches!(&test.values, Values::Given(given) if given.values().any(|value| value & INVALID != 0))
}

fn condition(body: &Value) -> Option<Test> {
    let (key, kinds) = operands(&body["left"])?;
    let op = body["op"].as_str()?;
    let relation = relation(op, &key, &body["right"])?;
    let values = values(op, &body["right"], &kinds)?;
    Some(Test { key, relation, values })
}

/// The key is looked up after all conditions; what is not found goes on.
fn verdict_map(rule: &mut Rule, body: &Value) -> Verdict {
    rule.loosen_counter();
    rule.by_chance |= body["key"].to_string().contains("\"numgen\"");
    let (key, kinds) = operands(&body["key"]).unzip();
    let given = match &body["data"] {
        Value::String(name) => Values::Named(name.trim_start_matches('@').to_owned()),
        data => Values::Given(elements(&data["set"], &kinds.unwrap_or_default())),
    };
    // An invalid connection that is dropped, written as a map.
    let state = key
        .as_deref()
        .is_some_and(|key: &[Operand]| key.iter().any(|part| part.field == Field::ConnectionState));
    if let (true, Values::Given(given)) = (state, &given) {
        let invalid = given.find(&[1]).is_some_and(|element| drops(&element.verdict));
        let others = given.iter().filter(|element| drops(&element.verdict)).count() > 1;
        rule.ct_invalid |= invalid && !others;
    }
    Verdict::Map { key, elements: given }
}

const fn drops(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Drop | Verdict::Reject)
}

/// An extension of iptables, of which only the name is known here.
fn add_xt(rule: &mut Rule, body: &Value) {
    let name = text(body, "name");
    match (text(body, "type"), name) {
        ("match", "comment") => {}
        ("match", "statistic" | "limit" | "hashlimit" | "connlimit" | "quota") => rule.add_chance(body),
        ("match", _) => {
            rule.loosen_counter();
            rule.matches.push(Match::Unknown(body.to_string()));
        }
        _ => {
            rule.sets_mark |= name == "MARK";
            rule.verdict = super::save::target(name);
        }
    }
}

/// `add @set { key limit rate … }`: the limit, where there is one, decides whether the rule goes on.
fn add_update(rule: &mut Rule, body: &Value) {
    let statements = body["stmt"].as_array().into_iter().flatten();
    if statements.filter_map(Value::as_object).any(|statement| !statement.contains_key("counter")) {
        rule.add_chance(body);
    } else {
        rule.loosen_counter();
    }
    // A full set refuses the element, and the rule ends there.
    rule.matches.push(Match::Unknown(body.to_string()));
}

/// Sets that a rule of the table adds to or removes from.
fn mark_updated_sets(table: &mut Table) {
    let mut updated = HashSet::new();
    for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
        for found in &rule.matches {
            if let Match::Unknown(text) | Match::Chance(text) = found {
                let name = serde_json::from_str::<Value>(text)
                    .ok()
                    .and_then(|update| Some(update.get("set")?.as_str()?.trim_start_matches('@').to_owned()));
                updated.extend(name);
            }
        }
    }
    for name in updated {
        if let Some(set) = table.sets.get_mut(&name) {
            set.volatile = true;
        }
    }
}

/// The verdict of a map's element.
fn verdict(value: &Value) -> Verdict {
    let Some((name, body)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Verdict::Unknown(value.to_string());
    };
    match name.as_str() {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "queue" => Verdict::Queue,
        "return" => Verdict::Return,
        "continue" => Verdict::Continue,
        "jump" => Verdict::Jump(text(body, "target").to_owned()),
        "goto" => Verdict::Goto(text(body, "target").to_owned()),
        _ => Verdict::Unknown(value.to_string()),
    }
}

/// One element, of a set or of a map.
fn element(text: String, data: Option<&Value>) -> Element {
    Element { text, verdict: data.map_or(Verdict::Continue, verdict) }
}

#[cfg(test)]
mod tests;
