//! From what was typed to the maps of the kernel program.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

use ipnet::IpNet;
use lossdrop_common::{FILTER_VALUES, PortBits, PortWord, event::words_of};

use super::{
    kinds::{FilterArgs, Kind},
    values::{Host, Iface, Length, Mark, PortRange},
};
use crate::{
    error::{Error, Result},
    identity::Namespaces,
    kernel::{Filter, KernelInfo, filter::Entries, reasons::Reasons},
    text::near,
};

/// The map of the namespaces' inode numbers.
pub const NETNS: &str = "FILTER_NETNS";
const PORTS: &str = "FILTER_PORTS";

/// Filters on their way into the maps.
pub(super) struct Resolving<'a> {
    args: &'a FilterArgs,
    info: &'a KernelInfo,
    scan: fn() -> Namespaces,
    namespaces: OnceCell<Namespaces>,
    option: &'static str,
    hosts: Vec<(IpNet, u32)>,
    filter: Filter,
}

impl<'a> Resolving<'a> {
    pub(super) fn new(args: &'a FilterArgs, info: &'a KernelInfo, scan: fn() -> Namespaces) -> Self {
        let namespaces = OnceCell::new();
        Self { args, info, scan, namespaces, option: "", hosts: Vec::new(), filter: Filter::default() }
    }

    /// A kind that is in use; its values follow. Without a field that it looks at, no packet could pass.
    pub(super) fn begin(&mut self, kind: &Kind) -> Result<()> {
        self.option = kind.name;
        match self.info.lacks(kind.needs) {
            Some(missing) => Err(Error::Filter { option: kind.name, field: missing.field.clone() }),
            None => {
                self.filter.kinds.add(kind.bit);
                Ok(())
            }
        }
    }

    fn namespaces(&self) -> &Namespaces {
        self.namespaces.get_or_init(self.scan)
    }

    fn fill(&mut self, map: &'static str, entries: Entries) {
        self.filter.maps.insert(map, entries);
    }

    pub(super) fn numbers(&mut self, map: &'static str, numbers: impl IntoIterator<Item = u32>) {
        self.fill(map, Entries::Numbers(numbers.into_iter().collect()));
    }

    /// Adds ports to the words; `field` is the part of each that this kind looks at.
    pub(super) fn ports(&mut self, ranges: &[PortRange], field: fn(&mut PortWord) -> &mut u64) {
        let none = || Entries::Ports(vec![PortWord::default(); PortBits::WORDS as usize]);
        if let Entries::Ports(words) = self.filter.maps.entry(PORTS).or_insert_with(none) {
            for port in ranges.iter().flat_map(|range| range.first..=range.last) {
                *field(&mut words[usize::from(port / 64)]) |= 1 << (port % 64);
            }
        }
    }

    pub(super) fn hosts(&mut self, hosts: &[Host], bits: u32) {
        self.hosts.extend(hosts.iter().map(|host| (host.0, bits)));
        let hosts = &self.hosts;
        let covering = |prefix: &IpNet| {
            let wider = hosts.iter().filter(|(wider, _)| wider.contains(prefix));
            wider.fold(0, |all, (_, bits)| all | bits)
        };
        let prefixes: BTreeMap<IpNet, u32> =
            hosts.iter().map(|(prefix, _)| (*prefix, covering(prefix))).collect();
        self.fill("FILTER_HOSTS", Entries::Prefixes(prefixes));
    }

    /// Inode numbers of namespaces by what was typed.
    pub(super) fn find_netns(&self, names: &[String]) -> Result<BTreeSet<u32>> {
        names.iter().map(|name| self.namespaces().find(name)).collect()
    }

    /// Devices that there are, in the namespaces that are asked for.
    pub(super) fn ifaces(&mut self, names: &[Iface]) -> Result<()> {
        let among = self.find_netns(&self.args.netns)?;
        let mut padded_names = BTreeSet::new();
        for Iface(name) in names {
            self.namespaces().require_interface(name, &among)?;
            let mut padded = [0; 16];
            padded[..name.len()].copy_from_slice(name.as_bytes());
            padded_names.insert(words_of(padded));
        }
        self.fill("FILTER_IFACE", Entries::Names(padded_names));
        Ok(())
    }

    pub(super) fn reasons(&mut self, names: &[String]) -> Result<()> {
        let reasons = &self.info.reasons;
        if reasons.is_empty() {
            return Err(Error::NoReasons);
        }
        let number = |name: &String| reasons.number(name).ok_or_else(|| unknown_reason(reasons, name));
        let numbers: BTreeSet<u32> = names.iter().map(number).collect::<Result<_>>()?;
        self.numbers("FILTER_REASON", numbers);
        Ok(())
    }

    pub(super) fn marks(&mut self, marks: &[Mark]) -> Result<()> {
        self.limit(marks.len())?;
        self.fill("FILTER_MARK", Entries::Marks(marks.iter().map(|mark| mark.0).collect()));
        Ok(())
    }

    pub(super) fn lengths(&mut self, lengths: &[Length]) -> Result<()> {
        self.limit(lengths.len())?;
        self.fill("FILTER_LEN", Entries::Lengths(lengths.iter().map(|length| length.0).collect()));
        Ok(())
    }

    /// The kernel program compares them one by one.
    fn limit(&self, values: usize) -> Result<()> {
        if values > FILTER_VALUES as usize {
            return Err(Error::TooManyValues { option: self.option, most: FILTER_VALUES });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Filter {
        self.filter
    }
}

fn unknown_reason(reasons: &Reasons, name: &str) -> Error {
    let names: Vec<&str> = reasons.iter().map(|(_, name)| name).collect();
    Error::UnknownReason { name: name.to_owned(), near: near(&name.to_ascii_uppercase(), &names) }
}
