//! `lossdrop top` in a real terminal, and its frames for pipes, with drops of a known number.

mod endings;
mod filters;
mod frames;
mod keys;
mod lens;
mod mouse;
mod story;
mod table;

use anyhow::Result;
use lossdrop_lab::tmux::Screen;
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Container, Lab, Shot, Tmux};

use crate::table::{row, rows, selected, sum};

/// Soon, and yet time enough to fire between two refreshes.
const FAST: &str = "--interval 300ms";

/// The README's case, with the live view of it: two causes, in a number that is the shot's.
struct Story {
    terminal: Tmux,
    lab: Container,
    shot: Shot,
}

impl Story {
    /// Watched, and nothing has been dropped yet.
    fn open(args: &str) -> Result<Self> {
        let lab = Container::new("iptables", 20)?;
        let terminal = Tmux::top(&lab.namespaces(), args, 100, 30)?;
        terminal.wait_for_text("seen ")?;
        Ok(Self { terminal, lab, shot: Shot::default() })
    }

    /// One round has been dropped, and all of it is on the screen.
    fn named() -> Result<Self> {
        let mut story = Self::open(FAST)?;
        story.fire()?;
        story.wait_until_named()?;
        Ok(story)
    }

    fn fire(&mut self) -> Result<()> {
        self.shot.absorb(self.lab.fire()?);
        Ok(())
    }

    /// Waits until the rule and the device stand there by name, each with all of its drops.
    fn wait_until_named(&self) -> Result<Screen> {
        let [rule, mtu] = [0, 1].map(|cause| self.shot.expected[cause].count);
        self.terminal.wait_for(&format!("rows of {rule} and {mtu}"), |screen| {
            let by_rule = row(screen, &["netfilter rule", "INPUT rule 1"]);
            let by_mtu = row(screen, &["mtu veth-peer", "eth0"]);
            rows(screen).len() == 2
                && by_rule.is_some_and(|row| row.total == rule && row.is_exact)
                && by_mtu.is_some_and(|row| row.total == mtu && row.is_exact)
        })
    }

    /// Waits until the rows, whatever they are, hold all drops.
    fn wait_for_sum(&self, what: &str) -> Result<Screen> {
        let total = self.shot.total();
        self.terminal.wait_for(&format!("{what}: {total}"), |screen| sum(screen) == total)
    }

    /// The host's namespace and the container's, by name.
    fn names(&self) -> (&str, &str) {
        let (host, web) = self.lab.ends();
        (host.name(), web.name())
    }

    /// Moves the selection to the device's row.
    fn select_mtu(&self) -> Result<()> {
        wait_until("the device's row is selected", LIMIT, || {
            let screen = self.terminal.screen()?;
            let (at, wanted) = (selected(&screen), row(&screen, &["mtu veth-peer"]));
            match at.zip(wanted) {
                Some((_, wanted)) if wanted.is_selected => return Ok(true),
                Some((at, wanted)) if rows(&screen)[at].line < wanted.line => {
                    self.terminal.send_keys(&["Down"])?;
                }
                Some(_) => self.terminal.send_keys(&["Up"])?,
                None => {}
            }
            Ok(false)
        })
    }

    /// Opens the device's row.
    fn open_mtu(&self) -> Result<Screen> {
        self.select_mtu()?;
        self.terminal.send_keys(&["Enter"])?;
        self.terminal.wait_for_text("  certain, ")
    }
}
