//! Kernel addresses to function names, by `/proc/kallsyms`.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    ops::Range,
};

/// The kernel's functions, modules included, by address.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Sorted; no two at the same address.
    functions: Vec<Function>,
    names: String,
    /// The kernel's own text, which stays as it is.
    core: Range<u64>,
    /// The modules that were loaded; `None` for a table that is not the running kernel's.
    modules: Option<Vec<Range<u64>>>,
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
const ENDS: [&str; 3] = ["_etext", "_einittext", END_OF_MODULE];
const END_OF_MODULE: &str = "(end of a module)";

/// No function is longer. What lies farther behind one belongs to no function that the table knows.
const LONGEST: u64 = 1 << 20;

impl Symbols {
    /// Reads the running kernel's table. Empty where it hides its addresses.
    pub fn load() -> io::Result<Self> {
        // First the modules: one that comes in between makes the table outdated, and it is read again.
        let modules = loaded_modules()?;
        let table = BufReader::with_capacity(1 << 16, File::open("/proc/kallsyms")?);
        Ok(Self { modules: Some(modules.clone()), ..Self::read_with(table, &modules)? })
    }

    /// Reads a table in the format of `/proc/kallsyms`; lines that do not fit it are passed over.
    pub fn read(table: impl BufRead) -> io::Result<Self> {
        Self::read_with(table, &[])
    }

