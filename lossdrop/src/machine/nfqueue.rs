//! `/proc/net/netfilter/nfnetlink_queue`: the queues that a program listens to.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NfQueue {
    pub number: u16,
    /// The netlink port of the program that listens: mostly its process.
    pub portid: u32,
    /// Packets that wait for a verdict now.
    pub queue_total: u64,
    pub copy_mode: u8,
    /// Packets that the queue had no room for.
    pub queue_dropped: u64,
    /// Packets that the program's socket had no room for.
    pub user_dropped: u64,
}

pub(crate) fn parse(text: &str) -> Vec<NfQueue> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            let mut next = || columns.next()?.parse::<u64>().ok();
            Some(NfQueue {
                number: next()?.try_into().ok()?,
                portid: next()?.try_into().ok()?,
                queue_total: next()?,
                copy_mode: next()?.try_into().ok()?,
                // Between them is how much of a packet is copied.
                queue_dropped: next().and_then(|_| next())?,
                user_dropped: next()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_queue() {
        let queues = parse("    3   4711     5 2 65531     7     8       42  1\nodd\n");
        let queue = NfQueue {
            number: 3,
            portid: 4711,
            queue_total: 5,
            copy_mode: 2,
            queue_dropped: 7,
            user_dropped: 8,
        };
        assert_eq!(queues, [queue]);
    }
}
