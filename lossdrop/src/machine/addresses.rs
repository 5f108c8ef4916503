//! The addresses of a namespace's devices.

use std::{io, net::IpAddr, time::Instant};

use super::netlink::{Fields as _, address, attributes, dump};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The device's index.
    pub index: u32,
    pub address: IpAddr,
    /// The length of the network's prefix.
    pub prefix: u8,
}

pub(crate) fn read(deadline: Instant) -> io::Result<Vec<Address>> {
    let answers = dump(libc::RTM_GETADDR, &[0; HEADER], deadline)?;
    Ok(answers.iter().filter_map(|answer| parse(answer)).collect())
}

/// `struct ifaddrmsg`: family, prefix length, flags and scope a byte each, index.
const HEADER: usize = 8;

fn parse(message: &[u8]) -> Option<Address> {
    let (prefix, index) = (message.u8_at(1)?, message.u32_at(4)?);
    let mut found = None;
    for (kind, value) in attributes(message.get(HEADER..)?) {
        match kind {
            // On a point-to-point link IFA_ADDRESS is the other end's, and IFA_LOCAL ours.
            libc::IFA_LOCAL => found = address(value),
            libc::IFA_ADDRESS if found.is_none() => found = address(value),
            _ => {}
        }
    }
    Some(Address { index, address: found?, prefix })
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::push_attribute, *};

    #[test]
    fn our_own_address_is_taken_rather_than_the_other_end_s() {
        let mut message = vec![2, 24, 0, 0, 3, 0, 0, 0];
        push_attribute(&mut message, libc::IFA_ADDRESS, &[10, 0, 0, 2]);
        let plain = parse(&message).expect("whole");
        assert_eq!((plain.address, plain.prefix), ("10.0.0.2".parse().expect("valid"), 24));
        push_attribute(&mut message, libc::IFA_LOCAL, &[10, 0, 0, 1]);
        assert_eq!(parse(&message).expect("whole").address.to_string(), "10.0.0.1");
        assert_eq!(parse(&message[..8]), None);
        assert_eq!(parse(&message[..5]), None);
    }

    #[test]
    fn the_loopback_has_its_address() {
        let addresses = read(Instant::now() + std::time::Duration::from_secs(5)).expect("readable");
        assert!(addresses.iter().any(|address| address.address.is_loopback()), "{addresses:?}");
    }
}