    fn read_with(mut table: impl BufRead, modules: &[Range<u64>]) -> io::Result<Self> {
        let mut symbols = Self::default();
        let mut line = Vec::new();
        while table.read_until(b'\n', &mut line)? != 0 {
            if let Some((address, kind, name)) = std::str::from_utf8(&line).ok().and_then(parse) {
                symbols.add(address, kind, name);
            }
            line.clear();
        }
        for module in modules {
            symbols.add(module.end, b'T', END_OF_MODULE);
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
        match name {
            "_stext" => self.core.start = address,
            "_etext" => self.core.end = address,
            _ => {}
        }
        let is_boundary = ALIASES.contains(&name) || ENDS.contains(&name);
        let rank = u8::from(is_boundary) * 2 + u8::from(kind.is_ascii_lowercase());
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

    /// The address lies in the kernel's own text, not in a module or a program.
    pub fn is_core(&self, address: u64) -> bool {
        self.core.contains(&address)
    }

    /// The table as it is now, where modules have come or gone since it was read.
    pub fn reloaded(&self) -> Option<Self> {
        let known = self.modules.as_ref()?;
        let loaded = loaded_modules().ok()?;
        (loaded != *known).then(Self::load)?.ok()
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

/// Where the loaded modules lie; none where the kernel can't load any.
fn loaded_modules() -> io::Result<Vec<Range<u64>>> {
    match fs::read_to_string("/proc/modules") {
        Ok(list) => Ok(list.lines().filter_map(parse_module).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// `veth 36864 0 - Live 0xffffffffc0000000`: size, and where its text begins. Since 6.4 the size is that of all its parts,
/// so the end is at the most where the text's is.
fn parse_module(line: &str) -> Option<Range<u64>> {
    let mut fields = line.split_ascii_whitespace();
    let size: u64 = fields.nth(1)?.parse().ok()?;
    let address = u64::from_str_radix(fields.nth(3)?.strip_prefix("0x")?, 16).ok()?;
    (address != 0).then(|| address..address.saturating_add(size))
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
        || name.starts_with("bpf_dispatcher_")
        || name.starts_with("__traceiter_")
        || name.starts_with("__bpf_trace_")
        || name.starts_with("bpf_trace_run")
        || name.starts_with("__bpf_tramp")
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    const TABLE: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T first
ffffffff81001000 t second.constprop.0
ffffffff81001000 T second_alias
ffffffff81002000 W weak.isra.0.cold
ffffffff81003000 w .hidden
ffffffff81004000 D some_data
ffffffff81004800 r rodata
ffffffff81005000 T last
ffffffff81006000 T _etext
ffffffff82000000 t _sinittext
ffffffff82000000 T early
ffffffff82001000 T _einittext
ffffffffc0000000 t init_module\t[veth]
ffffffffc0000000 t veth_init\t[veth]
ffffffffc0000200 t veth_xmit\t[veth]
0000000000000000 T nowhere
zzzz T not_hexadecimal
ffffffffc0000300
ffffffffc0000300 t

ffffffffc0000300 TT two_letters
";

    impl Symbols {
        /// Without functions, from when a module was loaded that is gone.
        pub(crate) fn outdated() -> Self {
            let gone = 0x1000..0x2000;
            Self { modules: Some(vec![gone]), ..Self::default() }
        }
    }

    fn table() -> Symbols {
        Symbols::read(TABLE.as_bytes()).expect("bytes can be read")
    }

    #[track_caller]
    fn assert_resolves(address: u64, wanted: Option<(&str, u64)>) {
        let symbols = table();
        let found = symbols.resolve(address).map(|symbol| (symbol.name, symbol.offset));
        assert_eq!(found, wanted, "{address:#x}");
    }

    #[test]
    fn an_address_belongs_to_the_function_that_begins_at_or_before_it() {
        assert_resolves(0xffff_ffff_8100_0000, Some(("first", 0)));
        assert_resolves(0xffff_ffff_8100_0001, Some(("first", 1)));
        assert_resolves(0xffff_ffff_8100_0fff, Some(("first", 0xfff)));
        assert_resolves(0xffff_ffff_8100_5010, Some(("last", 0x10)));
    }

    #[test]
    fn an_address_before_the_first_function_is_unknown() {
        for address in [0, 1, 0x7fff_0000_0000, 0xffff_ffff_80ff_ffff] {
            assert_resolves(address, None);
        }
    }

    #[test]
    fn behind_an_end_there_is_no_function() {
        assert_resolves(0xffff_ffff_8100_5fff, Some(("last", 0xfff)));
        for address in [0xffff_ffff_8100_6000, 0xffff_ffff_8100_6001, 0xffff_ffff_8200_1000] {
            assert_resolves(address, None);
        }
    }

    #[test]
    fn far_behind_a_function_there_is_none() {
        assert_resolves(0xffff_ffff_c00f_ffff, Some(("veth_xmit", 0xf_fdff)));
        assert_resolves(0xffff_ffff_c010_01ff, Some(("veth_xmit", 0xf_ffff)));
        assert_resolves(0xffff_ffff_c010_0200, None);
        assert_resolves(u64::MAX, None);
    }

    #[test]
    fn of_the_names_at_one_address_the_function_wins_over_the_boundary() {
        assert_resolves(0xffff_ffff_8200_0004, Some(("early", 4)));
        assert_resolves(0xffff_ffff_c000_0004, Some(("veth_init", 4)));
        assert_resolves(0xffff_ffff_8100_1004, Some(("second_alias", 4)));
    }

    #[test]
    fn data_is_no_function() {
        assert_resolves(0xffff_ffff_8100_4004, Some((".hidden", 0x1004)));
    }

    #[test]
    fn the_compiler_s_suffixes_are_left_out() {
        assert_resolves(0xffff_ffff_8100_2000, Some(("weak", 0)));
        for (name, wanted) in [
            ("tcp_rcv.isra.0", "tcp_rcv"),
            ("a.constprop.0.cold", "a"),
            ("plain", "plain"),
            (".text", ".text"),
            ("", ""),
        ] {
            assert_eq!(clean(name), wanted);
        }
    }

    #[test]
    fn malformed_lines_and_hidden_addresses_are_passed_over() {
        assert_eq!(table().len(), 10);
        let hidden = Symbols::read(&b"0000000000000000 T a\n0000000000000000 t b\n"[..]).expect("bytes");
        assert!(hidden.is_empty());
        assert_eq!(hidden.resolve(0xffff_ffff_8100_0000), None);
        let binary = Symbols::read(&b"\xff\xfe\n1000 T a\n\0\n2000 T b"[..]).expect("bytes");
        assert_eq!((binary.len(), binary.resolve(0x2001).map(|symbol| symbol.name)), (2, Some("b")));
    }

    #[test]
    fn modules_behind_the_kernel_need_no_order() {
        let symbols = Symbols::read(&b"3000 t c [m]\n1000 T a\n2000 T b\n"[..]).expect("bytes");
        let names: Vec<_> = [0x1fff, 0x2000, 0x3001].map(|at| symbols.resolve(at).map(|s| s.name)).into();
        assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
    }

    #[test]
    fn a_module_ends() {
        let module =
            parse_module("veth 1024 2 nf_tables,bridge, Live 0xffffffffc0000000 (OE)").expect("a module");
        assert_eq!(module, 0xffff_ffff_c000_0000..0xffff_ffff_c000_0400);
        let resolve = |address| {
            let symbols =
                Symbols::read_with(TABLE.as_bytes(), slice::from_ref(&module)).expect("bytes can be read");
            symbols.resolve(address).map(|symbol| (symbol.name.to_owned(), symbol.offset))
        };
        assert_eq!(resolve(0xffff_ffff_c000_03ff), Some(("veth_xmit".to_owned(), 0x1ff)));
        assert_eq!(resolve(0xffff_ffff_c000_0400), None);
        for line in
            ["", "veth", "veth 1024 0 - Live 0x0000000000000000", "veth x 0 - Live 0x1000", "a 1 0 - Live 10"]
        {
            assert_eq!(parse_module(line), None, "{line}");
        }
    }

    #[test]
    fn a_module_that_begins_where_another_ends_keeps_its_first_function() {
        let table = &b"1000 T a\t[one]\n2000 T b\t[two]\n"[..];
        let one = 0x1000..0x2000;
        let symbols = Symbols::read_with(table, &[one]).expect("bytes");
        assert_eq!(symbols.resolve(0x2004).map(|symbol| symbol.name), Some("b"));
    }

    #[test]
    fn the_kernel_s_own_text_is_distinguished_from_modules() {
        assert!(table().is_core(0xffff_ffff_8100_0000) && table().is_core(0xffff_ffff_8100_5fff));
        for address in [0, 0xffff_ffff_80ff_ffff, 0xffff_ffff_8100_6000, 0xffff_ffff_c000_0200] {
            assert!(!table().is_core(address), "{address:#x}");
        }
    }

    #[test]
    fn only_the_running_kernel_s_table_is_read_again_and_only_if_modules_came_or_went() {
        assert!(table().reloaded().is_none());
        let loaded = Symbols::load().expect("kallsyms can be read");
        assert!(loaded.reloaded().is_none());
        let before = Symbols::outdated();
        assert_eq!(before.reloaded().map(|symbols| symbols.is_empty()), Some(loaded.is_empty()));
    }

    #[test]
    fn the_running_kernel_names_its_own_functions() {
        let symbols = Symbols::load().expect("kallsyms can be read");
        if symbols.is_empty() {
            return; // Without CAP_SYSLOG the kernel hides the addresses.
        }
        assert!(symbols.len() > 10_000);
    }

    #[test]
    fn tracing_is_distinguished_from_the_functions_that_drop() {
        for name in [
            "bpf_prog_3c6895a183251161_kfree_skb_btf",
            "bpf_trampoline_6442500000",
            "__traceiter_kfree_skb",
            "__bpf_trace_kfree_skb",
            "bpf_trace_run4",
            "__bpf_tramp_exit",
        ] {
            assert!(is_tracing(name), "{name}");
        }
        for name in ["sk_skb_reason_drop", "bpf_skb_proto_xlat", "nf_hook_slow", "__bpf_redirect", ""] {
            assert!(!is_tracing(name), "{name}");
        }
    }
}
