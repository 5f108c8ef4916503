//! Kernels whose structures differ, and kernels that do not tell them: what is missing costs just that.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lossdrop::kernel::btf::{KernelBtf, MemberAt};
use lossdrop::kernel::fields::{Field, Missing, NOTHING, What};
use lossdrop::kernel::load::Way;
use lossdrop::kernel::types::Types;
use lossdrop::kernel::{Kernel, KernelInfo, Options, fact_offsets, offsets};
use lossdrop_lab::btf::{Btf, Scratch, elf, hidden};
use lossdrop_lab::lossdrop::{START_LIMIT, binary};
use lossdrop_lab::{Container, Lab, Lossdrop, Output, RcvBuf};
use serde_json::Value;

/// As it is named in a structure, or the structure itself.
fn last_name<T>(field: &Field<T>) -> &'static str {
    match field.what {
        What::Size => field.structure,
        _ => field.paths[0].rsplit('.').next().unwrap_or_default(),
    }
}

/// Whether a kernel without this name has no such field; `btf` has the name.
fn breaks<T>(field: &Field<T>, name: &str, btf: &KernelBtf) -> bool {
    let gone =
        |path: &&str| path.split('.').any(|part| part == name) || btf.member(field.structure, path).is_none();
    field.structure == name
        || match field.what {
            What::Size | What::Behind(_) => false,
            What::Value => field.paths == [name],
            What::From(other) => other == name || field.paths.iter().all(gone),
            What::Byte | What::Bit => field.paths.iter().all(gone),
        }
}

fn broken<T>(table: &[Field<T>], name: &str, btf: &KernelBtf) -> Vec<Missing> {
    table
        .iter()
        .filter(|field| field.lost != NOTHING && field.find(btf).is_some() && breaks(field, name, btf))
        .map(|field| Missing { field: field.name(), lost: field.lost })
        .collect()
}

/// Every name in the tables, once.
fn names() -> Vec<&'static str> {
    let (main, facts) = (offsets::FIELDS.iter(), fact_offsets::FIELDS.iter());
    let mut names: Vec<_> = main.map(last_name).chain(facts.map(last_name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn without_a_field_its_own_loss_is_reported_and_the_program_still_runs() -> Result<()> {
    let running = Btf::running()?;
    let btf = KernelBtf::parse(&running.0).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let options = Options { keys: 1, ring_bytes: 4096, ..Options::default() };
    let mut tried = 0;
    for name in names() {
        // A field that other kernels have.
        let Ok(changed) = running.without(name) else { continue };
        let file = changed.file()?;
        let lost = broken(offsets::FIELDS, name, &btf);
        if lost.iter().any(|missing| missing.field == offsets::REQUIRED) {
            let error = KernelInfo::gather(Some(file.path())).expect_err(name).to_string();
            ensure!(error.contains(offsets::REQUIRED) && error.contains(file.name()), "{error}");
            continue;
        }
        let info = KernelInfo::gather(Some(file.path()))?;
        ensure!(info.missing == lost, "{name}: {:?} instead of {lost:?}", info.missing);
        let lost = broken(fact_offsets::FIELDS, name, &btf);
        let counters = name.starts_with("drops");
        ensure!(counters || info.missing_facts == lost, "{name}: {:?}, not {lost:?}", info.missing_facts);
        ensure!(info.contradiction.is_none(), "{name}: {:?}", info.contradiction);
        for way in Way::ALL.into_iter().filter(|way| !way.probes) {
            Kernel::start_by(way, &info, &options).with_context(|| format!("{name}: {}", way.name()))?;
        }
        tried += 1;
    }
    ensure!(tried > 60, "{tried} of {}", names().len());
    Ok(())
}

#[test]
fn a_field_that_moved_is_found_where_it_is() -> Result<()> {
    let running = Btf::running()?;
    let resolve = |btf: &Btf| -> Result<_> {
        let btf = Rc::new(KernelBtf::parse(&btf.0).map_err(anyhow::Error::msg)?);
        let types = Types { btf: btf.clone(), path: "moved".into(), own: None, is_given: true };
        Ok((btf, fact_offsets::resolve(&types).0))
    };
    let (before, offsets) = resolve(&running)?;
    let (after, moved) = resolve(&running.exchanged("mark", "hash")?)?;
    ensure!(after.member("sk_buff", "mark") == before.member("sk_buff", "hash"));
    ensure!(moved.skb_mark != offsets.skb_mark && moved.skb_end == offsets.skb_end, "{moved:?}");
    ensure!(before.member("sk_buff", "hash").map(MemberAt::byte) == Some(moved.skb_mark));
    Ok(())
}

/// `check --json` of a command that may fail.
fn report(output: &Output) -> Result<Value> {
    serde_json::from_str(&output.stdout.join("\n")).with_context(|| output.to_string())
}

fn row<'a>(report: &'a Value, what: &str) -> Result<&'a Value> {
    let facts = report["facts"].as_array().context("no facts")?;
    facts.iter().find(|fact| fact["what"] == what).with_context(|| format!("no {what}: {report}"))
}

