//! The commands that look at the kernel and not at packets, and the help.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::{START_LIMIT, binary};
use lossdrop_lab::{Lossdrop, Output};
use nix::unistd::pipe;
use serde_json::Value;

/// What `check` tells, row by row.
const FACTS: [&str; 15] = [
    "capabilities",
    "lockdown",
    "BPF ring buffer",
    "BTF",
    "structure fields",
    "fields for facts",
    "skb:kfree_skb",
    "drop reasons",
    "receiving socket",
    "tp_btf with probes",
    "tp_btf",
    "raw_tracepoint",
    "fentry",
    "netfilter probes",
    "kallsyms",
];
/// Without these there is nothing that the end-to-end tests could test.
const NEEDED: [&str; 5] = ["capabilities", "BPF ring buffer", "BTF", "raw_tracepoint", "kallsyms"];

fn run(args: &[&str]) -> Result<Output> {
    let output = Lossdrop::run(args, START_LIMIT)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output}");
    Ok(output)
}

fn json(args: &[&str]) -> Result<Value> {
    serde_json::from_str(&run(args)?.stdout.join("\n")).with_context(|| format!("{args:?}: no JSON"))
}

fn release() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim_end().to_owned())
}

#[test]
fn check_tells_each_fact_in_a_row() -> Result<()> {
    let said = run(&["check"])?.stdout;
    ensure!(said[0] == format!("Linux {}", release()?), "{said:?}");
    ensure!(said.last().is_some_and(|last| last == "lossdrop trace can run here."), "{said:?}");
    for fact in FACTS {
        let rows = said.iter().filter(|row| row.trim_start().starts_with(&format!("{fact}  "))).count();
        ensure!(rows == 1, "{rows} rows for {fact}: {said:#?}");
    }
    // A row for what is lost below each that is missing.
    let missing = said.iter().filter(|row| row.contains("  missing  ")).count();
    ensure!(said.iter().filter(|row| row.contains(" lost: ")).count() == missing, "{said:#?}");
    ensure!(said.iter().all(|row| row.chars().count() < 200), "a row is too long: {said:#?}");
    Ok(())
}

/// Verifiers take a million instructions, but each costs time at the start of every run: seconds on a small board.
#[test]
fn the_verifier_has_little_to_look_at() -> Result<()> {
    const MOST: u32 = 100_000;
    let report = json(&["check", "--json"])?;
    for fact in report["facts"].as_array().context("no facts")? {
        let detail = fact["detail"].as_str().unwrap_or_default();
        let Some(counted) = detail.strip_suffix(" instructions verified") else { continue };
        let count: u32 = counted.rsplit(' ').next().unwrap_or_default().parse()?;
        ensure!(count < MOST, "{fact}");
    }
    Ok(())
}

#[test]
fn check_tells_the_same_in_json() -> Result<()> {
    let report = json(&["check", "--json"])?;
    ensure!(report["release"] == release()? && report["can_trace"] == true, "{report}");
    ensure!(report["uses"].is_string(), "{report}");
    let facts = report["facts"].as_array().context("no facts")?;
    let names: Vec<_> = facts.iter().map(|fact| fact["what"].as_str().unwrap_or_default()).collect();
    let mut wanted = FACTS;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    wanted.sort_unstable();
    ensure!(sorted == wanted, "{names:?}");
    for fact in facts {
        ensure!(fact["ok"].is_boolean() && fact["detail"].is_string() && fact["lost"].is_string(), "{fact}");
        let name = fact["what"].as_str().unwrap_or_default();
        ensure!(fact["ok"] == true || !NEEDED.contains(&name), "{fact}");
        ensure!(fact["ok"] == true || fact["lost"] != "", "{fact}");
        // Since 5.16 the kernel tells, of what has been loaded.
        let verified = &fact["verified_instructions"];
        ensure!(verified.is_null() || (verified.as_u64() > Some(0) && fact["ok"] == true), "{fact}");
    }
    Ok(())
}

