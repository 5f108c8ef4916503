//! Losses that no drop tells of: a counter of the kernel alone does.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::counter::Counter;
use crate::netns::Netns;
use crate::scenario::{Lab, Shot};
use crate::wait::settle;

/// A lab, and the counter of what it loses without a drop.
pub(super) struct Untraced {
    lab: Box<dyn Lab>,
    label: &'static str,
    counter: Counter,
}

impl Untraced {
    /// Begins when the counter rests.
    pub(super) fn over(lab: Box<dyn Lab>, label: &'static str, counter: Counter) -> Result<Box<dyn Lab>> {
        let begun = Self { lab, label, counter };
        begun.settled()?;
        Ok(Box::new(begun))
    }

    fn settled(&self) -> Result<u64> {
        let ns = self.lab.netns(self.label)?;
        settle("a counter of what is lost", Duration::from_millis(50), || self.counter.read(ns))
    }
}

impl Lab for Untraced {
    fn namespaces(&self) -> Vec<&Netns> {
        self.lab.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let before = self.settled()?;
        let shot = self.lab.fire()?;
        let untraced = self.settled()? - before;
        ensure!(untraced > 0, "{:?} has counted nothing", self.counter);
        Ok(Shot { untraced, ..shot })
    }

    fn fire_fixed(&mut self) -> Result<()> {
        self.lab.fire_fixed()
    }
}