fn check(btf: &Scratch) -> Result<Value> {
    report(&Lossdrop::run(["check", "--json", "--btf", btf.name()], START_LIMIT)?)
}

/// Drops are reported as ever with this BTF, but for what `lacks` of each.
fn runs_without(mut lab: impl Lab, name: &str, says: &[&str], lacks: &[&str], has: &[&str]) -> Result<()> {
    let file = Btf::running()?.without(name)?.file()?;
    let report = check(&file)?;
    ensure!(report["can_trace"] == true, "{report}");
    let wording = format!(
        "{} {}",
        row(&report, "structure fields")?["detail"],
        row(&report, "fields for facts")?["detail"]
    );
    ensure!(says.iter().all(|words| wording.contains(words)), "{says:?} is missing: {wording}");
    for attach in ["tp-btf", "raw-tp"] {
        let args = ["--json", "--all", "--attach", attach, "--btf", file.name()];
        let running = Lossdrop::watch(&lab.namespaces(), &args)?;
        let shot = lab.fire()?;
        running.wait_for_shot(&shot)?;
        let output = running.stop()?;
        output.is_complete()?;
        for expected in &shot.expected {
            let among: Vec<_> = expected.among(&output.drops).collect();
            ensure!(!among.is_empty(), "{expected:?}: {output}");
            for drop in among {
                ensure!(
                    lacks.iter().all(|fact| drop.get(fact).is_none_or(Value::is_null)),
                    "{lacks:?}: {drop}"
                );
                ensure!(
                    has.iter().all(|fact| drop.get(fact).is_some_and(|fact| !fact.is_null())),
                    "{has:?}: {drop}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn without_a_field_of_sockets_everything_else_is_reported() -> Result<()> {
    let says = ["sock.sk_rcvbuf", "buffers, queues and losses of sockets"];
    runs_without(RcvBuf::held_by_child(10)?, "sk_rcvbuf", &says, &["socket"], &["iface", "netns"])
}

#[test]
fn without_the_way_to_a_process_everything_else_is_reported() -> Result<()> {
    let says = ["sock.sk_socket", "the process that owns the socket"];
    runs_without(RcvBuf::held_by_child(10)?, "sk_socket", &says, &["owner"], &["socket", "iface", "netns"])
}

#[test]
fn without_the_bridge_of_a_port_everything_else_is_reported() -> Result<()> {
    let says = ["net_device.rx_handler_data", "the bridge of a port"];
    runs_without(RcvBuf::held_by_child(10)?, "rx_handler_data", &says, &[], &["socket", "iface", "netns"])
}

#[test]
fn a_limit_that_is_not_known_proves_nothing() -> Result<()> {
    let says = ["net_device.hard_header_len", "flags and limits of devices, veth peers among them"];
    let lab = Container::new("iptables", 2)?;
    runs_without(lab, "hard_header_len", &says, &["peer"], &["iface", "netns"])
}

#[test]
fn without_a_way_to_devices_drops_are_still_counted() -> Result<()> {
    let file = Btf::running()?.without("_tx")?.file()?;
    let report = check(&file)?;
    let detail = &row(&report, "structure fields")?["detail"];
    ensure!(report["can_trace"] == true && detail.as_str().is_some_and(|it| it.contains("net_device._tx")));
    let mut lab = RcvBuf::held_by_child(10)?;
    let running = Lossdrop::start(["trace", "--json", "--all", "--btf", file.name(), "--dport", "5140"])?;
    let shot = lab.fire()?;
    let count: u64 = shot.expected.iter().map(|expected| expected.count).sum();
    running.wait_for_drops("every drop is reported", |drops| drops.len() as u64 >= count)?;
    let output = running.stop()?;
    let drop = output.drops.first().context("no drop")?;
    ensure!(drop["iface"].is_null() && drop["dst_port"] == 5140 && !drop["reason"].is_null(), "{drop}");
    let warned = output.stderr.iter().any(|line| line.contains("net_device._tx"));
    ensure!(warned && output.total("shown")? == output.drops.len() as u64, "{output}");
    Ok(())
}

#[test]
fn a_filter_that_no_packet_could_pass_is_refused() -> Result<()> {
    let file = Btf::running()?.without("nd_net")?.file()?;
    let refused = Lossdrop::run(["trace", "--netns", "host", "--btf", file.name()], START_LIMIT)?;
    let said = refused.stderr.join("\n");
    ensure!(refused.status.code() == Some(1) && said.contains("net_device.nd_net.net"), "{said}");
    ensure!(said.contains("--netns"), "{said}");
    Ok(())
}

#[test]
fn a_file_that_contradicts_the_kernel_is_reported() -> Result<()> {
    for (one, other, words) in [
        ("mark", "hash", "sk_buff.mark"),
        ("SKB_DROP_REASON_NO_SOCKET", "SKB_DROP_REASON_TCP_RESET", "calls reason"),
    ] {
        let Ok(changed) = Btf::running()?.exchanged(one, other) else { continue };
        let file = changed.file()?;
        let report = check(&file)?;
        let btf = row(&report, "BTF")?;
        let detail = btf["detail"].as_str().unwrap_or_default();
        ensure!(btf["ok"] == false && detail.contains(words) && detail.contains("without --btf"), "{btf}");
        let args = ["trace", "--duration", "1ms", "--btf", file.name()];
        let said = Lossdrop::run(args, START_LIMIT)?.stderr;
        ensure!(said.iter().any(|line| line.contains("warn") && line.contains(words)), "{said:?}");
    }
    Ok(())
}

/// One line that says what is wrong with the file, and the exit code of a wrong argument.
fn is_refused(file: &str, words: &str) -> Result<()> {
    for command in ["trace", "diagnose", "reasons"] {
        let output = Lossdrop::run([command, "--btf", file], START_LIMIT)?;
        let [said] = output.stderr.as_slice() else { anyhow::bail!("{output}") };
        ensure!(output.status.code() == Some(2) || command == "reasons", "{output}");
        let is_right = said.contains(words) && said.contains(file) && said.contains("--btf takes raw BTF");
        ensure!(is_right || (command == "reasons" && output.status.success()), "{words:?}: {said}");
    }
    let output = Lossdrop::run(["check", "--json", "--btf", file], START_LIMIT)?;
    let report = report(&output)?;
    ensure!(output.status.code() == Some(1) && report["can_trace"] == false, "{report}");
    ensure!(report["uses"].is_null(), "{report}");
    ensure!(row(&report, "BTF")?["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{report}");
    Ok(())
}

#[test]
fn what_is_no_kernel_s_btf_is_refused_in_one_sentence() -> Result<()> {
    is_refused("/no/such/file", "No such file")?;
    is_refused("/", "it is a directory")?;
    is_refused("/etc/passwd", "neither raw BTF nor an ELF file")?;
    let running = Btf::running()?;
    let mut big = running.0.clone();
    big.swap(0, 1);
    for (contents, words) in [
        (b"".to_vec(), "neither raw BTF nor an ELF file"),
        (elf(".text", b"code"), "without a section .BTF"),
        (elf(".BTF", b"code"), "neither raw BTF nor an ELF file"),
        (running.in_elf()[..4096].to_vec(), "ELF file"),
        (running.0[..running.0.len() / 2].to_vec(), "incomplete"),
        (big, "it is big-endian"),
    ] {
        is_refused(Scratch::new(&contents)?.name(), words)?;
    }
    Ok(())
}

#[test]
fn the_btf_of_something_else_is_refused() -> Result<()> {
    let running = Btf::running()?;
    let reads = |btf: &Btf, words| -> Result<()> {
        let file = btf.file()?;
        let output = Lossdrop::run(["trace", "--btf", file.name()], START_LIMIT)?;
        let said = output.stderr.join("\n");
        ensure!(output.status.code() == Some(2) && said.contains(words), "{words:?} is missing: {said}");
        Ok(())
    };
    reads(&running.without("btf_trace_kfree_skb")?, "no tracepoint skb:kfree_skb in it")?;
    let btf = KernelBtf::parse(&running.0).map_err(anyhow::Error::msg)?;
    let args = btf.tracepoint_args("kfree_skb");
    let other = ["napi_poll", "sys_enter"].into_iter().find(|other| btf.tracepoint_args(other) != args);
    let other = format!("btf_trace_{}", other.context("all have as many arguments")?);
    reads(&running.exchanged("btf_trace_kfree_skb", &other)?, "it is another kernel's, whose tracepoint")
}

#[test]
fn an_elf_file_serves_as_well() -> Result<()> {
    let file = Scratch::new(&Btf::running()?.in_elf())?;
    let own = Lossdrop::run(["reasons", "--json"], START_LIMIT)?;
    let given = Lossdrop::run(["reasons", "--json", "--btf", file.name()], START_LIMIT)?;
    ensure!(given.status.success() && given.stdout == own.stdout, "{given}");
    let report = check(&file)?;
    ensure!(report["can_trace"] == true && row(&report, "BTF")?["ok"] == true, "{report}");
    Ok(())
}

#[test]
fn a_kernel_without_btf_of_its_own_runs_with_that_of_a_file() -> Result<()> {
    let file = Btf::running()?.file()?;
    let program = binary()?;
    let without = Lossdrop::spawn(hidden(&program).arg("trace"))?.finish(START_LIMIT)?;
    let said = without.stderr.join("\n");
    ensure!(
        without.status.code() == Some(1) && said.contains("--btf FILE") && said.contains("BTFHub"),
        "{said}"
    );

    let mut lab = RcvBuf::held_by_child(10)?;
    let mut command = hidden(&program);
    command.args(["trace", "--json", "--all", "--btf", file.name()]);
    for ns in lab.namespaces() {
        command.args(["--netns", ns.name()]);
    }
    let running = Lossdrop::launch(&mut command)?;
    let shot = lab.fire()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    ensure!(output.stderr.iter().any(|line| line.contains("through raw_tracepoint;")), "{output}");
    ensure!(output.drops.iter().any(|drop| drop["socket"]["port"] == 5140), "{output}");

    let mut command = hidden(&program);
    command.args(["diagnose", "--duration", "100ms", "--netns", "host", "--btf", file.name()]);
    let diagnosis = Lossdrop::spawn(&mut command)?.finish(START_LIMIT)?;
    ensure!(diagnosis.stderr.iter().any(|line| line.contains("through raw_tracepoint;")), "{diagnosis}");
    Ok(())
}

/// What `trace` says of the way it went, and of what the verifier looked at.
fn traced(output: &Output) -> Result<(String, Option<u64>)> {
    let said = output.stderr.join("\n");
    let between = |from: &str, to: &str| {
        said.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(found, _)| found.to_owned())
    };
    let way = between(" through ", ";").with_context(|| said.clone())?;
    Ok((way, between("attached; ", " instructions verified").and_then(|number| number.parse().ok())))
}

#[test]
fn check_says_what_trace_does() -> Result<()> {
    let (program, file) = (binary()?, Btf::running()?.file()?);
    let changed = Btf::running()?.without("sk_rcvbuf")?.file()?;
    for (is_hidden, btf) in [(false, None), (false, Some(&changed)), (true, Some(&file))] {
        let run = |args: &[&str]| {
            let mut command = if is_hidden { hidden(&program) } else { std::process::Command::new(&program) };
            command.args(args).args(btf.iter().flat_map(|btf| ["--btf", btf.name()]));
            Lossdrop::spawn(&mut command)?.finish(START_LIMIT + Duration::from_secs(5))
        };
        let report = report(&run(&["check", "--json"])?)?;
        let (way, verified) = traced(&run(&["trace", "--json", "--duration", "1ms", "-v"])?)?;
        ensure!(report["uses"] == *way, "check: {}, trace: {way}", report["uses"]);
        let row = row(&report, &way)?;
        ensure!(
            row["ok"] == true && row["verified_instructions"].as_u64() == verified,
            "{verified:?}: {row}"
        );
        ensure!(is_hidden == (way == "raw_tracepoint") || !is_hidden, "{way}");
    }
    Ok(())
}
