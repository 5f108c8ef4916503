//! Memory: the limit of a protocol, or the machine's own.

use lossdrop_common::parse::IPPROTO_TCP;

use super::{Story, Suspect, other};
use crate::{
    diagnose::{
        context::Context,
        finding::{Culprit, Object},
        group::Group,
    },
    knowledge::kinds,
};

pub(super) fn suspect(group: &Group, context: &Context) -> Suspect<'static> {
    if group.verdict.assessment.kind != &kinds::MEMORY_PROTOCOL {
        return other::suspect(group, context);
    }
    let is_tcp = group.find(|sample| (sample.event.key.l4 == IPPROTO_TCP).then_some(())).is_some();
    let (protocol, name) = if is_tcp { ("TCP", "net.ipv4.tcp_mem") } else { ("UDP", "net.ipv4.udp_mem") };
    let limits: Vec<u64> = context.after.sysctls.get(name).map_or_else(Vec::new, |text| {
        text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    });
    let used = std::fs::read_to_string("/proc/net/sockstat").ok().and_then(|text| pages(&text, protocol));
    let culprit = Culprit::new(Object::Sysctl, name);
    Suspect::of(group, Some(culprit), move |_, _| {
        let limit = limits.last().copied().unwrap_or(0);
        let now = used.map_or_else(String::new, |used| format!("; {used} are in use now"));
        let text = format!(
            "All {protocol} sockets together may use {limit} pages of memory (the last number of {name}){now}. Beyond that, data is thrown \
             away, whatever room its own socket has. Many sockets that are not read fill it, or a limit that is too low for this machine; a \
             memory cgroup may have one of its own."
        );
        let story = Story::new(format!("the memory of {protocol} is used up"), text).number("limit", limit);
        let story = match used {
            Some(used) => story.number("used", used),
            None => story,
        };
        let wanted: Vec<String> = limits.iter().map(|limit| (limit * 2).to_string()).collect();
        let command = (!wanted.is_empty()).then(|| format!("sysctl -w {name}=\"{}\"", wanted.join(" ")));
        story
            .fix(command, "twice as much; in pages, for all namespaces, to be typed in the host's")
            .look(Some("cat /proc/net/sockstat".to_owned()), "mem: pages in use by each protocol")
    })
}

/// `UDP: inuse 5 mem 2`.
fn pages(sockstat: &str, protocol: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_a_protocol_are_behind_the_word_mem() {
        let text = "sockets: used 7\nTCP: inuse 1 orphan 0 tw 0 alloc 3 mem 12\nUDP: inuse 5 mem 2\nUDPLITE: inuse 0\n";
        assert_eq!(
            (pages(text, "TCP"), pages(text, "UDP"), pages(text, "UDPLITE")),
            (Some(12), Some(2), None)
        );
    }
}
