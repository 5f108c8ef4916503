//! What becomes of drops that are shown: text, JSON, whatever comes. A sink takes them all and says what it needs of each.

pub(crate) mod diagnosis;
mod facts;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod text;
pub(crate) mod writer;

use std::time::Duration;

pub(crate) use lines::{Format, Lines};

use crate::{
    capture::Needs,
    drops::{Drop, accounting::Accounting},
    error::{Error, Result},
    knowledge::{Kind, Severity},
};

/// Drops of one reason and kind at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub reason: Option<String>,
    pub symbol: String,
    pub kind: &'static Kind,
    pub severity: Severity,
    pub meaning: &'static str,
    pub count: u64,
}

impl Group {
    pub(crate) fn benign(&self) -> bool {
        self.severity == Severity::Benign
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub accounting: Accounting,
    pub elapsed: Duration,
    /// The most frequent first.
    pub groups: Vec<Group>,
    /// Drops for whose key the kernel's table had no room: counted, and in no group.
    pub other: u64,
}

/// Where drops go.
pub(crate) trait Sink {
    /// What it needs to know of each drop. The kernel is asked for what all sinks together need.
    fn needs(&self) -> Needs;

    /// Before the first drop.
    fn begin(&mut self) {}

    fn take(&mut self, drop: &Drop<'_>);

    /// After the last drop.
    fn end(&mut self, summary: &Summary);

    /// Passes on what it has taken in. False while whoever reads it is behind: drops wait in the kernel's ring buffer then,
    /// which counts what it has no room for.
    fn offer(&mut self) -> bool {
        true
    }

    /// It failed, or its reader is gone.
    fn is_closed(&mut self) -> bool {
        false
    }

    /// Passes on the rest.
    ///
    /// # Errors
    /// When that fails, or its reader is gone.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Several sinks, each of which gets every drop.
#[derive(Default)]
pub(crate) struct Sinks(Vec<Box<dyn Sink>>);

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sinks", self.0.len())
    }
}

impl Sinks {
    pub(crate) fn push(&mut self, sink: impl Sink + 'static) {
        self.0.push(Box::new(sink));
    }
}

impl Sink for Sinks {
    fn needs(&self) -> Needs {
        self.0.iter().fold(Needs::default(), |needs, sink| needs.and(sink.needs()))
    }

    fn begin(&mut self) {
        self.0.iter_mut().for_each(|sink| sink.begin());
    }

    fn take(&mut self, drop: &Drop<'_>) {
        self.0.iter_mut().for_each(|sink| sink.take(drop));
    }

    fn end(&mut self, summary: &Summary) {
        self.0.iter_mut().for_each(|sink| sink.end(summary));
    }

    /// Each is asked, so that none waits for the others.
    fn offer(&mut self) -> bool {
        self.0.iter_mut().fold(true, |all, sink| sink.offer() & all)
    }

    fn is_closed(&mut self) -> bool {
        self.0.iter_mut().any(|sink| sink.is_closed())
    }

    /// All are closed. A failure counts for more than a reader that is gone.
    fn close(&mut self) -> Result<()> {
        let mut errors: Vec<_> = self.0.iter_mut().filter_map(|sink| sink.close().err()).collect();
        errors.sort_by_key(Error::is_reader_gone);
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
