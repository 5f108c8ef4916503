//! Drops as they happen: the kernel program while it runs.

use std::{path::Path, rc::Rc, time::Duration};

use anyhow::{Context as _, Result};
use log::{info, warn};

use super::{Batch, Clock, preflight};
use crate::{
    error,
    kernel::{
        Kernel, KernelInfo, Names, Options, counters::Counters, layout::Layout, load::Way, ring::Ring,
        symbols::Symbols,
    },
};

/// What every run begins with: that the kernel allows it, what it offers, and its names.
#[derive(Clone, Debug)]
pub struct Start {
    pub info: Rc<KernelInfo>,
    names: Names,
    debug: bool,
}

impl Start {
    /// `btf`: the kernel's types, for one that does not tell them; `debug`: the kernel side is to log what it does.
    pub fn new(btf: Option<&Path>, debug: bool) -> Result<Self> {
        preflight::require(btf)?;
        let info = KernelInfo::gather(btf).map_err(error::Error::from)?;
        if let Some(contradiction) = &info.contradiction {
            warn!("{contradiction}");
        }
        for missing in &info.missing {
            warn!("{missing}");
        }
        for missing in &info.missing_facts {
            info!("{missing}");
        }
        let symbols = Symbols::load().context("cannot read /proc/kallsyms")?;
        if symbols.is_empty() {
            warn!(
                "the kernel hides its addresses (kernel.kptr_restrict, or no CAP_SYSLOG): locations are shown as numbers"
            );
        }
        let names =
            Names { reasons: info.has_reason().then(|| info.reasons.clone()), symbols: symbols.into() };
        Ok(Self { info: info.into(), names, debug })
    }

    /// Loads the kernel program and attaches it. Every drop from now on is counted.
    pub fn capture(&self, options: Options) -> error::Result<Live> {
        let options = Options { debug: self.debug, ..options };
        let (kernel, ring) = Kernel::start(&self.info, &options)?;
        let layout = self.info.layout(&options);
        Ok(Live { kernel, ring, layout, names: self.names.clone(), has_more: false })
    }
}

/// The kernel program while it runs.
#[derive(Debug)]
pub struct Live {
    kernel: Kernel,
    ring: Ring,
    layout: Layout,
    names: Names,
    /// The last batch was full: more waits in the ring.
    has_more: bool,
}

impl Live {
    /// How it is attached.
    pub fn way(&self) -> Way {
        self.kernel.way
    }

    pub(super) fn names(&self) -> Names {
        self.names.clone()
    }

    pub(super) async fn wait(&mut self, gather: Duration) {
        if !self.has_more {
            self.ring.wait(gather).await;
        }
    }

    pub(super) fn read(&mut self, batch: &mut Batch) -> bool {
        batch.begin(self.layout, Clock::now());
        let had_events = self.ring.read(|event| {
            batch.push(event);
            !batch.is_full()
        });
        self.has_more = batch.is_full();
        had_events
    }

    pub(super) fn counters(&self) -> Counters {
        self.kernel.counters.read()
    }

    pub(super) fn stop(&mut self) -> Counters {
        self.kernel.detach();
        self.tick();
        let mut counters = self.kernel.counters.read();
        counters.add_missed(self.kernel.missed());
        counters
    }

    pub(super) fn tick(&mut self) {
        self.kernel.pass_on_log();
    }
}
