//! Waiting for a state instead of sleeping: every wait has a deadline and says what it waited for.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The usual limit: far above what any step needs, so that a busy machine makes a test slow, not wrong.
pub const LIMIT: Duration = Duration::from_secs(10);

const STEP: Duration = Duration::from_millis(5);

/// Looks every few milliseconds until `cond` holds; an error of `cond` ends the wait.
///
/// # Errors
/// When `limit` has passed (naming `what`), or when `cond` fails.
pub fn wait_until(what: &str, limit: Duration, mut cond: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        if cond()? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain: {what}");
        }
        thread::sleep(STEP);
    }
}

/// Reads a value until it has stayed the same for `quiet`, and returns it: for counters that packets still in flight
/// may move.
///
/// # Errors
/// When it still changes after [`LIMIT`], or when `read` fails.
pub fn settle<T: PartialEq>(what: &str, quiet: Duration, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let mut value = read()?;
    let mut since = Instant::now();
    wait_until(&format!("{what} comes to rest"), LIMIT, || {
        let now = read()?;
        if now != value {
            value = now;
            since = Instant::now();
        }
        Ok(since.elapsed() >= quiet)
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_names_what_it_waited_for() {
        let err = wait_until("the moon is blue", Duration::ZERO, || Ok(false)).unwrap_err();
        assert!(err.to_string().contains("the moon is blue"));
    }

    #[test]
    fn a_value_settles_at_its_last_state() {
        let mut reads = 0;
        let value = settle("a counter", Duration::from_millis(20), || {
            reads += 1;
            Ok(reads.min(4))
        });
        assert_eq!(value.unwrap(), 4);
    }
}
