//! The smallest BPF programs that there are, each in an object file of its own: they return a constant.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::{Context, Result};

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: u32 = 24;
/// `ET_REL`, `EM_BPF`, `EV_CURRENT`.
const RELOCATABLE: u16 = 1;
const BPF: u16 = 247;
const CURRENT: u32 = 1;
/// `SHT_*`.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
/// `SHF_ALLOC | SHF_EXECINSTR`.
const CODE: u64 = 6;
const ALLOC: u64 = 2;
/// Where the sections stand in the table.
const SYMBOLS_AT: usize = 3;
const STRINGS_AT: u16 = 4;

struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    bytes: Vec<u8>,
}

/// An object file with one program `name` in the section `section` that returns `verdict`.
pub(crate) fn object(section: &'static str, name: &str, verdict: i32) -> Vec<u8> {
    // r0 = verdict; exit
    let code = [&[0xb7, 0, 0, 0][..], &verdict.to_le_bytes(), &[0x95, 0, 0, 0, 0, 0, 0, 0]].concat();
    let names = [section, "license", ".symtab", ".strtab", name];
    let strings: Vec<u8> = names.iter().fold(vec![0], |mut all, name| {
        all.extend(name.as_bytes());
        all.push(0);
        all
    });
    let symbols = symbol_table(offset_of(&strings, name), code.len());
    let sections = [
        Section { name: "", kind: 0, flags: 0, bytes: vec![] },
        Section { name: section, kind: PROGBITS, flags: CODE, bytes: code },
        Section { name: "license", kind: PROGBITS, flags: ALLOC, bytes: b"GPL\0".to_vec() },
        Section { name: ".symtab", kind: SYMTAB, flags: 0, bytes: symbols },
        Section { name: ".strtab", kind: STRTAB, flags: 0, bytes: strings.clone() },
    ];

    let (mut body, mut table) = (Vec::new(), Vec::new());
    for (at, section) in sections.iter().enumerate() {
        let offset = HEADER + body.len();
        table.extend(section_header(section, at == SYMBOLS_AT, offset_of(&strings, section.name), offset));
        body.extend(&section.bytes);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    [file_header(HEADER + body.len(), sections.len()), body, table].concat()
}

/// The empty first symbol, and one global function: the whole of the first section.
fn symbol_table(name: u32, size: usize) -> Vec<u8> {
    let mut table = vec![0; SYMBOL as usize];
    table.extend(name.to_le_bytes());
    table.extend([0x12, 0]);
    table.extend(1u16.to_le_bytes());
    table.extend(0u64.to_le_bytes());
    table.extend((size as u64).to_le_bytes());
    table
}

fn section_header(section: &Section, symbols: bool, name: u32, offset: usize) -> Vec<u8> {
    let (link, locals, entry) = if symbols { (u32::from(STRINGS_AT), 1u32, SYMBOL) } else { (0, 0, 0) };
    let mut header = Vec::with_capacity(SECTION_HEADER);
    header.extend(name.to_le_bytes());
    header.extend(section.kind.to_le_bytes());
    header.extend(section.flags.to_le_bytes());
    header.extend(0u64.to_le_bytes());
    header.extend((offset as u64).to_le_bytes());
    header.extend((section.bytes.len() as u64).to_le_bytes());
    header.extend(link.to_le_bytes());
    header.extend(locals.to_le_bytes());
    header.extend(8u64.to_le_bytes());
    header.extend(u64::from(entry).to_le_bytes());
    header
}

fn file_header(table: usize, sections: usize) -> Vec<u8> {
    // 64 bits, little endian.
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend(RELOCATABLE.to_le_bytes());
    header.extend(BPF.to_le_bytes());
    header.extend(CURRENT.to_le_bytes());
    header.extend([0; 16]);
    header.extend((table as u64).to_le_bytes());
    header.extend(0u32.to_le_bytes());
    for field in [HEADER as u16, 0, 0, SECTION_HEADER as u16, sections as u16, STRINGS_AT] {
        header.extend(field.to_le_bytes());
    }
    header
}

fn offset_of(strings: &[u8], name: &str) -> u32 {
    let wanted = [name.as_bytes(), &[0]].concat();
    let found = strings.windows(wanted.len()).position(|window| window == wanted);
    found.unwrap_or(0) as u32
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// An object file among the temporary files; gone with its guard.
pub(crate) struct ObjectFile(PathBuf);

impl ObjectFile {
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn new(section: &'static str, name: &str, verdict: i32) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("lossdrop-{}-{count}.o", process::id()));
        fs::write(&path, object(section, name, verdict)).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ObjectFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_bpf_file_whose_section_table_ends_it() {
        let object = object("xdp", "lab_xdp_drop", 1);
        assert_eq!(object[..4], *b"\x7fELF");
        assert_eq!(object[18..20], BPF.to_le_bytes());
        let table = u64::from_le_bytes(object[40..48].try_into().unwrap()) as usize;
        assert_eq!(object.len(), table + 5 * SECTION_HEADER);
    }
}
