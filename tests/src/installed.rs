//! A program under another name, where every user can reach it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::Result;

use crate::netns::output;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A copy of a program in a folder of its own among the temporary files; gone with its guard.
#[derive(Debug)]
pub struct Installed(PathBuf);

impl Installed {
    /// # Errors
    /// When the program can't be copied.
    pub fn new(program: &Path, name: &str) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("lossdrop-{}-{count}", process::id()));
        let copy = Self(folder.join(name));
        // A file that this process writes may be open in a child that another thread starts meanwhile: the copy would
        // then be busy.
        output(Command::new("install").args(["-D", "-m", "755"]).arg(program).arg(&copy.0))?;
        Ok(copy)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
