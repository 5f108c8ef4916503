//! Tables of the fields that lossdrop looks for in the kernel's structures, as data: each may be missing, and costs what
//! stands beside it.

use std::path::Path;

use lossdrop_common::Facts;

use super::layout::withheld;
use super::{
    btf::{KernelBtf, MemberAt},
    types::Types,
};

/// What of a field the kernel program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its offset in bytes.
    Byte,
    /// Its offset in bits.
    Bit,
    /// Its distance from another field of the same structure, in bytes.
    From(&'static str),
    /// The size of the whole structure, whatever the field.
    Size,
    /// The value of an enum's constant.
    Value,
    /// Its offset, or the end of the structure where there is none, rounded up to so many bytes.
    Behind(u32),
}

/// What stays unknown without a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Empty where nothing is lost: the field has come or gone, and kernels do well without it.
    pub what: &'static str,
    /// As [`Layout::withheld`](super::layout::Layout::withheld): what would be wrong rather than missing.
    pub withheld: u32,
}

/// Lost alone.
pub const fn lost(what: &'static str) -> Lost {
    Lost { what, withheld: 0 }
}

pub const NOTHING: Lost = lost("");
/// Facts that say something false without one of theirs go as a whole.
pub const DEVICE: Lost = Lost {
    what: "flags and limits of devices, veth peers among them",
    withheld: Facts::DEVICE | Facts::PEER,
};
pub const ROUTE: Lost = Lost { what: "the MTU of routes", withheld: Facts::ROUTE };
pub const MTU: Lost =
    Lost { what: "the MTU of devices, and what it forbids", withheld: DEVICE.withheld | ROUTE.withheld };
pub const QDISC: Lost = Lost { what: "the queueing discipline of a packet", withheld: Facts::QDISC };
pub const SOCKET: Lost = Lost { what: "buffers, queues and losses of sockets", withheld: Facts::SOCKET };
pub const NETFILTER: Lost =
    Lost { what: "hook, table, chain and rule of a packet in netfilter", withheld: Facts::NETFILTER };
pub const CONNTRACK: Lost =
    Lost { what: "what conntrack knows of a packet's connection", withheld: withheld::CONNTRACK };
pub const MARK: Lost = Lost { what: "the mark of packets", withheld: withheld::MARK };
pub const SEGMENTS: Lost =
    Lost { what: "which packets are bundles of segments", withheld: withheld::SEGMENTS };

/// A field, under the names that kernels have given it, and where its offset is kept.
pub struct Field<T: 'static> {
    pub structure: &'static str,
    pub paths: &'static [&'static str],
    pub what: What,
    pub lost: Lost,
    place: fn(&mut T) -> &mut u32,
}

impl<T> std::fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name())
    }
}

/// A field that this kernel lacks, and what lossdrop can't say without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// As `struct.member`.
    pub field: String,
    pub lost: Lost,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this kernel has no {}: lossdrop can't tell {}", self.field, self.lost.what)
    }
}

impl<T> Field<T> {
    pub const fn new(
        structure: &'static str,
        paths: &'static [&'static str],
        what: What,
        lost: Lost,
        place: fn(&mut T) -> &mut u32,
    ) -> Self {
        Self { structure, paths, what, lost, place }
    }

    /// `sk_buff.dev`.
    pub fn name(&self) -> String {
        match self.what {
            What::Size => format!("struct {}", self.structure),
            _ => format!("{}.{}", self.structure, self.paths[0]),
        }
    }

    /// What the program is given; `None` where the kernel has no such field.
    pub fn find(&self, btf: &KernelBtf) -> Option<u32> {
        let byte = |path| btf.member(self.structure, path).map(MemberAt::byte);
        self.paths.iter().find_map(|path| match self.what {
            What::Byte => byte(path),
            What::Bit => btf.member(self.structure, path).map(|at| at.bit),
            What::From(other) => byte(path)?.checked_sub(byte(other)?),
            What::Size => btf.size(self.structure),
            What::Value => {
                let values = btf.enumeration(self.structure);
                values.into_iter().find(|(_, name)| name == path).map(|(value, _)| value)
            }
            What::Behind(alignment) => {
                byte(path).or_else(|| Some(btf.size(self.structure)?.next_multiple_of(alignment)))
            }
        })
    }

    /// The module that has the structure, where it is no part of the kernel itself.
    fn module(&self) -> Option<&'static str> {
        match self.structure {
            "veth_priv" => Some("veth"),
            "net_bridge" | "net_bridge_port" => Some("bridge"),
            "xt_table" => Some("x_tables"),
            structure if structure.starts_with("nft_") => Some("nf_tables"),
            _ => None,
        }
    }

    /// Whether the kernel has nothing to look at with it: its module is not loaded.
    fn is_idle(&self) -> bool {
        self.module().is_some_and(|module| !Path::new("/sys/module").join(module).exists())
    }
}

/// Fills `offsets` with what a table asks for, and says what is not there.
pub fn resolve<T>(table: &[Field<T>], types: &Types, offsets: &mut T) -> Vec<Missing> {
    let mut modules: Vec<&str> = table.iter().filter_map(Field::module).collect();
    modules.sort_unstable();
    modules.dedup();
    let modules: Vec<KernelBtf> = modules.into_iter().filter_map(|module| types.module(module)).collect();
    let mut missing = Vec::new();
    for field in table {
        let mut btfs = std::iter::once(&*types.btf).chain(&modules);
        match btfs.clone().find_map(|btf| field.find(btf)) {
            Some(found) => *(field.place)(offsets) = found,
            None if field.lost == NOTHING => {}
            None if field.is_idle() && btfs.all(|btf| btf.size(field.structure).is_none()) => {}
            None => missing.push(Missing { field: field.name(), lost: field.lost }),
        }
    }
    missing
}

/// The fields that lie elsewhere by the kernel's own BTF.
pub fn differing<T>(table: &[Field<T>], given: &KernelBtf, own: &KernelBtf) -> Vec<String> {
    let differs = |field: &&Field<T>| match (field.find(given), field.find(own)) {
        (Some(given), Some(own)) => given != own,
        _ => false,
    };
    table.iter().filter(differs).map(Field::name).collect()
}

/// A table of fields: where each is kept, what it is called in the kernel (several names are tried in turn), what is lost
/// without it.
macro_rules! fields {
    ($table:ident of $offsets:ty: $($place:ident: $structure:literal $($path:literal)|+ $(as $what:expr)?, $lost:expr;)+) => {
        pub static $table: &[Field<$offsets>] = &[
            $(Field::new(
                $structure,
                &[$($path),+],
                fields!(@what $($what)?),
                $lost,
                |offsets| &mut offsets.$place,
            )),+
        ];
    };
    (@what) => { What::Byte };
    (@what $what:expr) => { $what };
}

pub(super) use fields;
