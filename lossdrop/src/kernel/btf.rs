//! What the running kernel's BTF says: offsets of structure members, values of enums, arguments of tracepoints.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use btf_rs::{Backend, Btf, BtfType, Type};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Error, Result};

/// The BTF of a kernel, or of a module together with its kernel.
#[derive(Debug)]
pub struct KernelBtf(Inner);

struct Inner(Btf);

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
    /// Reads the BTF of the running kernel, usually `/sys/kernel/btf/vmlinux`.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |why: String| Error::Btf { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        // A mapping is the cheap way to look a few types up among 150,000, but the files in /sys can be mapped only
        // since 6.16: a copy in memory always can.
        let fd = memfd_create("btf", MFdFlags::MFD_CLOEXEC).map_err(|errno| fail(errno.to_string()))?;
        let mut copy = std::fs::File::from(fd);
        copy.write_all(&bytes).map_err(|error| fail(error.to_string()))?;
        let copy_path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        Btf::from_file_with_backend(copy_path, Backend::Mmap)
            .map(|btf| Self(Inner(btf)))
            .map_err(|error| fail(error.to_string()))
    }

    /// Reads the BTF of a module of this kernel.
    pub fn open_module(&self, path: &Path) -> Result<Self> {
        Btf::from_split_file(path, &self.0.0)
            .map(|btf| Self(Inner(btf)))
            .map_err(|error| Error::Btf { path: path.to_owned(), why: error.to_string() })
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
                at = self.resolve_structure(member)?;
            }
        }
        Some(MemberAt { bit })
    }

    fn structure(&self, name: &str) -> Option<btf_rs::Struct> {
        self.0.0.resolve_types_by_name(name).ok()?.into_iter().find_map(|found| match found {
            Type::Struct(found) => Some(found),
            _ => None,
        })
    }

    /// The member's offset in bits and its type.
    fn find(&self, structure: &btf_rs::Struct, name: &str) -> Option<(u32, Type)> {
        structure.members.iter().find_map(|member| {
            let kind = self.0.0.resolve_chained_type(member).ok()?;
            let own_name = self.0.0.resolve_name(member).unwrap_or_default();
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
    fn resolve_structure(&self, mut kind: Type) -> Option<btf_rs::Struct> {
        loop {
            match kind {
                Type::Struct(found) | Type::Union(found) => return Some(found),
                Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) | Type::TypeTag(_) => {
                    kind = self.0.0.resolve_chained_type(kind.as_btf_type()?).ok()?;
                }
                _ => return None,
            }
        }
    }

    /// The names of an enum's values; empty where this kernel lacks the enum.
    pub fn enumeration(&self, name: &str) -> BTreeMap<u32, String> {
        let mut values = BTreeMap::new();
        for found in self.0.0.resolve_types_by_name(name).unwrap_or_default() {
            match found {
                Type::Enum(found) => values.extend(
                    found
                        .members
                        .iter()
                        .filter_map(|member| Some((member.val(), self.0.0.resolve_name(member).ok()?))),
                ),
                Type::Enum64(found) => values.extend(found.members.iter().filter_map(|member| {
                    Some((u32::try_from(member.val()).ok()?, self.0.0.resolve_name(member).ok()?))
                })),
                _ => {}
            }
        }
        values
    }

    /// How many arguments a tracepoint has, by the prototype `btf_trace_NAME` (`include/trace/bpf_probe.h`), whose
    /// first parameter is the kernel's own.
    pub fn tracepoint_args(&self, name: &str) -> Option<u32> {
        let found = self.0.0.resolve_types_by_name(&format!("btf_trace_{name}")).ok()?;
        found.into_iter().find_map(|found| {
            let Type::Typedef(typedef) = found else { return None };
            self.0.0.chained_type_iter(&typedef as &dyn BtfType).find_map(|link| match link {
                Type::FuncProto(prototype) => u32::try_from(prototype.parameters.len()).ok()?.checked_sub(1),
                _ => None,
            })
        })
    }

    /// Whether the kernel has a function of this name with BTF.
    pub fn has_function(&self, name: &str) -> bool {
        self.0
            .0
            .resolve_types_by_name(name)
            .is_ok_and(|found| found.iter().any(|found| matches!(found, Type::Func(_))))
    }
}
