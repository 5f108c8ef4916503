//! What lossdrop tells beside its output: lines on standard error, kept back while a live view has the terminal.

use std::{
    io::{self, Write, stderr},
    mem,
    sync::{Mutex, PoisonError},
};

/// Lines that are kept at the most; the live view shows the last.
const KEPT: usize = 100;

#[derive(Debug)]
struct Held {
    on: bool,
    lines: Vec<String>,
    /// Of them, those that the live view has shown.
    seen: usize,
}

impl Held {
    const fn new() -> Self {
        Self { on: false, lines: Vec::new(), seen: 0 }
    }

    fn keep(&mut self, text: &str) {
        self.lines.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
        let too_many = self.lines.len().saturating_sub(KEPT);
        self.lines.drain(..too_many);
        self.seen = self.seen.saturating_sub(too_many);
    }

    fn last(&mut self) -> Option<String> {
        let is_new = self.seen < self.lines.len();
        self.seen = self.lines.len();
        self.lines.last().filter(|_| is_new).cloned()
    }
}

static HELD: Mutex<Held> = Mutex::new(Held::new());

/// Writes to standard error, or keeps what is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.on {
            return stderr().write(bytes);
        }
        held.keep(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Keeps lines back from now on, or writes those that were kept.
pub(crate) fn hold_log(on: bool) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.on = on;
    if !on {
        for line in mem::take(&mut held.lines) {
            // Best effort: stderr may be closed.
            let _ = writeln!(stderr(), "{line}");
        }
        held.seen = 0;
    }
}

/// The last line that was kept and not asked for yet.
pub(crate) fn last_held() -> Option<String> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_is_kept_is_reported_once() {
        let mut held = Held::new();
        held.keep("one\n");
        held.keep("two\nthree\n");
        assert_eq!(held.last().as_deref(), Some("three"));
        assert_eq!(held.last(), None);
        for number in 0..KEPT * 2 {
            held.keep(&number.to_string());
        }
        assert_eq!(held.lines.len(), KEPT);
        assert_eq!(held.last(), Some((KEPT * 2 - 1).to_string()));
        held.keep("");
        assert_eq!(held.last(), None);
    }
}
