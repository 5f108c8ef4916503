//! What the user looks at: by what the drops are grouped, in which order, and what is hidden.

use crate::{drops::select::Selection, knowledge::Severity};

/// A kind of knowledge with a name, from one table.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal $key:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
        pub(crate) enum $name { $($(#[$vdoc])* #[value(name = $word)] $variant),+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that users see and type.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The key that chooses it.
            pub(crate) const fn key(self) -> char {
                match self { $(Self::$variant => $key),+ }
            }
        }
    };
}

choices! {
    /// What the drops of a row have in common.
    GroupBy {
        /// A cause with its culprit.
        Cause = "cause" '1',
        Reason = "reason" '2',
        /// The function of the kernel.
        Location = "location" '3',
        Device = "device" '4',
        /// The network namespace, which has a container's name where it is one's.
        Namespace = "namespace" '5',
        /// The process that holds the packet's socket.
        Process = "process" '6',
        /// Protocol and port: the lower of the two, which is the service's.
        Port = "port" '7',
        Flow = "flow" '8',
        /// The rule, chain or policy of netfilter.
        Rule = "rule" '9',
    }
}

impl GroupBy {
    /// The head of its column.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Namespace => "NETNS".to_owned(),
            _ => self.word().to_uppercase(),
        }
    }
}

choices! {
    /// The order of the rows.
    SortBy {
        /// The worst first, then by rate.
        Severity = "severity" 'S',
        Rate = "rate" 'R',
        Total = "total" 'T',
        Name = "name" 'N',
    }
}

/// How the drops are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Lens {
    pub group: GroupBy,
    pub sort: SortBy,
    pub reversed: bool,
    /// Show benign noise, too.
    pub benign: bool,
    /// What to show, by cause and severity.
    pub selection: Selection,
}

/// A row's identity: it stays, whatever its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub group: GroupBy,
    /// By the kind of group: an index or a number of the kernel's.
    pub id: u64,
}

/// What a row's drops are in some respect: the most frequent, and how many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mix {
    /// Empty for nothing.
    pub most: String,
    pub others: usize,
}

impl std::fmt::Display for Mix {
    /// `nf_hook_slow +2`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let most = if self.most.is_empty() { "-" } else { &self.most };
        match self.others {
            0 => f.write_str(most),
            others => write!(f, "{most} +{others}"),
        }
    }
}

/// Drops with something in common.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub key: RowKey,
    /// What they have in common; for causes, what [`Row::cause`] says.
    pub name: String,
    /// The worst of them.
    pub severity: Severity,
    pub cause: Mix,
    /// Rule, device, socket, route, …
    pub culprit: Mix,
    pub reason: Mix,
    pub location: Mix,
    pub netns: Mix,
    /// Drops since the start.
    pub total: u64,
    /// `total` is exact: no share by a sample.
    pub exact: bool,
    /// Drops a second in the last interval.
    pub rate: f64,
    /// Drops a second in the last minute.
    pub rate_1m: f64,
    /// Of all that is shown, from 0 to 1.
    pub share: f64,
    /// Drops a second in each interval, the latest last.
    pub history: Vec<f64>,
}

/// The rows, in their order, and what is not among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub rows: Vec<Row>,
    /// Drops in the rows.
    pub shown: u64,
    /// Hidden noise.
    pub benign: u64,
    /// Refused by the selection.
    pub unselected: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_has_a_key_of_its_own() {
        let keys = GroupBy::ALL.iter().map(|by| by.key()).chain(SortBy::ALL.iter().map(|by| by.key()));
        let mut keys: Vec<char> = keys.collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn a_mix_says_how_many_others_there_are() {
        assert_eq!(Mix::default().to_string(), "-");
        assert_eq!(Mix { most: "eth0".to_owned(), others: 0 }.to_string(), "eth0");
        assert_eq!(Mix { most: "eth0".to_owned(), others: 2 }.to_string(), "eth0 +2");
    }
}
