//! Which verdicts are shown. Unlike a filter, a selection sees what the kernel's side cannot: the cause.

use std::str::FromStr;

use crate::{
    knowledge::{Assessment, Cause, KINDS, Kind, Severity, kind},
    text::near,
};

/// A cause, or one kind of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Cause(Cause),
    Kind(&'static Kind),
}

impl Wanted {
    fn covers(self, kind: &Kind) -> bool {
        match self {
            Self::Cause(cause) => kind.cause == cause,
            Self::Kind(known) => *known == *kind,
        }
    }

    /// Nothing that it covers is shown while noise is hidden.
    fn is_benign(self) -> bool {
        match self {
            Self::Cause(cause) => cause == Cause::Housekeeping,
            Self::Kind(kind) => kind.severity == Severity::Benign,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(f),
            Self::Kind(kind) => kind.fmt(f),
        }
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        let cause = || Cause::ALL.into_iter().find(|cause| cause.as_str() == name).map(Self::Cause);
        kind(&name).map(Self::Kind).or_else(cause).ok_or_else(|| {
            let kinds: Vec<String> = KINDS.iter().map(ToString::to_string).collect();
            let causes = Cause::ALL.iter().map(|cause| cause.as_str());
            let names: Vec<&str> = kinds.iter().map(String::as_str).chain(causes).collect();
            format!("there is no such cause{} (docs/causes.md lists them)", near(&name, &names))
        })
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| "fault, capacity, policy or benign is wanted".to_owned())
    }
}

/// What is asked for; nothing is everything.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Selection (what it refuses is counted; each can be repeated)")]
pub struct Selection {
    /// Only drops of this cause, or this kind of one: mtu, mtu/veth-peer ("lossdrop explain mtu" lists them)
    #[arg(long, value_name = "CAUSE")]
    pub cause: Vec<Wanted>,
    /// Only drops of this severity: fault, capacity, policy, benign (implies --all)
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Vec<Severity>,
}

impl Selection {
    pub fn takes(&self, assessment: &Assessment) -> bool {
        let Assessment { kind, severity, .. } = assessment;
        (self.cause.is_empty() || self.cause.iter().any(|cause| cause.covers(kind)))
            && (self.severity.is_empty() || self.severity.contains(severity))
    }

    /// Nothing was asked for.
    pub fn is_everything(&self) -> bool {
        self.cause.is_empty() && self.severity.is_empty()
    }

    /// Benign noise was asked for by its name, so that it is not to be hidden.
    pub fn names_benign(&self) -> bool {
        self.severity.contains(&Severity::Benign) || self.cause.iter().any(|cause| cause.is_benign())
    }
}

impl std::fmt::Display for Selection {
    /// `cause mtu, severity fault`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let causes = self.cause.iter().map(|cause| format!("cause {cause}"));
        let severities = self.severity.iter().map(|severity| format!("severity {severity}"));
        let all: Vec<String> = causes.chain(severities).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        drops::verdict::Verdict,
        knowledge::{Confidence, kinds},
    };

    fn verdict(kind: &'static Kind, severity: Severity) -> Verdict {
        let assessment = Assessment { kind, severity, confidence: Confidence::Certain };
        Verdict { assessment, evidence: Vec::new() }
    }

    fn selection(causes: &[&str], severities: &[Severity]) -> Selection {
        let cause = causes.iter().map(|cause| cause.parse().expect("known")).collect();
        Selection { cause, severity: severities.to_vec() }
    }

    #[test]
    fn kinds_of_selection_are_anded_and_values_of_one_kind_ored() {
        let veth = verdict(&kinds::MTU_VETH_PEER, Severity::Fault);
        let rule = verdict(&kinds::NETFILTER_RULE, Severity::Policy);
        let flaky = verdict(&kinds::NETFILTER_RULE, Severity::Fault);
        let taken = |selection: &Selection| {
            [&veth, &rule, &flaky].map(|verdict| selection.takes(&verdict.assessment))
        };
        assert_eq!(taken(&Selection::default()), [true, true, true]);
        assert_eq!(taken(&selection(&["mtu"], &[])), [true, false, false]);
        assert_eq!(taken(&selection(&["Netfilter/Rule", "mtu/forward"], &[])), [false, true, true]);
        assert_eq!(taken(&selection(&[], &[Severity::Fault])), [true, false, true]);
        assert_eq!(taken(&selection(&["netfilter"], &[Severity::Fault])), [false, false, true]);
        assert_eq!(taken(&selection(&["mtu", "netfilter"], &Severity::ALL)), [true, true, true]);
    }

    #[test]
    fn noise_that_is_named_is_not_hidden() {
        assert!(selection(&[], &[Severity::Benign]).names_benign());
        assert!(selection(&["mtu", "housekeeping"], &[]).names_benign());
        assert!(selection(&["tcp/reset"], &[]).names_benign());
        assert!(!selection(&["tcp"], &[Severity::Policy, Severity::Fault]).names_benign());
        assert!(Selection::default().is_everything() && !selection(&["tcp"], &[]).is_everything());
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_comes_near() {
        let refused = |text: &str| text.parse::<Wanted>().expect_err("unknown");
        assert!(refused("mtu/veth").contains("did you mean mtu/veth-peer"), "{}", refused("mtu/veth"));
        assert!(refused("netfiler").contains("netfilter"), "{}", refused("netfiler"));
        assert!(refused("").contains("docs/causes.md"));
        assert_eq!("FAULT".parse(), Ok(Severity::Fault));
        assert!("faults".parse::<Severity>().is_err());
    }

    #[test]
    fn a_selection_is_reported_as_it_was_typed() {
        let reported = selection(&["mtu", "queue/qdisc-limit"], &[Severity::Capacity]).to_string();
        assert_eq!(reported, "cause mtu, cause queue/qdisc-limit, severity capacity");
    }
}
