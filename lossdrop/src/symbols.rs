//! Kernel addresses to function names, by `/proc/kallsyms`.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

/// The kernel's functions, modules included, by address.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Sorted; no two at the same address.
    functions: Vec<Function>,
    names: String,
}

#[derive(Clone, Copy, Debug)]
struct Function {
    address: u64,
    /// Range in `names`.
    name: u32,
    len: u16,
    /// Of the names that share an address, the one with the lowest rank is kept.
    rank: u8,
}

/// An address, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Without the compiler's suffixes (`.constprop.0`, `.isra.0`, `.part.0`, `.cold`).
    pub name: &'a str,
    pub offset: u64,
}

/// Names of module boundaries that share an address with the function that is meant.
const ALIASES: [&str; 4] = ["init_module", "cleanup_module", "_sinittext", "_stext"];

/// Names of ends: what lies behind them is no function.
const ENDS: [&str; 2] = ["_etext", "_einittext"];

/// No function is longer. What lies farther behind one belongs to no function that the table knows.
const LONGEST: u64 = 1 << 20;

impl Symbols {
    /// Reads the running kernel's table. Empty where it hides its addresses.
    pub fn load() -> std::io::Result<Self> {
        Self::read(BufReader::with_capacity(1 << 16, File::open("/proc/kallsyms")?))
    }

    /// Reads a table in the format of `/proc/kallsyms`; lines that do not fit it are passed over.
    pub fn read(mut table: impl BufRead) -> std::io::Result<Self> {
        let mut symbols = Self::default();
        let mut line = Vec::new();
        while table.read_until(b'\n', &mut line)? != 0 {
            if let Some((address, kind, name)) = std::str::from_utf8(&line).ok().and_then(parse) {
                symbols.add(address, kind, name);
            }
            line.clear();
        }
        symbols.functions.sort_by_key(|function| (function.address, function.rank));
        symbols.functions.dedup_by_key(|function| function.address);
        symbols.functions.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    fn add(&mut self, address: u64, kind: u8, name: &str) {
        let Ok(len) = u16::try_from(name.len()) else { return };
        let Ok(at) = u32::try_from(self.names.len()) else { return };
        let rank = u8::from(ALIASES.contains(&name)) * 2 + u8::from(kind.is_ascii_lowercase());
        self.names.push_str(name);
        self.functions.push(Function { address, name: at, len, rank });
    }

    /// The kernel hides its addresses from us, or there is no table.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// The function that an address lies in.
    pub fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let behind = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions.get(behind.checked_sub(1)?)?;
        let start = function.name as usize;
        let name = &self.names[start..start + usize::from(function.len)];
        let offset = address - function.address;
        (offset < LONGEST && !ENDS.contains(&name)).then(|| Symbol { name: clean(name), offset })
    }
}

/// `ffffffff81000000 T name\t[module]`; functions only, at addresses that are not hidden.
fn parse(line: &str) -> Option<(u64, u8, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u64::from_str_radix(fields.next()?, 16).ok().filter(|address| *address != 0)?;
    let kind = fields.next()?;
    let name = fields.next()?;
    matches!(kind, "t" | "T" | "w" | "W").then(|| (address, kind.as_bytes()[0], name))
}

/// A function's name without what the compiler appended.
pub fn clean(name: &str) -> &str {
    match name.find('.') {
        Some(dot) if dot > 0 => &name[..dot],
        _ => name,
    }
}

/// Frames that belong to tracing itself: the program, its trampolines and the tracepoint's glue.
pub fn is_tracing(name: &str) -> bool {
    name.starts_with("bpf_prog_")
        || name.starts_with("bpf_trampoline_")
        || name.starts_with("__traceiter_")
        || name.starts_with("__bpf_trace_")
        || name.starts_with("bpf_trace_run")
        || name.starts_with("__bpf_tramp")
}
