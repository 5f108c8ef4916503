//! A diagnosis that goes on: what the kernel counts, shared out by cause, culprit, flow and process. It knows no terminal.

pub(crate) mod detail;
pub(crate) mod lens;
pub(crate) mod model;
pub(crate) mod ration;
pub(crate) mod windows;

use lossdrop_common::Event;

use self::{model::Model, ration::Ration, windows::Windows};
use crate::drops::{Drop, Reader, describe::Described};

/// Drops as they come, for the counts and for the search for culprits.
#[derive(Debug)]
pub(crate) struct Live {
    pub model: Model,
    pub windows: Windows,
    ration: Ration,
}

impl Live {
    pub(crate) fn new(model: Model, windows: Windows) -> Self {
        Self { model, windows, ration: Ration::default() }
    }
}

impl Reader for Live {
    fn wants(&mut self, event: &Event, _described: &Described) -> bool {
        self.ration.takes(&event.key, event.ktime_ns)
    }

    fn read(&mut self, drop: &Drop<'_>) {
        self.windows.read(drop);
        self.model.read(drop);
    }
}
