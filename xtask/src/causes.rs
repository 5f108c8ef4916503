//! `cargo xtask causes`: writes `docs/causes.md` anew.

use anyhow::{Context as _, Result};

use crate::root;

pub(crate) fn write() -> Result<()> {
    let path = root().join("docs/causes.md");
    std::fs::write(&path, lossdrop::knowledge::causes())
        .with_context(|| format!("cannot write {}", path.display()))
}
