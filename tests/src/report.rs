//! What became of each scenario, for whoever runs the lab from outside: a line of JSON each.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The environment variable that names the file, which may be a device.
pub const REPORT: &str = "LOSSDROP_LAB_REPORT";

/// One scenario that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub scenario: String,
    /// In which way: arguments of `lossdrop diagnose` besides those that it always gets, or `trace`.
    pub way: String,
    pub outcome: Outcome,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All that was due was found, and nothing else.
    Passed,
    /// What the kernel or the machine lacks.
    Skipped(String),
    Failed(String),
}

impl Tried {
    /// Appends it to the report that the environment names, if it names one.
    ///
    /// # Errors
    /// When the report can't be written.
    pub fn tell(&self) -> Result<()> {
        let Some(path) = env::var_os(REPORT) else { return Ok(()) };
        let line = serde_json::to_string(self)? + "\n";
        Ok(OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())?)
    }

    /// The same scenario in the same way.
    #[must_use]
    pub fn is_again(&self, other: &Self) -> bool {
        self.scenario == other.scenario && self.way == other.way
    }

    /// Reads a report back. What is no whole line is left out: a machine may end in the middle of one.
    #[must_use]
    pub fn read(report: &str) -> Vec<Self> {
        report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_but_for_what_was_cut_off() {
        let tried = |outcome| Tried {
            scenario: "udp-closed-port".to_owned(),
            way: "--no-probes".to_owned(),
            outcome,
            seconds: 1.5,
        };
        let all =
            [Outcome::Passed, Outcome::Skipped("no netem".to_owned()), Outcome::Failed("a\nb".to_owned())];
        let lines = all.clone().map(|outcome| serde_json::to_string(&tried(outcome)).expect("JSON"));
        let report = lines.join("\r\n");
        assert_eq!(Tried::read(&report), all.map(tried));
        assert_eq!(Tried::read(&report[..report.len() - 1]).len(), 2);
    }
}
