//! Frames for a pipe: text and JSON.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::{START_LIMIT, binary, top_command};
use lossdrop_lab::wait::LIMIT;
use lossdrop_lab::{Container, Lab, Lossdrop, Output, Shot, UdpClosedPort};
use serde_json::Value;

use crate::table::{balances, row, rows, says, sum};

/// Time enough to fire before the first frame, on a busy machine, too.
const SLOW: &str = "6s";
const GROUPS: [&str; 9] =
    ["cause", "reason", "location", "device", "namespace", "process", "port", "flow", "rule"];

fn start(lab: &dyn Lab, args: &[&str]) -> Result<Lossdrop> {
    Lossdrop::launch(&mut top_command(&lab.namespaces(), args)?)
}

fn parse(lines: &[String]) -> Result<Vec<Value>> {
    lines.iter().map(|line| serde_json::from_str(line).with_context(|| line.clone())).collect()
}

/// The sum of the rows' totals.
fn total(frame: &Value) -> u64 {
    let rows = frame["rows"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["total"].as_u64()).sum()
}

/// That every drop is in one place, and each that is shown in a row.
fn is_in_order(frame: &Value) -> Result<()> {
    let number =
        |name: &str| frame["accounting"][name].as_u64().with_context(|| format!("no {name}: {frame}"));
    let sum = number("shown")? + number("suppressed")? + number("filtered")? + number("lost")?;
    ensure!(frame["type"] == "frame" && number("seen")? == sum, "{frame}");
    ensure!(number("shown")? == total(frame) && number("lost")? == 0, "{frame}");
    let others = frame["benign"].as_u64().unwrap_or(0) + frame["unselected"].as_u64().unwrap_or(0);
    ensure!(number("suppressed")? == others, "{frame}");
    Ok(())
}

/// That it ended well, and that the last words balance and count what the shot says.
fn ended_well(output: &Output, shot: &Shot) -> Result<()> {
    let last = output.stderr.last().with_context(|| format!("no last words: {output}"))?;
    let words: Vec<&str> = last.split_whitespace().collect();
    let number = |name: &str| -> Result<u64> {
        let number = words.iter().skip_while(|word| **word != name).nth(1);
        Ok(number.with_context(|| format!("no {name}: {last}"))?.replace(',', "").parse()?)
    };
    let sum = number("shown")? + number("suppressed")? + number("filtered")? + number("lost")?;
    ensure!(output.status.success() && output.stderr.len() == 2, "{output}");
    ensure!(number("seen")? == sum && number("lost")? == 0 && number("shown")? == shot.total(), "{last}");
    Ok(())
}

/// Frames of text, each from its first line on.
fn frames(output: &Output) -> Vec<Vec<String>> {
    let mut frames: Vec<Vec<String>> = Vec::new();
    for line in &output.stdout {
        if line.starts_with("lossdrop  ") {
            frames.push(Vec::new());
        }
        if let Some(frame) = frames.last_mut() {
            frame.push(line.clone());
        }
    }
    frames
}

#[test]
fn one_frame_of_text_has_all_drops_and_whose_they_are() -> Result<()> {
    let mut lab = UdpClosedPort::v4(7)?;
    let running = start(&lab, &["--once", "--interval", SLOW])?;
    let shot = lab.fire()?;
    let output = running.finish(START_LIMIT)?;
    ended_well(&output, &shot)?;
    let [frame] = &frames(&output)[..] else { anyhow::bail!("one frame is due: {output}") };
    let row = row(frame, &["socket closed-port", "10.0.0.2:9999"]).with_context(|| format!("{frame:#?}"))?;
    ensure!(row.total == 7 && rows(frame).len() == 1, "{frame:#?}");
    balances(frame)
}

