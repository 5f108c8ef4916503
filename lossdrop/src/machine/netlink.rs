//! Questions to the kernel over netlink: one socket a question, with a time limit.
//!
//! Attributes are read one by one rather than by types that know whole messages: a later kernel's longer structure then
//! costs nothing, and an odd attribute only itself.

use std::{io, net::IpAddr, os::fd::AsRawFd as _, time::Instant};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkBuffer, NlasIterator,
};
use nix::sys::{
    socket::{MsgFlags, NetlinkAddr, recv, sendto, setsockopt, sockopt::ReceiveTimeout},
    time::TimeVal,
};

use crate::kernel::sys::netlink_socket;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A dump that a change on the way may have torn is asked for this often.
const ATTEMPTS: usize = 3;

/// More than the kernel puts into one datagram of a dump (32 KiB).
const ROOM: usize = 64 << 10;

/// Whom a request is for.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(crate) enum Protocol {
    Route = libc::NETLINK_ROUTE,
    SockDiag = libc::NETLINK_SOCK_DIAG,
    Xfrm = libc::NETLINK_XFRM,
    Generic = libc::NETLINK_GENERIC,
}

/// All objects of a kind: `body` is the family's header with attributes, `kind` an `RTM_GET…`. Each answer without its
/// netlink header.
pub(crate) fn dump(kind: u16, body: &[u8], deadline: Instant) -> io::Result<Vec<Vec<u8>>> {
    dump_from(Protocol::Route, kind, body, deadline)
}

/// As [`dump`], from another protocol than rtnetlink.
pub(crate) fn dump_from(
    protocol: Protocol,
    kind: u16,
    body: &[u8],
    deadline: Instant,
) -> io::Result<Vec<Vec<u8>>> {
    let mut answers = Vec::new();
    for _ in 0..ATTEMPTS {
        let whole;
        (answers, whole) = ask(protocol, kind, NLM_F_REQUEST | NLM_F_DUMP, body, deadline)?;
        if whole {
            break;
        }
    }
    // On a machine that changes all the time, a torn dump is as good as it gets.
    Ok(answers)
}

/// One object.
pub(crate) fn get(kind: u16, body: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    get_from(Protocol::Route, kind, body, deadline)
}

/// As [`get`], from another protocol than rtnetlink.
pub(crate) fn get_from(protocol: Protocol, kind: u16, body: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let (answers, _) = ask(protocol, kind, NLM_F_REQUEST, body, deadline)?;
    answers.into_iter().next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The answers, and whether they are of one moment.
fn ask(
    protocol: Protocol,
    kind: u16,
    flags: u16,
    body: &[u8],
    deadline: Instant,
) -> io::Result<(Vec<Vec<u8>>, bool)> {
    let socket = netlink_socket(protocol as libc::c_int)?;
    sendto(socket.as_raw_fd(), &request(kind, flags, body), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answers = Answers { whole: true, ..Answers::default() };
    let mut room = vec![0; ROOM];
    while !answers.done {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.as_micros() == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let seconds = left.as_secs().try_into().unwrap_or(i64::MAX);
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(seconds, left.subsec_micros().into()))?;
        let len = recv(socket.as_raw_fd(), &mut room, MsgFlags::empty())?;
        answers.take(&room[..len])?;
    }
    Ok((answers.payloads, answers.whole))
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    const HEADER: usize = 16;
    let mut message = vec![0; HEADER];
    message.extend(body);
    let len = message.len();
    let mut header = NetlinkBuffer::new(&mut message);
    header.set_length(u32::try_from(len).unwrap_or(u32::MAX));
    header.set_message_type(kind);
    header.set_flags(flags);
    message
}

/// What has been answered so far.
#[derive(Debug, Default)]
struct Answers {
    payloads: Vec<Vec<u8>>,
    done: bool,
    whole: bool,
}

impl Answers {
    /// Takes the messages of a datagram; the kernel's refusal is an error.
    fn take(&mut self, mut datagram: &[u8]) -> io::Result<()> {
        while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
            let payload = message.payload();
            match message.message_type() {
                NLMSG_ERROR | NLMSG_DONE => {
                    self.done = true;
                    let code = payload.i32_at(0).unwrap_or(0);
                    if code < 0 {
                        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
                    }
                }
                _ => self.payloads.push(payload.to_vec()),
            }
            self.whole &= message.flags() & NLM_F_DUMP_INTR == 0;
            // A single object ends with itself.
            self.done |= message.flags() & NLM_F_MULTIPART == 0;
            let len = (message.length() as usize).next_multiple_of(4);
            datagram = datagram.get(len..).unwrap_or_default();
        }
        // What is no message at all would be waited for in vain.
        self.done |= !datagram.is_empty();
        Ok(())
    }
}

/// The attributes of a message or of another attribute; up to the first that does not fit.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let (kind, len) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(4..len)?))
    })
}

