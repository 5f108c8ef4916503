//! The README's case: what the table says, and what an opened row does.

use anyhow::{Context, Result, ensure};
use lossdrop_lab::{Flood, Lab, Tmux};

use crate::Story;
use crate::table::{balances, header, number, row, rows, says};

#[test]
fn two_causes_stand_in_rows_of_their_own_with_exact_totals_and_culprits() -> Result<()> {
    let story = Story::named()?;
    let screen = story.wait_until_named()?;
    balances(&screen)?;
    let header = header(&screen);
    for (word, due) in [("total", story.shot.total()), ("shown", story.shot.total()), ("lost", 0)] {
        ensure!(number(&screen, word)? == due, "{word} {due}: {header}");
    }
    let (host, web) = story.names();
    ensure!(header.contains(&format!("filter netns {host}|{web}")), "{header}");
    ensure!(rows(&screen).iter().all(|row| row.severity == Some('F')), "both are faults: {screen:#?}");
    Ok(())
}

#[test]
fn an_opened_row_says_why_and_its_command_stands_in_a_line_that_works() -> Result<()> {
    let story = Story::named()?;
    let page = story.open_mtu()?;
    let (host, web) = story.names();
    let count = story.shot.expected[1].count;
    ensure!(page[0].starts_with(" FAULT  mtu veth-peer, eth0"), "{page:#?}");
    ensure!(page[1].contains(&format!("total {count} ")), "{page:#?}");
    let title = format!("frames over 118 bytes die at eth0 of namespace {web}");
    for words in [&*title, &format!("certain, {count} drops"), &format!("veth0 of namespace {host}")] {
        ensure!(says(&page, words), "{words}: {page:#?}");
    }
    let fix = format!("ip -n {web} link set eth0 mtu 1500");
    let typed = page.iter().find(|line| **line == fix).with_context(|| format!("no {fix}: {page:#?}"))?;
    // The numbers may be further down.
    story.terminal.send_keys(&["PageDown"])?;
    let more = story.terminal.wait_for("the next page", |screen| *screen != page)?;
    let numbers = [&page, &more].into_iter().flatten().find(|line| line.contains("limit 118"));
    let numbers = numbers.with_context(|| format!("no limit: {page:#?}\n{more:#?}"))?;
    ensure!(numbers.contains("mtu 100 ") && numbers.contains("largest_ip 104"), "{numbers}");
    let (_, container) = story.lab.ends();
    container.sh(typed)?;
    ensure!(container.sh("cat /sys/class/net/eth0/mtu")?.trim() == "1500", "{typed} changes nothing");
    story.terminal.send_keys(&["Escape"])?;
    story.wait_until_named()?;
    Ok(())
}

#[test]
fn the_command_that_helps_is_copied_as_it_stands() -> Result<()> {
    let story = Story::named()?;
    story.open_mtu()?;
    story.terminal.send_keys(&["c"])?;
    story.terminal.wait_for_text("copied, if the terminal allows it")?;
    let (_, web) = story.names();
    let copied = story.terminal.clipboard()?;
    ensure!(copied == format!("ip -n {web} link set eth0 mtu 1500"), "{copied:?}");
    Ok(())
}

#[test]
fn an_opened_row_keeps_up_with_its_drops() -> Result<()> {
    let mut story = Story::named()?;
    story.open_mtu()?;
    story.fire()?;
    let count = story.shot.expected[1].count;
    story.terminal.wait_for_text(&format!("total {count} "))?;
    story.terminal.wait_for_text(&format!("certain, {count} drops"))?;
    Ok(())
}

#[test]
fn a_storm_does_not_hide_a_rare_fault() -> Result<()> {
    const STORM: u64 = 200_000;
    let lab = Flood::new()?;
    let terminal = Tmux::top(&lab.namespaces(), "", 100, 24)?;
    terminal.wait_for_text("seen ")?;
    let rare = lab.rare(2)?;
    let (_, storm) = lab.flood(STORM, 0)?;
    let rare = rare.count + lab.rare(1)?.count;
    let screen = terminal.wait_for("both with all of their drops", |screen| {
        row(screen, &["netfilter rule", "nft inet lab input"])
            .is_some_and(|row| row.total == storm.count && row.is_exact)
            && row(screen, &["socket closed-port", "9998"])
                .is_some_and(|row| row.total == rare && row.is_exact)
    })?;
    ensure!(storm.count >= STORM && number(&screen, "lost")? == 0, "{screen:#?}");
    let severities: Vec<_> = rows(&screen).iter().map(|row| row.severity).collect();
    ensure!(severities == [Some('F'), Some('P')], "the fault stands first: {screen:#?}");
    balances(&screen)
}
