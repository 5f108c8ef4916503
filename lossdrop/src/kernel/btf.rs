//! What the running kernel's BTF says: offsets of structure members, values of enums, arguments of tracepoints.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
    rc::Rc,
};

use btf_rs::{Backend, Btf, BtfType, Struct, Type};
use nix::sys::memfd::{MFdFlags, memfd_create};
use object::{Object as _, ObjectSection as _, elf, read::ReadCache};

/// No kernel's BTF is larger, in bytes; a device has no end.
const LARGEST: u64 = 256 << 20;

/// The BTF of a kernel, or of a module together with its kernel.
#[derive(Debug)]
pub struct KernelBtf(Inner);

struct Inner {
    btf: Btf,
    /// Those that were looked for: each costs a walk over all types.
    structures: RefCell<BTreeMap<String, Option<Rc<Struct>>>>,
}

impl Inner {
    fn new(btf: Btf) -> Self {
        Self { btf, structures: RefCell::default() }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Btf")
    }
}

/// Where a member of a structure lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberAt {
    /// From the start of the structure, in bits.
    pub bit: u32,
}

impl MemberAt {
    /// In whole bytes, rounded down.
    pub const fn byte(self) -> u32 {
        self.bit / 8
    }
}

impl KernelBtf {
    /// Reads raw BTF, as in `/sys/kernel/btf/vmlinux`, or the section `.BTF` of an ELF file. The error says what is wrong
    /// with the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        if std::fs::metadata(path).map_err(|error| error.to_string())?.is_dir() {
            return Err("it is a directory".to_owned());
        }
        let mut file = File::open(path).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        (&mut file).take(4).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes == elf::ELFMAG {
            return Self::parse(&elf_section(file)?);
        }
        has_magic(&bytes)?;
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Self::parse(&bytes)
    }

    /// Raw BTF.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        has_magic(bytes)?;
        // A mapping is the cheap way to look a few types up among 150,000, but the files in /sys can be mapped only
        // since 6.16: a copy in memory always can.
        let fd = memfd_create("btf", MFdFlags::MFD_CLOEXEC).map_err(|errno| errno.to_string())?;
        let mut copy = File::from(fd);
        copy.write_all(bytes).map_err(|error| error.to_string())?;
        let copy_path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        Btf::from_file_with_backend(copy_path, Backend::Mmap)
            .map(|btf| Self(Inner::new(btf)))
            .map_err(|error| error.to_string())
    }

    /// Reads the BTF of a module of this kernel.
    pub fn open_module(&self, path: &Path) -> Result<Self, String> {
        Btf::from_split_file(path, &self.0.btf)
            .map(|btf| Self(Inner::new(btf)))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Where a member lies; `path` may lead through nested structures (`ns.inum`) and anonymous ones are looked
    /// through. `None` where this kernel lacks it.
    pub fn member(&self, structure: &str, path: &str) -> Option<MemberAt> {
        let mut at = self.structure(structure)?;
        let mut bit = 0;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let (offset, member) = self.find(&at, part)?;
            bit += offset;
            if parts.peek().is_some() {
                at = Rc::new(self.resolve_structure(member)?);
            }
        }
        Some(MemberAt { bit })
    }

    /// The size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Option<u32> {
        u32::try_from(self.structure(structure)?.size()).ok()
    }

    fn structure(&self, name: &str) -> Option<Rc<Struct>> {
        if let Some(known) = self.0.structures.borrow().get(name) {
            return known.clone();
        }
        let types = self.0.btf.resolve_types_by_name(name).unwrap_or_default();
        let found = types.into_iter().find_map(|found| match found {
            Type::Struct(found) => Some(Rc::new(found)),
            _ => None,
        });
        self.0.structures.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }

    /// The member's offset in bits and its type.
    fn find(&self, structure: &Struct, name: &str) -> Option<(u32, Type)> {
        structure.members.iter().find_map(|member| {
            let kind = self.0.btf.resolve_chained_type(member).ok()?;
            let own_name = self.0.btf.resolve_name(member).unwrap_or_default();
            if own_name == name {
                return Some((member.bit_offset(), kind));
            }
            match kind {
                Type::Struct(inner) | Type::Union(inner) if own_name.is_empty() => {
                    let (offset, found) = self.find(&inner, name)?;
                    Some((member.bit_offset() + offset, found))
                }
                _ => None,
            }
        })
    }

    /// The structure behind qualifiers and typedefs.
    fn resolve_structure(&self, mut kind: Type) -> Option<Struct> {
        loop {
            match kind {
                Type::Struct(found) | Type::Union(found) => return Some(found),
                Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) | Type::TypeTag(_) => {
                    kind = self.0.btf.resolve_chained_type(kind.as_btf_type()?).ok()?;
                }
                _ => return None,
            }
        }
    }

    /// The names of an enum's values; empty where this kernel lacks the enum.
    pub fn enumeration(&self, name: &str) -> BTreeMap<u32, String> {
        let mut values = BTreeMap::new();
        for found in self.0.btf.resolve_types_by_name(name).unwrap_or_default() {
            match found {
                Type::Enum(found) => values.extend(
                    found
                        .members
                        .iter()
                        .filter_map(|member| Some((member.val(), self.0.btf.resolve_name(member).ok()?))),
                ),
                Type::Enum64(found) => values.extend(found.members.iter().filter_map(|member| {
                    Some((u32::try_from(member.val()).ok()?, self.0.btf.resolve_name(member).ok()?))
                })),
                _ => {}
            }
        }
        values
    }

    /// How many arguments a tracepoint has, by the prototype `btf_trace_NAME` (`include/trace/bpf_probe.h`), whose
    /// first parameter is the kernel's own.
    pub fn tracepoint_args(&self, name: &str) -> Option<u32> {
        let found = self.0.btf.resolve_types_by_name(&format!("btf_trace_{name}")).ok()?;
        found.into_iter().find_map(|found| {
            let Type::Typedef(typedef) = found else { return None };
            self.0.btf.chained_type_iter(&typedef as &dyn BtfType).find_map(|link| match link {
                Type::FuncProto(prototype) => u32::try_from(prototype.parameters.len()).ok()?.checked_sub(1),
                _ => None,
            })
        })
    }

    /// The id of a function whose first parameter has this name.
    pub fn function(&self, name: &str, first_parameter: &str) -> Option<u32> {
        let btf = &self.0.btf;
        btf.resolve_ids_by_name(name).ok()?.into_iter().find(|id| {
            let Ok(Type::Func(function)) = btf.resolve_type_by_id(*id) else { return false };
            match btf.resolve_chained_type(&function) {
                Ok(Type::FuncProto(prototype)) => prototype
                    .parameters
                    .first()
                    .is_some_and(|first| btf.resolve_name(first).is_ok_and(|name| name == first_parameter)),
                _ => false,
            }
        })
    }

    /// Whether the kernel has a function of this name with BTF.
    pub fn has_function(&self, name: &str) -> bool {
        self.0
            .btf
            .resolve_types_by_name(name)
            .is_ok_and(|found| found.iter().any(|found| matches!(found, Type::Func(_))))
    }
}