#[test]
fn reasons_are_those_of_the_running_kernel() -> Result<()> {
    let reasons = json(&["reasons", "--json"])?;
    let reasons = reasons.as_array().context("no list")?;
    let mut numbers = Vec::new();
    for reason in reasons {
        numbers.push(reason["number"].as_u64().with_context(|| reason.to_string())?);
        for field in ["name", "cause", "noise", "meaning"] {
            ensure!(reason[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {reason}");
        }
        ensure!(reason["meaning"] != "newer than this lossdrop: not in its table", "{reason}");
    }
    ensure!(numbers.is_sorted_by(|a, b| a < b), "sorted, none twice: {numbers:?}");

    // The tracepoint's format lists the core reasons by themselves: `{ 3, "NO_SOCKET" }`.
    let format = std::fs::read_to_string("/sys/kernel/tracing/events/skb/kfree_skb/format")
        .or_else(|_| std::fs::read_to_string("/sys/kernel/debug/tracing/events/skb/kfree_skb/format"));
    let listed = format.unwrap_or_default();
    for entry in listed.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let (number, name) = entry.split_once(',').context("no entry")?;
        let (number, name): (u64, _) = (number.trim().parse()?, name.trim().trim_matches('"'));
        // The end of the list, which is no reason.
        if name == "MAX" {
            continue;
        }
        let ours = reasons.iter().find(|reason| reason["number"] == number).context(name.to_owned())?;
        ensure!(ours["name"] == name, "{entry}: {ours}");
    }
    Ok(())
}

#[test]
fn reasons_have_a_row_each() -> Result<()> {
    let (rows, reasons) = (run(&["reasons"])?.stdout, json(&["reasons", "--json"])?);
    let title: Vec<_> = rows[0].split_whitespace().collect();
    ensure!(title == ["NUMBER", "REASON", "CAUSE", "NOISE", "MEANING"], "{title:?}");
    let reasons = reasons.as_array().context("no list")?;
    ensure!(rows.len() == reasons.len() + 1, "{} rows of {}", rows.len() - 1, reasons.len());
    for (row, reason) in rows[1..].iter().zip(reasons) {
        let fields: Vec<_> = row.split_whitespace().take(4).collect();
        let noise = reason["noise"].as_str().filter(|noise| ["yes", "no"].contains(noise)).unwrap_or("some");
        ensure!(reason["number"] == fields[0].parse::<u64>()?, "{row}");
        ensure!(reason["name"] == fields[1] && reason["cause"] == fields[2] && noise == fields[3], "{row}");
        ensure!(row.contains(reason["meaning"].as_str().unwrap_or("?")), "{row}");
    }
    Ok(())
}

#[test]
fn a_reason_a_function_and_a_cause_can_be_explained() -> Result<()> {
    let number = |reasons: &Value| {
        let all = reasons.as_array().into_iter().flatten();
        all.clone().find(|reason| reason["name"] == "NO_SOCKET").map(|reason| reason["number"].clone())
    };
    let explained = json(&["explain", "skb_drop_reason_no_socket", "--json"])?;
    ensure!(
        explained["name"] == "NO_SOCKET" && explained["cause"]["kind"] == "socket/closed-port",
        "{explained}"
    );
    let here = number(&json(&["reasons", "--json"])?).unwrap_or(Value::Null);
    ensure!(explained["number"] == here, "{explained}");
    let text = run(&["explain", "__dev_forward_skb2+0x87"])?.stdout.join("\n");
    ensure!(text.contains("mtu/veth-peer") && text.contains("ip -n NETNS link set DEV mtu"), "{text}");
    ensure!(run(&["explain", "mtu"])?.stdout.iter().any(|line| line.contains("mtu/forward")));
    let wrong = Command::new(binary()?).args(["explain", "NO_SOCKETS"]).output()?;
    let said = String::from_utf8_lossy(&wrong.stderr);
    ensure!(wrong.status.code() == Some(2) && said.contains("did you mean NO_SOCKET"), "{said}");
    Ok(())
}

#[test]
fn the_help_names_every_command_and_option() -> Result<()> {
    let help = run(&["--help"])?.stdout.join("\n");
    for word in ["trace", "check", "explain", "reasons", "--verbose", "--version", "Exit codes"] {
        ensure!(help.contains(word), "{word} is missing: {help}");
    }
    let help = run(&["trace", "--help"])?.stdout;
    let listed = |option: &str| help.iter().filter(|line| line.trim_start().starts_with(option)).count();
    for option in [
        "--port",
        "--sport",
        "--dport",
        "--host",
        "--src",
        "--dst",
        "--proto",
        "--iface",
        "--netns",
        "--reason",
        "--all",
        "--stack",
        "--snaplen",
        "--hex",
        "--json",
        "--count",
        "--duration",
        "--rate",
        "--buffer",
        "--keys",
        "--attach",
        "--cause",
        "--severity",
        "--btf",
    ] {
        ensure!(listed(&format!("{option} ")) == 1, "{option}: {help:#?}");
    }
    ensure!(run(&["trace", "-h"])?.stdout.len() >= 21);
    ensure!(run(&["--version"])?.stdout == [format!("lossdrop {}", env!("CARGO_PKG_VERSION"))]);
    Ok(())
}

#[test]
fn the_help_calls_no_option_a_filter_that_is_none() -> Result<()> {
    let help = run(&["trace", "--help"])?.stdout;
    let mut heading = "";
    for line in &help {
        if !line.starts_with(' ') && line.ends_with(':') {
            heading = line;
        }
        for option in ["--all", "--stack", "--json", "--count", "--duration", "--rate"] {
            let listed = line.trim_start().starts_with(&format!("{option} "));
            ensure!(!listed || !heading.starts_with("Filters"), "{option} stands under {heading:?}");
        }
    }
    Ok(())
}

const LISTS: [&[&str]; 6] = [
    &["check"],
    &["check", "--json"],
    &["explain", "mtu"],
    &["explain", "NO_SOCKET", "--json"],
    &["reasons"],
    &["reasons", "--json"],
];

#[test]
fn a_reader_who_is_gone_is_no_failure() -> Result<()> {
    for args in LISTS {
        let (reader, writer) = pipe()?;
        drop(reader);
        let done = Command::new(binary()?).args(args).stdin(Stdio::null()).stdout(writer).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success() && said.is_empty(), "{args:?}: {}: {said}", done.status);
    }
    Ok(())
}

#[test]
fn a_full_disk_is_a_failure_in_one_line() -> Result<()> {
    for args in LISTS {
        let full = File::options().write(true).open("/dev/full")?;
        let done = Command::new(binary()?).args(args).stdin(Stdio::null()).stdout(full).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(
            done.status.code() == Some(1) && said.lines().count() == 1,
            "{args:?}: {}: {said}",
            done.status
        );
        ensure!(said.contains("No space left"), "{args:?}: {said}");
    }
    Ok(())
}
