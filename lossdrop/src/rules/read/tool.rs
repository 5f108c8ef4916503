//! Runs one tool for what it prints.

use std::{
    env, fmt,
    io::{self, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::text::sanitize::sanitize;

/// Why a tool's answer is missing; as text a sentence.
#[derive(Debug)]
pub(super) enum Failure {
    Missing(String),
    Slow(String),
    Failed { command: String, complaint: String },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(program) => write!(f, "{program} is not installed."),
            Self::Slow(command) => write!(f, "\"{command}\" took too long and was stopped."),
            Self::Failed { command, complaint } => write!(f, "\"{command}\" failed: {complaint}."),
        }
    }
}

/// Where tools of the administrator are, in the search path or not.
const ALSO: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// More than any ruleset.
const OUTPUT_AT_MOST: u64 = 512 << 20;

/// The file of a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(ALSO.map(PathBuf::from));
    dirs.map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// What it prints, if it ends well and in time.
pub(super) fn run(program: &str, arguments: &[&str], deadline: Instant) -> Result<String, Failure> {
    let file = find(program).ok_or_else(|| Failure::Missing(program.to_owned()))?;
    let command = format!("{program} {}", arguments.join(" "));
    let failed =
        |error: io::Error| Failure::Failed { command: command.clone(), complaint: error.to_string() };
    let mut child = Command::new(file)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    let answers = receive(&output, deadline).and_then(|output| Ok((output, receive(&errors, deadline)?)));
    let Ok((output, errors)) = answers else {
        stop(&mut child);
        return Err(Failure::Slow(command));
    };
    // Both its outputs are closed: it is about to end.
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&errors);
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
        return Err(Failure::Failed {
            command,
            complaint: sanitize(first.trim_end_matches('.')).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Reads to the end beside us: a tool that fills one pipe must not wait for us to read the other.
fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all there is.
            let _read = pipe.take(OUTPUT_AT_MOST).read_to_end(&mut bytes);
        }
        // A tool that was stopped is not waited for any longer.
        let _sent = sender.send(bytes);
    });
    receiver
}

fn receive(from: &mpsc::Receiver<Vec<u8>>, deadline: Instant) -> Result<Vec<u8>, RecvTimeoutError> {
    from.recv_timeout(deadline.checked_duration_since(Instant::now()).unwrap_or(Duration::ZERO))
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _killed = child.kill();
    let _ended = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_missing_slow_or_failing_is_reported_in_a_sentence() {
        let soon = Instant::now() + Duration::from_secs(60);
        let sentence = |program: &str, arguments: &[&str], deadline| {
            run(program, arguments, deadline).expect_err(program).to_string()
        };
        assert_eq!(sentence("no-such-tool", &[], soon), "no-such-tool is not installed.");
        let slow = sentence("sleep", &["600"], Instant::now() + Duration::from_millis(20));
        assert_eq!(slow, "\"sleep 600\" took too long and was stopped.");
        let failing = sentence("sh", &["-c", "echo why. >&2; exit 3"], soon);
        assert_eq!(failing, "\"sh -c echo why. >&2; exit 3\" failed: why.");
    }

    #[test]
    fn much_output_on_both_pipes_is_read_to_the_end() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        let output = run("sh", &["-c", script], Instant::now() + Duration::from_secs(60)).expect("it ends");
        assert_eq!(output.len(), 300_000);
    }
}
