//! From events and keys to frames: one loop for the screen, one for frames of text.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use crossterm::event::Event;
use log::warn;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Interval, MissedTickBehavior},
};

use super::{
    frame,
    input::{Input, input},
    keys::Action,
    state::{Effect, Extent, Mode, State},
    terminal::{self, Screen},
    view::{self, Hit, Look},
};
use crate::{
    capture::{Batch, Capture, Next, clock::unix_ns},
    drops::{Observer, accounting::Accounting, select::Selection},
    error::{Error, Result},
    filter::FilterArgs,
    kernel::counters::Counters,
    live::{
        Live,
        detail::RowDetail,
        model::Model,
        windows::{Progress, Windows},
    },
    output::writer::{self, Writer},
    text::messages,
};

/// Intervals of history: a minute of the usual ones.
const INTERVALS: usize = 60;
/// And of shorter ones, as many as a minute has.
const MINUTE: Duration = Duration::from_secs(60);
/// How long events may gather while they come: they are seen with the next refresh.
const GATHER: Duration = Duration::from_millis(50);
/// Batches that a refresh reads: what comes faster waits for the next.
const BATCHES: usize = 64;
/// How long the last frame waits for culprits.
const NAMING: Duration = Duration::from_secs(20);

/// Begins a capture with filters; what is wrong with them is for the user to read.
pub(crate) type Starter = Box<dyn FnMut(&FilterArgs) -> Result<Started>>;

/// A capture with the filters that were asked for.
#[derive(Debug)]
pub(crate) struct Started {
    pub capture: Capture,
    pub filter: FilterArgs,
    /// Inode numbers of the namespaces that the filters name.
    pub netns: BTreeSet<u32>,
    /// When the counting began, at the earliest: starting takes a while, and drops are counted meanwhile.
    pub began: Instant,
}

/// Everything but the terminal.
pub(crate) struct App {
    capture: Capture,
    /// What the kernel filters by.
    filter: FilterArgs,
    starter: Starter,
    observer: Observer,
    live: Live,
    /// The model as it was when the screen was held still.
    held: Option<Box<Model>>,
    pub state: State,
    /// What had been counted when the counting began.
    base: Counters,
    /// The last counters, without `base`.
    counters: Counters,
    began: Instant,
    refreshed: Instant,
    interval: Duration,
    batch: Batch,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("state", &self.state).finish_non_exhaustive()
    }
}

impl App {
    pub(crate) fn new(
        started: Started,
        starter: Starter,
        observer: Observer,
        windows: Windows,
        state: State,
        interval: Duration,
    ) -> Self {
        Self {
            capture: started.capture,
            filter: started.filter,
            starter,
            observer,
            live: Live::new(Model::new(intervals(interval)), windows),
            held: None,
            state,
            base: Counters::default(),
            counters: Counters::default(),
            began: started.began,
            refreshed: started.began,
            interval,
            batch: Batch::default(),
        }
    }

    /// Takes in the details in the batch.
    async fn take_in(&mut self) {
        self.observer.observe(&self.batch, &mut self.live).await;
    }

    /// The counters, then the details of what they count.
    pub(crate) async fn refresh(&mut self) {
        self.capture.tick();
        self.counters = self.capture.counters().since(&self.base);
        let now = Instant::now();
        for _ in 0..BATCHES {
            if !self.capture.read(&mut self.batch) {
                break;
            }
            self.take_in().await;
        }
        let span = now - self.refreshed;
        self.refreshed = now;
        self.live.model.refresh(&self.counters, span, &mut self.observer.describer);
        self.live.model.name_places(&self.observer.resolver);
        self.live.windows.begin(&self.counters, self.live.model.has_unnamed());
        if self.held.is_none() {
            self.state.header.up = now - self.began;
            self.state.header.unix_ns = unix_ns();
            self.state.header.interval = self.interval;
        }
        self.show();
    }

    fn show(&mut self) {
        match (self.state.paused, &self.held) {
            (true, None) => self.held = Some(Box::new(self.live.model.clone())),
            (false, Some(_)) => self.held = None,
            (true, Some(_)) | (false, None) => {}
        }
        let model = self.held.as_deref().unwrap_or(&self.live.model);
        self.state.show(model);
        if let Some(message) = messages::last_held() {
            self.state.say(message.trim_start_matches("lossdrop: "), true);
        }
    }

    fn model(&self) -> &Model {
        self.held.as_deref().unwrap_or(&self.live.model)
    }

