//! What lossdrop said, sorted, and what must hold for it whatever was dropped.

use std::fmt;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::scenario::Expected;

/// Lines as they come, without their line feed, and the JSON objects among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    pub(crate) lines: Vec<String>,
    pub(crate) drops: Vec<Value>,
    summary: Value,
}

impl Collected {
    pub(crate) fn push(&mut self, line: String, parsed: Option<Value>) {
        self.lines.push(line);
        match parsed {
            Some(object) if object["type"] == "drop" => self.drops.push(object),
            Some(object) if object["type"] == "summary" => self.summary = object,
            _ => {}
        }
    }
}

/// What it said, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    pub status: ExitStatus,
    /// Objects with `"type":"drop"`, in order.
    pub drops: Vec<Value>,
    /// The last object with `"type":"summary"`; `Null` without one.
    pub summary: Value,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Output {
    pub(crate) fn new(status: ExitStatus, collected: Collected, stderr: Vec<String>) -> Self {
        let Collected { lines, drops, summary } = collected;
        Self { status, drops, summary, stdout: lines, stderr }
    }

    /// A number of the summary (`seen`, `shown`, `suppressed`, `filtered`, `lost`).
    ///
    /// # Errors
    /// When there is no summary, or no such number in it.
    pub fn total(&self, name: &str) -> Result<u64> {
        self.summary[name].as_u64().with_context(|| format!("no {name:?} in the summary\n{self}"))
    }

    /// Drops that the filter let pass, by the summary's groups; with those in no group.
    ///
    /// # Errors
    /// When there is no summary.
    pub fn passed(&self) -> Result<u64> {
        Ok(self.groups().filter_map(|group| group["count"].as_u64()).sum::<u64>() + self.total("other")?)
    }

    /// What the summary counts under the reason and at any of the functions of an expectation.
    #[must_use]
    pub fn counted(&self, expected: &Expected) -> u64 {
        let own = self.groups().filter(|group| {
            expected.tells(&group["reason"])
                && group["symbol"].as_str().is_some_and(|symbol| expected.symbols.contains(&symbol))
        });
        own.filter_map(|group| group["count"].as_u64()).sum()
    }

    /// What was suppressed although it is not benign.
    ///
    /// # Errors
    /// When there is no summary.
    pub fn rationed(&self) -> Result<u64> {
        Ok(self.total("suppressed")? - self.total("suppressed_benign")?)
    }

    /// The drops counted in the summary, by reason and function.
    pub fn groups(&self) -> impl Iterator<Item = &Value> {
        self.summary["groups"].as_array().into_iter().flatten()
    }

    /// That it ended well, warned of nothing, said its last word in JSON, and that its books balance: every drop is in
    /// exactly one place, and the groups hold what is neither filtered nor lost.
    ///
    /// # Errors
    /// When any of this does not hold.
    pub fn balances(&self) -> Result<()> {
        ensure!(self.status.success(), "ended with {self}");
        let last = self.stdout.last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        ensure!(last.is_some_and(|last| last["type"] == "summary"), "the last line is no summary: {self}");
        let [seen, shown, suppressed, filtered, lost] =
            ["seen", "shown", "suppressed", "filtered", "lost"].map(|name| self.total(name));
        let (seen, shown, suppressed, filtered, lost) = (seen?, shown?, suppressed?, filtered?, lost?);
        ensure!(seen == shown + suppressed + filtered + lost, "the books do not balance: {}", self.summary);
        // Of the lost ones, those that the kernel did not call the program for are in no group.
        let passed = self.passed()?;
        ensure!(
            passed + filtered <= seen && passed + filtered + lost >= seen,
            "{passed} in groups: {}",
            self.summary
        );
        Ok(())
    }

    /// As [`says_what_it_counts`](Self::says_what_it_counts), with nothing lost.
    ///
    /// # Errors
    /// When any of this does not hold.
    pub fn is_complete(&self) -> Result<()> {
        self.says_what_it_counts()?;
        ensure!(self.total("lost")? == 0, "lost some: {}", self.summary);
        Ok(())
    }

    /// As [`balances`](Self::balances), with as many lines as the summary says.
    ///
    /// # Errors
    /// When any of this does not hold.
    pub fn says_what_it_counts(&self) -> Result<()> {
        self.balances()?;
        ensure!(self.total("shown")? == self.drops.len() as u64, "{} drops said: {self}", self.drops.len());
        Ok(())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr, .. } = self;
        write!(f, "{status}\nstdout:\n{}\nstderr:\n{}", excerpt(stdout), excerpt(stderr))
    }
}

/// What all who watched the same drops must say of them alike, in one order: all but the time, names that may come late,
/// and numbers that move while one after the other looks.
pub fn facts<'a>(drops: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let stripped = drops.into_iter().map(|drop| {
        let mut drop = drop.clone();
        drop["ts"] = Value::Null;
        drop["owner"] = Value::Null;
        drop["netns"]["name"] = Value::Null;
        if let Some(drop) = drop.as_object_mut() {
            for moving in ["peer", "qdisc", "socket"] {
                drop.remove(moving);
            }
        }
        drop.to_string()
    });
    let mut facts: Vec<_> = stripped.collect();
    facts.sort();
    facts
}

/// The lines, without the middle of very many.
pub(crate) fn excerpt(lines: &[String]) -> String {
    const ENDS: usize = 20;
    if lines.len() <= 2 * ENDS {
        return lines.join("\n");
    }
    let (head, tail) = (&lines[..ENDS], &lines[lines.len() - ENDS..]);
    format!("{}\n… {} lines …\n{}", head.join("\n"), lines.len() - 2 * ENDS, tail.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn said(lines: &[&str]) -> Output {
        let mut collected = Collected::default();
        for line in lines {
            collected.push((*line).to_owned(), serde_json::from_str(line).ok());
        }
        Output::new(ExitStatus::from_raw(0), collected, Vec::new())
    }

    #[test]
    fn books_balance_only_when_every_drop_is_somewhere() {
        let drop = r#"{"type":"drop"}"#;
        let summary = |seen, counted| {
            format!(
                r#"{{"type":"summary","seen":{seen},"shown":1,"suppressed":2,"filtered":3,"lost":0,"other":1,
                     "groups":[{{"count":{counted}}}]}}"#
            )
            .replace('\n', " ")
        };
        assert!(said(&[drop, &summary(6, 2)]).is_complete().is_ok());
        assert!(said(&[drop, &summary(7, 2)]).balances().is_err());
        assert!(said(&[drop, &summary(6, 3)]).balances().is_err());
        assert!(said(&[&summary(6, 2)]).is_complete().is_err());
        assert!(said(&[&summary(6, 2), drop]).balances().is_err());
    }

    #[test]
    fn very_many_lines_are_cut_in_the_middle() {
        let lines: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
        let cut = excerpt(&lines);
        assert!(cut.starts_with("0\n") && cut.ends_with("\n999") && cut.contains("… 960 lines …"));
    }
}
