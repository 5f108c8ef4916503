//! Whatever ends or stops the live view, the terminal is as it was before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::START_LIMIT;
use lossdrop_lab::tmux::top_line;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Lab, Netns, Tmux, UdpClosedPort};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::table::{number, says, sum};
use crate::{FAST, Story};

/// A terminal with a screen that is to come back, and settings that are to stay.
struct Terminal {
    tmux: Tmux,
    netns: Netns,
    settings: String,
}

/// What tmux says of a terminal that nobody has taken over.
const FREE: &str = "cursor 1, mouse 0, alternate 0";
const TAKEN: &str = "cursor 0, mouse 1, alternate 1";

impl Terminal {
    fn new() -> Result<Self> {
        let mut terminal =
            Self { tmux: Tmux::new(80, 24)?, netns: Netns::new("end")?, settings: String::new() };
        terminal.settings = terminal.read_settings()?;
        terminal.tmux.run("echo this was here before")?;
        Ok(terminal)
    }

    fn read_settings(&self) -> Result<String> {
        let (code, screen) = self.tmux.run("stty -g; stty -a | tr ';' '\\n'")?;
        ensure!(code == 0 && says(&screen, " icanon") && says(&screen, " echo "), "{screen:#?}");
        ensure!(
            !says(&screen, "-icanon") && !says(&screen, "-echo ") && !says(&screen, "-isig"),
            "{screen:#?}"
        );
        Ok(screen[0].clone())
    }

    fn modes(&self) -> Result<String> {
        self.tmux.query("cursor #{cursor_flag}, mouse #{mouse_any_flag}, alternate #{alternate_on}")
    }

    /// Returns the process that has taken the terminal over.
    fn open(&self) -> Result<Pid> {
        self.tmux.enter(&top_line(&[&self.netns], ""))?;
        self.is_taken()?;
        self.tmux.foreground()
    }

    fn is_taken(&self) -> Result<()> {
        let screen = self.tmux.wait_for_text("by cause")?;
        ensure!(!says(&screen, "this was here before") && self.modes()? == TAKEN, "{}", self.modes()?);
        Ok(())
    }

    /// The shell is back, with the code that it tells.
    fn is_free(&self, due: i32) -> Result<()> {
        let code = self.tmux.exit_code()?;
        let (screen, modes) = (self.tmux.screen()?, self.modes()?);
        ensure!(code == due, "exit code {code} instead of {due}: {screen:#?}");
        ensure!(says(&screen, "this was here before") && !says(&screen, "by cause"), "{screen:#?}");
        ensure!(modes == FREE, "{modes}");
        Ok(())
    }

    fn is_as_before(&self) -> Result<()> {
        let settings = self.read_settings()?;
        ensure!(settings == self.settings, "{settings} instead of {}", self.settings);
        Ok(())
    }
}

#[test]
fn q_and_escape_and_control_c_leave_the_terminal_as_it_was() -> Result<()> {
    let terminal = Terminal::new()?;
    for key in ["q", "Escape", "C-c"] {
        terminal.open()?;
        terminal.tmux.send_keys(&[key])?;
        terminal.is_free(0).context(key)?;
        let screen = terminal.tmux.screen()?;
        ensure!(says(&screen, " s: seen ") && says(&screen, " = shown "), "the last words: {screen:#?}");
    }
    terminal.is_as_before()
}

#[test]
fn signals_that_end_it_leave_the_terminal_as_it_was() -> Result<()> {
    let terminal = Terminal::new()?;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let pid = terminal.open()?;
        kill(pid, signal)?;
        terminal.is_free(0).context(signal)?;
    }
    terminal.is_as_before()
}

#[test]
fn suspended_the_shell_has_the_terminal_and_continued_the_view_goes_on() -> Result<()> {
    /// What a shell says of a process that was stopped by `SIGSTOP`, or `SIGTSTP`.
    const STOPPED: [i32; 2] = [128 + Signal::SIGSTOP as i32, 128 + Signal::SIGTSTP as i32];
    let terminal = Terminal::new()?;
    let pid = terminal.open()?;
    for by_key in [true, false] {
        if by_key {
            terminal.tmux.send_keys(&["C-z"])?;
        } else {
            kill(pid, Signal::SIGTSTP)?;
        }
        let code = terminal.tmux.exit_code()?;
        let screen = terminal.tmux.screen()?;
        ensure!(STOPPED.contains(&code) && says(&screen, "Stopped"), "{code}: {screen:#?}");
        ensure!(terminal.modes()? == FREE, "{}", terminal.modes()?);
        terminal.is_as_before()?;
        terminal.tmux.run("echo this was here before")?;
        terminal.tmux.enter("fg")?;
        terminal.is_taken()?;
        ensure!(terminal.tmux.foreground()? == pid, "it is the same process");
        terminal.tmux.send_keys(&["4"])?;
        terminal.tmux.wait_for_text("by device")?;
        terminal.tmux.send_keys(&["1"])?;
        terminal.tmux.wait_for_text("by cause")?;
    }
    terminal.tmux.send_keys(&["q"])?;
    terminal.is_free(0)?;
    terminal.is_as_before()
}

#[test]
fn drops_while_it_is_suspended_are_counted() -> Result<()> {
    let mut story = Story::named()?;
    story.terminal.send_keys(&["C-z"])?;
    story.terminal.wait_for_text("Stopped")?;
    story.fire()?;
    story.terminal.enter("fg")?;
    let screen = story.wait_until_named()?;
    ensure!(number(&screen, "lost")? == 0, "{screen:#?}");
    Ok(())
}

