//! `lossdrop check`: what this kernel offers, and what is lost where it lacks something.

use std::{
    collections::BTreeMap,
    io::{Write as _, stdout},
    path::Path,
    process::ExitCode,
};

use anyhow::Result;
use caps::Capability;
use lossdrop_common::Attach;
use serde::Serialize;

use super::{Globals, runtime};
use crate::{
    capture::preflight::{Preflight, has},
    kernel::{
        self, Kernel, KernelInfo, Options,
        fields::Missing,
        load::{self, Way},
        probes::Outcome,
        symbols::Symbols,
    },
    text::JSON_VERSION,
};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Instructions that the verifier looks at before it gives up: `BPF_COMPLEXITY_LIMIT_INSNS` (`include/linux/bpf.h`, since
/// 5.2).
const VERIFIER_LIMIT: u32 = 1_000_000;
/// Columns of text in the table.
const WIDTH: usize = 110;

/// A line of it: one thing that a kernel offers or lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CheckLine {
    pub what: &'static str,
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What lossdrop can't do where it is missing.
    pub lost: &'static str,
    /// For a way to attach that works: how many instructions the verifier looked at, where the kernel tells.
    pub verified_instructions: Option<u32>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub v: u32,
    pub release: String,
    /// `lossdrop trace` works here.
    pub can_trace: bool,
    /// The way to attach that `lossdrop trace` and `lossdrop diagnose` take by themselves.
    pub uses: Option<&'static str>,
    pub facts: Vec<CheckLine>,
}

