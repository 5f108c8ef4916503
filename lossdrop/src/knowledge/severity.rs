//! How much a drop matters, and how sure lossdrop is of its cause.

/// How much a drop matters. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Normal work: nothing was lost that anybody waits for.
    Benign,
    /// Somebody asked for it.
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
