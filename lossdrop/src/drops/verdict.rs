//! The judgement on one drop: what the description of its key says of its cause.

use crate::{drops::describe::Described, knowledge::Assessment};

/// What is the matter with a drop, how much it matters, and how sure that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub assessment: Assessment,
    /// What it rests on, one sentence each without a full stop.
    pub evidence: Vec<String>,
}

impl Verdict {
    /// The verdict by reason and location alone.
    pub fn of(described: &Described) -> Self {
        let Described { assessment, meaning, .. } = *described;
        let evidence = if meaning.is_empty() { Vec::new() } else { vec![meaning.to_owned()] };
        Self { assessment, evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        knowledge::{Confidence, Severity},
        testing::{self, fault},
    };

    #[test]
    fn the_verdict_rests_on_the_meaning_of_reason_and_location() {
        let described = testing::describer().describe(&fault().key);
        let Verdict { assessment: Assessment { kind, severity, confidence }, evidence } =
            Verdict::of(&described);
        assert_eq!(
            (kind.to_string().as_str(), severity, confidence),
            ("netfilter/drop", Severity::Policy, Confidence::Certain)
        );
        assert_eq!(evidence, [described.meaning]);
    }

    #[test]
    fn what_is_not_known_has_no_evidence() {
        let mut described = (*testing::describer().describe(&fault().key)).clone();
        described.meaning = "";
        assert!(Verdict::of(&described).evidence.is_empty());
    }
}