/// Prints the table; the exit code says whether `trace` can run.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let report = gather(globals.btf.as_deref())?;
    let mut out = stdout().lock();
    let written = if args.json {
        serde_json::to_writer_pretty(&mut out, &report)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        out.write_all(table(&report).as_bytes())
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if report.can_trace { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(what: &'static str, ok: bool, detail: impl Into<String>, lost: &'static str) -> CheckLine {
    CheckLine { what, ok, detail: detail.into(), lost, verified_instructions: None }
}

fn gather(btf: Option<&Path>) -> Result<Report> {
    let preflight = Preflight::gather(btf);
    let mut facts = vec![
        capabilities(&preflight),
        line(
            "lockdown",
            preflight.lockdown.as_deref() != Some("confidentiality"),
            preflight.lockdown.clone().unwrap_or_else(|| "none that shows".to_owned()),
            "everything: kernel memory can't be read",
        ),
        line(
            "BPF ring buffer",
            preflight.has_ring_buffer,
            if preflight.has_ring_buffer { "there" } else { "needs Linux 5.8" },
            "everything",
        ),
    ];
    let uses = match KernelInfo::gather(btf) {
        Ok(kernel) => {
            facts.extend(kernel_lines(&kernel));
            let (attached, uses) = attach_lines(&kernel, preflight.lockdown.as_deref())?;
            facts.extend(attached);
            uses.filter(|_| preflight.require().is_ok())
        }
        Err(error) => {
            facts.push(line(
                "BTF",
                false,
                error.to_string(),
                "everything: lossdrop can't find its way in the kernel",
            ));
            None
        }
    };
    facts.push(symbols());
    Ok(Report {
        v: JSON_VERSION,
        release: preflight.release,
        can_trace: uses.is_some(),
        uses: uses.map(Way::name),
        facts,
    })
}

fn capabilities(preflight: &Preflight) -> CheckLine {
    let missing = &preflight.missing_capabilities;
    let helpful: Vec<&str> = [
        (Capability::CAP_SYSLOG, "CAP_SYSLOG (function names)"),
        (Capability::CAP_SYS_PTRACE, "CAP_SYS_PTRACE (processes of other users)"),
    ]
    .into_iter()
    .filter(|(capability, _)| !has(*capability))
    .map(|(_, name)| name)
    .collect();
    let detail = match (missing.is_empty(), helpful.is_empty()) {
        (true, true) => "all that are needed".to_owned(),
        (true, false) => format!("enough, but for {}", helpful.join(", ")),
        (false, _) => format!("no {}", missing.join(", no ")),
    };
    line("capabilities", missing.is_empty(), detail, "everything: run lossdrop as root")
}

fn kernel_lines(kernel: &KernelInfo) -> Vec<CheckLine> {
    vec![
        line(
            "BTF",
            kernel.contradiction.is_none(),
            kernel.contradiction.clone().unwrap_or_else(|| kernel.btf_path.display().to_string()),
            "truth: what is read in a wrong place is wrong",
        ),
        fields("structure fields", &kernel.missing),
        fields("fields for facts", &kernel.missing_facts),
        line("skb:kfree_skb", true, format!("{} arguments", kernel.args), ""),
        line(
            "drop reasons",
            kernel.has_reason(),
            if kernel.has_reason() { format!("{} named", kernel.reasons.len()) } else { "none".to_owned() },
            "reasons: causes come from the location alone (Linux 5.17 brought them)",
        ),
        line(
            "receiving socket",
            kernel.has_rx_sk(),
            if kernel.has_rx_sk() { "rx_sk" } else { "no rx_sk" },
            "the owner of most packets dropped on receipt (Linux 6.11 brought it)",
        ),
    ]
}

/// A sentence for all the fields that cost the same.
fn fields(what: &'static str, missing: &[Missing]) -> CheckLine {
    let mut by_loss: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for missing in missing {
        by_loss.entry(missing.lost.what).or_default().push(&missing.field);
    }
    let reported: Vec<String> = by_loss
        .iter()
        .map(|(lost, fields)| format!("Without {} lossdrop can't tell {lost}.", fields.join(", ")))
        .collect();
    let detail = if reported.is_empty() { "all found".to_owned() } else { reported.join(" ") };
    line(what, missing.is_empty(), detail, "just that; drops are counted and named as ever")
}

/// Attaches for a moment in each way, as a run does: the first that works is the one that it takes.
fn attach_lines(kernel: &KernelInfo, lockdown: Option<&str>) -> Result<(Vec<CheckLine>, Option<Way>)> {
    const NO_FENTRY: &str = "fentry is refused";
    let options = Options::default();
    let runtime = runtime()?;
    let _guard = runtime.enter();
    let fentry = load::try_fentry();
    let (mut facts, mut uses, mut outcomes) = (Vec::new(), None, None);
    for way in Way::ALL {
        let (lost, tried) = match way {
            Way { probes: true, .. } if fentry.is_err() => (NETFILTER_LOST, Err(NO_FENTRY.to_owned())),
            _ => (lost_without(way), Kernel::start_by(way, kernel, &options).map_err(|error| error.why())),
        };
        facts.push(match tried {
            Ok((attached, _)) => {
                uses = uses.or(Some(way));
                if way.probes {
                    outcomes = Some(attached.probes().to_vec());
                }
                let verified_instructions = attached.verified_instructions();
                let detail = verified_text(verified_instructions);
                CheckLine { verified_instructions, ..line(way.name(), true, detail, lost) }
            }
            Err(why) => line(way.name(), false, why, lost),
        });
    }
    facts.push(match &fentry {
        Ok(()) => line("fentry", true, "loaded", NETFILTER_LOST),
        Err(error) => line("fentry", false, fentry_refusal(error, lockdown), NETFILTER_LOST),
    });
    facts.push(match outcomes {
        Some(outcomes) => probes(&outcomes),
        None if fentry.is_err() => line("netfilter probes", false, NO_FENTRY, NETFILTER_LOST),
        None => line("netfilter probes", false, "tp_btf with probes is refused", NETFILTER_LOST),
    });
    Ok((facts, uses))
}

const NETFILTER_LOST: &str =
    "the rule, chain or table behind a drop by netfilter, as the kernel itself knows it";

const fn lost_without(way: Way) -> &'static str {
    match way {
        Way { probes: true, .. } => NETFILTER_LOST,
        Way { attach: Attach::TpBtf, .. } => "speed: raw_tracepoint is used instead",
        Way { attach: Attach::RawTracepoint, .. } => "the fallback for tp_btf",
    }
}

fn verified_text(instructions: Option<u32>) -> String {
    match instructions {
        Some(instructions) => {
            let room = VERIFIER_LIMIT.saturating_sub(instructions) / (VERIFIER_LIMIT / 100);
            format!(
                "attached; {instructions} of at most {VERIFIER_LIMIT} instructions verified, {room} % to spare"
            )
        }
        None => "attached".to_owned(),
    }
}

/// A kernel that forbids does not say on whose behalf.
fn fentry_refusal(error: &kernel::Error, lockdown: Option<&str>) -> String {
    match (error.is_forbidden(), lockdown) {
        (false, _) => error.why(),
        (true, None | Some("none")) => {
            format!("{}: a security module or a seccomp filter forbids it", error.why())
        }
        (true, Some(mode)) => format!("{}: the kernel is locked down ({mode})", error.why()),
    }
}

/// The probes that the kernel allows, and why not the others.
fn probes(outcomes: &[Outcome]) -> CheckLine {
    let mut by_reason: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for Outcome { function, refused } in outcomes {
        let functions = by_reason.entry(refused.as_deref()).or_default();
        // Some have a probe at their entry and one at their exit.
        if functions.last() != Some(function) {
            functions.push(function);
        }
    }
    let reported: Vec<String> = by_reason
        .iter()
        .map(|(refused, functions)| match refused {
            None => functions.join(", "),
            Some(why) => format!("not {} ({why})", functions.join(", ")),
        })
        .collect();
    let detail = if reported.is_empty() { "no netfilter here".to_owned() } else { reported.join("; ") };
    let ok = outcomes.iter().all(|outcome| outcome.refused.is_none());
    line("netfilter probes", ok, detail, "what these functions tell of a drop by netfilter")
}

fn symbols() -> CheckLine {
    let lost =
        "names of functions: locations are shown as numbers, and causes that depend on them are unknown";
    match Symbols::load() {
        Ok(symbols) if symbols.is_empty() => {
            line("kallsyms", false, "addresses are hidden (kernel.kptr_restrict, CAP_SYSLOG)", lost)
        }
        Ok(symbols) => line("kallsyms", true, format!("{} functions", symbols.len()), lost),
        Err(error) => line("kallsyms", false, error.to_string(), lost),
    }
}

fn table(report: &Report) -> String {
    let width = report.facts.iter().map(|fact| fact.what.len()).max().unwrap_or(0);
    let mut text = format!("Linux {}\n", report.release);
    let mut row = |what: &str, state: &str, reported: &str| {
        for (index, line) in textwrap::wrap(reported, WIDTH).iter().enumerate() {
            let (what, state) = if index == 0 { (what, state) } else { ("", "") };
            text.push_str(&format!("  {what:<width$}  {state:<7}  {line}\n"));
        }
    };
    for fact in &report.facts {
        row(fact.what, if fact.ok { "ok" } else { "missing" }, &fact.detail);
        if !fact.ok {
            row("", "", &format!("lost: {}", fact.lost));
        }
    }
    match report.uses {
        Some(way) => text.push_str(&format!("lossdrop will use {way}.\nlossdrop trace can run here.\n")),
        None => text.push_str("lossdrop trace can't run here.\n"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{fields::lost, reasons::Reasons, types::Types};

    fn report(can_trace: bool) -> Report {
        let facts = vec![
            line("BTF", true, "/sys/kernel/btf/vmlinux", ""),
            line("drop reasons", can_trace, if can_trace { "91 named" } else { "none" }, "reasons"),
        ];
        Report {
            v: JSON_VERSION,
            release: "6.18.44".to_owned(),
            can_trace,
            uses: can_trace.then_some("tp_btf"),
            facts,
        }
    }

    #[test]
    fn the_table_tells_what_is_lost_where_something_is_missing() {
        assert_eq!(
            table(&report(true)),
            "Linux 6.18.44\n\
             \x20 BTF           ok       /sys/kernel/btf/vmlinux\n\
             \x20 drop reasons  ok       91 named\n\
             lossdrop will use tp_btf.\n\
             lossdrop trace can run here.\n"
        );
        assert_eq!(
            table(&report(false)),
            "Linux 6.18.44\n\
             \x20 BTF           ok       /sys/kernel/btf/vmlinux\n\
             \x20 drop reasons  missing  none\n\
             \x20                        lost: reasons\n\
             lossdrop trace can't run here.\n"
        );
        assert_eq!(table(&Report { facts: vec![], ..report(true) }).lines().count(), 3);
    }

    #[test]
    fn the_report_in_json_has_the_same_facts() {
        assert_eq!(
            serde_json::to_value(report(false)).expect("JSON"),
            serde_json::json!({
                "v": 1,
                "release": "6.18.44",
                "can_trace": false,
                "uses": null,
                "facts": [
                    {
                        "what": "BTF", "ok": true, "detail": "/sys/kernel/btf/vmlinux", "lost": "",
                        "verified_instructions": null,
                    },
                    {
                        "what": "drop reasons", "ok": false, "detail": "none", "lost": "reasons",
                        "verified_instructions": null,
                    },
                ],
            })
        );
    }

    #[test]
    fn probes_are_reported_each_by_its_function() {
        let outcome =
            |function, refused: Option<&str>| Outcome { function, refused: refused.map(str::to_owned) };
        let reported = |outcomes: Vec<Outcome>| {
            let fact = probes(&outcomes);
            (fact.ok, fact.detail)
        };
        let all = vec![outcome("nft_do_chain", None), outcome("nft_do_chain", None)];
        assert_eq!(reported(all), (true, "nft_do_chain".to_owned()));
        let some = vec![outcome("nf_hook_slow", None), outcome("ipt_do_table", Some("no"))];
        assert_eq!(reported(some), (false, "nf_hook_slow; not ipt_do_table (no)".to_owned()));
        assert_eq!(reported(vec![]), (true, "no netfilter here".to_owned()));
    }

    #[test]
    fn what_forbids_fentry_is_named_where_it_is_known() {
        let forbidden =
            kernel::Error::Map { name: "SLOTS", source: std::io::Error::from_raw_os_error(libc::EPERM) };
        let reported = |lockdown| fentry_refusal(&forbidden, lockdown);
        assert!(reported(Some("integrity")).ends_with(": the kernel is locked down (integrity)"));
        assert!(reported(None).ends_with("seccomp filter forbids it"));
        let unknown = kernel::Error::OwnBtf { why: "no such file".to_owned() };
        assert_eq!(fentry_refusal(&unknown, Some("integrity")), unknown.to_string());
    }

    #[test]
    fn the_room_that_the_verifier_leaves_is_reported_in_per_cent() {
        for (instructions, room) in [(0, "100 %"), (39_858, "96 %"), (1_000_000, "0 %"), (2_000_000, "0 %")] {
            assert!(verified_text(Some(instructions)).contains(room), "{instructions}");
        }
        assert_eq!(verified_text(None), "attached");
    }

    #[test]
    fn a_kernel_without_reasons_or_fields_says_so() {
        let missing = |field: &str, what| Missing { field: field.to_owned(), lost: lost(what) };
        let facts = KernelInfo {
            release: "5.10".to_owned(),
            btf_path: Types::own_path(),
            contradiction: None,
            args: 2,
            offsets: lossdrop_common::Offsets::NONE,
            missing: vec![missing("net_device.name", "the name of the device")],
            fact_offsets: lossdrop_common::FactOffsets::NONE,
            missing_facts: vec![
                missing("sock.sk_rcvbuf", "buffers"),
                missing("sock.sk_rmem", "buffers"),
                missing("sk_buff.mark", "the mark"),
            ],
            reasons: Reasons::default(),
            probes: vec![],
        };
        let reported: Vec<(&str, bool, String)> =
            kernel_lines(&facts).into_iter().map(|fact| (fact.what, fact.ok, fact.detail)).collect();
        let wanted = [
            ("BTF", true, "/sys/kernel/btf/vmlinux"),
            (
                "structure fields",
                false,
                "Without net_device.name lossdrop can't tell the name of the device.",
            ),
            (
                "fields for facts",
                false,
                "Without sock.sk_rcvbuf, sock.sk_rmem lossdrop can't tell buffers. Without sk_buff.mark lossdrop can't \
                 tell the mark.",
            ),
            ("skb:kfree_skb", true, "2 arguments"),
            ("drop reasons", false, "none"),
            ("receiving socket", false, "no rx_sk"),
        ];
        assert_eq!(reported, wanted.map(|(what, ok, detail)| (what, ok, detail.to_owned())));
    }
}
