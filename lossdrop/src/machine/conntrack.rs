//! `/proc/net/stat/nf_conntrack` and the table's size.

use std::{collections::BTreeMap, fs};

use super::sysctl;

/// The table of connections of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections now.
    pub count: u64,
    pub max: u64,
    /// The columns of `/proc/net/stat/nf_conntrack`, summed over the CPUs: `found`, `invalid`, `insert_failed`, `drop`,
    /// `early_drop` and the like.
    pub stats: BTreeMap<String, u64>,
}

impl Conntrack {
    pub fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or(0)
    }
}

/// Of the thread's namespace; `None` where connections are not tracked.
pub(crate) fn read() -> Option<Conntrack> {
    let number = |name: &str| sysctl::here(&format!("net.netfilter.nf_conntrack_{name}"))?.parse().ok();
    let stats = fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").unwrap_or_default();
    Some(Conntrack { count: number("count")?, max: number("max")?, stats: sums(&stats) })
}

/// The sums of a table of `/proc/net/stat`: a line of names, then one of hexadecimal numbers a CPU. `entries` is the
/// same number in each line and no counter.
pub(crate) fn sums(text: &str) -> BTreeMap<String, u64> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let mut sums = BTreeMap::new();
    for line in lines {
        for (name, column) in names.iter().zip(line.split_ascii_whitespace()) {
            if let (false, Ok(number)) = (*name == "entries", u64::from_str_radix(column, 16)) {
                let sum: &mut u64 = sums.entry((*name).to_owned()).or_default();
                *sum = sum.wrapping_add(number);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_are_summed_and_the_entries_left_out() {
        let sums = sums(
            "entries  found invalid drop\n00000012  00000001 0000000a 00000000\n\
                         00000012  00000002 00000001 00000003\n",
        );
        let expected = [("drop", 3), ("found", 3), ("invalid", 11)].map(|(name, sum)| (name.to_owned(), sum));
        assert_eq!(sums, BTreeMap::from(expected));
        assert!(super::sums("").is_empty());
    }
}
