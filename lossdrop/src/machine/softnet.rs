//! `/proc/net/softnet_stat`: what each CPU's receive queue has seen.

/// The counters of a CPU that is online.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softnet {
    pub cpu: u32,
    pub processed: u64,
    /// Packets that the CPU's backlog had no room for.
    pub dropped: u64,
    /// How often the budget was used up before the work was done: no loss.
    pub time_squeeze: u64,
    pub flow_limit: u64,
    /// The length of the backlog now (since 5.10; else 0).
    pub backlog: u64,
}

pub(crate) fn parse(text: &str) -> Vec<Softnet> {
    text.lines()
        .enumerate()
        .filter_map(|(line, text)| {
            let columns: Vec<u64> = text
                .split_ascii_whitespace()
                .map_while(|column| u64::from_str_radix(column, 16).ok())
                .collect();
            let column = |number: usize| columns.get(number).copied().unwrap_or(0);
            let line = u32::try_from(line).ok()?;
            Some(Softnet {
                // Before 5.10 there is no column for it; lines are in the CPUs' order.
                cpu: columns.get(12).map_or(Some(line), |cpu| u32::try_from(*cpu).ok())?,
                processed: *columns.first()?,
                dropped: *columns.get(1)?,
                time_squeeze: column(2),
                flow_limit: column(10),
                backlog: column(11),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hexadecimal_and_later_kernels_have_more() {
        let text = "0000a1b2 0000000c 00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
                    00000002 00000005 00000003 00000000 00000005\n\
                    00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n";
        let softnet = parse(text);
        let first =
            Softnet { cpu: 3, processed: 0xa1b2, dropped: 12, time_squeeze: 3, flow_limit: 2, backlog: 5 };
        assert_eq!(softnet, [first, Softnet { cpu: 1, processed: 1, ..Softnet::default() }]);
        assert_eq!(parse("x\n"), []);
    }
}
