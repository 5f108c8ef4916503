//! Every scenario of the lab, diagnosed: exactly the findings that are due, each with its culprit, its numbers and its
//! exact count, nothing else; and the very command that is printed ends the drops.
//!
//! | variable, besides those of `lossdrop_lab::attempt` | what it does |
//! |---|---|
//! | `LOSSDROP_DIAGNOSE_ARGS` | further arguments of `lossdrop diagnose`, divided by blanks: `--no-probes` |
//! | `LOSSDROP_WITHOUT_FIXES` | nothing of what is printed is typed, which takes half the time |

use std::env;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use lossdrop_lab::attempt;
use lossdrop_lab::lossdrop::diagnose_command;
use lossdrop_lab::{Count, Finding, Fix, Lab, Lossdrop, Need, Output, Scenario, Shot};
use serde_json::Value;

/// Scenarios diagnosed at the same time.
const SIDE_BY_SIDE: usize = 4;

/// What newer kernels tell with every drop (since 5.17 and 6.11).
const TELLS_ALL: [Need; 2] = [Need::Reason("NOT_SPECIFIED"), Need::RX_SK];

#[test]
fn every_scenario_is_diagnosed_exactly_and_its_fix_ends_the_drops() {
    attempt::all(&more_arguments(), SIDE_BY_SIDE, Scenario::all(), is_diagnosed);
}

fn is_diagnosed(scenario: &Scenario) -> Result<()> {
    let mut lab = scenario.set_up()?;
    let (shot, diagnosis) = diagnose(&mut *lab, |lab| lab.fire())?;
    let found = list(&diagnosis, "findings");
    let complaint = || format!("diagnosis:\n{}", shortened(&diagnosis));
    ensure!(
        found.len() == scenario.findings.len(),
        "{} findings where {} are due\n{}",
        found.len(),
        scenario.findings.len(),
        complaint()
    );
    for expected in scenario.findings {
        let matching: Vec<&Value> =
            found.iter().filter(|finding| is_meant(expected, finding, &*lab)).collect();
        ensure!(matching.len() == 1, "{} findings like {expected:?}\n{}", matching.len(), complaint());
        check(expected, matching[0], &shot).with_context(complaint)?;
    }
    if env::var_os("LOSSDROP_WITHOUT_FIXES").is_some() {
        return Ok(());
    }
    is_fixed(scenario, &mut *lab, found)
}

/// Runs a diagnosis around `traffic`, checks its form, its books and its exit code.
fn diagnose<T>(lab: &mut dyn Lab, traffic: impl FnOnce(&mut dyn Lab) -> Result<T>) -> Result<(T, Value)> {
    let more = more_arguments();
    let mut command = diagnose_command(&lab.namespaces(), &["--json", "--duration", "2m"])?;
    let running = Lossdrop::launch(command.args(more.split_whitespace()))?;
    let sent = traffic(lab)?;
    let output = running.stop()?;
    let diagnosis = said(&output)?;
    let worst = list(&diagnosis, "findings")
        .iter()
        .any(|finding| finding["severity"] == "capacity" || finding["severity"] == "fault");
    let wanted = if worst { 3 } else { 0 };
    ensure!(
        output.status.code() == Some(wanted),
        "ended with {}, {wanted} is due: {diagnosis}",
        output.status
    );
    balances(&diagnosis)?;
    Ok((sent, diagnosis))
}

fn more_arguments() -> String {
    env::var("LOSSDROP_DIAGNOSE_ARGS").unwrap_or_default()
}

fn said(output: &Output) -> Result<Value> {
    let [line] = &output.stdout[..] else { bail!("not one line: {output}") };
    serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map_or(&[], Vec::as_slice)
}

fn balances(diagnosis: &Value) -> Result<()> {
    let books = &diagnosis["accounting"];
    let [seen, shown, suppressed, filtered, lost] = ["seen", "shown", "suppressed", "filtered", "lost"]
        .map(|name| books[name].as_u64().with_context(|| format!("no {name} in {books}")));
    let (seen, shown, suppressed, filtered, lost) = (seen?, shown?, suppressed?, filtered?, lost?);
    ensure!(seen == shown + suppressed + filtered + lost, "the books do not balance: {books}");
    let traced = list(diagnosis, "findings").iter().filter(|finding| finding["traced"] == true);
    let counted: u64 = traced.filter_map(|finding| finding["count"].as_u64()).sum();
    ensure!(counted == shown, "{counted} in findings, {books}");
    Ok(())
}

/// By kind, namespace and culprit; the rest is checked.
fn is_meant(expected: &Finding, finding: &Value, lab: &dyn Lab) -> bool {
    let netns = lab.netns(expected.netns).map(|netns| netns.name().to_owned());
    finding["kind"] == expected.kind
        && netns.is_ok_and(|name| finding["netns"] == name.as_str())
        && names(expected, finding)
}