#[test]
fn so_many_frames_of_text_are_printed_and_the_last_names_the_culprits() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let running = start(&lab, &["--batch", "-n", "2", "--interval", SLOW])?;
    let shot = lab.fire()?;
    let output = running.finish(START_LIMIT)?;
    ended_well(&output, &shot)?;
    let frames = frames(&output);
    ensure!(frames.len() == 2, "{output}");
    for frame in &frames {
        balances(frame)?;
        ensure!(sum(frame) == shot.total(), "{frame:#?}");
    }
    let counts = [("netfilter rule", "INPUT rule 1"), ("mtu veth-peer", "eth0")]
        .map(|(cause, culprit)| row(&frames[1], &[cause, culprit]).map(|row| row.total));
    ensure!(counts == [0, 1].map(|cause| Some(shot.expected[cause].count)), "{:#?}", frames[1]);
    Ok(())
}

#[test]
fn a_frame_of_json_has_the_findings_with_their_numbers_and_commands() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let running = start(&lab, &["--json", "-n", "1", "--interval", SLOW])?;
    let shot = lab.fire()?;
    let output = running.finish(START_LIMIT)?;
    ended_well(&output, &shot)?;
    let frames = parse(&output.stdout)?;
    ensure!(
        frames.len() == 1 && frames[0]["rows"].as_array().is_some_and(|rows| rows.len() == 2),
        "{output}"
    );
    is_in_order(&frames[0])?;
    let (_, web) = lab.ends();
    let named = |cause: &str| frames[0]["rows"].as_array()?.iter().find(|row| row["cause"] == cause);
    for (cause, expected, culprit) in
        [("netfilter rule", &shot.expected[0], "INPUT rule 1"), ("mtu veth-peer", &shot.expected[1], "eth0")]
    {
        let row = named(cause).with_context(|| format!("no {cause}: {output}"))?;
        let finding = &row["findings"][0];
        ensure!(row["total"] == expected.count && row["exact"] == true, "{row}");
        ensure!(row["culprit"].as_str().is_some_and(|name| name.contains(culprit)), "{row}");
        ensure!(finding["count"] == expected.count && finding["confidence"] == "certain", "{finding}");
        ensure!(finding["netns"] == web.name(), "{finding}");
    }
    let mtu = &named("mtu veth-peer").context("no MTU")?["findings"][0];
    ensure!(mtu["numbers"]["mtu"] == 100 && mtu["numbers"]["limit"] == 118, "{mtu}");
    let fix = format!("ip -n {} link set eth0 mtu 1500", web.name());
    ensure!(mtu["fixes"][0]["command"] == fix, "{mtu}");
    Ok(())
}

#[test]
fn frames_of_json_are_in_order_all_the_time_whatever_they_are_grouped_by() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let args = GROUPS.map(|group| ["--json", "--interval", "200ms", "--group", group]);
    let started: Result<Vec<_>> =
        args.iter().map(|args| Lossdrop::spawn(&mut top_command(&lab.namespaces(), args)?)).collect();
    let running: Vec<_> = started?.into_iter().map(Lossdrop::ready).collect::<Result<_>>()?;
    let mut shot = lab.fire()?;
    shot.absorb(lab.fire()?);
    let said = format!("\"shown\":{},", shot.total());
    for (running, group) in running.into_iter().zip(GROUPS) {
        running
            .wait_for("all are shown", |lines| lines.iter().any(|line| line.contains(&said)))
            .context(group)?;
        let output = running.stop()?;
        ended_well(&output, &shot).context(group)?;
        let frames = parse(&output.stdout)?;
        frames.iter().try_for_each(is_in_order).context(group)?;
        let last = frames.last().context("no frame")?;
        ensure!(last["group"] == group && total(last) == shot.total(), "{last}");
        ensure!(frames.is_sorted_by_key(total), "totals never fall: {output}");
    }
    Ok(())
}

#[test]
fn where_the_output_is_no_terminal_frames_of_text_are_printed_until_it_is_interrupted() -> Result<()> {
    let mut lab = UdpClosedPort::v4(5)?;
    let running = start(&lab, &["--interval", "200ms"])?;
    let shot = lab.fire()?;
    running.wait_for("all are shown", |lines| lines.iter().any(|line| line.contains("= shown 5 +")))?;
    let output = running.stop()?;
    ended_well(&output, &shot)?;
    ensure!(!frames(&output).is_empty() && !says(&output.stdout, "\x1b"), "no escape sequences: {output}");
    frames(&output).iter().try_for_each(balances)
}

