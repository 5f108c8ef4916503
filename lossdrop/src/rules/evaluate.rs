//! Whether a packet matches a rule.

use super::{
    candidates::Decisive,
    model::{BitOperation, Match, Operand, Relation, Rule, Table, Test, Values},
    packet::{Field, Packet, Read},
    values::{Element, Elements, Truth},
};

/// All of its conditions.
pub(super) fn rule(rule: &Rule, table: &Table, packet: &Packet, sets_marks: bool) -> Truth {
    let mut all = Truth::Yes;
    for found in &rule.matches {
        all = all.and(match found {
            Match::Test(wanted) => test(wanted, table, packet, sets_marks),
            Match::Chance(_) | Match::Unknown(_) => Truth::Maybe,
        });
        if all == Truth::No {
            break;
        }
    }
    all
}

/// The value of a key.
enum Key {
    Value(Vec<u128>),
    Absent,
    Unknown,
}

fn masked(value: u128, bits: &[(BitOperation, u128)]) -> u128 {
    bits.iter().fold(value, |value, (operation, with)| match operation {
        BitOperation::And => value & with,
        BitOperation::Or => value | with,
        BitOperation::Xor => value ^ with,
    })
}

fn key(parts: &[Operand], packet: &Packet, sets_marks: bool) -> Key {
    let mut values = Vec::with_capacity(parts.len());
    let mut unknown = false;
    for part in parts {
        match packet.read(part.field) {
            // The mark that we know is the one that it had in the end.
            Read::Value(_) if sets_marks && part.field == Field::Mark => unknown = true,
            Read::Value(value) => values.push(masked(value, &part.bits)),
            Read::Absent => return Key::Absent,
            Read::Unknown => unknown = true,
        }
    }
    if unknown { Key::Unknown } else { Key::Value(values) }
}

fn test(wanted: &Test, table: &Table, packet: &Packet, sets_marks: bool) -> Truth {
    let (elements, volatile) = match &wanted.values {
        Values::Given(elements) => (elements, false),
        Values::Named(name) => match table.sets.get(name) {
            Some(set) => (&set.elements, set.volatile),
            None => return Truth::Maybe,
        },
    };
    let key = match key(&wanted.key, packet, sets_marks) {
        Key::Absent => return Truth::No,
        Key::Unknown => return Truth::Maybe,
        Key::Value(values) => values,
    };
    let inside = inside(&key, elements, volatile);
    let shares = || match key.as_slice() {
        [value] => Truth::from(elements.values().any(|bits| bits & value != 0)),
        _ => Truth::Maybe,
    };
    match wanted.relation {
        Relation::Within => inside,
        Relation::Outside => not(inside),
        Relation::AnyBit => shares(),
        Relation::NoBit => not(shares()),
    }
}

fn inside(key: &[u128], elements: &Elements, volatile: bool) -> Truth {
    if elements.find(key).is_some() {
        // An element may have come only after the packet, but mostly it was there.
        Truth::Yes
    } else if volatile || !elements.unreadable.is_empty() {
        Truth::Maybe
    } else {
        Truth::No
    }
}

const fn not(truth: Truth) -> Truth {
    match truth {
        Truth::Yes => Truth::No,
        Truth::No => Truth::Yes,
        Truth::Maybe => Truth::Maybe,
    }
}

/// The elements of a verdict map that may be the packet's, each with how sure that is.
pub(super) fn looked_up<'a>(
    parts: Option<&[Operand]>,
    values: &'a Values,
    table: &'a Table,
    packet: &Packet,
    sets_marks: bool,
) -> Vec<(&'a Element, Truth)> {
    let (elements, volatile) = match values {
        Values::Given(elements) => (elements, false),
        Values::Named(name) => match table.sets.get(name) {
            Some(map) => (&map.elements, map.volatile),
            None => return Vec::new(),
        },
    };
    match parts.map_or(Key::Unknown, |parts| key(parts, packet, sets_marks)) {
        Key::Absent => Vec::new(),
        Key::Unknown => elements.iter().map(|element| (element, Truth::Maybe)).collect(),
        Key::Value(key) => {
            let found = elements.find(&key);
            let sure = if elements.unreadable.is_empty() && !volatile { Truth::Yes } else { Truth::Maybe };
            let unreadable = elements.unreadable.iter().map(|element| (element, Truth::Maybe));
            found.map(|element| (element, sure)).into_iter().chain(unreadable).collect()
        }
    }
}

/// The element of a named set that makes a rule match.
pub(super) fn deciding_element(rule: &Rule, table: &Table, packet: &Packet) -> Option<Decisive> {
    rule.matches.iter().find_map(|found| {
        let Match::Test(Test { key: parts, relation: Relation::Within, values: Values::Named(set) }) = found
        else {
            return None;
        };
        let Key::Value(values) = key(parts, packet, false) else { return None };
        let element = table.sets.get(set)?.elements.find(&values)?;
        Some(Decisive { set: set.clone(), key: element.text.clone() })
    })
}
