//! What ran where: one line a kernel, and `docs/kernels.md`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lossdrop_lab::{
    Scenario,
    report::{Outcome, Tried},
};
use serde_json::Value;

use super::{
    boot::{CHECK, REPORT},
    kernels::Kernel,
};

/// What the verifier looks at, at most (`BPF_COMPLEXITY_LIMIT_INSNS` in `include/linux/bpf.h`, since 5.2).
const INSTRUCTIONS: u64 = 1_000_000;

/// The last outcomes on a kernel.
const KEPT: &str = "results.jsonl";

/// The lab on one kernel.
pub(super) struct Run {
    pub(super) version: &'static str,
    release: String,
    took: Duration,
    check: Value,
    tried: Vec<Tried>,
}

impl Run {
    pub(super) fn read(kernel: &Kernel, folder: &Path, took: Duration) -> Result<Self> {
        let read = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).with_context(|| name.to_owned())?;
            // A serial line ends its lines twice.
            anyhow::Ok(text.replace('\r', ""))
        };
        Ok(Self {
            version: kernel.version,
            release: kernel.release.clone(),
            took,
            check: serde_json::from_str(&read(CHECK)?).context("`lossdrop check --json` said no JSON")?,
            tried: Tried::read(&read(REPORT)?),
        })
    }

    /// Adds the last outcomes of what was not tried this time, and keeps all of them for the next.
    pub(super) fn add_earlier(&mut self, folder: &Path) -> Result<()> {
        let kept = folder.join(KEPT);
        let earlier = Tried::read(&fs::read_to_string(&kept).unwrap_or_default());
        let is_old = |earlier: &Tried| !self.tried.iter().any(|tried| tried.is_again(earlier));
        let old: Vec<Tried> = earlier.into_iter().filter(is_old).collect();
        self.tried.extend(old);
        let lines: Result<Vec<String>, _> = self.tried.iter().map(serde_json::to_string).collect();
        Ok(fs::write(kept, lines?.join("\n"))?)
    }

    fn count(&self, of: impl Fn(&Outcome) -> bool) -> usize {
        self.tried.iter().filter(|tried| of(&tried.outcome)).count()
    }

    pub(super) fn is_good(&self) -> bool {
        self.check["can_trace"] == true
            && self.count(|outcome| matches!(outcome, Outcome::Passed)) > 0
            && self.count(|outcome| matches!(outcome, Outcome::Failed(_))) == 0
    }

    /// One line, as test runners end with.
    pub(super) fn summary(&self) -> String {
        format!(
            "Linux {}: {} passed; {} failed; {} skipped; finished in {} s",
            self.release,
            self.count(|outcome| matches!(outcome, Outcome::Passed)),
            self.count(|outcome| matches!(outcome, Outcome::Failed(_))),
            self.count(|outcome| matches!(outcome, Outcome::Skipped(_))),
            self.took.as_secs(),
        )
    }

    fn fact(&self, what: &str) -> Option<&Value> {
        self.check["facts"].as_array()?.iter().find(|fact| fact["what"] == what)
    }

    /// `drop reasons (none; lost: …)`.
    fn missing(&self) -> Vec<String> {
        let facts = self.check["facts"].as_array().map_or(&[][..], Vec::as_slice);
        let missing = facts.iter().filter(|fact| fact["ok"] == false);
        let word = |fact: &Value, name: &str| fact[name].as_str().unwrap_or_default().to_owned();
        missing
            .map(|fact| {
                format!("{} ({}; lost: {})", word(fact, "what"), word(fact, "detail"), word(fact, "lost"))
            })
            .collect()
    }

    fn detail(&self, what: &str) -> &str {
        self.fact(what).and_then(|fact| fact["detail"].as_str()).unwrap_or("?")
    }

    /// `12,345 (98 % left)`.
    fn instructions(&self, what: &str) -> String {
        match self.fact(what).and_then(|fact| fact["verified_instructions"].as_u64()) {
            Some(count) => {
                format!("{} ({} % left)", thousands(count), 100 - count.div_ceil(INSTRUCTIONS / 100))
            }
            None => match self.fact(what) {
                Some(fact) if fact["ok"] == true => "loaded; not reported before 5.16".to_owned(),
                _ => "no".to_owned(),
            },
        }
    }

    /// What became of a scenario in one pass.
    fn outcome(&self, scenario: &str, way: &str) -> Option<&Outcome> {
        let tried = |tried: &&Tried| tried.scenario == scenario && tried.way == way;
        self.tried.iter().find(tried).map(|tried| &tried.outcome)
    }

    fn passed_with(&self, way: &str) -> usize {
        let passed = |tried: &&Tried| tried.way == way && tried.outcome == Outcome::Passed;
        self.tried.iter().filter(passed).count()
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// The whole document.
pub(super) fn document(runs: &[Run]) -> Result<String> {
    let mut text = String::from(include_str!("kernels.md"));
    text.push_str("\n## What each kernel offers\n\n");
    row(&mut text, "", runs, |run| run.version.to_owned());
    text.push_str(&format!("|---|{}\n", "---|".repeat(runs.len())));
    row(&mut text, "Debian's release", runs, |run| format!("`{}`", run.release));
    for what in ["skb:kfree_skb", "drop reasons", "receiving socket", "fentry", "netfilter probes"] {
        row(&mut text, what, runs, |run| run.detail(what).to_owned());
    }
    for what in ["tp_btf with probes", "tp_btf", "raw_tracepoint"] {
        row(&mut text, &format!("instructions verified, {what}"), runs, |run| run.instructions(what));
    }
    row(&mut text, "scenarios passed", runs, |run| run.passed_with("").to_string());
    row(&mut text, "… with `--no-probes`", runs, |run| run.passed_with("--no-probes").to_string());
    row(&mut text, "… watched by `lossdrop trace`", runs, |run| run.passed_with("trace").to_string());
    row(&mut text, "… with `--attach raw-tp`", runs, |run| run.passed_with("--attach raw-tp").to_string());
    text.push_str("\n## What ran where\n\n");
    scenarios(&mut text, runs, Scenario::all())?;
    text.push_str("\n## What `lossdrop check` misses\n\n");
    for run in runs {
        let missing = run.missing();
        let missing = if missing.is_empty() { "nothing".to_owned() } else { missing.join("; ") };
        writeln!(text, "* {}: {missing}.", run.version)?;
    }
    text.push('\n');
    text.push_str(include_str!("aarch64.md"));
    Ok(text)
}

fn row(text: &mut String, name: &str, runs: &[Run], cell: impl Fn(&Run) -> String) {
    let cells: Vec<String> = runs.iter().map(cell).collect();
    text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
}

/// What became of the scenarios that were diagnosed; nothing if none were.
pub(super) fn table(runs: &[Run]) -> Result<String> {
    let mut text = String::new();
    let tried = Scenario::all().filter(|known| runs.iter().any(|run| run.outcome(known.name, "").is_some()));
    let tried: Vec<&Scenario> = tried.collect();
    if !tried.is_empty() {
        scenarios(&mut text, runs, tried.into_iter())?;
    }
    Ok(text)
}

/// A line for each scenario, and below it why some could not run.
fn scenarios<'a>(
    text: &mut String,
    runs: &[Run],
    scenarios: impl Iterator<Item = &'a Scenario>,
) -> Result<()> {
    row(text, "scenario", runs, |run| run.version.to_owned());
    text.push_str(&format!("|---|{}\n", ":---:|".repeat(runs.len())));
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in scenarios {
        let cells: Vec<String> = runs
            .iter()
            .map(|run| match run.outcome(scenario.name, "") {
                Some(Outcome::Passed) => "✓".to_owned(),
                Some(Outcome::Failed(_)) => "**failed**".to_owned(),
                Some(Outcome::Skipped(why)) => {
                    let next = reasons.len() + 1;
                    format!("({})", reasons.entry(why.clone()).or_insert(next))
                }
                None => "not run".to_owned(),
            })
            .collect();
        writeln!(text, "| `{}` | {} |", scenario.name, cells.join(" | "))?;
    }
    let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, number)| *number);
    text.push('\n');
    for (why, number) in reasons {
        writeln!(text, "* ({number}) {why}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tried: Vec<Tried>) -> Run {
        let facts = serde_json::json!([
            {"what": "tp_btf", "ok": true, "detail": "attached", "verified_instructions": 12_345},
            {"what": "raw_tracepoint", "ok": true, "detail": "attached", "verified_instructions": null},
        ]);
        Run {
            version: "6.1",
            release: "6.1.0-56-cloud-amd64".to_owned(),
            took: Duration::from_secs(7),
            check: serde_json::json!({"can_trace": true, "facts": facts}),
            tried,
        }
    }

    fn tried(outcome: Outcome) -> Tried {
        let scenario = "udp-closed-port".to_owned();
        Tried { scenario, way: String::new(), outcome, seconds: 1.0 }
    }

    #[test]
    fn a_kernel_is_good_only_where_something_passed_and_nothing_failed() {
        assert!(!run(vec![]).is_good());
        assert!(!run(vec![tried(Outcome::Skipped("no".to_owned()))]).is_good());
        assert!(run(vec![tried(Outcome::Passed)]).is_good());
        assert!(!run(vec![tried(Outcome::Passed), tried(Outcome::Failed("x".to_owned()))]).is_good());
    }

    #[test]
    fn the_document_tells_of_every_scenario_and_of_every_reason_once() {
        let skipped = run(vec![tried(Outcome::Skipped("no UDP here".to_owned()))]);
        let text = document(&[run(vec![tried(Outcome::Passed)]), skipped]).expect("a document");
        assert!(text.contains("| `udp-closed-port` | ✓ | (1) |\n"), "{text}");
        assert_eq!(text.matches("no UDP here").count(), 1);
        assert_eq!(text.matches("| not run |").count(), Scenario::all().count() - 1);
        assert!(text.contains("| instructions verified, tp_btf | 12,345 (98 % left) |"), "{text}");
        assert!(text.contains("loaded; not reported before 5.16"), "{text}");
    }

    #[test]
    fn the_table_tells_of_what_was_tried() {
        let whole = [run(vec![tried(Outcome::Passed)]), run(vec![])];
        let text = table(&whole).expect("a table");
        assert!(text.contains("| `udp-closed-port` | ✓ | not run |\n"), "{text}");
        assert_eq!(text.matches('`').count(), 2, "{text}");
        assert_eq!(table(&[run(vec![])]).expect("a table"), "");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
