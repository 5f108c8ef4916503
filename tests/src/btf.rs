//! The running kernel's BTF, changed as if it were another kernel's.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::{Context, Result, ensure};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The bytes of `/sys/kernel/btf/vmlinux`.
#[derive(Clone, PartialEq, Eq)]
pub struct Btf(pub Vec<u8>);

impl Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Btf({} bytes)", self.0.len())
    }
}

impl Btf {
    /// # Errors
    /// When the kernel has none.
    pub fn running() -> Result<Self> {
        fs::read("/sys/kernel/btf/vmlinux").map(Self).context("this kernel has no BTF")
    }

    /// Gives everything of this name, be it a structure or a member of any structure, another one that nothing has.
    ///
    /// # Errors
    /// When nothing has it.
    pub fn without(&self, name: &str) -> Result<Self> {
        let mut changed = self.clone();
        let at = changed.name(name)?;
        changed.0[at] = b'~';
        Ok(changed)
    }

    /// Exchanges two names of the same length.
    ///
    /// # Errors
    /// When nothing has one of them.
    pub fn exchanged(&self, one: &str, other: &str) -> Result<Self> {
        ensure!(one.len() == other.len(), "{one} and {other} differ in length");
        let mut changed = self.clone();
        for (at, name) in [(self.name(one)?, other), (self.name(other)?, one)] {
            changed.0[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        Ok(changed)
    }

    /// Where the name stands in the section of strings, which has each but once.
    fn name(&self, name: &str) -> Result<usize> {
        let word = |at: usize| -> Result<usize> {
            let bytes = self.0.get(at..at + 4).context("no header")?;
            Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
        };
        // `struct btf_header` (include/uapi/linux/btf.h): the length of the header, then offsets from its end.
        let start = word(4)? + word(16)?;
        let strings = self.0.get(start..start + word(20)?).context("no strings")?;
        let wanted = format!("\0{name}\0");
        let found = strings.windows(wanted.len()).position(|window| window == wanted.as_bytes());
        Ok(start + 1 + found.with_context(|| format!("no {name:?} in the kernel's BTF"))?)
    }

    /// As the section `.BTF` of an ELF file.
    #[must_use]
    pub fn in_elf(&self) -> Vec<u8> {
        elf(".BTF", &self.0)
    }

    /// # Errors
    /// When it can't be written.
    pub fn file(&self) -> Result<Scratch> {
        Scratch::new(&self.0)
    }
}

/// A file of 64-bit ELF with one section, beside that of the sections' names.
#[must_use]
pub fn elf(name: &str, section: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    let names = format!("\0{name}\0.shstrtab\0");
    let table = (HEADER + section.len() + names.len()).next_multiple_of(8);
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
    // e_ident, e_type and e_machine, e_entry, e_phoff, e_shoff, e_flags and e_ehsize, …, e_shnum and e_shstrndx.
    let mut file = words(&[0x0001_0102_464c_457f, 0, 0x1_00f7_0001, 0, 0, table as u64]);
    file.extend(words(&[pair(0, HEADER), 0x0002_0003_0040 << 16]));
    file.extend(section);
    file.extend(names.as_bytes());
    file.resize(table, 0);
    // sh_name and sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link and sh_info, sh_addralign, sh_entsize.
    file.extend([0; HEADER]);
    file.extend(words(&[pair(1, 1), 0, 0, HEADER as u64, section.len() as u64, 0, 1, 0]));
    let at = (HEADER + section.len()) as u64;
    file.extend(words(&[pair(name.len() + 2, 3), 0, 0, at, names.len() as u64, 0, 1, 0]));
    file
}

/// A file among the temporary ones; gone with its guard.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// When it can't be written.
    pub fn new(contents: &[u8]) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("lossdrop-{}-{count}.btf", process::id()));
        fs::write(&path, contents)?;
        Ok(Self(path))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind, it does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs a program where the kernel's own BTF can't be seen, as on a kernel that has none.
#[must_use]
pub fn hidden(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""])
        .arg(program);
    command
}
