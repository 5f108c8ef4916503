//! The counters that `nstat` shows: `/proc/net/snmp`, `netstat`, `snmp6`, and `/proc/net/xfrm_stat`.

use std::{collections::BTreeMap, fs, io};

/// Numbers among them that are no counters (RFC 4293, 4022: settings, and what is so now).
const GAUGES: &[&str] = &[
    "IpForwarding",
    "IpDefaultTTL",
    "TcpRtoAlgorithm",
    "TcpRtoMin",
    "TcpRtoMax",
    "TcpMaxConn",
    "TcpCurrEstab",
    "MPTcpExtMPCurrEstab",
];

/// Of the thread's namespace.
pub(crate) fn read() -> io::Result<BTreeMap<String, u64>> {
    let file = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}"));
    let mut counters = pairs(&file("snmp")?);
    counters.extend(pairs(&file("netstat")?));
    // Kernels without IPv6 or IPsec lack these.
    for name in ["snmp6", "xfrm_stat"] {
        counters.extend(columns(&file(name).unwrap_or_default()));
    }
    Ok(counters)
}

/// Whether a number only ever grows.
pub(crate) fn is_counter(name: &str) -> bool {
    !GAUGES.contains(&name)
}

/// A line of names, then one of numbers, both with the group in front; the name is that of both.
fn pairs(text: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let (Some((group, names)), Some((of, numbers))) = (names.split_once(':'), numbers.split_once(':'))
        else {
            continue;
        };
        if group == of {
            let pairs = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
            // -1 stands for "no limit".
            found.extend(
                pairs.filter_map(|(name, number)| Some((format!("{group}{name}"), number.parse().ok()?))),
            );
        }
    }
    found
}

/// A name and a number a line.
fn columns(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            Some((columns.next()?.to_owned(), columns.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_nstat() {
        let counters = pairs(
            "Tcp: RtoMin MaxConn InSegs\nTcp: 200 -1 17\nTcpExt: ListenOverflows ListenDrops\nTcpExt: 3 4\n\
             IcmpMsg: InType3\nIcmpMsg: 9\nodd\nlines\n",
        );
        let expected = [
            ("IcmpMsgInType3", 9),
            ("TcpExtListenDrops", 4),
            ("TcpExtListenOverflows", 3),
            ("TcpInSegs", 17),
            ("TcpRtoMin", 200),
        ];
        assert_eq!(counters, expected.map(|(name, number)| (name.to_owned(), number)).into());
        assert!(is_counter("TcpInSegs") && !is_counter("TcpRtoMin"));
    }

    #[test]
    fn columns_are_a_name_and_a_number() {
        let counters =
            columns("Ip6InReceives                   \t12\nXfrmInError             \t0\n\nodd x\n");
        assert_eq!(
            counters.into_iter().collect::<Vec<_>>(),
            [("Ip6InReceives".to_owned(), 12), ("XfrmInError".to_owned(), 0)]
        );
    }

    #[test]
    fn this_kernel_has_counters() {
        let counters = read().expect("readable");
        for name in ["UdpNoPorts", "TcpExtListenDrops", "IpExtInNoRoutes"] {
            assert!(counters.contains_key(name), "{name}");
        }
    }
}
