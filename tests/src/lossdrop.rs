//! Runs the binary under test and reads what it says.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::netns::Netns;
use crate::output::{Collected, Output, excerpt};
use crate::scenario::Shot;
use crate::wait::{LIMIT, wait_until};

/// The line on standard error that says: attached, no drop from now on is missed.
const READY: &str = "lossdrop: watching";
/// Loading the programs into a slow (emulated) kernel takes its time.
pub const START_LIMIT: Duration = Duration::from_secs(60);
/// So does the last look at it, and the search for culprits.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Decides which lines of standard output are kept.
type Keep = Box<dyn FnMut(&str) -> bool + Send>;

/// What comes out of a stream, shared with the thread that reads it.
#[derive(Clone, Debug, Default)]
struct Stream(Arc<Mutex<Collected>>);

impl Stream {
    fn get(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects in a thread, so that the other side never meets a full pipe.
    fn collect(&self, from: impl Read + Send + 'static, mut keep: Keep) -> JoinHandle<()> {
        let collected = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if keep(&line) {
                    let parsed = serde_json::from_str(&line).ok();
                    collected.get().push(line, parsed);
                }
            }
        })
    }
}

/// A running lossdrop; killed when dropped.
#[derive(Debug)]
pub struct Lossdrop {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    readers: Vec<JoinHandle<()>>,
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
        Self::spawn(command)?.ready()
    }

    /// `lossdrop trace`, restricted to these namespaces, with further arguments.
    ///
    /// # Errors
    /// As those of `start`.
    pub fn watch(namespaces: &[&Netns], args: &[&str]) -> Result<Self> {
        Self::launch(&mut trace_command(namespaces, args)?)
    }

    /// Several at once, which watch the same namespaces; they start side by side.
    ///
    /// # Errors
    /// As those of `start`.
    pub fn watch_each(namespaces: &[&Netns], each: &[&[&str]]) -> Result<Vec<Self>> {
        let started: Result<Vec<_>> =
            each.iter().map(|args| Self::spawn(&mut trace_command(namespaces, args)?)).collect();
        started?.into_iter().map(Self::ready).collect()
    }

    /// Returns once it watches.
    ///
    /// # Errors
    /// When it ends early (with what it wrote to standard error) or never says that it watches.
    pub fn ready(mut self) -> Result<Self> {
        wait_until("lossdrop says that it watches", START_LIMIT, || {
            if self.stderr.get().lines.iter().any(|line| line.starts_with(READY)) {
                return Ok(true);
            }
            match self.child.try_wait()? {
                Some(status) => bail!("lossdrop ended early ({status}):\n{}", self.drained_stderr()),
                None => Ok(false),
            }
        })
        .with_context(|| format!("standard error:\n{}", self.stderr.get().lines.join("\n")))?;
        Ok(self)
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
        Self::spawn_keeping(command, |_| true)
    }

    /// As [`spawn`](Self::spawn), but only the lines of standard output for which `keep` says so are kept: for more
    /// lines than anyone wants in memory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_keeping(
        command: &mut Command,
        keep: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let (stdout, stderr) = (Stream::default(), Stream::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| stdout.collect(pipe, Box::new(keep))));
        readers.extend(child.stderr.take().map(|pipe| stderr.collect(pipe, Box::new(|_| true))));
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
        wait_until(what, LIMIT, || Ok(cond(&self.stdout.get().lines))).with_context(|| self.said())
    }

    /// As [`wait_for`](Self::wait_for), on the drops said so far in JSON.
    ///
    /// # Errors
    /// When they do not satisfy `cond` in time; with all that was said.
    pub fn wait_for_drops(&self, what: &str, cond: impl Fn(&[Value]) -> bool) -> Result<()> {
        wait_until(what, LIMIT, || Ok(cond(&self.stdout.get().drops))).with_context(|| self.said())
    }

    /// Waits until all that a shot expects has been said in JSON.
    ///
    /// # Errors
    /// When it has not in time; with all that was said.
    pub fn wait_for_shot(&self, shot: &Shot) -> Result<()> {
        self.wait_for_drops("every expected drop is shown", |drops| {
            shot.expected.iter().all(|expected| expected.among(drops).count() as u64 >= expected.count)
        })
        .with_context(|| format!("expected:\n{shot}"))
    }

    /// The lines on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.get().lines.clone()
    }

    /// The drops said so far in JSON.
    #[must_use]
    pub fn drops(&self) -> Vec<Value> {
        self.stdout.get().drops.clone()
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
        self.finish(END_LIMIT)
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
        self.drained_stderr();
        let collected = std::mem::take(&mut *self.stdout.get());
        let stderr = std::mem::take(&mut self.stderr.get().lines);
        Ok(Output::new(status.unwrap_or_else(|| ExitStatus::from_raw(0)), collected, stderr))
    }

    /// After its end: waits until the readers have seen the end of both streams.
    fn drained_stderr(&mut self) -> String {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        self.stderr.get().lines.join("\n")
    }

    fn said(&self) -> String {
        let (stdout, stderr) = (&self.stdout.get().lines, &self.stderr.get().lines);
        format!("stdout:\n{}\nstderr:\n{}", excerpt(stdout), excerpt(stderr))
    }
}

impl Drop for Lossdrop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `lossdrop trace --netns A --netns B` and the arguments.
///
/// # Errors
/// When the binary is missing.
pub fn trace_command(namespaces: &[&Netns], args: &[&str]) -> Result<Command> {
    command("trace", namespaces, args)
}

/// `lossdrop diagnose --netns A --netns B` and the arguments.
///
/// # Errors
/// When the binary is missing.
pub fn diagnose_command(namespaces: &[&Netns], args: &[&str]) -> Result<Command> {
    command("diagnose", namespaces, args)
}

/// `lossdrop top --netns A --netns B` and the arguments.
///
/// # Errors
/// When the binary is missing.
pub fn top_command(namespaces: &[&Netns], args: &[&str]) -> Result<Command> {
    command("top", namespaces, args)
}

fn command(name: &str, namespaces: &[&Netns], args: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.arg(name);
    for ns in namespaces {
        command.args(["--netns", ns.name()]);
    }
    command.args(args);
    Ok(command)
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
        // A shell in the background ignores Ctrl-C, and could not trap it.
        let mut sh = Command::new("env");
        sh.args(["--default-signal=INT", "sh", "-c", script]);
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
