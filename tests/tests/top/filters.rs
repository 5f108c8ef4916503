//! What is asked for, changed while it runs.

use anyhow::{Result, ensure};
use lossdrop_lab::Lab;

use crate::table::{balances, header, number, rows, says};
use crate::{FAST, Story};

impl Story {
    /// Asks for another filter.
    fn filter(&self, keys: &[&str], line: &str) -> Result<()> {
        self.terminal.send_keys(&["/"])?;
        self.terminal.wait_for_text("filter: ")?;
        self.terminal.send_keys(keys)?;
        self.terminal.enter(line)
    }

    fn filter_by_port(&self, filter: &str) -> Result<()> {
        let (host, web) = self.names();
        self.filter(&["C-u"], &format!("{filter} netns {host} {web}"))?;
        self.terminal.wait_for("the header says so", |screen| {
            header(screen).contains(&format!("filter {filter}, netns {host}|{web}"))
        })?;
        Ok(())
    }
}

#[test]
fn what_is_added_to_the_filter_narrows_it_and_another_filter_shows_nothing_of_the_old() -> Result<()> {
    let mut story = Story::open(FAST)?;
    story.filter(&["End"], " dport 80")?;
    story
        .terminal
        .wait_for("the header says so", |screen| header(screen).contains("filter dport 80, netns"))?;
    story.fire()?;
    story.wait_until_named()?;
    story.filter_by_port("port 9999")?;
    let screen = story.terminal.wait_for_text("no drops so far")?;
    ensure!(rows(&screen).is_empty() && number(&screen, "seen")? >= number(&screen, "filtered")?);
    let due = number(&screen, "filtered")? + story.lab.fire()?.total();
    let screen = story.terminal.wait_for("all are refused", |screen| {
        number(screen, "filtered").is_ok_and(|filtered| filtered >= due)
    })?;
    balances(&screen)?;
    ensure!(number(&screen, "shown")? == 0 && says(&screen, "no drops so far"), "{screen:#?}");
    Ok(())
}

#[test]
fn a_filter_that_makes_no_sense_is_refused_and_the_old_one_goes_on() -> Result<()> {
    let mut story = Story::named()?;
    for (typed, shown) in [
        ("prot 80", "\"prot\" is no filter; did you mean proto"),
        ("port", "port of what? as in: port 80"),
        ("port 99999", "a port is a number from 0 to 65535"),
        ("severity bad", "fault, capacity, policy or benign"),
    ] {
        story.filter(&["C-u"], typed)?;
        let screen = story.terminal.wait_for_text(shown)?;
        ensure!(says(&screen, &format!("filter: {typed}")), "what was typed stays: {screen:#?}");
        story.terminal.send_keys(&["Escape"])?;
        story.terminal.wait_for("no prompt", |screen| !says(screen, "filter: "))?;
    }
    let screen = story.wait_until_named()?;
    let (host, web) = story.names();
    ensure!(header(&screen).contains(&format!("filter netns {host}|{web}")), "{screen:#?}");
    story.fire()?;
    story.wait_until_named()?;
    Ok(())
}

#[test]
fn a_selection_by_cause_looks_at_what_is_there_already() -> Result<()> {
    let story = Story::named()?;
    story.filter(&["End"], " cause mtu")?;
    let screen = story.terminal.wait_for("one row", |screen| rows(screen).len() == 1)?;
    ensure!(rows(&screen)[0].total == story.shot.expected[1].count, "{screen:#?}");
    ensure!(header(&screen).contains("cause mtu"), "{screen:#?}");
    balances(&screen)?;
    Ok(())
}
