//! What is the matter with a drop, how much it matters, and how sure lossdrop is of it.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::Kind;

/// What is the matter, how much it matters, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Assessment {
    pub kind: &'static Kind,
    pub severity: Severity,
    pub confidence: Confidence,
}

impl Assessment {
    /// Of this kind, as bad as it usually is.
    pub fn new(kind: &'static Kind, confidence: Confidence) -> Self {
        Self { kind, severity: kind.severity, confidence }
    }

    /// Noise: counted, but hidden by default.
    pub fn benign(&self) -> bool {
        self.severity == Severity::Benign
    }
}

impl Serialize for Assessment {
    /// As `cause` (the coarse one), `kind` (the fine one), `severity` and `confidence`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Assessment", 4)?;
        fields.serialize_field("cause", self.kind.cause.as_str())?;
        fields.serialize_field("kind", &self.kind.to_string())?;
        fields.serialize_field("severity", self.severity.as_str())?;
        fields.serialize_field("confidence", self.confidence.as_str())?;
        fields.end()
    }
}

/// How much a drop matters. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Normal work: nothing was lost that anybody waits for.
    Benign,
    /// It was asked for.
    Policy,
    /// A limit was hit.
    Capacity,
    /// Something is wrong.
    Fault,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Benign, Self::Policy, Self::Capacity, Self::Fault];

    /// The name that users see and type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Policy => "policy",
            Self::Capacity => "capacity",
            Self::Fault => "fault",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How sure lossdrop is. Ordered: the surest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// One of several explanations.
    Possible,
    /// What it nearly always is; the facts that would prove it are missing.
    Likely,
    /// The kernel said so, or its numbers prove it.
    Certain,
}

impl Confidence {
    /// The name that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
