//! What a scenario needs of the machine, found out by a trial in a namespace of its own.

use std::collections::HashMap;
use std::env;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::netns::Netns;

/// The environment variable that says: this kernel is the lab's alone (a virtual machine), its settings too.
pub const OWN_MACHINE: &str = "LOSSDROP_LAB_OWN_MACHINE";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// A program in the search path.
    Tool(&'static str),
    /// A queueing discipline, without options.
    Qdisc(&'static str),
    /// A kind of `ip link`, with the options it takes: `dummy`, `vxlan id 7 dstport 4789`.
    Link(&'static str),
    /// A drop reason of the kernel, without `SKB_DROP_REASON_`.
    Reason(&'static str),
    /// Anything else: what it is, and a shell line that only succeeds where it is there.
    Feature { what: &'static str, trial: &'static str },
    /// A setting that is the whole machine's is changed: only where [`OWN_MACHINE`] is set.
    OwnMachine,
}

impl Need {
    /// The tracepoint tells the socket that was to receive the packet (since 6.11).
    pub const RX_SK: Self =
        Self::Feature { what: "receiving socket", trial: "grep -qw rx_sk /sys/kernel/btf/vmlinux" };

    /// Why it is not met, in a sentence; `None` if it is. Each is tried once.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        static TRIED: Mutex<Option<HashMap<Need, Option<String>>>> = Mutex::new(None);
        let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        tried.get_or_insert_default().entry(self).or_insert_with(|| self.find_missing()).clone()
    }

    fn find_missing(self) -> Option<String> {
        match self {
            Self::Tool(tool) => {
                (!succeeds(Command::new("which").arg(tool))).then(|| format!("{tool} is not installed"))
            }
            Self::Qdisc(kind) => refused(
                &format!("ip link add need0 type veth peer name need1 && tc qdisc add dev need0 root {kind}"),
                &format!("the qdisc {kind}"),
            ),
            Self::Link(kind) => {
                refused(&format!("ip link add need0 type {kind}"), &format!("links of type {kind}"))
            }
            Self::Reason(name) => refused(
                &format!("grep -qw SKB_DROP_REASON_{name} /sys/kernel/btf/vmlinux"),
                &format!("drop reason {name}"),
            ),
            Self::Feature { what, trial } => refused(trial, what),
            Self::OwnMachine => env::var_os(OWN_MACHINE).is_none().then(|| {
                format!("it changes settings of the whole machine: set {OWN_MACHINE} in a virtual machine")
            }),
        }
    }
}

/// Tries a shell line in a scratch namespace.
fn refused(trial: &str, what: &str) -> Option<String> {
    match Netns::new("need").and_then(|scratch| scratch.sh(trial)) {
        Ok(_) => None,
        Err(error) => Some(format!("no {what} here ({})", sentence(&error.to_string()))),
    }
}

/// What a tool says last; nft points at its input below what it says.
fn sentence(message: &str) -> &str {
    if let Some((_, said)) = message.rsplit_once("Error: ") {
        return said.lines().next().unwrap_or(said);
    }
    let last = message.lines().last().unwrap_or_default();
    last.rsplit_once("): ").map_or(last, |(_, said)| said)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_of_a_tool_is_found() {
        let nft = "sh failed (exit status: 1): /dev/stdin:1:1-9: Error: Could not process rule: Operation not supported\nadd chain\n^^^^^^^^^";
        assert_eq!(sentence(nft), "Could not process rule: Operation not supported");
        assert_eq!(
            sentence("tc failed (exit status: 2): Error: Specified qdisc kind is unknown.\nmore"),
            "Specified qdisc kind is unknown."
        );
        assert_eq!(
            sentence("sh failed (exit status: 1): first\nsysctl: no such file"),
            "sysctl: no such file"
        );
    }

    #[test]
    fn a_tool_that_nobody_has_is_named() {
        assert_eq!(Need::Tool("sh").missing(), None);
        let message = Need::Tool("no-such-tool").missing();
        assert_eq!(message.as_deref(), Some("no-such-tool is not installed"));
    }
}
