//! How the drops are looked at: grouped, sorted, with or without noise.

use anyhow::{Result, ensure};

use crate::Story;
use crate::table::{balances, head, header, number, row, rows, says, sum};

/// Keys, and what the header then says.
const GROUPS: [(&str, &str); 9] = [
    ("2", "reason"),
    ("3", "location"),
    ("4", "device"),
    ("5", "namespace"),
    ("6", "process"),
    ("7", "port"),
    ("8", "flow"),
    ("9", "rule"),
    ("1", "cause"),
];

#[test]
fn the_rows_add_up_to_the_same_total_whatever_they_are_grouped_by() -> Result<()> {
    let story = Story::named()?;
    let [by_rule, by_mtu] = [0, 1].map(|cause| story.shot.expected[cause].count);
    for (key, word) in GROUPS {
        story.terminal.send_keys(&[key])?;
        story.terminal.wait_for_text(&format!("by {word} "))?;
        let screen = story.wait_for_sum(word)?;
        balances(&screen)?;
        let counts = match word {
            "device" => [("eth0 ", by_rule), ("veth0 ", by_mtu)],
            "namespace" => [(story.names().1, by_rule), (story.names().0, by_mtu)],
            "reason" => [("NETFILTER_DROP", by_rule), ("NOT_SPECIFIED", by_mtu)],
            "rule" => [("iptables filter INPUT rule 1", by_rule), ("no rule", by_mtu)],
            "port" => [("tcp 80", story.shot.total()); 2],
            _ => continue,
        };
        for (name, count) in counts {
            let name = format!("F  {name}");
            ensure!(
                row(&screen, &[&name]).is_some_and(|row| row.total == count),
                "{name} {count}: {screen:#?}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_menu_groups_by_what_is_chosen() -> Result<()> {
    let story = Story::named()?;
    story.terminal.send_keys(&["g"])?;
    let menu = story.terminal.wait_for_text(" group by ─")?;
    ensure!(says(&menu, "• 1 cause") && says(&menu, "9 rule"), "{menu:#?}");
    story.terminal.send_keys(&["Down", "Down", "Down", "Enter"])?;
    story.terminal.wait_for_text("by device ")?;
    story.wait_for_sum("by device")?;
    story.terminal.send_keys(&["g"])?;
    story.terminal.wait_for_text("• 4 device")?;
    story.terminal.send_keys(&["Escape"])?;
    let screen = story.terminal.wait_for("no menu", |screen| !says(screen, " group by ─"))?;
    ensure!(header(&screen).contains("by device"), "Esc chooses nothing: {screen:#?}");
    Ok(())
}

#[test]
fn the_rows_are_in_the_order_that_is_asked_for() -> Result<()> {
    let story = Story::named()?;
    let marked = |mark: &str| {
        let has_mark = |line: &String| line.contains(mark);
        story.terminal.wait_for(mark, |screen| head(screen).is_some_and(|head| has_mark(&screen[head])))
    };
    story.terminal.send_keys(&["N"])?;
    let screen = marked("CAUSE▲")?;
    ensure!(rows(&screen)[0].text.contains("mtu veth-peer"), "by name: {screen:#?}");
    story.terminal.send_keys(&["i"])?;
    let screen = marked("CAUSE▼")?;
    ensure!(rows(&screen)[0].text.contains("netfilter rule"), "reversed: {screen:#?}");
    story.terminal.send_keys(&["8", "T"])?;
    let screen = marked("TOTAL▼")?;
    ensure!(rows(&screen).len() > 3, "flows: {screen:#?}");
    ensure!(rows(&screen).is_sorted_by(|one, next| one.total >= next.total), "by total: {screen:#?}");
    story.terminal.send_keys(&["T"])?;
    let screen = marked("TOTAL▲")?;
    ensure!(
        rows(&screen).is_sorted_by(|one, next| one.total <= next.total),
        "by total, reversed: {screen:#?}"
    );
    story.terminal.send_keys(&["s"])?;
    story.terminal.wait_for_text(" sort by ─")?;
    story.terminal.send_keys(&["Home", "Down", "Enter"])?;
    let screen = marked("RATE/s▼")?;
    ensure!(header(&screen).contains("sort rate"), "{screen:#?}");
    Ok(())
}

#[test]
fn benign_noise_is_counted_and_shown_when_asked_for() -> Result<()> {
    let story = Story::named()?;
    let screen = story.terminal.wait_for_text(" hidden (b)")?;
    ensure!(number(&screen, "benign")? > 0 && number(&screen, "suppressed")? > 0, "{screen:#?}");
    story.terminal.send_keys(&["b"])?;
    let screen = story
        .terminal
        .wait_for("noise", |screen| says(screen, "benign shown (b)") && sum(screen) > story.shot.total())?;
    balances(&screen)?;
    ensure!(number(&screen, "shown")? == sum(&screen) && number(&screen, "suppressed")? == 0, "{screen:#?}");
    ensure!(rows(&screen).iter().any(|row| row.severity == Some('B')), "{screen:#?}");
    story.terminal.send_keys(&["b"])?;
    story.wait_until_named()?;
    Ok(())
}
