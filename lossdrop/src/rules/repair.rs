//! Commands that take a rule or policy away.

use super::{
    candidates::{Candidate, Decisive, What},
    model::Api,
    words::{quote, split},
};
use crate::knowledge::Family;

/// A shell line without the namespace's prefix, and what it does as a sentence.
pub(crate) type Repair = (String, String);

/// Takes away the rule or policy, or the element of a named set or map that decided.
pub(crate) fn delete_command(candidate: &Candidate) -> Repair {
    match &candidate.what {
        What::Rule { element: Some(element), .. } => delete_element(candidate, element),
        What::Rule { position, handle, text, .. } => delete_rule(candidate, *position, *handle, text),
        What::Policy => accept_by_policy(candidate),
    }
}

fn delete_element(candidate: &Candidate, Decisive { set, key }: &Decisive) -> Repair {
    let Candidate { family, table, .. } = candidate;
    // Names of devices are strings to nft.
    let statement = format!("delete element {} {table} {set} {{ {key} }}", family.name());
    let effect = format!("Takes {key} out of {set}, which decided about these packets.");
    (nft(&statement), effect)
}

fn delete_rule(candidate: &Candidate, position: usize, handle: Option<u64>, text: &str) -> Repair {
    let Candidate { table, chain, tool, family, .. } = candidate;
    let effect = format!("Deletes {}.", candidate.name());
    let words = split(text);
    if let (Api::Nft, Some(handle)) = (candidate.api, handle) {
        return (nft(&format!("delete rule {} {table} {chain} handle {handle}", family.name())), effect);
    }
    let rule = match words.as_slice() {
        // `recent` is never found by its text again.
        [append, rule @ ..] if append == "-A" && !rule.iter().any(|word| word == "recent") => {
            rule.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
        }
        _ => format!("{} {position}", quote(chain)),
    };
    (format!("{tool}{}{} -D {rule}", wait(candidate), of_table(table)), effect)
}

fn accept_by_policy(candidate: &Candidate) -> Repair {
    let Candidate { table, chain, tool, family, .. } = candidate;
    let effect = format!("Lets through what no rule of {chain} decides about.");
    let command = match candidate.api {
        Api::Nft => nft(&format!("add chain {} {table} {chain} {{ policy accept ; }}", family.name())),
        _ => format!("{tool}{}{} -P {} ACCEPT", wait(candidate), of_table(table), quote(chain)),
    };
    (command, effect)
}

/// nft joins its arguments: one for all is the same, and safe in a shell.
fn nft(statement: &str) -> String {
    let words = statement.split(' ').map(quote).collect::<Vec<_>>();
    if words.iter().any(|word| word.starts_with('\'')) {
        format!("nft {}", quote(statement))
    } else {
        format!("nft {statement}")
    }
}

/// For the lock that iptables takes; the others know no such option.
const fn wait(candidate: &Candidate) -> &'static str {
    match candidate.family {
        Family::Ip | Family::Ip6 => " -w",
        _ => "",
    }
}

fn of_table(table: &str) -> String {
    if table == "filter" { String::new() } else { format!(" -t {}", quote(table)) }
}
