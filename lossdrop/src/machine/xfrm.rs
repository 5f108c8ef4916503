//! The IPsec policies of a namespace.

use std::{
    fmt, io,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use ipnet::IpNet;

use super::{
    netlink::{Fields as _, Protocol, dump_from},
    take::within,
};

/// A policy that decides about packets between two prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfrmPolicy {
    pub source: IpNet,
    pub destination: IpNet,
    /// 0 for any.
    pub protocol: u8,
    pub direction: Direction,
    /// It refuses what it matches.
    pub blocks: bool,
    pub priority: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
    Forward,
}

impl fmt::Display for Direction {
    /// As `ip xfrm policy` calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        })
    }
}

impl XfrmPolicy {
    /// Whether a packet is one of those that it decides about.
    pub fn matches(&self, source: IpAddr, destination: IpAddr, protocol: u8) -> bool {
        self.source.contains(&source)
            && self.destination.contains(&destination)
            && (self.protocol == 0 || self.protocol == protocol)
    }
}

/// The policies, the first to be asked first.
pub fn xfrm_policies(netns: &Path, limit: Duration) -> io::Result<Vec<XfrmPolicy>> {
    /// `include/uapi/linux/xfrm.h`.
    const XFRM_MSG_GETPOLICY: u16 = 0x15;
    within(netns, limit, |deadline: Instant| {
        // `struct xfrm_userpolicy_id`: all of them.
        let answers = dump_from(Protocol::Xfrm, XFRM_MSG_GETPOLICY, &[0; 64], deadline)?;
        let mut policies: Vec<XfrmPolicy> = answers.iter().filter_map(|answer| parse(answer)).collect();
        policies.sort_by_key(|policy| policy.priority);
        Ok(policies)
    })?
}

/// `struct xfrm_userpolicy_info`: the selector, two lifetimes of 64 and 32 bytes, priority, index, direction, action.
fn parse(message: &[u8]) -> Option<XfrmPolicy> {
    const PRIORITY: usize = 152;
    const DIRECTION: usize = 160;
    const BLOCK: u8 = 1;
    let byte = |at: usize| message.get(at).copied();
    let family = message.u16_at(40)?;
    let prefix = |at: usize, len: usize| {
        let bytes = message.get(at..at + 16)?;
        let address = if i32::from(family) == libc::AF_INET {
            IpAddr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?)
        } else {
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        };
        IpNet::new(address, byte(len)?).ok()
    };
    Some(XfrmPolicy {
        destination: prefix(0, 42)?,
        source: prefix(16, 43)?,
        protocol: byte(44)?,
        direction: match byte(DIRECTION)? {
            0 => Direction::In,
            1 => Direction::Out,
            2 => Direction::Forward,
            _ => return None,
        },
        blocks: byte(DIRECTION + 1)? == BLOCK,
        priority: message.u32_at(PRIORITY)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        let mut message = vec![0; 168];
        message[..4].copy_from_slice(&[10, 2, 0, 2]);
        message[16..20].copy_from_slice(&[10, 1, 0, 0]);
        message[40..42].copy_from_slice(&2_u16.to_ne_bytes());
        message[42..45].copy_from_slice(&[32, 24, 17]);
        message[152..156].copy_from_slice(&7_u32.to_ne_bytes());
        message[160..162].copy_from_slice(&[2, 1]);
        message
    }

    #[test]
    fn a_policy_is_read_from_the_kernel_s_structure() {
        let policy = parse(&message()).expect("a policy");
        assert_eq!(
            (policy.source.to_string().as_str(), policy.destination.to_string().as_str()),
            ("10.1.0.0/24", "10.2.0.2/32")
        );
        assert_eq!((policy.direction, policy.blocks, policy.priority), (Direction::Forward, true, 7));
        let address = |text: &str| text.parse().expect("an address");
        assert!(policy.matches(address("10.1.0.9"), address("10.2.0.2"), 17));
        assert!(!policy.matches(address("10.1.0.9"), address("10.2.0.2"), 6));
        assert!(!policy.matches(address("10.9.0.9"), address("10.2.0.2"), 17));
    }

    #[test]
    fn what_is_no_policy_is_none() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&message()[..160]), None);
        let mut odd = message();
        odd[160] = 9;
        assert_eq!(parse(&odd), None);
    }
}
