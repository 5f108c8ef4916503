//! What a reader of drops needs to know of each.

/// Beside the event itself, which everybody gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of the packet, from its network header on.
    pub snaplen: u32,
    pub stack: bool,
    /// What else the kernel knew: [`lossdrop_common::Facts`].
    pub facts: bool,
}

impl Needs {
    /// What a verdict rests on, and the search for a culprit. What rules look at lies in front; the inner headers of tunnels
    /// and ICMP errors are behind.
    pub const CULPRITS: Self = Self { snaplen: 128, stack: true, facts: true };
    /// What a verdict rests on.
    pub const VERDICT: Self = Self { snaplen: 0, ..Self::CULPRITS };

    /// What both need.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            snaplen: self.snaplen.max(other.snaplen),
            stack: self.stack || other.stack,
            facts: self.facts || other.facts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_need_is_what_each_of_them_needs() {
        let bytes = Needs { snaplen: 64, ..Needs::default() };
        assert_eq!(bytes.and(Needs::VERDICT), Needs { snaplen: 64, stack: true, facts: true });
        assert_eq!(Needs::CULPRITS.and(bytes), Needs::CULPRITS);
        assert_eq!(Needs::default().and(bytes), bytes);
    }
}
