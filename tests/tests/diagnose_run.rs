//! `lossdrop diagnose` as it is typed: what its text says of real drops, how it ends, what it takes and refuses, and what
//! it does when something is missing or changes meanwhile.

use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lossdrop_lab::counters::{nft_counters, nstat};
use lossdrop_lab::lossdrop::{START_LIMIT, binary, diagnose_command};
use lossdrop_lab::wait::{LIMIT, wait_until};
use lossdrop_lab::{Container, Flood, Lab, Lossdrop, Netns, Output, Pair};
use nix::unistd::pipe;
use serde_json::Value;

const FOUND: i32 = 3;
const USAGE: i32 = 2;
const CLOSED: u16 = 9999;
const RULED: u16 = 5353;

/// Two hosts, a closed port, and a rule at another.
struct Two(Pair);

impl Two {
    fn new() -> Result<Self> {
        let two = Self::without_rule()?;
        two.add_rule()?;
        Ok(two)
    }

    fn without_rule() -> Result<Self> {
        let pair = Pair::v4()?;
        pair.server.sh(
            "nft add table inet lab && nft 'add chain inet lab input { type filter hook input priority 0; }'",
        )?;
        Ok(Self(pair))
    }

    fn add_rule(&self) -> Result<()> {
        self.0.server.sh(&format!("nft add rule inet lab input udp dport {RULED} counter drop"))?;
        Ok(())
    }

    /// So many datagrams to each; all have arrived when it returns.
    fn fire(&self, closed: u64, ruled: u64) -> Result<()> {
        let server = &self.0.server;
        let counted = || anyhow::Ok((nstat(server, "UdpNoPorts")?, nft_counters(server, "inet", "lab")?));
        let (no_ports, rules) = counted()?;
        self.0.send_v4(CLOSED, closed, 32)?;
        self.0.send_v4(RULED, ruled, 32)?;
        wait_until("all have arrived", LIMIT, || {
            let (no_ports_now, rules_now) = counted()?;
            let by_rule = rules_now.iter().sum::<u64>() - rules.iter().sum::<u64>();
            Ok(no_ports_now - no_ports >= closed && by_rule >= ruled)
        })
    }
}

fn start(namespaces: &[&Netns], args: &[&str]) -> Result<Lossdrop> {
    let args = [&["--duration", "2m"], args].concat();
    Lossdrop::launch(&mut diagnose_command(namespaces, &args)?)
}

/// The one object of `--json`.
fn said(output: &Output) -> Result<Value> {
    let [line] = &output.stdout[..] else { bail!("not one line: {output}") };
    serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
}

