//! Who is responsible: `lossdrop diagnose`, again and again, for the drops between two surveys of the machine.
//!
//! A survey costs much more than a refresh, so there is one only when drops have no culprit yet, when the user asks, and now
//! and then since things change; and all of them together take no more than a small part of the time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::{
    diagnose::{
        build::{self, Named},
        collect::Groups,
        survey::Survey,
    },
    drops::{Drop, describe::Describer},
    identity::Namespaces,
    kernel::counters::Counters,
};

/// The least time between two surveys.
const PAUSE: Duration = Duration::from_secs(1);
/// The time after which culprits that are known are looked for again, as rules and settings change.
const AGAIN: Duration = Duration::from_secs(10);
/// For that, all surveys together may take this part of a CPU's time: one in so many.
const DUTY: u32 = 100;
/// For drops that have no culprit yet, they may take this part, and a second more.
const DUTY_UNNAMED: u32 = 50;
const CREDIT: Duration = Duration::from_secs(1);

/// Surveys the machine; `wanted`: the namespaces whose rules matter, all if it is empty.
pub(crate) type Surveyor = fn(&BTreeSet<u32>, Namespaces) -> (Namespaces, Survey);

/// What a step has brought.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The machine was surveyed.
    Surveyed(Box<(Namespaces, Survey)>),
    /// Culprits were found.
    Named(Vec<Named>),
}

enum Running {
    Survey(JoinHandle<(Namespaces, Survey)>),
    Search(JoinHandle<Vec<Named>>),
}

/// Drops since a survey, and what runs to find out whose they are.
pub(crate) struct Windows {
    surveyor: Surveyor,
    wanted: BTreeSet<u32>,
    namespaces: Namespaces,
    before: Option<Survey>,
    groups: Groups,
    /// When they began.
    counted: Counters,
    /// Drops since the survey that is under way, for the window after.
    next: Option<(Groups, Counters)>,
    running: Option<Running>,
    began: Instant,
    last: Instant,
    /// CPU time of this process when what is under way began; of the last survey with its search; of all.
    used: Duration,
    took: Duration,
    spent: Duration,
    asked: bool,
    /// A search has ended, or failed: the first one costs no budget.
    has_searched: bool,
    /// What is under way began before the counting did: another survey must follow.
    is_stale: bool,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows")
            .field("wanted", &self.wanted)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

impl Windows {
    /// Begins with a survey at once.
    pub(crate) fn new(surveyor: Surveyor, wanted: BTreeSet<u32>, namespaces: Namespaces) -> Self {
        let mut windows = Self::idle(surveyor, wanted, namespaces);
        windows.start_survey();
        windows
    }

    fn idle(surveyor: Surveyor, wanted: BTreeSet<u32>, namespaces: Namespaces) -> Self {
        let now = Instant::now();
        Self {
            surveyor,
            wanted,
            namespaces,
            before: None,
            groups: Groups::default(),
            counted: Counters::default(),
            next: None,
            running: None,
            began: now,
            last: now,
            used: Duration::ZERO,
            took: Duration::ZERO,
            spent: Duration::ZERO,
            asked: false,
            has_searched: false,
            is_stale: false,
        }
    }

    /// Takes in a drop that was reported in detail.
    pub(crate) fn read(&mut self, drop: &Drop<'_>) {
        self.groups.add(drop);
        if let Some((next, _)) = &mut self.next {
            next.add(drop);
        }
    }

    /// Culprits are wanted as soon as it may be.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// What is under way is for drops of before.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Nothing is under way, and nothing waits to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && !self.asked
    }

    /// Starts a survey if it is time for one. `is_new`: there are drops that have no culprit.
    pub(crate) fn begin(&mut self, counters: &Counters, is_new: bool) {
        if self.running.is_some() || !self.is_due(counters, is_new) {
            return;
        }
        self.asked = false;
        self.next = Some((Groups::default(), counters.clone()));
        self.start_survey();
    }

