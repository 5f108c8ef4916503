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
        || name.starts_with("bpf_dispatcher_")
        || name.starts_with("__traceiter_")
        || name.starts_with("__bpf_trace_")
        || name.starts_with("bpf_trace_run")
        || name.starts_with("__bpf_tramp")
}

#[cfg(test)]
mod tests {
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
    fn the_running_kernel_names_its_own_functions() {
        let symbols = Symbols::load().expect("kallsyms can be read");
        if symbols.is_empty() {
            return; // Without CAP_SYSLOG the kernel hides the addresses.
        }
        assert!(symbols.len() > 10_000);
    }

    #[test]
    fn tracing_is_told_from_the_functions_that_drop() {
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