fn has_magic(bytes: &[u8]) -> Result<(), String> {
    match bytes.first_chunk() {
        Some([0x9f, 0xeb]) => Ok(()),
        Some([0xeb, 0x9f]) => Err("it is big-endian".to_owned()),
        _ => Err("it is neither raw BTF nor an ELF file; archives must be unpacked".to_owned()),
    }
}

/// A kernel with debug information is large: only what is needed of it is read.
fn elf_section(file: File) -> Result<Vec<u8>, String> {
    let file = ReadCache::new(file);
    let object = object::File::parse(&file).map_err(|error| format!("it is a broken ELF file: {error}"))?;
    if !object.is_little_endian() {
        return Err("it is big-endian".to_owned());
    }
    let section = object.section_by_name(".BTF").ok_or("it is an ELF file without a section .BTF")?;
    let bytes = section.data().map_err(|error| format!("its section .BTF can't be read: {error}"))?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

    fn running() -> KernelBtf {
        KernelBtf::open(Path::new(VMLINUX)).expect("this kernel has BTF")
    }

    /// A file that is gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, contents: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("lossdrop-{}-{name}", std::process::id()));
            std::fs::write(&path, contents).expect("a temporary file");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // Left behind, it does no harm.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[track_caller]
    fn assert_refused(name: &str, contents: &[u8]) {
        let file = Scratch::new(name, contents);
        let error = KernelBtf::open(&file.0).expect_err(name);
        assert!(!error.is_empty() && !error.contains('\n'), "{error}");
    }

    #[test]
    fn members_lie_within_their_structure_and_apart() {
        let btf = running();
        let at = |structure, path| btf.member(structure, path).expect(path);
        assert_eq!(at("sk_buff", "next").bit, 0);
        let mut bits =
            ["dev", "sk", "len", "protocol", "network_header", "head"].map(|path| at("sk_buff", path).bit);
        bits.sort_unstable();
        assert!(bits.windows(2).all(|pair| pair[0] < pair[1]), "{bits:?}");
        assert!(at("net_device", "ifindex").byte().is_multiple_of(4));
        let size = btf.size("sk_buff").expect("sk_buff");
        assert!(bits.last().is_some_and(|last| last / 8 < size), "{size}");
    }

    #[test]
    fn anonymous_structures_and_unions_are_looked_through() {
        let btf = running();
        // `dev` shares its place with `dev_scratch`, two anonymous levels down.
        assert_eq!(btf.member("sk_buff", "dev"), btf.member("sk_buff", "dev_scratch"));
        assert!(btf.member("sk_buff", "dev").is_some());
    }

    #[test]
    fn a_path_adds_the_offsets_on_its_way() {
        let btf = running();
        let bit = |structure, path| btf.member(structure, path).expect(path).bit;
        assert_eq!(bit("net", "ns.inum"), bit("net", "ns") + bit("ns_common", "inum"));
        let state = bit("sock", "__sk_common") + bit("sock_common", "skc_state");
        assert_eq!(bit("sock", "__sk_common.skc_state"), state);
        // `possible_net_t` is a typedef.
        assert_eq!(bit("net_device", "nd_net.net"), bit("net_device", "nd_net"));
    }

    #[test]
    fn a_bit_field_has_its_bit() {
        let at = running().member("sk_buff", "pkt_type").expect("every kernel has it");
        assert_eq!(at.byte(), at.bit / 8);
    }

    #[test]
    fn what_this_kernel_lacks_is_none() {
        let btf = running();
        for (structure, path) in
            [("sk_buff", "no_such"), ("no_such", "dev"), ("sk_buff", "len.inum"), ("net", "ns.no_such")]
        {
            assert_eq!(btf.member(structure, path), None, "{structure}.{path}");
        }
        assert_eq!(btf.size("no_such"), None);
        assert!(btf.enumeration("no_such_enum").is_empty());
        assert!(btf.enumeration("sk_buff").is_empty());
        assert_eq!(btf.tracepoint_args("no_such_tracepoint"), None);
        assert!(!btf.has_function("no_such_function"));
        assert!(!btf.has_function("sk_buff"));
    }

    #[test]
    fn the_drop_reasons_and_their_tracepoint_are_there() {
        let btf = running();
        let args = btf.tracepoint_args("kfree_skb").expect("a tracepoint");
        assert!((2..=4).contains(&args), "{args}");
        let reasons = btf.enumeration("skb_drop_reason");
        let named = reasons.values().any(|name| name == "SKB_DROP_REASON_NOT_SPECIFIED");
        assert_eq!(named, args >= 3, "{reasons:?}");
        assert!(btf.has_function("ip_rcv"));
        assert!(btf.function("ip_rcv", "skb").is_some());
        assert_eq!(btf.function("ip_rcv", "dev"), None);
        assert_eq!(btf.function("sk_buff", "skb"), None);
    }

    #[test]
    fn what_is_no_btf_is_refused_in_one_sentence() {
        let error = KernelBtf::open(Path::new("/no/such/btf")).expect_err("no such file");
        assert!(error.contains("No such file"), "{error}");
        for path in ["/", "/dev/null", "/proc/self/exe"] {
            assert!(KernelBtf::open(Path::new(path)).is_err(), "{path}");
        }
        assert_refused("empty.btf", b"");
        assert_refused("text.btf", b"this is no BTF at all, but a text that is longer than its header");
        assert_refused("zeroes.btf", &[0; 4096]);
        assert_refused("magic.btf", &[0x9f, 0xeb]);
        assert_refused("header.btf", &[&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0][..], &[0xff; 64]].concat());
    }

    #[test]
    fn a_truncated_copy_is_refused() {
        let whole = std::fs::read(VMLINUX).expect("this kernel has BTF");
        for len in [1, 8, 23, 24, 25, 4096, whole.len() / 2, whole.len() - 1] {
            assert_refused("truncated.btf", &whole[..len]);
        }
    }

    #[test]
    fn a_module_s_btf_needs_to_be_one() {
        let file = Scratch::new("module.btf", b"garbage");
        assert!(running().open_module(&file.0).is_err());
    }
}
