//! What ran where.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lossdrop_lab::report::{Outcome, Tried};
use serde_json::Value;

use super::{
    boot::{CHECK, REPORT},
    kernels::Kernel,
};

/// The lab on one kernel.
pub(super) struct Run {
    version: &'static str,
    release: String,
    took: Duration,
    check: Value,
    tried: Vec<Tried>,
}

impl Run {
    pub(super) fn read(kernel: &Kernel, folder: &Path, took: Duration) -> Result<Self> {
        let check = fs::read_to_string(folder.join(CHECK))?;
        Ok(Self {
            version: kernel.version,
            release: kernel.release.clone(),
            took,
            check: serde_json::from_str(&check).context("`lossdrop check --json` said no JSON")?,
            tried: Tried::read(&fs::read_to_string(folder.join(REPORT))?),
        })
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
            "{} ({}): {} passed; {} failed; {} skipped; {} s",
            self.version,
            self.release,
            self.count(|outcome| matches!(outcome, Outcome::Passed)),
            self.count(|outcome| matches!(outcome, Outcome::Failed(_))),
            self.count(|outcome| matches!(outcome, Outcome::Skipped(_))),
            self.took.as_secs(),
        )
    }
}

pub(super) fn table(runs: &[Run]) -> String {
    runs.iter().map(|run| run.summary() + "\n").collect()
}

pub(super) fn document(_runs: &[Run]) -> Result<String> {
    anyhow::bail!("not yet")
}
