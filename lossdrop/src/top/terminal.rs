//! The terminal: taken over, and given back as it was, whatever ends the program.

use std::{
    io::{self, Stdout, Write as _, stdout},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossterm::{
    clipboard::CopyToClipboard,
    event::{self, DisableMouseCapture, EnableMouseCapture, Event},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use nix::sys::signal::{Signal, raise};
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    state::{Extent, State},
    view::{self, Look},
};
use crate::text::messages::hold_log;

/// The terminal is taken over.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The screen, while it is ours. Dropping gives it back.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    look: Look,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn new(look: Look) -> io::Result<Self> {
        give_back_on_panic();
        take_over()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, look })
    }

    pub(crate) fn draw(&mut self, state: &State) -> io::Result<()> {
        let look = self.look;
        self.terminal.draw(|frame| view::draw(frame, state, &look)).map(|_| ())
    }

    pub(crate) fn area(&self) -> Rect {
        self.terminal.size().map_or(Rect::ZERO, |size| Rect::new(0, 0, size.width, size.height))
    }

    pub(crate) fn extent(&self, state: &State) -> Extent {
        let area = self.area();
        Extent { page: view::page(area, state), lines: view::lines(area, state, &self.look) }
    }

    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    /// Forgets what is on the screen, so that all of it is drawn anew.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        // `clear` would ask the terminal where its cursor is, and whoever waits for events would get the answer.
        self.terminal.resize(self.area())
    }

    /// Hands text to the terminal's clipboard, which works over ssh where the terminal allows it.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Stops this process until the shell continues it. The terminal is the shell's meanwhile.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        raise(Signal::SIGSTOP)?;
        take_over()?;
        self.redraw()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// What the terminal tells. On a thread of its own: crossterm reads on and on once the terminal has hung up, and waits in the
/// middle of a sequence that is not complete; nothing else is to wait with it.
pub(crate) fn events() -> io::Result<UnboundedReceiver<io::Result<Event>>> {
    let (sender, receiver) = unbounded_channel();
    let read = move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.send(event).is_err() || is_over {
                break;
            }
        }
    };
    thread::Builder::new().name("terminal".to_owned()).spawn(read)?;
    Ok(receiver)
}

fn take_over() -> io::Result<()> {
    hold_log(true);
    IS_OURS.store(true, Ordering::SeqCst);
    enable_raw_mode()
        .and_then(|()| execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, crossterm::cursor::Hide))
        .inspect_err(|_| give_back())
}

/// Nothing helps if it fails. Not twice: who leaves a screen moves the cursor, then over the message of a panic.
fn give_back() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(stdout(), DisableMouseCapture, LeaveAlternateScreen, crossterm::cursor::Show);
    let _ = disable_raw_mode();
    let _ = stdout().flush();
    hold_log(false);
}

/// The message of a panic is for the terminal as it was. Where only a look at the machine panics, the view goes on and tells.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = thread::current().id();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == ours {
                give_back();
                before(info);
            } else {
                log::error!("{info}");
            }
        }));
    });
}