/// All words are in the culprit's name and text.
fn names(expected: &Finding, finding: &Value) -> bool {
    let culprit = &finding["culprit"];
    let text = format!("{} {}", text(&culprit["name"]), text(&culprit["text"]));
    expected.culprit.iter().all(|word| text.contains(word))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn check(expected: &Finding, finding: &Value, shot: &Shot) -> Result<()> {
    ensure!(finding["severity"] == expected.severity, "severity {}", finding["severity"]);
    is_as_sure_as_due(expected, finding)?;
    let count = finding["count"].as_u64().context("no count")?;
    let of_shot = |index: usize| shot.expected.get(index).map_or(0, |expected| expected.count);
    let wanted = match expected.count {
        Count::Exactly(count) => count,
        Count::OfShot(index) => of_shot(index),
        Count::OfShots(indices) => indices.iter().map(|index| of_shot(*index)).sum(),
        Count::Untraced => shot.untraced,
        Count::AtLeast(least) => count.max(least),
    };
    ensure!(count == wanted, "{count} counted of {wanted}: {}", finding["title"]);
    ensure!(finding["exact"] == true, "not exact");
    ensure!(
        finding["traced"] == (expected.count != Count::Untraced),
        "traced is {} for {}",
        finding["traced"],
        finding["kind"]
    );
    for (name, number) in expected.numbers {
        ensure!(finding["numbers"][name] == *number, "{name} is {}, not {number}", finding["numbers"][name]);
    }
    ensure!(
        !text(&finding["title"]).is_empty() && text(&finding["explanation"]).len() > 40,
        "no explanation"
    );
    for fix in list(finding, "fixes") {
        ensure!(!text(&fix["command"]).is_empty() && !text(&fix["effect"]).is_empty(), "half a fix: {fix}");
    }
    for flow in list(finding, "flows") {
        ensure!(!text(&flow["flow"]).ends_with('→'), "half a flow: {flow}");
    }
    let has_fix = !list(finding, "fixes").is_empty();
    if let Fix::None(why) = expected.fix {
        ensure!(!has_fix, "a fix where none can be ({why}): {}", finding["fixes"]);
    }
    Ok(())
}

/// A kernel that tells no reason, or not the receiving socket, leaves some things open: its findings may be less sure, but
/// never surer.
fn is_as_sure_as_due(expected: &Finding, finding: &Value) -> Result<()> {
    const LEVELS: [&str; 3] = ["possible", "likely", "certain"];
    let level = |name: &str| LEVELS.iter().position(|level| *level == name);
    let (found, due) = (level(text(&finding["confidence"])), level(expected.confidence));
    let tells_all = TELLS_ALL.iter().all(|need| need.missing().is_none());
    let is_enough = if tells_all { found == due } else { found.is_some() && found <= due };
    ensure!(is_enough, "confidence {}", finding["confidence"]);
    Ok(())
}

/// Types what was printed, sends the same packets again, and looks whether the same is found again.
fn is_fixed(scenario: &Scenario, lab: &mut dyn Lab, found: &[Value]) -> Result<()> {
    let mut fixed = Vec::new();
    for expected in scenario.findings {
        let number = match expected.fix {
            Fix::Stops => 0,
            Fix::Nth(number) => number,
            Fix::None(_) => continue,
        };
        let finding =
            found.iter().find(|finding| is_meant(expected, finding, lab)).context("it was there")?;
        let command = text(&finding["fixes"][number]["command"]);
        ensure!(!command.is_empty(), "no fix {number} for {}: {}", expected.kind, finding["fixes"]);
        let typed = Command::new("sh").args(["-c", command]).output()?;
        ensure!(
            typed.status.success(),
            "{command}: {} {}",
            typed.status,
            String::from_utf8_lossy(&typed.stderr)
        );
        fixed.push((expected, command));
    }
    if fixed.is_empty() {
        return Ok(());
    }
    let ((), after) = diagnose(lab, |lab| lab.fire_fixed())?;
    for (expected, command) in fixed {
        let again = list(&after, "findings").iter().find(|finding| is_meant(expected, finding, lab));
        ensure!(again.is_none(), "{command} did not help: {}", shortened(&after));
    }
    Ok(())
}

/// Readable, without what is long and never the point.
fn shortened(diagnosis: &Value) -> String {
    let mut diagnosis = diagnosis.clone();
    for name in ["ruled_out", "duration_s", "kernel", "host"] {
        if let Some(object) = diagnosis.as_object_mut() {
            object.remove(name);
        }
    }
    serde_json::to_string_pretty(&diagnosis).unwrap_or_default()
}

/// A diagnosis ends by itself.
#[test]
fn it_ends_after_its_duration_and_finds_nothing_where_nothing_is() -> Result<()> {
    let netns = lossdrop_lab::Netns::new("idle")?;
    let limit = Duration::from_secs(60);
    let running = Lossdrop::spawn(&mut diagnose_command(&[&netns], &["--json", "--duration", "200ms"])?)?;
    let output = running.finish(limit)?;
    ensure!(output.status.success(), "{output}");
    let diagnosis = said(&output)?;
    ensure!(list(&diagnosis, "findings").is_empty(), "{diagnosis}");
    ensure!(!list(&diagnosis, "ruled_out").is_empty(), "{diagnosis}");
    balances(&diagnosis)
}
