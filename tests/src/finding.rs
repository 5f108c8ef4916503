//! What `lossdrop diagnose` must say of a scenario.

/// One finding. `culprit`, `numbers` and `fix` say the least that it must contain.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Cause and slug: `netfilter/rule`.
    pub kind: &'static str,
    /// `policy`, `capacity`, `fault`; what is `benign` must not be found at all.
    pub severity: &'static str,
    /// `possible`, `likely`, `certain`.
    pub confidence: &'static str,
    pub count: Count,
    /// Label of the namespace of the lab that it must name.
    pub netns: &'static str,
    /// Words that must all occur in the culprit's name and text; none where nobody can be named.
    pub culprit: &'static [&'static str],
    /// Must be among `numbers`, exactly so.
    pub numbers: &'static [(&'static str, u64)],
    pub fix: Fix,
}

impl Finding {
    /// A rule that was told to drop: what most of the firewall scenarios find, first, in the server's namespace.
    pub const RULE: Self = Self {
        kind: "netfilter/rule",
        severity: "policy",
        confidence: "certain",
        count: Count::OfShot(0),
        netns: "server",
        culprit: &[],
        numbers: &[],
        fix: Fix::Stops,
    };
}

/// How many packets a finding stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Exactly(u64),
    /// As many as this entry of `Shot::expected`.
    OfShot(usize),
    /// As many as these entries together.
    OfShots(&'static [usize]),
    /// As `Shot::untraced` says: lost without a drop that could be watched (`"traced": false`).
    Untraced,
    /// The kernel decides, and no single counter tells: at least so many.
    AtLeast(u64),
}

/// What the fix commands of a finding do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// The first one, run by `sh -c` as it stands, ends these drops.
    Stops,
    /// It takes this one (counted from 0).
    Nth(usize),
    /// No command can; the reason.
    None(&'static str),
}