    fn is_due(&self, counters: &Counters, is_new: bool) -> bool {
        if self.last.elapsed() < PAUSE {
            return false;
        }
        let can_afford = |duty: u32, credit| self.spent + self.took <= credit + self.began.elapsed() / duty;
        let has_drops = counters.counted() > self.counted.counted();
        if self.before.is_none() {
            // The first has failed.
            return self.asked || can_afford(DUTY_UNNAMED, CREDIT);
        }
        self.asked
            || (is_new && (!self.has_searched || can_afford(DUTY_UNNAMED, CREDIT)))
            || (has_drops && self.last.elapsed() >= AGAIN && can_afford(DUTY, Duration::ZERO))
    }

    fn start_survey(&mut self) {
        let (surveyor, wanted, known) = (self.surveyor, self.wanted.clone(), self.namespaces.clone());
        self.used = cpu_time();
        self.running = Some(Running::Survey(spawn_blocking(move || surveyor(&wanted, known))));
    }

    /// Waits for what is under way; for ever if nothing is. Nothing is lost if the caller stops waiting.
    pub(crate) async fn progress(&mut self) -> Result<Progress, JoinError> {
        match &mut self.running {
            None => std::future::pending().await,
            Some(Running::Survey(survey)) => survey.await.map(|found| Progress::Surveyed(Box::new(found))),
            Some(Running::Search(search)) => search.await.map(Progress::Named),
        }
    }

    /// Takes in what [`Windows::progress`] has brought, and goes on: from a survey to the search for culprits.
    pub(crate) fn advance(&mut self, progress: &Progress, counters: &Counters, describer: &mut Describer) {
        self.running = None;
        if std::mem::take(&mut self.is_stale) {
            self.start_survey();
            return;
        }
        match progress {
            Progress::Named(_) => {
                self.has_searched = true;
                let cost = self.cost();
                self.spent += cost;
                self.took += cost;
            }
            Progress::Surveyed(found) => {
                let (namespaces, survey) = &**found;
                self.namespaces = namespaces.clone();
                self.took = self.cost();
                self.spent += self.took;
                self.last = Instant::now();
                let Some(before) = self.before.replace(survey.clone()) else { return };
                let (next, since) = self.next.take().unwrap_or_default();
                let groups = std::mem::replace(&mut self.groups, next);
                let counted = std::mem::replace(&mut self.counted, since);
                let collected = groups.finish(&counters.since(&counted), describer);
                let (namespaces, after) = (namespaces.clone(), survey.clone());
                self.used = cpu_time();
                let search = spawn_blocking(move || build::named(namespaces, before, after, collected));
                self.running = Some(Running::Search(search));
            }
        }
    }

    /// CPU time since what is under way began.
    fn cost(&self) -> Duration {
        cpu_time().saturating_sub(self.used)
    }

    /// What was under way has failed.
    pub(crate) fn give_up(&mut self) {
        let cost = self.cost();
        match self.running.take() {
            Some(Running::Survey(_)) | None => self.took = cost,
            Some(Running::Search(_)) => self.took += cost,
        }
        self.spent += cost;
        (self.has_searched, self.is_stale) = (true, false);
        self.next = None;
        self.last = Instant::now();
    }

    /// Begins anew with other drops: those from now on.
    pub(crate) fn reset(&mut self, wanted: BTreeSet<u32>) {
        let namespaces = std::mem::take(&mut self.namespaces);
        let running = self.running.take();
        let mut anew = Self::idle(self.surveyor, wanted, namespaces);
        match running {
            // However often the user asks for it, one survey of the machine is under way at a time.
            Some(survey @ Running::Survey(_)) => (anew.running, anew.is_stale) = (Some(survey), true),
            Some(Running::Search(_)) | None => anew.start_survey(),
        }
        *self = anew;
    }

    pub(crate) fn wanted(&self) -> &BTreeSet<u32> {
        &self.wanted
    }
}

/// CPU time of this process so far, and of the tools that it has asked for rules.
fn cpu_time() -> Duration {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .flat_map(|usage| [usage.user_time(), usage.system_time()])
        .map(|time| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0)))
        .sum()
}

#[cfg(test)]
mod tests;