#[test]
fn the_last_words_account_for_every_drop() -> Result<()> {
    let mut story = Story::named()?;
    story.fire()?;
    // At once: what no refresh has seen is counted all the same.
    story.terminal.send_keys(&["q"])?;
    ensure!(story.terminal.exit_code()? == 0);
    let screen = story.terminal.screen()?;
    let words = screen.iter().find(|line| line.starts_with("lossdrop: ")).context("no last words")?.clone();
    let shown = story.shot.total();
    ensure!(
        words.contains(&format!(" = shown {shown} + ")) && words.ends_with(" + lost 0"),
        "{shown}: {words}"
    );
    Ok(())
}

/// A cgroup whose only process may have no more threads; gone with its guard, after the process.
struct Threadless(PathBuf);

impl Threadless {
    /// `None` where the machine has no such cgroups.
    fn new(pid: Pid) -> Result<Option<Self>> {
        let folders = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
        let has_pids = |folder: &&Path| {
            folder.ends_with("pids") && folder.is_dir()
                || fs::read_to_string(folder.join("cgroup.subtree_control"))
                    .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "pids"))
        };
        let Some(folder) = folders.into_iter().find(has_pids) else { return Ok(None) };
        let cgroup = Self(folder.join(format!("lossdrop-{}", process::id())));
        fs::create_dir(&cgroup.0)?;
        fs::write(cgroup.0.join("cgroup.procs"), pid.to_string())?;
        fs::write(cgroup.0.join("pids.max"), "1")?;
        Ok(Some(cgroup))
    }
}

impl Drop for Threadless {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_on_the_screen() -> Result<()> {
    let mut lab = UdpClosedPort::v4(1)?;
    let terminal = Terminal::new()?;
    terminal.tmux.enter(&format!("RUST_BACKTRACE=0 {}", top_line(&lab.namespaces(), FAST)))?;
    terminal.is_taken()?;
    lab.fire()?;
    terminal.tmux.wait_for_text("10.0.0.2:9999")?;
    let pid = terminal.tmux.foreground()?;
    // Itself and the one that reads the terminal: those that looked at the machine end when there is nothing to do.
    wait_until("it has two threads", START_LIMIT, || {
        Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count() <= 2)
    })?;
    let Some(_cgroup) = Threadless::new(pid)? else {
        println!("skipped: no cgroups that limit the number of threads");
        return Ok(());
    };
    // To look at the machine again takes a thread.
    terminal.tmux.send_keys(&["Enter"])?;
    terminal.is_free(101)?;
    let screen = terminal.tmux.screen()?;
    ensure!(says(&screen, "panicked at"), "{screen:#?}");
    terminal.is_as_before()
}

#[test]
fn when_its_terminal_is_closed_it_ends() -> Result<()> {
    // Whether the signal or the end of the input comes first is a matter of chance.
    for _ in 0..5 {
        let terminal = Terminal::new()?;
        let pid = terminal.open()?;
        terminal.tmux.close()?;
        wait_until("it has ended", LIMIT, || Ok(kill(pid, None) == Err(Errno::ESRCH)))?;
    }
    Ok(())
}

#[test]
fn half_a_key_holds_nothing_up() -> Result<()> {
    let mut story = Story::named()?;
    let pid = story.terminal.foreground()?;
    story.terminal.send_text("\x1b[<0;10;")?;
    story.fire()?;
    story.wait_until_named()?;
    kill(pid, Signal::SIGTERM)?;
    ensure!(story.terminal.exit_code()? == 0);
    Ok(())
}

#[test]
fn a_terminal_that_cannot_show_it_is_refused_with_what_can_be_had() -> Result<()> {
    let terminal = Terminal::new()?;
    for env in ["TERM=dumb", "TERM=", "-u TERM"] {
        let line = format!("env {env} {}", top_line(&[&terminal.netns], ""));
        let (code, screen) = terminal.tmux.run(&line)?;
        let text = screen.join("");
        ensure!(code == 1 && text.contains("TERM is dumb or not set"), "{env}: {code}: {screen:#?}");
        ensure!(text.contains("--batch prints frames of text"), "{env}: {screen:#?}");
        ensure!(terminal.modes()? == FREE, "{env}: {}", terminal.modes()?);
    }
    terminal.is_as_before()
}

#[test]
fn without_utf_8_or_colour_the_same_is_shown() -> Result<()> {
    let mut lab = UdpClosedPort::v4(5)?;
    let terminal = Tmux::new(80, 24)?;
    terminal.enter(&format!("LC_ALL=C NO_COLOR=1 {}", top_line(&lab.namespaces(), "")))?;
    terminal.wait_for_text("seen ")?;
    let total = lab.fire()?.total();
    let screen = terminal.wait_for("all of them", |screen| sum(screen) == total)?;
    ensure!(screen.iter().all(|line| line.is_ascii()), "{screen:#?}");
    // Selected rows are reversed, what is important is bold; foreground colours are 30 to 37 and 90 to 97.
    let coloured = terminal.coloured_screen()?;
    let codes = coloured.split("\x1b[").skip(1).filter_map(|part| part.split_once('m'));
    let has_colour = codes.flat_map(|(codes, _)| codes.split(';')).any(|code| {
        code.parse().is_ok_and(|code: u8| (30..=38).contains(&code) || (90..=97).contains(&code))
    });
    ensure!(!has_colour, "{coloured:?}");
    Ok(())
}
