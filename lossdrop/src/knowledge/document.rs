//! The tables as a document: `docs/causes.md`.

use std::fmt::Write as _;

use super::{Cause, KINDS, Kind};

const BEGINNING: &str = "\
# Causes

What lossdrop can tell of a drop: the coarse cause (`mtu`), and its kinds (`mtu/veth-peer`). `lossdrop explain mtu/veth-peer`
says the same of one kind. This file is made from the tables in `lossdrop/src/knowledge/` (`cargo xtask causes`); a test fails
when it is not up to date.

A kind is recognised by the kernel's reason, by the function that dropped the packet where the reason says nothing, and by
the facts of the single drop. Where neither a reason nor a function stands below, facts or the kernel's counters tell.

Severities: **benign** is normal work, hidden by default; **policy** was asked for; **capacity** means that a limit was hit;
**fault** means that something is wrong. A drop is benign, too, where the entry of its reason or function says so
(`lossdrop reasons`). Commands stand with what is to be put in their place in capitals.
";

const ADDING: &str = "\
## Adding a kind

1. Give it an entry in the file of its cause in `lossdrop/src/knowledge/kinds/`: its name, cause, slug and severity, a heading of
   a few words, and up to four phrases each of usual causes, of what to look at and of what helps. Tests check the form.
2. Say how it is recognised. By a reason: a line in `knowledge/reasons.rs` (or `subsystems.rs`) names it. By a function: a line in
   `knowledge/locations.rs` does, with the condition or the reason under which it holds; the first line that applies wins. A
   line may say another severity than its kind (`as Policy`) and how sure it is (`is Likely`).
3. Where one function has several meanings that only the facts of the drop tell apart, keep the most frequent one in the table
   with `is Likely` or `is Possible`, and refine it in `lossdrop/src/drops/verdict.rs`.
4. `(always)` or `(when CONDITION)` in a line makes its drops noise. Only where no program can have waited for the packet: noise
   must never hide a fault, and a condition that reads a header holds only where the header was read (`knowledge/conditions.rs`).
5. Provoke it: a scenario in `tests/src/scenarios/` makes a known number of such drops, and the tests run over all scenarios
   ([lab.md](lab.md)).
6. `cargo xtask causes` writes this file anew.
";

/// The whole of `docs/causes.md`.
pub fn causes() -> String {
    let mut out = BEGINNING.to_owned();
    overview(&mut out);
    for cause in Cause::ALL {
        // Writing to a String does not fail.
        let _ = write!(out, "\n## {cause}\n");
        for kind in KINDS.iter().filter(|kind| kind.cause == cause) {
            entry(kind, &mut out);
        }
    }
    out.push('\n');
    out.push_str(ADDING);
    out
}

fn overview(out: &mut String) {
    out.push_str("\n| kind | severity | |\n|---|---|---|\n");
    for kind in KINDS {
        let name = kind.to_string();
        let anchor = name.replace('/', "");
        let _ = writeln!(out, "| [{name}](#{anchor}) | {} | {} |", kind.severity, kind.title);
    }
}

fn entry(kind: &Kind, out: &mut String) {
    let Kind { severity, title, causes, look, fixes, .. } = kind;
    let _ = write!(out, "\n### {kind}\n\n{severity}: {title}\n\n");
    let (reasons, functions) = (kind.reasons(), kind.functions());
    for (what, names) in [("Reasons", reasons), ("Functions", functions)] {
        if !names.is_empty() {
            let _ = writeln!(out, "* {what}: `{}`", names.join("`, `"));
        }
    }
    for (what, phrases) in [("Usual causes", causes), ("Look at", look), ("What helps", fixes)] {
        let _ = writeln!(out, "* {what}: {}", phrases.join("; "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_made_from_the_tables() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/causes.md");
        let committed = std::fs::read_to_string(path).expect("docs/causes.md is committed");
        assert!(committed == causes(), "docs/causes.md is not up to date: run `cargo xtask causes`");
    }

    #[test]
    fn every_kind_stands_in_the_overview_and_has_its_section() {
        let text = causes();
        for kind in KINDS {
            assert!(text.contains(&format!("\n| [{kind}](#")), "{kind}");
            assert!(text.contains(&format!("\n### {kind}\n\n{}: {}\n", kind.severity, kind.title)), "{kind}");
        }
    }
}