fn findings(diagnosis: &Value) -> &[Value] {
    diagnosis["findings"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Kind and count of each, in their order.
fn counted(diagnosis: &Value) -> Vec<(&str, u64)> {
    findings(diagnosis)
        .iter()
        .map(|finding| (text(&finding["kind"]), finding["count"].as_u64().unwrap_or_default()))
        .collect()
}

/// All drops are in the books.
fn balances(diagnosis: &Value) -> Result<()> {
    let books = &diagnosis["accounting"];
    let of = |name: &str| books[name].as_u64().with_context(|| format!("no {name} in {books}"));
    ensure!(of("seen")? == of("shown")? + of("suppressed")? + of("filtered")? + of("lost")?, "{books}");
    Ok(())
}

fn exited(output: &Output, code: i32) -> Result<()> {
    ensure!(output.status.code() == Some(code), "wanted exit code {code}: {output}");
    Ok(())
}

/// Nothing went wrong on the way: the one line on standard error is the one that says that it watches.
fn is_quiet(output: &Output) -> Result<()> {
    ensure!(output.stderr.len() == 1 && output.stderr[0].starts_with("lossdrop: watching for"), "{output}");
    Ok(())
}

#[test]
fn the_text_says_who_it_was_what_helps_what_was_counted_and_what_is_ruled_out() -> Result<()> {
    let two = Two::new()?;
    let running = start(&two.0.namespaces(), &[])?;
    two.fire(4, 6)?;
    let output = running.stop()?;
    exited(&output, FOUND)?;
    is_quiet(&output)?;
    let lines = &output.stdout;
    let server = two.0.server.name();
    let wanted = [
        &["1", "FAULT", "socket: no process is bound to udp 10.0.0.2:9999", "4 drops", "certain"][..],
        &["udp 10.0.0.2:9999, netns", server],
        &["10.0.0.1:", "→ 10.0.0.2:9999 UDP", "4"],
        &["2", "POLICY", "netfilter: nft inet lab input handle", "6 drops", "certain"],
        &["nft inet lab input handle", ", netns", server],
        &["udp dport 5353 counter drop"],
        &["fix", "ip netns exec", server, "nft delete rule inet lab input handle"],
        &["Counters that moved", "delta", "explained"],
        &[server, "UdpNoPorts", "4", "all", "finding 1"],
        &["nft inet lab input handle", "packets", "6", "all", "finding 2"],
        &["Ruled out:", "no qdisc drops"],
        &["seen ", "= shown 10 + suppressed ", "lost 0"],
    ];
    let mut rest = lines.iter();
    for words in wanted {
        let found = rest.any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "no line, or not in this order, with {words:?}: {output}");
    }
    let is_long = |line: &&String| line.chars().count() > 120 && !line.trim_start().starts_with("fix ");
    ensure!(!lines.iter().any(|line| is_long(&line)), "{output}");
    ensure!(!lines.iter().any(|line| line.contains('\x1b')), "colour on no terminal: {output}");
    Ok(())
}

#[test]
fn ctrl_c_ends_it_early_with_what_there_is() -> Result<()> {
    let two = Two::new()?;
    let running = start(&two.0.namespaces(), &["--json"])?;
    two.fire(3, 0)?;
    let asked = Instant::now();
    let output = running.stop()?;
    ensure!(asked.elapsed() < LIMIT, "{:?}", asked.elapsed());
    exited(&output, FOUND)?;
    is_quiet(&output)?;
    let diagnosis = said(&output)?;
    ensure!(counted(&diagnosis) == [("socket/closed-port", 3)], "{diagnosis}");
    ensure!(diagnosis["duration_s"].as_f64().is_some_and(|took| took < 100.0), "{diagnosis}");
    balances(&diagnosis)
}

#[test]
fn what_somebody_asked_for_is_found_and_is_no_failure() -> Result<()> {
    let two = Two::new()?;
    let running = start(&two.0.namespaces(), &["--json"])?;
    two.fire(0, 2)?;
    let output = running.stop()?;
    exited(&output, 0)?;
    let diagnosis = said(&output)?;
    ensure!(counted(&diagnosis) == [("netfilter/rule", 2)], "{diagnosis}");
    Ok(())
}

#[test]
fn filters_hold_and_the_books_say_what_they_refused() -> Result<()> {
    let (closed, ruled) = (("socket/closed-port", 2), ("netfilter/rule", 5));
    let both = &[closed, ruled][..];
    let two = Two::new()?;
    for (args, wanted) in [
        (&["--port", "9999"][..], &both[..1]),
        (&["--dport", "5000-6000"], &both[1..]),
        (&["--proto", "udp", "--host", "10.0.0.0/24", "--iface", "eth0"], both),
        (&["--proto", "tcp"], &[]),
        (&["--src", "10.0.0.2"], &[]),
        (&["--reason", "NETFILTER_DROP"], &both[1..]),
    ] {
        let running = start(&two.0.namespaces(), &[&["--json"], args].concat())?;
        two.fire(2, 5)?;
        let diagnosis = said(&running.stop()?)?;
        ensure!(counted(&diagnosis) == wanted, "{args:?}: {diagnosis}");
        let refused = 7 - wanted.iter().map(|(_, count)| count).sum::<u64>();
        let filtered = diagnosis["accounting"]["filtered"].as_u64();
        ensure!(filtered.is_some_and(|filtered| filtered >= refused), "{args:?}: {diagnosis}");
        balances(&diagnosis)?;
    }
    Ok(())
}

#[test]
fn input_that_makes_no_sense_is_reported_in_a_sentence() -> Result<()> {
    let ns = Netns::new("wrong")?;
    let typo = ns.name().replace("wrong", "worng");
    for (args, words) in [
        (&["--duration", "0s"][..], &["--duration", "0s"][..]),
        (&["--duration", "soon"], &["--duration", "soon"]),
        (&["--netns", &typo], &[&typo, "did you mean", ns.name()]),
        (&["--netns", ns.name(), "--iface", "no-such-dev"], &["no network device", "no-such-dev"]),
        (&["--port", "70000"], &["70000", "0 to 65535"]),
        (&["--no-such-option"], &["--no-such-option"]),
        (&["--attach", "kprobe"], &["--attach", "kprobe", "raw-tp"]),
    ] {
        let output = Lossdrop::run([&["diagnose"], args].concat(), START_LIMIT)?;
        exited(&output, USAGE)?;
        let said = output.stderr.join("\n");
        ensure!(output.stdout.is_empty() && !said.contains("panicked"), "{args:?}: {output}");
        for word in words {
            ensure!(said.contains(word), "{word:?} is missing: {said}");
        }
    }
    Ok(())
}

#[test]
fn a_reader_who_is_gone_is_a_clean_end() -> Result<()> {
    let ns = Netns::new("unread")?;
    for args in [&[][..], &["--json"]] {
        let (reader, writer) = pipe()?;
        drop(reader);
        let args = [&["--duration", "1ms"], args].concat();
        let mut command = diagnose_command(&[&ns], &args)?;
        let done = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn()?;
        let done = done.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success() && said.lines().count() == 1, "{}: {said}", done.status);
    }
    Ok(())
}

