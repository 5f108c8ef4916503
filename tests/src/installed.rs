//! Files that a test makes: a folder of its own, and a program under another name, where every user can reach it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::Result;

use crate::netns::output;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A folder of its own among the temporary files; gone with its guard, and all that is in it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// When it can't be made.
    pub fn new() -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = Self(env::temp_dir().join(format!("lossdrop-{}-{count}", process::id())));
        fs::create_dir(&folder.0)?;
        Ok(folder)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A copy of a program in a folder of its own.
#[derive(Debug)]
pub struct Installed {
    path: PathBuf,
    _folder: Folder,
}

impl Installed {
    /// # Errors
    /// When the program can't be copied.
    pub fn new(program: &Path, name: &str) -> Result<Self> {
        let folder = Folder::new()?;
        let path = folder.path().join(name);
        // A file that this process writes may be open in a child that another thread starts meanwhile: the copy would
        // then be busy.
        output(Command::new("install").args(["-m", "755"]).arg(program).arg(&path))?;
        Ok(Self { path, _folder: folder })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
