//! Where the running kernel's types are found: in a file that was given, else by the kernel itself.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use log::debug;

use super::btf::KernelBtf;
use super::error::{Error, Result};

/// Where kernels keep their BTF, and that of their modules.
const DIRECTORY: &str = "/sys/kernel/btf";

/// The types of the running kernel.
#[derive(Debug)]
pub struct Types {
    /// From the file, if one was given.
    pub btf: Rc<KernelBtf>,
    pub path: PathBuf,
    /// What the kernel tells of itself: the modules' BTF and the ids of functions belong to it, and to no file.
    pub own: Option<Rc<KernelBtf>>,
    pub is_given: bool,
}

impl Types {
    /// Reads `file`, or what the kernel tells of itself.
    pub fn gather(file: Option<&Path>) -> Result<Self> {
        let own = Self::own_path();
        let Some(file) = file else {
            let btf =
                KernelBtf::open(&own).map(Rc::new).map_err(|why| Error::Btf { path: own.clone(), why })?;
            return Ok(Self { btf: btf.clone(), path: own, own: Some(btf), is_given: false });
        };
        let btf = KernelBtf::open(file).map_err(|why| Error::BtfFile { path: file.to_owned(), why })?;
        let own = KernelBtf::open(&own).inspect_err(|why| debug!("no BTF of the kernel's own: {why}"));
        Ok(Self { btf: Rc::new(btf), path: file.to_owned(), own: own.ok().map(Rc::new), is_given: true })
    }

    /// What the kernel tells of itself, as if no file had been given.
    pub fn running(&self) -> Option<Self> {
        let own = self.own.clone()?;
        Some(Self { btf: own.clone(), path: Self::own_path(), own: Some(own), is_given: false })
    }

    /// `/sys/kernel/btf/vmlinux`
    pub fn own_path() -> PathBuf {
        Path::new(DIRECTORY).join("vmlinux")
    }

    /// What is wrong with the BTF, as an error.
    pub fn error(&self, why: String) -> Error {
        let path = self.path.clone();
        if self.is_given { Error::BtfFile { path, why } } else { Error::Btf { path, why } }
    }

    /// The types of a module that is loaded.
    pub fn module(&self, name: &str) -> Option<KernelBtf> {
        let path = Path::new(DIRECTORY).join(name);
        if !path.exists() {
            return None;
        }
        self.own.as_ref()?.open_module(&path).inspect_err(|error| debug!("{error}")).ok()
    }
}
