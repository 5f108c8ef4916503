//! Sockets that may lose packets, from `sock_diag`: those that listen for TCP connections, and those of UDP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use super::netlink::{Fields as _, Protocol, attribute, dump_from};

/// A TCP socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: IpAddr,
    pub port: u16,
    /// Connections that wait to be accepted now.
    pub queued: u32,
    /// How many may; one more still gets in.
    pub backlog: u32,
    pub inode: u32,
    /// Packets that the socket dropped, SYNs that found its queue full among them.
    pub drops: u32,
}

/// A UDP socket, with its memory in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSocket {
    pub address: IpAddr,
    pub port: u16,
    pub inode: u32,
    /// What waits to be read now.
    pub rmem: u32,
    /// How much may.
    pub rcvbuf: u32,
    pub drops: u32,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_SKMEMINFO: u16 = 7;

/// The states of `net/tcp_states.h`, as bits.
const LISTEN: u32 = 1 << 10;
const ANY: u32 = u32::MAX;

pub(crate) fn listeners(deadline: Instant) -> io::Result<Vec<Listener>> {
    Ok(read(libc::IPPROTO_TCP, LISTEN, deadline)?.iter().filter_map(|answer| listener(answer)).collect())
}

pub(crate) fn udp(deadline: Instant) -> io::Result<Vec<UdpSocket>> {
    Ok(read(libc::IPPROTO_UDP, ANY, deadline)?.iter().filter_map(|answer| udp_socket(answer)).collect())
}

fn read(protocol: libc::c_int, states: u32, deadline: Instant) -> io::Result<Vec<Vec<u8>>> {
    let mut answers = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let request = request(byte(family), byte(protocol), states);
        answers.extend(dump_from(Protocol::SockDiag, SOCK_DIAG_BY_FAMILY, &request, deadline)?);
    }
    Ok(answers)
}

/// The families and protocols that are asked for fit.
const fn byte(number: libc::c_int) -> u8 {
    number.cast_unsigned() as u8
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and the identity of one socket.
fn request(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    const LEN: usize = 56;
    let mut request = vec![family, protocol, 1 << (INET_DIAG_SKMEMINFO - 1), 0];
    request.extend(states.to_ne_bytes());
    request.resize(LEN, 0);
    request
}

/// `struct inet_diag_msg`: family, state, timer, retransmissions; ports at 4 and 6, addresses at 8 and 24, device,
/// cookie; timer, queues at 56 and 60, owner, inode at 68.
const HEADER: usize = 72;

fn local(message: &[u8]) -> Option<(IpAddr, u16)> {
    let port = message.be16_at(4)?;
    let address = match i32::from(message.u8_at(0)?) {
        libc::AF_INET => Ipv4Addr::from(message.array_at::<4>(8)?).into(),
        libc::AF_INET6 => Ipv6Addr::from(message.array_at::<16>(8)?).into(),
        _ => return None,
    };
    Some((address, port))
}

fn listener(message: &[u8]) -> Option<Listener> {
    let (address, port) = local(message)?;
    Some(Listener {
        address,
        port,
        queued: message.u32_at(56)?,
        backlog: message.u32_at(60)?,
        inode: message.u32_at(68)?,
        drops: memory(message, libc::SK_MEMINFO_DROPS).unwrap_or(0),
    })
}

fn udp_socket(message: &[u8]) -> Option<UdpSocket> {
    let (address, port) = local(message)?;
    Some(UdpSocket {
        address,
        port,
        inode: message.u32_at(68)?,
        rmem: memory(message, libc::SK_MEMINFO_RMEM_ALLOC)?,
        rcvbuf: memory(message, libc::SK_MEMINFO_RCVBUF)?,
        drops: memory(message, libc::SK_MEMINFO_DROPS)?,
    })
}

fn memory(message: &[u8], field: libc::c_int) -> Option<u32> {
    let numbers = attribute(message.get(HEADER..)?, INET_DIAG_SKMEMINFO)?;
    numbers.u32_at(usize::try_from(field).ok()? * 4)
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::push_attribute, *};

    fn message(family: libc::c_int) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[0] = byte(family);
        message[4..6].copy_from_slice(&8080_u16.to_be_bytes());
        message[8..12].copy_from_slice(&[10, 0, 0, 2]);
        for (offset, number) in [(56, 3_u32), (60, 2), (68, 4711)] {
            message[offset..offset + 4].copy_from_slice(&number.to_ne_bytes());
        }
        let memory: Vec<u8> = (100..109_u32).flat_map(u32::to_ne_bytes).collect();
        push_attribute(&mut message, INET_DIAG_SKMEMINFO, &memory);
        message
    }

    #[test]
    fn a_listener_has_its_queue_and_what_it_lost() {
        let listener = listener(&message(libc::AF_INET)).expect("whole");
        assert_eq!((listener.address.to_string(), listener.port), ("10.0.0.2".to_owned(), 8080));
        assert_eq!((listener.queued, listener.backlog, listener.inode, listener.drops), (3, 2, 4711, 108));
    }

    #[test]
    fn a_udp_socket_has_its_memory() {
        let socket = udp_socket(&message(libc::AF_INET6)).expect("whole");
        assert_eq!(socket.address.to_string(), "a00:2::");
        assert_eq!((socket.rmem, socket.rcvbuf, socket.drops), (100, 101, 108));
        assert_eq!(udp_socket(&message(libc::AF_INET)[..HEADER]), None);
        assert_eq!(udp_socket(&message(libc::AF_UNIX)), None);
    }
}
