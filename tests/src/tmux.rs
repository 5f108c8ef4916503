//! A terminal that a test can type into and read: a tmux server of its own.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::Pid;

use crate::lossdrop::{START_LIMIT, binary};
use crate::netns::{Netns, output};
use crate::wait::wait_until;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The end of the shell's prompt, behind the exit code of what ran last and the number of the next command.
const READY: &str = " ready>";

/// A screen that has stayed the same for so long has been drawn to its end; the views refresh much more slowly.
const DRAWN: Duration = Duration::from_millis(20);

/// The lines of a screen, without the blanks at their ends.
pub type Screen = Vec<String>;

/// A terminal with an interactive shell in it, which stays when what it runs has ended. Dropping it ends all of it.
#[derive(Debug)]
pub struct Tmux {
    name: String,
    socket: PathBuf,
    shell: i32,
    /// The number in the last prompt that was waited for.
    prompts: Cell<u32>,
}

impl Tmux {
    /// A terminal of this size; returns when the shell is ready.
    ///
    /// # Errors
    /// When tmux or bash is missing, or the shell never gets ready.
    pub fn new(cols: u16, rows: u16) -> Result<Self> {
        let name = format!("lossdrop-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let mut terminal = Self { name, socket: PathBuf::new(), shell: 0, prompts: Cell::new(0) };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let mut command = terminal.command();
        command.args(["start-server", ";", "set-option", "-g", "status", "off", ";"]);
        // What a program copies is then what `clipboard` reads.
        command.args(["set-option", "-g", "set-clipboard", "on", ";"]);
        command.args(["new-session", "-d", "-x", &cols, "-y", &rows]);
        // In words of its own, or another shell would run it, and take the prompt away.
        command.args(["bash", "--norc", "--noprofile"]);
        // Whoever runs the tests may have settings of their own, and a history to keep.
        for name in ["TMUX", "NO_COLOR", "COLORFGBG", "LC_CTYPE", "LC_MESSAGES"] {
            command.env_remove(name);
        }
        command.env("HISTFILE", "/dev/null").env("PS1", format!("$? \\#{READY} "));
        output(command.env("LOSSDROP", binary()?))?;
        terminal.socket = terminal.query("#{socket_path}")?.into();
        terminal.shell = terminal.query("#{pane_pid}")?.parse().context("no process in the terminal")?;
        terminal.exit_code()?;
        Ok(terminal)
    }

    /// As [`new`](Self::new), with the live view of `lossdrop top` of these namespaces.
    ///
    /// # Errors
    /// When the terminal cannot be had.
    pub fn top(namespaces: &[&Netns], args: &str, cols: u16, rows: u16) -> Result<Self> {
        let terminal = Self::new(cols, rows)?;
        terminal.enter(&top_line(namespaces, args))?;
        Ok(terminal)
    }

    fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.name, "-f", "/dev/null", "-u"]);
        tmux.env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        tmux
    }

    fn tell(&self, args: &[&str]) -> Result<String> {
        output(self.command().args(args))
    }

    /// Presses keys, by tmux's names for them: `Enter`, `Space`, `C-z`, `j`.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn send_keys(&self, keys: &[&str]) -> Result<()> {
        self.tell(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Types a text as it is.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn send_text(&self, text: &str) -> Result<()> {
        self.tell(&["send-keys", "-l", "--", text]).map(drop)
    }

    /// Types a line, with Enter at its end.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn enter(&self, line: &str) -> Result<()> {
        self.send_text(line)?;
        self.send_keys(&["Enter"])
    }

    /// What is on the screen.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn screen(&self) -> Result<Screen> {
        Ok(self.tell(&["capture-pane", "-p"])?.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// What is on the screen, with the escape sequences that colour it, and all of its blanks.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn coloured_screen(&self) -> Result<String> {
        self.tell(&["capture-pane", "-e", "-N", "-p"])
    }

    /// Waits until the screen satisfies `cond`, and returns it: not one that is still being drawn.
    ///
    /// # Errors
    /// When it does not in time; with what is on it.
    pub fn wait_for(&self, what: &str, cond: impl Fn(&Screen) -> bool) -> Result<Screen> {
        let mut screen = Screen::new();
        let mut since = Instant::now();
        wait_until(what, START_LIMIT, || {
            let now = self.screen()?;
            if now != screen {
                (screen, since) = (now, Instant::now());
            }
            Ok(since.elapsed() >= DRAWN && cond(&screen))
        })
        .with_context(|| format!("on the screen:\n{}", screen.join("\n")))?;
        Ok(screen)
    }

    /// Waits until the text is somewhere on the screen.
    ///
    /// # Errors
    /// As those of [`wait_for`](Self::wait_for).
    pub fn wait_for_text(&self, text: &str) -> Result<Screen> {
        self.wait_for(text, |screen| screen.iter().any(|line| line.contains(text)))
    }

    /// Waits for the shell's next prompt, and returns the exit code in it.
    ///
    /// # Errors
    /// When the shell does not become ready in time.
    pub fn exit_code(&self) -> Result<i32> {
        let is_next = |(_, number): &(i32, u32)| *number > self.prompts.get();
        let next = |screen: &Screen| prompt(screen).filter(is_next);
        let screen = self.wait_for("the shell's prompt", |screen| next(screen).is_some())?;
        let (code, number) = next(&screen).context("no exit code")?;
        self.prompts.set(number);
        Ok(code)
    }

    /// Runs a line in the shell, which must be ready, and returns its exit code and what is on the screen: nothing but
    /// what it wrote, and the prompt.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run(&self, line: &str) -> Result<(i32, Screen)> {
        self.enter(&format!("clear; {line}"))?;
        Ok((self.exit_code()?, self.screen()?))
    }

    /// # Errors
    /// When tmux is gone.
    pub fn resize(&self, cols: u16, rows: u16) -> Result<()> {
        self.tell(&["resize-window", "-x", &cols.to_string(), "-y", &rows.to_string()]).map(drop)
    }

    /// What tmux says of the terminal: `#{cursor_flag}`, `#{mouse_any_flag}`, `#{alternate_on}`.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn query(&self, format: &str) -> Result<String> {
        Ok(self.tell(&["display-message", "-p", format])?.trim_end().to_owned())
    }

    /// What a program has copied last.
    ///
    /// # Errors
    /// When none has.
    pub fn clipboard(&self) -> Result<String> {
        self.tell(&["show-buffer"])
    }

    /// The process in the foreground: what the shell runs, or the shell.
    ///
    /// # Errors
    /// When the shell is gone.
    pub fn foreground(&self) -> Result<Pid> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.shell)).context("the shell is gone")?;
        // Behind the name, which is in brackets: state, parent, group, session, terminal, the terminal's group.
        let group = stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(5));
        let group = group.with_context(|| format!("no group in the foreground: {stat}"))?;
        Ok(Pid::from_raw(group.parse()?))
    }

    /// The terminal is gone, as when its window is closed.
    ///
    /// # Errors
    /// When it was gone already.
    pub fn close(&self) -> Result<()> {
        self.tell(&["kill-server"]).map(drop)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
        // Which tmux leaves behind.
        let _ = fs::remove_file(&self.socket);
    }
}

/// The exit code and the number in the prompt at the end of the screen.
fn prompt(screen: &Screen) -> Option<(i32, u32)> {
    let last = screen.iter().rev().find(|line| !line.is_empty())?;
    let (code, number) = last.strip_suffix(READY)?.split_once(' ')?;
    Some((code.parse().ok()?, number.parse().ok()?))
}

/// `lossdrop top --netns A --netns B` and the arguments, as the terminal's shell takes it.
#[must_use]
pub fn top_line(namespaces: &[&Netns], args: &str) -> String {
    let netns: String = namespaces.iter().map(|ns| format!(" --netns {}", ns.name())).collect();
    format!("\"$LOSSDROP\" top{netns} {args}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_tells_how_the_last_command_ended() {
        let screen = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Screen>();
        assert_eq!(prompt(&screen(&["0 1 ready> false", "1 2 ready>", ""])), Some((1, 2)));
        assert_eq!(prompt(&screen(&["1 2 ready> ls"])), None);
        assert_eq!(prompt(&screen(&["", ""])), None);
    }
}