    /// Takes in what a look at the machine, or the search for culprits, has brought.
    fn advance(&mut self, progress: std::result::Result<Progress, tokio::task::JoinError>) {
        let progress = match progress {
            Ok(progress) => progress,
            Err(error) => {
                warn!("the search for culprits failed: {error}");
                self.live.windows.give_up();
                return;
            }
        };
        if matches!(progress, Progress::Surveyed(_)) && !self.live.windows.is_stale() {
            self.live.model.note_survey();
        }
        self.live.windows.advance(&progress, &self.counters, &mut self.observer.describer);
        match progress {
            Progress::Surveyed(found) => {
                let (namespaces, survey) = *found;
                let netns = namespaces.iter().map(|(inum, namespace)| (inum, namespace.name.as_str()));
                self.live.model.name_netns(netns);
                let states = survey.machine.netns.iter();
                self.live.model.name_devices(states.flat_map(|(inum, state)| {
                    state.links.iter().map(|link| (*inum, link.index, link.name.as_str()))
                }));
            }
            Progress::Named(named) => {
                self.live.model.learn(named, self.began.elapsed());
                self.show();
            }
        }
    }

    /// Begins to count anew.
    fn reset(&mut self) {
        self.base = self.capture.counters();
        // Drops go on while the counters are read: the rows, read last, have some that the sum has not, and in the end
        // those would be missing.
        let base = &mut self.base;
        let unkeyed = base.lost.saturating_sub(base.details_lost() + base.other.lost);
        base.seen = base.seen.max(base.counted() + base.other.count + base.filtered + unkeyed);
        self.counters = Counters::default();
        // What waits to be read are details of drops that are not counted any more.
        for _ in 0..BATCHES {
            if !self.capture.read(&mut self.batch) {
                break;
            }
        }
        self.begin_anew(self.live.windows.wanted().clone(), Instant::now());
    }

    fn begin_anew(&mut self, wanted: BTreeSet<u32>, began: Instant) {
        (self.began, self.refreshed) = (began, began);
        self.live.model = Model::new(intervals(self.interval));
        self.held = None;
        self.state.header.up = Duration::ZERO;
        self.state.forget();
        self.live.windows.reset(wanted);
        self.show();
    }

    /// Other filters: the kernel's are started anew, a selection only looks at what is there.
    fn filter(&mut self, filter: &FilterArgs, selection: Selection) {
        if *filter == self.filter {
            self.state.lens.selection = selection;
            self.state.mode = Mode::Table;
            self.show();
            return;
        }
        match (self.starter)(filter) {
            Ok(started) => {
                (self.capture, self.filter) = (started.capture, started.filter);
                self.base = Counters::default();
                self.counters = Counters::default();
                self.state.header.filter = self.filter.to_string();
                self.state.lens.selection = selection;
                self.state.mode = Mode::Table;
                self.begin_anew(started.netns, started.began);
            }
            Err(error) => self.state.refuse(error.to_string()),
        }
    }

    /// Writes what is seen to a file, which must not exist: text, or JSON where its name ends so.
    fn write(&mut self, name: &str, look: &Look, width: u16) {
        let text = if name.ends_with(".json") {
            format!("{}\n", frame::json(&self.state, &self.details()))
        } else {
            match self.state.opened() {
                Some(detail) => frame::detail_text(detail, look, width.into()),
                None => frame::text(&self.state, look, width.into()),
            }
        };
        match write_new(Path::new(name), &text) {
            Ok(()) => {
                self.state.close_prompt();
                self.state.say(format!("written to {name}"), false);
            }
            Err(error) => self.state.refuse(error.to_string()),
        }
    }

    /// Finds the culprits of all that is there, for a last frame.
    async fn name_all(&mut self) {
        let deadline = Instant::now() + NAMING;
        while Instant::now() < deadline && (!self.live.windows.is_idle() || self.live.model.has_unnamed()) {
            if self.live.windows.is_idle() {
                // Whatever it costs: it is the last.
                self.live.windows.ask();
            }
            self.live.windows.begin(&self.counters, true);
            let waited = tokio::time::timeout(GATHER, self.live.windows.progress()).await;
            if let Ok(progress) = waited {
                self.advance(progress);
            }
        }
        self.show();
    }

    /// Takes the program off and checks the books: every drop that the kernel counted is in one place.
    pub(crate) fn finish(&mut self) -> (Accounting, Duration) {
        let counters = self.capture.stop().since(&self.base);
        self.live.model.refresh(&counters, self.refreshed.elapsed(), &mut self.observer.describer);
        self.live.model.settle_books(&counters);
        self.state.show(&self.live.model);
        (self.state.header.books, self.began.elapsed())
    }

    /// What a key, a click or a new size is for.
    fn on(&mut self, event: &Event, screen: &Screen) -> Option<Effect> {
        let extent = screen.extent(&self.state);
        match input(event, &self.state.mode)? {
            Input::Act(action) => {
                let model = self.held.as_deref().unwrap_or(&self.live.model);
                self.state.act(action, model, extent)
            }
            Input::Edit(edit) => self.state.edit(edit),
            Input::Wheel(lines) => {
                self.state.wheel(lines, extent);
                None
            }
            Input::Click { column, row } => {
                let hit = view::hit(screen.area(), &self.state, screen.look(), column, row)?;
                self.click(hit, extent)
            }
            Input::Resize => {
                self.state.scroll_to_selection(extent.page);
                None
            }
        }
    }

