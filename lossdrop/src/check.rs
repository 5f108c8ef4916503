//! `lossdrop check`, and the part of it that every command which loads something begins with.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Write as _, stdout},
    path::Path,
    process::ExitCode,
};

use anyhow::Result;
use caps::{CapSet, Capability};
use lossdrop_common::Attach;
use serde::Serialize;

use crate::{
    error::Error,
    kernel::{
        KernelFacts, Options,
        facts::{BTF_DIR, release},
        load,
        offsets::Missing,
        probes::Outcome,
        sys,
    },
    symbols::Symbols,
};

/// One thing that a kernel offers or lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub what: &'static str,
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What lossdrop can't do where it is missing.
    pub lost: &'static str,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub release: String,
    /// `lossdrop trace` works here.
    pub can_trace: bool,
    pub facts: Vec<Fact>,
}

/// What decides whether anything can be loaded at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// `CAP_SYS_ADMIN`, or `CAP_BPF` and `CAP_PERFMON`: the names of those that are missing.
    pub missing_capabilities: Vec<&'static str>,
    pub lockdown: Option<String>,
    pub has_btf: bool,
    pub has_ring_buffer: bool,
    pub release: String,
}

impl Preflight {
    fn gather() -> Self {
        Self {
            missing_capabilities: missing_capabilities(),
            lockdown: sys::lockdown(),
            has_btf: btf_path().exists(),
            has_ring_buffer: load::has_ring_buffer(),
            release: release(),
        }
    }

    /// The first thing that makes loading impossible.
    pub fn require(&self) -> Result<(), Error> {
        if !self.missing_capabilities.is_empty() {
            return Err(Error::Capabilities { missing: self.missing_capabilities.join(" and ") });
        }
        if self.lockdown.as_deref() == Some("confidentiality") {
            return Err(Error::Lockdown);
        }
        if !self.has_ring_buffer {
            return Err(Error::NoRingBuffer { release: self.release.clone() });
        }
        if !self.has_btf {
            return Err(Error::Btf { path: btf_path(), why: "there is no such file".to_owned() });
        }
        Ok(())
    }
}

fn btf_path() -> std::path::PathBuf {
    Path::new(BTF_DIR).join("vmlinux")
}

/// The preflight of every command that loads something.
pub fn require() -> Result<(), Error> {
    Preflight::gather().require()
}

