//! Where drops come from: the running kernel, or a recording. What a reader learns of drops, of counters, of the time of day
//! and of names comes from here.

pub mod batch;
pub mod clock;
pub mod file;
pub mod live;
pub mod needs;
pub mod preflight;
pub mod tuning;

use std::time::Duration;

pub use batch::Batch;
pub use clock::Clock;
pub use file::Recording;
pub use live::Live;
pub use needs::Needs;

use crate::kernel::{Names, counters::Counters, ring};

/// How long drops gather while they flow, for a reader who wants each as soon as it may be.
pub const AT_ONCE: Duration = ring::LOOK_EVERY;

/// Drops, one batch after the other.
#[derive(Debug)]
pub enum Capture {
    Live(Box<Live>),
    File(Box<Recording>),
}

impl From<Live> for Capture {
    fn from(live: Live) -> Self {
        Self::Live(Box::new(live))
    }
}

impl From<Recording> for Capture {
    fn from(recording: Recording) -> Self {
        Self::File(Box::new(recording))
    }
}

/// What waiting has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The batch holds drops.
    Drops,
    /// There are none just now.
    Nothing,
    /// There will be none any more.
    End,
}

impl Capture {
    /// Waits for drops and puts them into the batch; while they flow, they gather for so long. Nothing is lost if the caller
    /// stops waiting.
    pub async fn next(&mut self, batch: &mut Batch, gather: Duration) -> Next {
        match self {
            Self::Live(live) => live.wait(gather).await,
            Self::File(recording) => {
                tokio::task::yield_now().await;
                if recording.is_over() {
                    return Next::End;
                }
            }
        }
        if self.read(batch) { Next::Drops } else { Next::Nothing }
    }

    /// Replaces the batch by what has come in since the last call; false if nothing has.
    pub fn read(&mut self, batch: &mut Batch) -> bool {
        match self {
            Self::Live(live) => live.read(batch),
            Self::File(recording) => recording.read(batch),
        }
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        match self {
            Self::Live(live) => live.counters(),
            Self::File(recording) => recording.counters(),
        }
    }

    /// Ends it and returns the final counters; what is still to be read can be read.
    pub fn stop(&mut self) -> Counters {
        match self {
            Self::Live(live) => live.stop(),
            Self::File(recording) => recording.stop(),
        }
    }

    /// To be called now and then: passes on what the kernel side logs.
    pub fn tick(&mut self) {
        if let Self::Live(live) = self {
            live.tick();
        }
    }

    /// Names for the numbers in its events.
    pub fn names(&self) -> Names {
        match self {
            Self::Live(live) => live.names(),
            Self::File(recording) => recording.names(),
        }
    }
}