    /// A row that is selected already opens.
    fn click(&mut self, hit: Hit, extent: Extent) -> Option<Effect> {
        let model = self.held.as_deref().unwrap_or(&self.live.model);
        match hit {
            Hit::Row(index) if self.state.selected_index() == Some(index) => {
                self.state.act(Action::Open, model, extent)
            }
            Hit::Row(index) => {
                self.state.select(index, extent.page);
                None
            }
            Hit::Sort(sort) => self.state.act(Action::Sort(sort), model, extent),
            Hit::Choice(index) => {
                self.state.choose(index);
                self.state.act(Action::Open, model, extent)
            }
        }
    }

    /// Does what the state cannot.
    fn work(&mut self, effect: Effect, screen: &mut Screen) -> Result<()> {
        match effect {
            Effect::Refresh => self.show(),
            Effect::Survey => self.live.windows.ask(),
            Effect::Filter(filter, selection) => self.filter(&filter, selection),
            Effect::Write(name) => self.write(&name, screen.look(), screen.area().width),
            Effect::Copy(text) => {
                screen.copy(&text)?;
                self.state.say(format!("copied, if the terminal allows it: {text}"), false);
            }
            Effect::Reset => self.reset(),
            Effect::Redraw => screen.redraw()?,
            Effect::Suspend => screen.suspend()?,
            Effect::Quit => {}
        }
        Ok(())
    }

    /// Of all rows, without packets.
    pub(crate) fn details(&self) -> Vec<RowDetail> {
        let State { table, lens, header, .. } = &self.state;
        self.model().cases_of_rows(&table.rows, lens, header.up)
    }
}

/// So many intervals of history are kept: a minute's at least.
fn intervals(interval: Duration) -> usize {
    let minute = MINUTE.as_millis().div_ceil(interval.as_millis().max(1));
    usize::try_from(minute).unwrap_or(INTERVALS).max(INTERVALS)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let written = writer::create(path)?.write_all(text.as_bytes());
    written.map_err(|source| Error::File { path: path.to_owned(), source })
}

/// On the screen, until the user quits or `stop` is ready; returns the final counters.
pub(crate) async fn run(app: &mut App, look: Look, stop: impl Future<Output = ()>) -> Result<()> {
    let mut stop = pin!(stop);
    let mut suspended = signal(SignalKind::from_raw(libc::SIGTSTP))?;
    let mut screen = Screen::new(look)?;
    let mut events = terminal::events()?;
    let mut refreshes = refreshes(app.interval);
    app.refresh().await;
    let mut is_new = true;
    loop {
        if std::mem::replace(&mut is_new, true) {
            screen.draw(&app.state)?;
        }
        let effect = tokio::select! {
            biased;
            () = &mut stop => break,
            _ = suspended.recv() => Some(Effect::Suspend),
            event = events.recv() => match event {
                Some(Ok(event)) => app.on(&event, &screen),
                // The terminal is gone.
                Some(Err(_)) | None => break,
            },
            progress = app.live.windows.progress() => {
                app.advance(progress);
                None
            }
            _ = refreshes.tick() => {
                app.refresh().await;
                // Rows may have changed places.
                if app.state.chosen && matches!(app.state.mode, Mode::Table) {
                    app.state.scroll_to_selection(screen.extent(&app.state).page);
                }
                None
            }
            next = app.capture.next(&mut app.batch, GATHER) => {
                if next == Next::Drops {
                    app.take_in().await;
                }
                // It is seen with the next refresh.
                is_new = false;
                None
            }
        };
        match effect {
            Some(Effect::Quit) => break,
            Some(effect) => app.work(effect, &mut screen)?,
            None => {}
        }
    }
    Ok(())
}

/// Frames of text or JSON, one an interval, `frames` of them or until `stop` is ready or there is no reader any more.
pub(crate) async fn batch(
    app: &mut App,
    print: impl Fn(&App) -> String,
    frames: Option<u64>,
    writer: &mut Writer,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let mut stop = pin!(stop);
    let mut refreshes = refreshes(app.interval);
    let (mut written, mut out) = (0, Vec::new());
    while frames.is_none_or(|frames| written < frames) && !writer.is_closed() {
        tokio::select! {
            biased;
            () = &mut stop => break,
            progress = app.live.windows.progress() => app.advance(progress),
            _ = refreshes.tick() => {
                app.refresh().await;
                written += 1;
                if frames == Some(written) {
                    tokio::select! {
                        biased;
                        () = &mut stop => {}
                        () = app.name_all() => {}
                    }
                    // The last is for whoever reads, however far behind.
                    out.extend(print(app).into_bytes());
                    break;
                }
                // A reader who is behind gets what is current when he has caught up.
                if writer.offer(&mut out) {
                    out = print(app).into_bytes();
                    writer.offer(&mut out);
                }
            }
            next = app.capture.next(&mut app.batch, GATHER) => if next == Next::Drops {
                app.take_in().await;
            },
        }
    }
    writer.close(out)
}

/// The first is an interval from now.
fn refreshes(interval: Duration) -> Interval {
    let mut refreshes = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    refreshes
}

#[cfg(test)]
mod tests;