#[test]
fn a_selection_and_benign_noise_are_accounted_for() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let each: [&[&str]; 2] = [&["--cause", "mtu"], &["--all"]];
    let running = each.map(|args| start(&lab, &[&["--json", "--interval", "200ms"], args].concat()));
    let [some, all] = running;
    let (some, all) = (some?, all?);
    let shot = lab.fire()?;
    let mtu = shot.expected[1].count;
    some.wait_for("the device's", |lines| {
        lines.iter().any(|line| line.contains(&format!("\"shown\":{mtu},")))
    })?;
    let is_all =
        |line: &String| serde_json::from_str::<Value>(line).is_ok_and(|frame| total(&frame) > shot.total());
    all.wait_for("noise, too", |lines| lines.iter().any(is_all))?;
    let outputs = [some.stop()?, all.stop()?];
    for output in &outputs {
        ensure!(output.status.success(), "{output}");
        parse(&output.stdout)?.iter().try_for_each(is_in_order)?;
    }
    let last = parse(&outputs[0].stdout)?.pop().context("no frame")?;
    // Noise of other causes is among them.
    let refused = last["unselected"].as_u64().unwrap_or(0);
    ensure!(refused >= shot.expected[0].count && total(&last) == mtu, "{last}");
    let last = parse(&outputs[1].stdout)?.pop().context("no frame")?;
    ensure!(last["benign_shown"] == true && last["accounting"]["suppressed"] == 0, "{last}");
    Ok(())
}

#[test]
fn a_reader_who_has_enough_ends_it_well() -> Result<()> {
    let lab = UdpClosedPort::v4(1)?;
    for args in ["--batch", "--json"] {
        let netns: String = lab.namespaces().iter().map(|ns| format!(" --netns {}", ns.name())).collect();
        let script = format!("\"$0\" top{netns} {args} --interval 100ms | head -1; exit ${{PIPESTATUS[0]}}");
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).arg(binary()?);
        let output = Lossdrop::spawn(&mut bash)?.finish(START_LIMIT)?;
        ensure!(output.status.success() && output.stdout.len() == 1, "{output}");
        ensure!(!output.stderr.iter().any(|line| line.contains("roken pipe")), "{output}");
    }
    Ok(())
}

#[test]
fn an_output_that_is_full_is_an_error() -> Result<()> {
    let lab = UdpClosedPort::v4(1)?;
    let mut command = top_command(&lab.namespaces(), &["--batch", "--interval", "100ms"])?;
    let done =
        command.stdin(Stdio::null()).stdout(File::options().write(true).open("/dev/full")?).output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(
        done.status.code() == Some(1) && said.contains("No space left on device"),
        "{}: {said}",
        done.status
    );
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_in_words() -> Result<()> {
    for (args, words) in [
        (&["--interval", "1ms"][..], "100ms is the shortest interval"),
        (&["--interval", "soon"], "500ms, 10s, 5m, 1h"),
        (&["--group", "nonsense"], "possible values: cause, reason, location, device, namespace"),
        (&["--sort", "nonsense"], "possible values: severity, rate, total, name"),
        (&["-n", "0"], "0 is not in 1.."),
        (&["--once", "--batch"], "cannot be used with"),
        (&["--netns", "no-such-namespace"], "no-such-namespace"),
        (&["--reason", "NO_SUCH_REASON"], "NO_SUCH_REASON"),
    ] {
        let output = Lossdrop::run([&["top"], args].concat(), LIMIT)?;
        let said = output.stderr.join("\n");
        ensure!(output.status.code() == Some(2), "{args:?}: {output}");
        ensure!(said.contains(words) && output.stdout.is_empty(), "{args:?}: {output}");
    }
    Ok(())
}
