//! Causes whose culprit is plain from the packet, or is not on this host: the table of causes has what is to be said.

use super::{Story, Suspect};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::{Group, Target},
    },
    knowledge::{Cause, kinds},
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    let device = device(group, context);
    let culprit = match group.verdict.assessment.kind.cause {
        Cause::Tcp | Cause::Checksum | Cause::Malformed => source(group).or(device),
        _ => device,
    };
    Suspect::of(group, culprit, tell)
}

/// The device that the packets are at.
pub(super) fn device(group: &Group, context: &Context) -> Option<Culprit> {
    let reported = group.find(|sample| Some(sample.iface()).filter(|name| !name.is_empty()));
    let name = reported.or_else(|| Some(context.link(group.key.netns, group.key.ifindex)?.name.clone()))?;
    Some(Culprit::new(Object::Device, name))
}

/// Whoever sends the packets.
fn source(group: &Group) -> Option<Culprit> {
    let (source, _) = group.addresses()?;
    Some(Culprit::new(Object::Host, source.to_string()).text("sends them"))
}

/// What the table of causes says, with the facts of these drops.
pub(super) fn tell(group: &Group, context: &Context) -> Story {
    let kind = group.verdict.assessment.kind;
    let mut text = String::new();
    if kind == &kinds::UNKNOWN_UNKNOWN {
        text.push_str("The facts do not decide. ");
    }
    let meaning = group.verdict.evidence.first().map_or("", String::as_str);
    text.push_str(&sentence(meaning));
    if let Some(first) = kind.causes.first() {
        let others: Vec<&str> = kind.causes.iter().skip(1).copied().collect();
        text.push_str(&format!(" Most often: {first}"));
        if !others.is_empty() {
            text.push_str(&format!("; also: {}", others.join("; ")));
        }
        text.push('.');
    }
    let mut story = Story::new(kind.title, text);
    for look in kind.look.iter().take(2) {
        if let Some(command) = between_backquotes(look) {
            let shows = look.split('`').next_back().unwrap_or_default().trim_start_matches([':', ' ']);
            story = story.look(context.places.exec(group.key.netns, command), shows);
        }
    }
    if let Target::Number(number) = group.key.target {
        story = story.number("number", number);
    }
    story
}

/// With a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

/// A command of the table that can be typed as it stands: without placeholders in capitals.
fn between_backquotes(text: &str) -> Option<&str> {
    let command = text.split('`').nth(1)?;
    let is_placeholder = |word: &str| word.len() > 1 && word.chars().all(|char| char.is_ascii_uppercase());
    (!command.split([' ', '/', ':', '=', '.']).any(is_placeholder)).then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_a_placeholder_is_not_offered() {
        assert_eq!(between_backquotes("`ip -s link show`: errors"), Some("ip -s link show"));
        assert_eq!(between_backquotes("`ip -s link show DEV`: errors"), None);
        assert_eq!(between_backquotes("nothing to type"), None);
    }

    #[test]
    fn a_meaning_becomes_a_sentence() {
        assert_eq!(sentence("the checksum is wrong"), "The checksum is wrong.");
        assert_eq!(sentence(""), "");
    }
}
