//! Runs the binary under test and reads what it says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fmt};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::wait::{LIMIT, wait_until};

/// The line on standard error that says: attached, no drop from now on is missed.
const READY: &str = "lossdrop: watching";
/// Loading the programs into a slow (emulated) kernel takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Lines as they come, without their line feed.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn get(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects in a thread, so that the other side never meets a full pipe.
    fn collect(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                lines.get().push(String::from_utf8_lossy(&line).into_owned());
            }
        })
    }
}

/// A running lossdrop; killed when dropped.
#[derive(Debug)]
pub struct Lossdrop {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// What it said, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    pub status: ExitStatus,
    /// Objects with `"type":"drop"`, in order.
    pub drops: Vec<Value>,
    /// The last object with `"type":"summary"`; `Null` without one.
    pub summary: Value,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Lossdrop {
    /// Starts it and returns once it watches.
    ///
    /// # Errors
    /// When the binary is missing, ends early (with what it wrote to standard error) or never says that it watches.
    pub fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::launch(Command::new(binary()?).args(args))
    }

    /// As [`start`](Self::start), for a command that is prepared already: another namespace, another environment.
    ///
    /// # Errors
    /// As those of `start`.
    pub fn launch(command: &mut Command) -> Result<Self> {
        let mut running = Self::spawn(command)?;
        wait_until("lossdrop says that it watches", START_LIMIT, || {
            if running.stderr.get().iter().any(|line| line.starts_with(READY)) {
                return Ok(true);
            }
            match running.child.try_wait()? {
                Some(status) => bail!("lossdrop ended early ({status}):\n{}", running.drained_stderr()),
                None => Ok(false),
            }
        })
        .with_context(|| format!("standard error:\n{}", running.stderr.get().join("\n")))?;
        Ok(running)
    }

    /// Runs it to its end: for commands that end by themselves.
    ///
    /// # Errors
    /// When the binary is missing, or still runs after `limit`.
    pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, limit: Duration) -> Result<Output> {
        Self::spawn(Command::new(binary()?).args(args))?.finish(limit)
    }

    /// Starts a command without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| stdout.collect(pipe)));
        readers.extend(child.stderr.take().map(|pipe| stderr.collect(pipe)));
        Ok(Self { child, stdout, stderr, readers })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the lines on standard output so far satisfy `cond`.
    ///
    /// # Errors
    /// When they do not in time; with all that was said.
    pub fn wait_for(&self, what: &str, cond: impl Fn(&[String]) -> bool) -> Result<()> {
        wait_until(what, LIMIT, || Ok(cond(&self.stdout.get()))).with_context(|| self.said())
    }

    /// As [`wait_for`](Self::wait_for), on the drops said so far in JSON.
    ///
    /// # Errors
    /// When they do not satisfy `cond` in time; with all that was said.
    pub fn wait_for_drops(&self, what: &str, cond: impl Fn(&[Value]) -> bool) -> Result<()> {
        wait_until(what, LIMIT, || Ok(cond(&of_type(&self.stdout.get(), "drop"))))
            .with_context(|| self.said())
    }

    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to lossdrop"))
    }

    /// Ends it as Ctrl-C does and returns all that it said.
    ///
    /// # Errors
    /// When it has ended already, or does not end.
    pub fn stop(mut self) -> Result<Output> {
        if let Some(status) = self.child.try_wait()? {
            bail!("lossdrop had ended before it was stopped ({status}):\n{}", self.drained_stderr());
        }
        self.signal(Signal::SIGINT)?;
        self.finish(LIMIT)
    }

    /// Waits for its end and returns all that it said.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn finish(mut self, limit: Duration) -> Result<Output> {
        let mut status = None;
        wait_until("lossdrop ends", limit, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })
        .with_context(|| self.said())?;
        let stderr = self.drained_stderr().lines().map(str::to_owned).collect();
        let stdout = self.stdout.get().clone();
        Ok(Output {
            status: status.unwrap_or_else(|| ExitStatus::from_raw(0)),
            drops: of_type(&stdout, "drop"),
            summary: of_type(&stdout, "summary").pop().unwrap_or_default(),
            stdout,
            stderr,
        })
    }

    /// After its end: waits until the readers have seen the end of both streams.
    fn drained_stderr(&mut self) -> String {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        self.stderr.get().join("\n")
    }

    fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout.get().join("\n"), self.stderr.get().join("\n"))
    }
}

impl Drop for Lossdrop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    /// A number of the summary (`seen`, `shown`, `suppressed`, `filtered`, `lost`).
    ///
    /// # Errors
    /// When there is no summary, or no such number in it.
    pub fn total(&self, name: &str) -> Result<u64> {
        self.summary[name].as_u64().with_context(|| format!("no {name:?} in the summary\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout.join("\n"), self.stderr.join("\n"))
    }
}

/// The objects of one type; lines that are no JSON are passed over.
fn of_type(lines: &[String], wanted: &str) -> Vec<Value> {
    let objects = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter(|object| object["type"] == wanted).collect()
}

/// `LOSSDROP_BIN`, or the binary of the same build: beside this executable, or one up for a test in `deps/`.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("LOSSDROP_BIN").map(PathBuf::from) {
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("LOSSDROP_BIN={}: no such file", path.display())
        };
    }
    let own = env::current_exe().context("cannot tell where this executable is")?;
    let places: Vec<_> = own.ancestors().skip(1).take(2).map(|folder| folder.join("lossdrop")).collect();
    let found = places.iter().find(|path| path.is_file()).cloned();
    found.with_context(|| {
        let looked: Vec<_> = places.iter().map(|path| Path::display(path).to_string()).collect();
        format!(
            "no lossdrop binary at {}: run `cargo build -p lossdrop` first, or set LOSSDROP_BIN",
            looked.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        sh
    }

    const WATCHER: &str = r#"
        trap 'echo "{\"type\":\"summary\",\"seen\":7}"; echo bye >&2; exit 0' INT
        echo "lossdrop: watching everything" >&2
        echo "no JSON"
        echo "{\"type\":\"drop\",\"reason\":\"NO_SOCKET\"}"
        while :; do sleep 0.01; done"#;

    #[test]
    fn what_was_said_until_ctrl_c_is_sorted_into_drops_and_summary() -> Result<()> {
        let running = Lossdrop::launch(&mut shell(WATCHER))?;
        running.wait_for_drops("one drop", |drops| drops.len() == 1)?;
        running.wait_for("plain text", |lines| lines.iter().any(|line| line == "no JSON"))?;
        let output = running.stop()?;
        assert!(output.status.success(), "{output}");
        assert_eq!(output.drops[0]["reason"], "NO_SOCKET");
        assert_eq!(output.total("seen")?, 7);
        assert_eq!(output.stderr.last().map(String::as_str), Some("bye"));
        Ok(())
    }

    #[test]
    fn an_early_end_shows_what_was_written_to_standard_error() {
        let failure = Lossdrop::launch(&mut shell("echo 'no permission' >&2; exit 2")).unwrap_err();
        assert!(format!("{failure:#}").contains("no permission"), "{failure:#}");
    }

    #[test]
    fn a_command_that_ends_by_itself_is_run_to_its_end() -> Result<()> {
        let output = Lossdrop::spawn(&mut shell("echo done; exit 3"))?.finish(LIMIT)?;
        assert_eq!((output.status.code(), output.stdout), (Some(3), vec!["done".to_owned()]));
        Ok(())
    }
}