/// The command in a mount namespace of its own, where these files are no programs.
fn without(files: &[&str], command: &Command) -> Command {
    let mounts: Vec<String> = files.iter().map(|file| format!("mount --bind /dev/null {file}")).collect();
    let script = format!("{} && exec \"$@\"", mounts.join(" && "));
    let mut hidden = Command::new("unshare");
    hidden.args(["-m", "sh", "-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    hidden
}

#[test]
fn without_nft_the_drops_are_found_all_the_same_and_a_note_says_what_is_missing() -> Result<()> {
    let two = Two::new()?;
    let command = diagnose_command(&two.0.namespaces(), &["--json", "--no-probes", "--duration", "2m"])?;
    let running = Lossdrop::launch(&mut without(&["/usr/sbin/nft"], &command))?;
    two.fire(0, 6)?;
    let diagnosis = said(&running.stop()?)?;
    let [finding] = findings(&diagnosis) else { bail!("not one: {diagnosis}") };
    ensure!(finding["kind"] == "netfilter/drop" && finding["count"] == 6, "{finding}");
    ensure!(["likely", "possible"].contains(&text(&finding["confidence"])), "{finding}");
    ensure!(text(&finding["explanation"]).contains("could not all be read"), "{finding}");
    ensure!(text(&finding["culprit"]["name"]).contains("INPUT"), "{finding}");
    let notes = diagnosis["notes"].to_string();
    ensure!(notes.contains("nft is not installed") && notes.contains("are not known"), "{notes}");
    balances(&diagnosis)
}

#[test]
fn a_rule_that_is_added_meanwhile_is_named() -> Result<()> {
    let two = Two::without_rule()?;
    let running = start(&two.0.namespaces(), &["--json"])?;
    two.add_rule()?;
    two.fire(0, 4)?;
    let output = running.stop()?;
    is_quiet(&output)?;
    let diagnosis = said(&output)?;
    let [finding] = findings(&diagnosis) else { bail!("not one: {diagnosis}") };
    ensure!(finding["kind"] == "netfilter/rule" && finding["count"] == 4, "{finding}");
    ensure!(text(&finding["culprit"]["text"]).contains("udp dport 5353"), "{finding}");
    Ok(())
}

#[test]
fn a_rule_that_is_gone_at_the_end_is_named_or_said_to_be_gone() -> Result<()> {
    let two = Two::new()?;
    let running = start(&two.0.namespaces(), &["--json"])?;
    two.fire(0, 4)?;
    two.0.server.sh("nft flush chain inet lab input")?;
    let output = running.stop()?;
    is_quiet(&output)?;
    let diagnosis = said(&output)?;
    let [finding] = findings(&diagnosis) else { bail!("not one: {diagnosis}") };
    ensure!(finding["cause"] == "netfilter" && finding["count"] == 4, "{finding}");
    ensure!(finding["confidence"] != "certain", "{finding}");
    Ok(())
}

#[test]
fn a_namespace_that_vanishes_meanwhile_keeps_its_name_and_its_findings() -> Result<()> {
    let two = Two::new()?;
    let server = two.0.server.name().to_owned();
    let running = start(&two.0.namespaces(), &["--json"])?;
    two.fire(3, 4)?;
    drop(two);
    let output = running.stop()?;
    exited(&output, FOUND)?;
    is_quiet(&output)?;
    let diagnosis = said(&output)?;
    let found = findings(&diagnosis);
    let sum: u64 = found.iter().filter_map(|finding| finding["count"].as_u64()).sum();
    ensure!(found.len() == 2 && sum == 7, "{diagnosis}");
    ensure!(found.iter().all(|finding| finding["netns"] == server.as_str()), "{diagnosis}");
    balances(&diagnosis)
}

#[test]
fn a_storm_is_counted_exactly_and_hides_no_rare_drop() -> Result<()> {
    const STORM: u64 = 300_000;
    let lab = Flood::new()?;
    let running = start(&[lab.netns()], &["--json"])?;
    let cpu = available_parallelism().map_or(0, |cpus| cpus.get() - 1);
    lab.rare(1)?;
    let (_, storm) = lab.flood(STORM, cpu)?;
    let diagnosis = said(&running.stop()?)?;
    let lost = diagnosis["accounting"]["lost"].as_u64().context("no books")?;
    let [rare, of_rule] = findings(&diagnosis) else { bail!("not two: {diagnosis}") };
    ensure!(rare["kind"] == "socket/closed-port" && rare["count"] == 1, "{rare}");
    ensure!(text(&rare["culprit"]["name"]).ends_with(":9998"), "{rare}");
    ensure!(of_rule["kind"] == "netfilter/rule" && of_rule["exact"] == true, "{of_rule}");
    ensure!(of_rule["numbers"]["packets"].as_u64() == Some(storm.count), "{of_rule}");
    // The kernel calls no program for a drop that interrupts it: such a one is lost, and said to be.
    let count = of_rule["count"].as_u64().context("no count")?;
    ensure!(count <= storm.count && storm.count <= count + lost, "{count} of {}: {diagnosis}", storm.count);
    balances(&diagnosis)
}

/// Both findings of the README's case.
fn of_container(diagnosis: &Value) -> Result<[&Value; 2]> {
    match findings(diagnosis) {
        [mtu, rule] if mtu["kind"] == "mtu/veth-peer" && rule["kind"] == "netfilter/rule" => Ok([mtu, rule]),
        _ => bail!("not the two, or not in this order: {diagnosis}"),
    }
}

#[test]
fn the_case_of_the_readme_is_explained_and_both_fixes_end_it() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let running = start(&lab.namespaces(), &["--json"])?;
    lab.fire()?;
    let output = running.stop()?;
    exited(&output, FOUND)?;
    let diagnosis = said(&output)?;
    let [mtu, rule] = of_container(&diagnosis)?;
    let explanation = text(&mtu["explanation"]);
    for words in ["up to 104 bytes pass", "A SYN (40 to 60 bytes)", "a request of 131 bytes never does"] {
        ensure!(explanation.contains(words), "{words:?} is missing: {explanation}");
    }
    ensure!(mtu["sizes"].as_array().is_some_and(|sizes| !sizes.is_empty()), "{mtu}");
    ensure!(rule["severity"] == "fault" && text(&rule["title"]).contains("by chance"), "{rule}");
    for finding in [mtu, rule] {
        let command = text(&finding["fixes"][0]["command"]);
        let typed = Command::new("sh").args(["-c", command]).status()?;
        ensure!(typed.success(), "{command}: {typed}");
    }
    let running = start(&lab.namespaces(), &["--json"])?;
    lab.fire_fixed()?;
    let after = said(&running.stop()?)?;
    ensure!(findings(&after).is_empty(), "{after}");
    Ok(())
}

#[test]
fn each_way_to_attach_finds_the_same() -> Result<()> {
    let mut lab = Container::new("iptables", 20)?;
    let ways = ["tp-btf", "raw-tp"];
    let started: Result<Vec<_>> = ways
        .iter()
        .map(|way| {
            let args = ["--json", "--no-probes", "--duration", "2m", "--attach", way];
            Lossdrop::spawn(&mut diagnose_command(&lab.namespaces(), &args)?)
        })
        .collect();
    let running: Result<Vec<_>> = started?.into_iter().map(Lossdrop::ready).collect();
    let running = running?;
    lab.fire()?;
    let mut reported = Vec::new();
    for (running, way) in running.into_iter().zip(["through tp_btf;", "through raw_tracepoint;"]) {
        let output = running.stop()?;
        ensure!(output.stderr[0].contains(way), "{output}");
        let diagnosis = said(&output)?;
        let same = ["kind", "severity", "confidence", "netns", "culprit", "count", "exact", "sizes", "flows"];
        let facts = of_container(&diagnosis)?.map(|finding| same.map(|name| finding[name].clone()));
        reported.push(facts);
    }
    ensure!(reported[0] == reported[1], "{reported:#?}");
    Ok(())
}

#[test]
fn a_full_disk_is_an_error_in_one_line() -> Result<()> {
    let ns = Netns::new("full")?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >/dev/full", "sh"]).arg(binary()?);
    shell.args(["diagnose", "--netns", ns.name(), "--duration", "1ms"]);
    let output = Lossdrop::spawn(&mut shell)?.finish(START_LIMIT)?;
    exited(&output, 1)?;
    ensure!(output.stderr.len() == 2 && output.stderr[1].contains("No space left"), "{output}");
    Ok(())
}
