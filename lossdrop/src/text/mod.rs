//! Text, whatever it is about: what may reach a terminal, numbers, spans of time, what was meant, messages.

/// The version of what all of lossdrop's JSON looks like (`docs/json.md`). Fields may be added under the same number; what a
/// field means, its type and its unit change only under the next one.
pub(crate) const JSON_VERSION: u32 = 1;

pub(crate) mod messages;
mod near;
mod numbers;
pub(crate) mod sanitize;
pub(crate) mod span;

pub(crate) use near::near;
pub(crate) use numbers::{duration, thousands};
