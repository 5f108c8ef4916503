//! A sink that writes lines.

use std::fmt;

use super::{Sink, Summary, writer::Writer};
use crate::{capture::Needs, drops::Drop, error::Result};

/// A way to write drops down. Everything is appended to `out`.
pub(crate) trait Format {
    fn needs(&self) -> Needs;
    /// Before the first drop.
    fn begin(&mut self, _out: &mut Vec<u8>) {}
    fn drop(&mut self, drop: &Drop<'_>, out: &mut Vec<u8>);
    /// After the last drop.
    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>);
}

/// Lines of a format, on their way to a writer.
pub(crate) struct Lines<F> {
    format: F,
    out: Vec<u8>,
    writer: Writer,
}

impl<F> fmt::Debug for Lines<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl<F: Format> Lines<F> {
    pub(crate) fn new(format: F, writer: Writer) -> Self {
        Self { format, out: Vec::new(), writer }
    }
}

impl<F: Format> Sink for Lines<F> {
    fn needs(&self) -> Needs {
        self.format.needs()
    }

    fn begin(&mut self) {
        self.format.begin(&mut self.out);
    }

    fn take(&mut self, drop: &Drop<'_>) {
        self.format.drop(drop, &mut self.out);
    }

    fn end(&mut self, summary: &Summary) {
        self.format.end(summary, &mut self.out);
    }

    fn offer(&mut self) -> bool {
        self.writer.offer(&mut self.out)
    }

    fn is_closed(&mut self) -> bool {
        self.writer.is_closed()
    }

    fn close(&mut self) -> Result<()> {
        self.writer.close(std::mem::take(&mut self.out))
    }
}
