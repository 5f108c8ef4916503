//! What lossdrop tells beside its output: lines on standard error, kept back while a live view has the terminal.

use std::{
    io::{self, Write, stderr},
    mem,
    sync::{Mutex, PoisonError},
};

/// Lines that are kept at the most; the live view shows the last, and nobody reads hundreds.
const KEPT: usize = 100;

#[derive(Debug)]
struct Held {
    on: bool,
    lines: Vec<String>,
    /// Of them, those that the live view has shown.
    seen: usize,
}

static HELD: Mutex<Held> = Mutex::new(Held { on: false, lines: Vec::new(), seen: 0 });

/// Writes to standard error, or keeps what is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.on {
            return stderr().write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        held.lines.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
        let too_many = held.lines.len().saturating_sub(KEPT);
        held.lines.drain(..too_many);
        held.seen = held.seen.saturating_sub(too_many);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Keeps lines back from now on, or writes those that were kept.
pub fn hold_log(on: bool) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.on = on;
    if !on {
        for line in mem::take(&mut held.lines) {
            // Nobody is left to tell.
            let _ = writeln!(stderr(), "{line}");
        }
        held.seen = 0;
    }
}

/// The last line that was kept and not asked for yet.
pub fn last_held() -> Option<String> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = held.seen < held.lines.len();
    held.seen = held.lines.len();
    held.lines.last().filter(|_| is_new).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_while_they_are_held_and_each_is_told_once() {
        hold_log(true);
        writeln!(Messages, "one").expect("kept");
        writeln!(Messages, "two\nthree").expect("kept");
        assert_eq!(last_held().as_deref(), Some("three"));
        assert_eq!(last_held(), None);
        for number in 0..KEPT * 2 {
            writeln!(Messages, "{number}").expect("kept");
        }
        assert_eq!(HELD.lock().expect("nobody panicked").lines.len(), KEPT);
        assert_eq!(last_held(), Some((KEPT * 2 - 1).to_string()));
        // What is left is not for the terminal of whoever runs the tests.
        HELD.lock().expect("nobody panicked").lines.clear();
        hold_log(false);
        assert_eq!(last_held(), None);
    }
}