fn missing_capabilities() -> Vec<&'static str> {
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect()
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// Prints the table; the exit code says whether `trace` can run.
pub fn run(json: bool) -> Result<ExitCode> {
    let report = gather();
    let mut out = stdout().lock();
    let written = if json {
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

fn fact(what: &'static str, ok: bool, detail: impl Into<String>, lost: &'static str) -> Fact {
    Fact { what, ok, detail: detail.into(), lost }
}

fn gather() -> Report {
    let preflight = Preflight::gather();
    let mut facts = vec![
        capabilities(&preflight),
        fact(
            "lockdown",
            preflight.lockdown.as_deref() != Some("confidentiality"),
            preflight.lockdown.clone().unwrap_or_else(|| "none that shows".to_owned()),
            "everything: kernel memory can't be read",
        ),
        fact(
            "BPF ring buffer",
            preflight.has_ring_buffer,
            if preflight.has_ring_buffer { "there" } else { "needs Linux 5.8" },
            "everything",
        ),
    ];
    let can_trace = match KernelFacts::gather() {
        Ok(kernel) => {
            facts.extend(kernel_facts(&kernel));
            let attached = attach_facts(&kernel);
            let can_trace = attached.iter().any(|fact| fact.ok);
            facts.extend(attached);
            can_trace && preflight.require().is_ok()
        }
        Err(error) => {
            facts.push(fact(
                "BTF",
                false,
                error.to_string(),
                "everything: lossdrop can't find its way in the kernel",
            ));
            false
        }
    };
    facts.push(symbols());
    Report { release: preflight.release, can_trace, facts }
}

fn capabilities(preflight: &Preflight) -> Fact {
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
    fact("capabilities", missing.is_empty(), detail, "everything: run lossdrop as root")
}

fn kernel_facts(kernel: &KernelFacts) -> Vec<Fact> {
    vec![
        fact("BTF", true, kernel.btf_path.display().to_string(), ""),
        fields(&kernel.missing),
        fact_fields(&kernel.missing_facts),
        fact("skb:kfree_skb", true, format!("{} arguments", kernel.args), ""),
        fact(
            "drop reasons",
            kernel.has_reason(),
            if kernel.has_reason() { format!("{} named", kernel.reasons.len()) } else { "none".to_owned() },
            "reasons: causes come from the location alone (Linux 5.17 brought them)",
        ),
        fact(
            "receiving socket",
            kernel.has_rx_sk(),
            if kernel.has_rx_sk() { "rx_sk" } else { "no rx_sk" },
            "the owner of most packets dropped on receipt (Linux 6.11 brought it)",
        ),
    ]
}

fn fields(missing: &[Missing]) -> Fact {
    let told: Vec<String> =
        missing.iter().map(|missing| format!("{}: {}", missing.field, missing.lost)).collect();
    let detail = if told.is_empty() { "all found".to_owned() } else { told.join("; ") };
    fact("structure fields", missing.is_empty(), detail, "what stands beside the field")
}

/// Many fields make one fact: it is told once (`-v` names the fields).
fn fact_fields(missing: &[Missing]) -> Fact {
    let told: BTreeSet<&str> = missing.iter().map(|missing| missing.lost).collect();
    let told: Vec<&str> = told.into_iter().collect();
    let detail = if told.is_empty() { "all found".to_owned() } else { told.join("; ") };
    fact("fields for facts", missing.is_empty(), detail, "just that, of a drop in detail")
}

/// Attaches for a moment in each way.
fn attach_facts(kernel: &KernelFacts) -> Vec<Fact> {
    let fentry = load::try_fentry();
    let tried = |attach| {
        let options = Options {
            attach: Some(attach),
            stack: true,
            facts: true,
            // As a run would: with typed pointers only.
            probes: fentry.is_ok() && attach == Attach::TpBtf,
            keys: 1,
            ring_bytes: 4096,
            ..Options::default()
        };
        load::attach_for_a_moment(kernel, &options)
    };
    let outcome = |result: Result<u32, Error>| match result {
        Ok(0) => (true, "attached".to_owned()),
        Ok(instructions) => (true, format!("attached, {instructions} instructions verified")),
        Err(error) => (false, error.to_string()),
    };
    let (btf_ok, btf_detail) = outcome(tried(Attach::TpBtf));
    let (raw_ok, raw_detail) = outcome(tried(Attach::RawTracepoint));
    let (fentry_ok, fentry_detail) = match &fentry {
        Ok(()) => (true, "loaded".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    vec![
        fact("tp_btf", btf_ok, btf_detail, "speed: raw_tracepoint is used instead"),
        fact("raw_tracepoint", raw_ok, raw_detail, "the fallback for tp_btf"),
        fact("fentry", fentry_ok, fentry_detail, "the netfilter rule, chain or table behind a drop"),
        probes(load::try_probes(kernel)),
    ]
}

/// The probes that the kernel allows, and why not the others.
fn probes(outcomes: Result<Vec<Outcome>, Error>) -> Fact {
    const LOST: &str = "what these functions tell of a drop by netfilter";
    const WHAT: &str = "netfilter probes";
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => return fact(WHAT, false, error.to_string(), LOST),
    };
    let mut by_reason: BTreeMap<Option<String>, Vec<&str>> = BTreeMap::new();
    for Outcome { function, refused } in &outcomes {
        let functions = by_reason.entry(refused.clone()).or_default();
        // Some have a probe at their entry and one at their exit.
        if functions.last() != Some(function) {
            functions.push(function);
        }
    }
    let told: Vec<String> = by_reason
        .iter()
        .map(|(refused, functions)| match refused {
            None => functions.join(", "),
            Some(why) => format!("not {} ({why})", functions.join(", ")),
        })
        .collect();
    let detail = if told.is_empty() { "no netfilter here".to_owned() } else { told.join("; ") };
    fact(WHAT, outcomes.iter().all(|outcome| outcome.refused.is_none()), detail, LOST)
}

fn symbols() -> Fact {
    let lost =
        "names of functions: locations are shown as numbers, and causes that depend on them are unknown";
    match Symbols::load() {
        Ok(symbols) if symbols.is_empty() => {
            fact("kallsyms", false, "addresses are hidden (kernel.kptr_restrict, CAP_SYSLOG)", lost)
        }
        Ok(symbols) => fact("kallsyms", true, format!("{} functions", symbols.len()), lost),
        Err(error) => fact("kallsyms", false, error.to_string(), lost),
    }
}

fn table(report: &Report) -> String {
    let width = report.facts.iter().map(|fact| fact.what.len()).max().unwrap_or(0);
    let mut text = format!("Linux {}\n", report.release);
    for fact in &report.facts {
        let state = if fact.ok { "ok" } else { "missing" };
        text.push_str(&format!("  {:<width$}  {state:<7}  {}\n", fact.what, fact.detail));
        if !fact.ok {
            text.push_str(&format!("  {:<width$}           lost: {}\n", "", fact.lost));
        }
    }
    text.push_str(if report.can_trace {
        "lossdrop trace can run here.\n"
    } else {
        "lossdrop trace can't run here.\n"
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::reasons::Reasons;

    fn fine() -> Preflight {
        Preflight {
            missing_capabilities: Vec::new(),
            lockdown: Some("integrity".to_owned()),
            has_btf: true,
            has_ring_buffer: true,
            release: "6.1".to_owned(),
        }
    }

    #[test]
    fn each_missing_thing_gives_its_own_sentence() {
        assert!(fine().require().is_ok());
        for (preflight, words) in [
            (
                Preflight { missing_capabilities: vec!["CAP_BPF", "CAP_PERFMON"], ..fine() },
                "run it with sudo",
            ),
            (Preflight { lockdown: Some("confidentiality".to_owned()), ..fine() }, "locked down"),
            (Preflight { has_ring_buffer: false, release: "5.4".to_owned(), ..fine() }, "Linux 5.8 or newer"),
            (Preflight { has_btf: false, ..fine() }, "CONFIG_DEBUG_INFO_BTF=y"),
        ] {
            let error = preflight.require().expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_first_thing_in_the_way_is_the_one_that_is_told() {
        let nothing = Preflight {
            missing_capabilities: vec!["CAP_BPF"],
            lockdown: Some("confidentiality".to_owned()),
            has_btf: false,
            has_ring_buffer: false,
            release: "4.19".to_owned(),
        };
        assert!(matches!(nothing.require(), Err(Error::Capabilities { .. })));
        for lockdown in [None, Some("none".to_owned()), Some("integrity".to_owned())] {
            assert!(Preflight { lockdown, ..fine() }.require().is_ok());
        }
    }

    fn report(can_trace: bool) -> Report {
        let facts = vec![
            fact("BTF", true, "/sys/kernel/btf/vmlinux", ""),
            fact("drop reasons", can_trace, if can_trace { "91 named" } else { "none" }, "reasons"),
        ];
        Report { release: "6.18.44".to_owned(), can_trace, facts }
    }

    #[test]
    fn the_table_tells_what_is_lost_where_something_is_missing() {
        assert_eq!(
            table(&report(true)),
            "Linux 6.18.44\n\
             \x20 BTF           ok       /sys/kernel/btf/vmlinux\n\
             \x20 drop reasons  ok       91 named\n\
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
        assert_eq!(table(&Report { facts: vec![], ..report(true) }).lines().count(), 2);
    }

    #[test]
    fn the_report_in_json_has_the_same_facts() {
        assert_eq!(
            serde_json::to_value(report(false)).expect("JSON"),
            serde_json::json!({
                "release": "6.18.44",
                "can_trace": false,
                "facts": [
                    {"what": "BTF", "ok": true, "detail": "/sys/kernel/btf/vmlinux", "lost": ""},
                    {"what": "drop reasons", "ok": false, "detail": "none", "lost": "reasons"},
                ],
            })
        );
    }

    #[test]
    fn probes_are_told_each_by_its_function() {
        let outcome =
            |function, refused: Option<&str>| Outcome { function, refused: refused.map(str::to_owned) };
        let told = |outcomes| {
            let fact = probes(Ok(outcomes));
            (fact.ok, fact.detail)
        };
        let all = vec![outcome("nft_do_chain", None), outcome("nft_do_chain", None)];
        assert_eq!(told(all), (true, "nft_do_chain".to_owned()));
        let some = vec![outcome("nf_hook_slow", None), outcome("ipt_do_table", Some("no"))];
        assert_eq!(told(some), (false, "nf_hook_slow; not ipt_do_table (no)".to_owned()));
        assert_eq!(told(vec![]), (true, "no netfilter here".to_owned()));
        assert!(!probes(Err(Error::Cpus)).ok);
    }

    #[test]
    fn a_kernel_without_reasons_or_fields_says_so() {
        let facts = KernelFacts {
            release: "5.10".to_owned(),
            btf_path: btf_path(),
            args: 2,
            offsets: lossdrop_common::Offsets::NONE,
            missing: vec![Missing { field: "sk_buff.dev", lost: "the device" }],
            fact_offsets: lossdrop_common::FactOffsets::NONE,
            missing_facts: ["sock.sk_rcvbuf", "sock.sk_rmem", "sk_buff.mark"]
                .map(|field| Missing {
                    field,
                    lost: if field.starts_with("sock") { "the buffer" } else { "mark" },
                })
                .to_vec(),
            reasons: Reasons::default(),
            probes: vec![],
        };
        let told: Vec<(&str, bool, String)> =
            kernel_facts(&facts).into_iter().map(|fact| (fact.what, fact.ok, fact.detail)).collect();
        let wanted = [
            ("BTF", true, "/sys/kernel/btf/vmlinux"),
            ("structure fields", false, "sk_buff.dev: the device"),
            ("fields for facts", false, "mark; the buffer"),
            ("skb:kfree_skb", true, "2 arguments"),
            ("drop reasons", false, "none"),
            ("receiving socket", false, "no rx_sk"),
        ];
        assert_eq!(told, wanted.map(|(what, ok, detail)| (what, ok, detail.to_owned())));
    }
}
