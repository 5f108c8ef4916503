//! Conntrack's table when it is full: never blamed unless the kernel counted so.

use super::{Story, Suspect, in_netns, probed};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::{Group, share_out},
    },
    knowledge::{Confidence, Hook, kinds},
    rules::hook::{Engine, HookPoint},
};

/// Takes what conntrack refused out of the group, and returns the rest.
pub(super) fn conntrack<'a>(
    group: Group,
    point: HookPoint,
    context: &Context,
) -> (Vec<(Group, Suspect<'a>)>, Option<Group>) {
    let refused = conntrack_refused(&group, point, context);
    if refused == 0 {
        return (Vec::new(), Some(group));
    }
    let Some(suspect) = table_full(&group, context) else { return (Vec::new(), Some(group)) };
    if refused == group.count {
        return (vec![(group, suspect)], None);
    }
    let part = |count, by_conntrack: bool| {
        let samples = group.samples.iter().filter(|sample| probed::is_by_conntrack(sample) == by_conntrack);
        group.part(count, samples.cloned())
    };
    (vec![(part(refused, true), suspect)], Some(part(group.count - refused, false)))
}

/// How many of the drops are conntrack's: by the probes where they are, else by its own count, if that is all of them and the
/// table is full.
fn conntrack_refused(group: &Group, point: HookPoint, context: &Context) -> u64 {
    if point.engine != Engine::Other || !matches!(point.hook, Hook::Prerouting | Hook::Output) {
        return 0;
    }
    let probed = group.samples.iter().filter(|sample| probed::is_seen(sample)).count();
    if probed > 0 && probed == group.samples.len() {
        let own = group.samples.iter().filter(|sample| probed::is_by_conntrack(sample)).count() as u64;
        let (parts, _) = share_out(group.count, &[own, group.samples.len() as u64 - own]);
        return parts[0];
    }
    let netns = group.key.netns;
    let tables =
        [&context.before, &context.after].map(|reading| reading.netns.get(&netns)?.conntrack.as_ref());
    let [Some(before), Some(after)] = tables else { return 0 };
    let refused = after.stat("drop").saturating_sub(before.stat("drop"));
    // Legacy rules at the same hook count for themselves; what they explain is theirs.
    if refused >= group.count && after.count.max(before.count) >= after.max { group.count } else { 0 }
}

/// A table of connections that is full.
fn table_full<'a>(group: &Group, context: &Context) -> Option<Suspect<'a>> {
    let netns = group.key.netns;
    let (before, after) = (context.before.netns.get(&netns)?, context.after.netns.get(&netns)?);
    let (before, after) = (before.conntrack.as_ref()?, after.conntrack.as_ref()?);
    let refused = after.stat("drop").saturating_sub(before.stat("drop"));
    let (entries, max) = (after.count.max(before.count), after.max);
    let culprit = Culprit::new(Object::Conntrack, "conntrack table").text(format!("{entries} of {max}"));
    // Connections may have ended by the second reading.
    let confidence = if entries >= max { Confidence::Certain } else { Confidence::Likely };
    let suspect = Suspect::of(group, Some(culprit), move |group, context| {
        let text = format!(
            "The table of connections{} is full: {entries} of {max} (nf_conntrack_max). Whatever would begin a new connection is dropped; \
             those that are open go on. Many short connections, long timeouts or a flood fill it.",
            in_netns(group.key.netns, context)
        );
        let wanted = max.saturating_mul(4).max(65_536);
        Story::new("conntrack's table is full", text)
            .number("entries", entries)
            .number("max", max)
            .number("refused", refused)
            .fix(
                Some(format!("sysctl -w net.netfilter.nf_conntrack_max={wanted}")),
                "more connections, about 320 bytes of memory each; to be typed in the host's namespace, and holds for all",
            )
            .look(context.places.exec(group.key.netns, "conntrack -S"), "drop and early_drop for each CPU")
    });
    Some(suspect.kind(&kinds::NETFILTER_CONNTRACK_FULL).confidence(confidence))
}
