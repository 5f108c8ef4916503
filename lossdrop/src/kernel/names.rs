//! Names for the numbers in an event.

use std::rc::Rc;

use super::{reasons::Reasons, symbols::Symbols};

/// What a kernel calls its reasons and its functions.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// `None` on a kernel that has no reasons.
    pub reasons: Option<Reasons>,
    /// Some megabytes: shared.
    pub symbols: Rc<Symbols>,
}
