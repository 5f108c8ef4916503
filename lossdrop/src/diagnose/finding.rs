//! What `lossdrop diagnose` says, as data: `docs/diagnose.md` describes the fields of its JSON.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    drops::accounting::Accounting,
    knowledge::{Assessment, Kind, Severity},
};

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnosis {
    /// [`JSON_VERSION`](crate::text::JSON_VERSION).
    pub v: u32,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// The kernel's own counters that moved.
    pub counters: Vec<CounterLine>,
    pub ruled_out: Vec<RuledOut>,
    /// Noise, the most frequent first.
    pub benign: Vec<Benign>,
    /// What could not be looked at, and what follows from it.
    pub notes: Vec<String>,
    pub accounting: Accounting,
    pub duration_s: f64,
    pub kernel: String,
    pub host: String,
}

impl Diagnosis {
    /// The worst of the findings.
    pub(crate) fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.assessment.severity).max().unwrap_or(Severity::Benign)
    }
}

/// One thing that is the matter, with all the drops that it explains.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub assessment: Assessment,
    /// Its drops passed `skb:kfree_skb`; otherwise the kernel's counters alone tell of them.
    pub traced: bool,
    pub title: String,
    /// Drops, or packets lost.
    pub count: u64,
    /// `count` is exact. It is not where drops of two causes share all that the kernel counts them by, and not every
    /// one was reported in detail.
    pub exact: bool,
    pub first_ts: Option<String>,
    pub last_ts: Option<String>,
    /// Name of the network namespace.
    pub netns: Option<String>,
    pub culprit: Option<Culprit>,
    pub numbers: Numbers,
    /// IP lengths in bytes, the shortest first; for size faults only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<Size>,
    /// The most frequent first.
    pub flows: Vec<Flow>,
    pub evidence: Vec<String>,
    pub explanation: String,
    /// The best first.
    pub fixes: Vec<Fix>,
    /// Commands that show more; they change nothing.
    pub look: Vec<Fix>,
}

/// Each with the name that users see.
macro_rules! objects {
    ($($name:ident $word:literal,)+) => {
        /// What a culprit is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Object {
            $($name,)+
        }

        impl std::fmt::Display for Object {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $word,)+
                })
            }
        }
    };
}

objects! {
    Chain "chain",
    Conntrack "conntrack",
    Device "device",
    Filter "filter",
    Hook "hook",
    Host "host",
    Neighbour "neighbour",
    Nfqueue "nfqueue",
    Others "others",
    Peer "peer",
    Policy "policy",
    Port "port",
    Program "program",
    Protocol "protocol",
    Qdisc "qdisc",
    Route "route",
    Rule "rule",
    Rules "rules",
    Socket "socket",
    Sysctl "sysctl",
    Tunnel "tunnel",
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who is responsible.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Culprit {
    pub r#type: Object,
    pub name: String,
    /// The rule's text, the process, or what else tells it from others; may be empty.
    pub text: String,
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, Value>,
}

impl Culprit {
    pub(crate) fn new(r#type: Object, name: impl Into<String>) -> Self {
        Self { r#type, name: name.into(), text: String::new(), more: BTreeMap::new() }
    }

    #[must_use]
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(key, value.into());
        self
    }
}

/// Named numbers; sizes in bytes.
pub(crate) type Numbers = BTreeMap<&'static str, u64>;

/// How often an IP length occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    pub len: u32,
    pub count: u64,
}

/// How often a flow was hit: `10.0.0.1:51034 → 10.0.0.2:80 TCP`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Flow {
    pub flow: String,
    pub count: u64,
}

/// What to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fix {
    /// A complete line for a shell on this host.
    pub command: String,
    /// What it does, and what it costs.
    pub effect: String,
}

impl Fix {
    pub(crate) fn new(command: impl Into<String>, effect: impl Into<String>) -> Self {
        Self { command: command.into(), effect: effect.into() }
    }
}

/// A counter of the kernel's that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CounterLine {
    /// Namespace and object: `web eth0`.
    pub scope: String,
    pub name: String,
    pub delta: u64,
    /// Of `delta`: by the findings.
    pub explained: u64,
    /// Numbers of the findings, from 1.
    pub findings: Vec<usize>,
    /// What else explains it: noise, or that the same packets are counted twice.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

/// Something that was looked at and is in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RuledOut {
    /// With its numbers: `conntrack 182 of 262144`.
    pub what: String,
    pub numbers: Numbers,
}

/// Noise of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Benign {
    #[serde(serialize_with = "displayed")]
    pub kind: &'static Kind,
    pub count: u64,
}

fn displayed<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
