//! How commands reach a network namespace, and what it is called.

use std::path::Path;

use crate::identity::namespaces::{Namespaces, inum};

/// The namespaces by name, and which one is our own.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    namespaces: Namespaces,
    own: Option<u32>,
}

impl Places {
    pub(crate) fn new(namespaces: Namespaces) -> Self {
        Self { namespaces, own: inum(Path::new("/proc/self/ns/net")) }
    }

    /// A file that leads there.
    pub(crate) fn path(&self, netns: u32) -> Option<&Path> {
        self.namespaces.get(netns).map(|known| known.path.as_path())
    }

    /// The name; its inode number where nothing leads there; `None` for 0, no namespace.
    pub(crate) fn name(&self, netns: u32) -> Option<String> {
        match netns {
            0 => None,
            _ => Some(
                self.namespaces.get(netns).map_or_else(|| format!("net:{netns}"), |known| known.name.clone()),
            ),
        }
    }

    /// ` of namespace web`; empty for our own, which needs no words.
    pub(crate) fn of(&self, netns: u32) -> String {
        match self.name(netns) {
            Some(name) if self.own != Some(netns) => format!(" of namespace {name}"),
            _ => String::new(),
        }
    }

    /// Any command, as it is typed here to run there; `None` where nothing leads there, so that it never runs in the
    /// wrong place.
    pub(crate) fn exec(&self, netns: u32, command: &str) -> Option<String> {
        Some(match self.way(netns)? {
            Way::Here => command.to_owned(),
            Way::Named(name) => format!("ip netns exec {name} {command}"),
            Way::File(path) => format!("nsenter --net={path} {command}"),
        })
    }

    /// `ip …`: the tool enters named namespaces by itself.
    pub(crate) fn ip(&self, netns: u32, arguments: &str) -> Option<String> {
        self.with_own_option(netns, "ip", arguments)
    }

    /// `tc …`, likewise.
    pub(crate) fn tc(&self, netns: u32, arguments: &str) -> Option<String> {
        self.with_own_option(netns, "tc", arguments)
    }

    /// A kernel parameter of the namespace, set.
    pub(crate) fn sysctl(&self, netns: u32, assignment: &str) -> Option<String> {
        self.exec(netns, &format!("sysctl -w {assignment}"))
    }

    fn with_own_option(&self, netns: u32, tool: &str, arguments: &str) -> Option<String> {
        match self.way(netns)? {
            Way::Named(name) => Some(format!("{tool} -n {name} {arguments}")),
            Way::Here | Way::File(_) => self.exec(netns, &format!("{tool} {arguments}")),
        }
    }

    fn way(&self, netns: u32) -> Option<Way<'_>> {
        if self.own == Some(netns) {
            return Some(Way::Here);
        }
        let path = self.namespaces.get(netns)?.path.to_str()?;
        match path.strip_prefix("/run/netns/").or_else(|| path.strip_prefix("/var/run/netns/")) {
            Some(name) if is_plain(name) => Some(Way::Named(name)),
            _ => is_plain(path).then_some(Way::File(path)),
        }
    }
}

enum Way<'a> {
    Here,
    /// Under `/run/netns`.
    Named(&'a str),
    File(&'a str),
}

/// Nothing in it that a shell would take apart.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || "-_./:+@".contains(char))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::identity::{Identity, Namespace};

    fn places() -> Places {
        let known = [
            (1, "web", "/run/netns/web"),
            (2, "docker:0123456789ab", "/proc/77/ns/net"),
            (3, "host", "/proc/1/ns/net"),
            (4, "odd", "/run/netns/two words"),
        ];
        let namespaces = known.map(|(inum, name, path)| {
            (inum, Namespace::new(Identity::Named(name.to_owned()), PathBuf::from(path)))
        });
        Places { namespaces: Namespaces::from_known(namespaces), own: Some(3) }
    }

    #[test]
    fn our_own_namespace_needs_no_prefix() {
        assert_eq!(places().ip(3, "link set eth0 up").as_deref(), Some("ip link set eth0 up"));
        assert_eq!(places().sysctl(3, "a=1").as_deref(), Some("sysctl -w a=1"));
        assert_eq!(places().of(3), "");
    }

    #[test]
    fn a_named_namespace_is_entered_by_ip_and_by_the_tools_own_option() {
        assert_eq!(places().ip(1, "link set eth0 up").as_deref(), Some("ip -n web link set eth0 up"));
        assert_eq!(places().tc(1, "qdisc show").as_deref(), Some("tc -n web qdisc show"));
        assert_eq!(
            places().exec(1, "nft list ruleset").as_deref(),
            Some("ip netns exec web nft list ruleset")
        );
        assert_eq!(places().of(1), " of namespace web");
    }

    #[test]
    fn a_container_is_entered_through_its_process() {
        assert_eq!(places().ip(2, "link").as_deref(), Some("nsenter --net=/proc/77/ns/net ip link"));
    }

    #[test]
    fn no_command_runs_in_the_wrong_place_or_is_taken_apart_by_a_shell() {
        assert_eq!(places().ip(4, "link"), None);
        assert_eq!(places().ip(9, "link"), None);
        assert_eq!(places().exec(0, "true"), None);
    }

    #[test]
    fn a_namespace_that_nothing_leads_to_is_called_by_its_number() {
        assert_eq!(places().name(9).as_deref(), Some("net:9"));
        assert_eq!(places().name(0), None);
    }
}