/// The last attribute of a type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).filter(|(kind, _)| *kind == wanted).map(|(_, value)| value).last()
}

/// Appends an attribute.
pub(crate) fn push_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Numbers in a structure, which an older kernel may have written shorter.
pub(crate) trait Fields {
    fn array_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    fn u8_at(&self, offset: usize) -> Option<u8> {
        self.array_at(offset).map(u8::from_ne_bytes)
    }

    fn u16_at(&self, offset: usize) -> Option<u16> {
        self.array_at(offset).map(u16::from_ne_bytes)
    }

    fn u32_at(&self, offset: usize) -> Option<u32> {
        self.array_at(offset).map(u32::from_ne_bytes)
    }

    fn i32_at(&self, offset: usize) -> Option<i32> {
        self.array_at(offset).map(i32::from_ne_bytes)
    }

    fn u64_at(&self, offset: usize) -> Option<u64> {
        self.array_at(offset).map(u64::from_ne_bytes)
    }

    /// A number in network order.
    fn be16_at(&self, offset: usize) -> Option<u16> {
        self.array_at(offset).map(u16::from_be_bytes)
    }
}

impl Fields for [u8] {
    fn array_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

/// An address of 4 or 16 bytes.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.array_at::<4>(0).map(IpAddr::from),
        16 => bytes.array_at::<16>(0).map(IpAddr::from),
        _ => None,
    }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A string that the kernel ends with a zero; whatever would steer a terminal is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    crate::text::sanitize::sanitize(&String::from_utf8_lossy(&bytes[..end])).into_owned()
}

/// Attributes one after the other, as they stand in a message or in another attribute.
#[cfg(test)]
pub(crate) fn nested(parts: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in parts {
        push_attribute(&mut bytes, *kind, value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut message = request(kind, flags, payload);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn messages_are_taken_until_the_kernel_is_done() {
        let mut answers = Answers { whole: true, ..Answers::default() };
        let parts = [message(16, NLM_F_MULTIPART, b"abcde"), message(16, NLM_F_MULTIPART, b"f")].concat();
        answers.take(&parts).expect("no refusal");
        assert!(!answers.done);
        answers.take(&message(NLMSG_DONE, NLM_F_MULTIPART, &[0; 4])).expect("no refusal");
        assert!(answers.done && answers.whole);
        assert_eq!(answers.payloads, [b"abcde".to_vec(), b"f".to_vec()]);
    }

    #[test]
    fn a_refusal_is_an_error_and_a_torn_dump_is_known() {
        let refusal = message(NLMSG_ERROR, 0, &(-libc::EHOSTUNREACH).to_ne_bytes());
        let error = Answers::default().take(&refusal).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::EHOSTUNREACH));
        let mut answers = Answers { whole: true, ..Answers::default() };
        answers.take(&message(16, NLM_F_MULTIPART | NLM_F_DUMP_INTR, &[])).expect("no refusal");
        assert!(!answers.whole);
    }

    #[test]
    fn odd_answers_are_no_reason_to_wait_or_to_die() {
        let whole = message(16, 0, b"abcdefgh");
        for len in 0..whole.len() {
            let mut answers = Answers::default();
            answers.take(&whole[..len]).expect("no refusal");
            assert_eq!(answers.done, len > 0, "{len}");
            assert!(answers.payloads.is_empty());
        }
        let mut error = Answers::default();
        error.take(&message(NLMSG_ERROR, 0, &[])).expect("no code");
        assert!(error.done);
    }

    #[test]
    fn attributes_are_read_up_to_the_first_that_does_not_fit() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 1, b"abc");
        push_attribute(&mut bytes, 2 | 0x8000, &7_u32.to_ne_bytes());
        assert_eq!(attributes(&bytes).collect::<Vec<_>>(), [(1, &b"abc"[..]), (2, &7_u32.to_ne_bytes()[..])]);
        assert_eq!(attribute(&bytes, 2).and_then(|value| value.u32_at(0)), Some(7));
        assert_eq!(attributes(&bytes[..12]).count(), 1);
        assert_eq!(attributes(&[1, 0, 0, 0]).count(), 0);
    }

    #[test]
    fn a_field_beyond_a_structure_s_end_is_none() {
        let bytes = [1, 0, 0, 0, 0x1f, 0x90];
        assert_eq!(bytes.u32_at(0).map(u32::from_le), Some(1));
        assert_eq!(bytes.be16_at(4), Some(8080));
        assert_eq!(bytes.u32_at(3), None);
        assert_eq!(bytes.u8_at(6), None);
    }

    #[test]
    fn names_end_at_the_zero_and_cannot_steer_the_terminal() {
        assert_eq!(text(b"eth0\0x"), "eth0");
        assert_eq!(text(b"\x1b[31m"), "?[31m");
        assert_eq!(address(&[10, 0, 0, 1]), "10.0.0.1".parse().ok());
        assert_eq!(address(&[10, 0, 0]), None);
    }
}
