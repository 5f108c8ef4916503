//! What the details of a key say of the drops that the kernel counts by it.

use std::collections::HashMap;

use super::{CaseId, Sharer, UnitKey};

/// The drops of a key that were reported in detail.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyDetails {
    /// Drops reported in detail that are not shared out yet.
    pub(super) fresh: HashMap<UnitKey, u64>,
    /// The last that were, for refreshes without.
    pub(super) last: Vec<(UnitKey, u64)>,
    /// Drops that were shared out by the details of others.
    pub(super) guessed: u64,
    /// The case of all, while there is only one.
    case: Option<CaseId>,
    pub(super) is_mixed: bool,
}

impl KeyDetails {
    /// Takes the details of so many drops; `None` without any. Those of drops that the kernel's counters did not have yet
    /// when they were read wait for the next refresh.
    pub(super) fn take(&mut self, new: u64) -> Option<Vec<(UnitKey, u64)>> {
        let mut fresh: Vec<(UnitKey, u64)> = self.fresh.drain().collect();
        // In an order that does not depend on chance.
        fresh.sort_by_key(|(unit, count)| {
            (std::cmp::Reverse(*count), unit.case, unit.flow, unit.port, unit.owner)
        });
        let detailed: u64 = fresh.iter().map(|(_, count)| count).sum();
        let early = detailed.saturating_sub(new);
        // Details that were late are those of drops that others have stood for.
        let late = early.min(self.guessed);
        self.guessed -= late;
        if early > 0 {
            let parts = Sharer::new(fresh.iter().map(|(_, count)| *count)).share(new);
            let rest =
                fresh.iter().zip(&parts).map(|((unit, count), part)| (*unit, count.saturating_sub(*part)));
            let rest: Vec<(UnitKey, u64)> = rest.collect();
            let keep = Sharer::new(rest.iter().map(|(_, count)| *count)).share(early - late);
            self.fresh =
                rest.iter().map(|(unit, _)| *unit).zip(keep).filter(|(_, count)| *count > 0).collect();
            for ((_, count), part) in fresh.iter_mut().zip(parts) {
                *count = part;
            }
            fresh.retain(|(_, count)| *count > 0);
        }
        Some(fresh).filter(|fresh| !fresh.is_empty())
    }

    /// Whether these have other cases than those before.
    pub(super) fn mixes(&mut self, fresh: &[(UnitKey, u64)]) -> bool {
        let was_mixed = self.is_mixed;
        for (unit, _) in fresh {
            self.is_mixed |= *self.case.get_or_insert(unit.case) != unit.case;
        }
        self.is_mixed && !was_mixed
    }
}
