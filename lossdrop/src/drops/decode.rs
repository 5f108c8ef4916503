//! Bytes of the ring buffer to events.

use lossdrop_common::{Event, Facts};

use crate::kernel::layout::{Layout, withheld};

/// An event with its variable parts, where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub event: Event,
    facts: Option<&'a [u8; size_of::<Facts>()]>,
    withheld: u32,
    pub stack: Stack<'a>,
    /// The packet from its network header on.
    pub packet: &'a [u8],
}

/// Return addresses as they lie in an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack<'a>(&'a [u8]);

impl<'a> Stack<'a> {
    /// Innermost first.
    pub fn iter(self) -> impl Iterator<Item = u64> + 'a {
        let words = self.0.as_chunks().0.iter().map(|bytes| u64::from_ne_bytes(*bytes));
        words.take_while(|address| *address != 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("an event of {got} bytes, where {wanted} were expected")]
    Length { got: usize, wanted: usize },
    #[error("an event claims {claimed} bytes of {part}, and has room for {room}")]
    Part { part: &'static str, claimed: usize, room: usize },
}

/// Decodes one event; its length is checked before anything is read.
pub fn decode(layout: Layout, bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let wanted = size_of::<Event>() + facts_bytes(layout) + layout.stack_bytes + layout.snaplen;
    // The ring buffer rounds nothing up: it hands out what was reserved.
    if bytes.len() != wanted {
        return Err(DecodeError::Length { got: bytes.len(), wanted });
    }
    let (head, rest) = bytes.split_at(size_of::<Event>());
    // SAFETY: `head` is as long as an Event, which is plain data for which any bytes are valid; the read copes with
    // any alignment.
    let event = unsafe { head.as_ptr().cast::<Event>().read_unaligned() };
    let (facts, rest) = rest.split_at(facts_bytes(layout));
    let (stack, packet) = rest.split_at(layout.stack_bytes);
    Ok(Decoded {
        event,
        facts: facts.first_chunk(),
        withheld: layout.withheld,
        stack: Stack(part("stack", stack, event.stack_len.into())?),
        packet: part("packet", packet, event.packet_len.into())?,
    })
}

const fn facts_bytes(layout: Layout) -> usize {
    if layout.facts { size_of::<Facts>() } else { 0 }
}

fn part<'a>(part: &'static str, bytes: &'a [u8], claimed: usize) -> Result<&'a [u8], DecodeError> {
    bytes.get(..claimed).ok_or(DecodeError::Part { part, claimed, room: bytes.len() })
}

impl Decoded<'_> {
    /// What else the kernel knew; `None` where the program was not asked for it.
    pub fn facts(&self) -> Option<Facts> {
        // SAFETY: the bytes are as many as Facts has, which is plain data for which any bytes are valid; the read copes
        // with any alignment.
        let mut facts = self.facts.map(|bytes| unsafe { bytes.as_ptr().cast::<Facts>().read_unaligned() })?;
        facts.present = (facts.present & !self.withheld) | (self.withheld & withheld::ALL);
        Some(facts)
    }
}

#[cfg(test)]
mod tests {
    use lossdrop_common::{DropKey, event::bytes_of};
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::testing::{self, RECORDED, RECORDED_LAYOUT};

    const LAYOUT: Layout = Layout { facts: false, stack_bytes: 32, snaplen: 16, withheld: 0 };

    #[test]
    fn every_field_is_found_where_the_kernel_program_writes_it() {
        let key = DropKey { location: 1, reason: 2, netns: 3, ifindex: 4, l3: 5, l4: 6, shape: 7 };
        let event = Event {
            key,
            ktime_ns: 8,
            socket_ino: 9,
            skb_len: 10,
            len: 11,
            cpu: 12,
            mtu: 13,
            src: [14, 15],
            dst: [16, 17],
            sport: 18,
            dport: 19,
            ethertype: 20,
            vlan_tci: 21,
            tcp_flags: 22,
            icmp_type: 23,
            icmp_code: 24,
            flags: 25,
            packet_len: 3,
            stack_len: 16,
            ifname: [26, 27],
        };
        let bytes = testing::bytes(LAYOUT, &event, None, &[28, 29], b"abc");
        let decoded = decode(LAYOUT, &bytes).expect("an event");
        assert_eq!(format!("{:?}", decoded.event), format!("{event:?}"));
        assert_eq!(decoded.stack.iter().collect::<Vec<u64>>(), [28, 29]);
        assert_eq!(decoded.packet, b"abc");
        assert_eq!(decoded.facts(), None);
    }

    #[test]
    fn facts_lie_between_the_event_and_the_stack() {
        let layout = Layout { facts: true, ..LAYOUT };
        let facts = testing::facts();
        let bytes = testing::bytes(layout, &Event::default(), Some(&facts), &[28, 29], b"abc");
        // At any alignment.
        for shift in 0..8 {
            let shifted = [&[0xff; 8][..shift], &bytes].concat();
            let decoded = decode(layout, &shifted[shift..]).expect("an event");
            assert_eq!(decoded.facts(), Some(facts));
            assert_eq!(
                (decoded.stack.iter().collect::<Vec<u64>>(), decoded.packet),
                (vec![28, 29], &b"abc"[..])
            );
        }
        assert!(decode(LAYOUT, &bytes).is_err());
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_no_fact() {
        let facts = testing::facts();
        assert_ne!(facts.present & Facts::PEER, 0);
        let layout = Layout { facts: true, withheld: Facts::PEER | withheld::MARK, ..LAYOUT };
        let bytes = testing::bytes(layout, &Event::default(), Some(&facts), &[], b"");
        let present = decode(layout, &bytes).expect("an event").facts().expect("facts").present;
        assert_eq!(present, facts.present & !Facts::PEER | withheld::MARK);
    }

    #[test]
    fn the_stack_ends_at_the_first_zero_or_where_the_kernel_says() {
        for (stack, wanted) in
            [(&[][..], &[][..]), (&[0, 1], &[]), (&[7, 8, 0, 9], &[7, 8]), (&[7, 8, 9, 10], &[7, 8, 9, 10])]
        {
            let bytes = testing::bytes(LAYOUT, &Event::default(), None, stack, &[]);
            let decoded = decode(LAYOUT, &bytes).expect("an event");
            assert_eq!(decoded.stack.iter().collect::<Vec<u64>>(), wanted);
        }
    }

    #[test]
    fn an_event_that_claims_more_than_its_room_is_an_error() {
        let mut bytes = testing::bytes(LAYOUT, &Event::default(), None, &[1, 2, 3, 4], &[9; 16]);
        assert!(decode(LAYOUT, &bytes).is_ok());
        // `packet_len` and `stack_len` lie before the device's name.
        bytes[100] = 17;
        let error = decode(LAYOUT, &bytes).expect_err("the packet is too long");
        assert_eq!(error, DecodeError::Part { part: "packet", claimed: 17, room: 16 });
        bytes[103] = 1;
        let error = decode(LAYOUT, &bytes).expect_err("the stack is too long");
        assert_eq!(error.to_string(), "an event claims 288 bytes of stack, and has room for 32");
    }

    #[test]
    fn recorded_events_are_the_drops_that_were_provoked() {
        let events = RECORDED.map(|bytes| decode(RECORDED_LAYOUT, bytes).expect("an event"));
        let lens = [33, 61, 58, 60, 60];
        for ((decoded, l4), len) in events.iter().zip([17, 1, 17, 6, 6]).zip(lens) {
            let Decoded { event, packet, .. } = decoded;
            assert_eq!((event.key.l4, event.len), (l4, len), "{event:?}");
            assert_eq!(packet.len(), len as usize);
            assert!(decoded.stack.iter().all(|address| address >> 63 == 1), "kernel addresses");
            assert!(
                decoded.stack.iter().any(|address| address == event.key.location),
                "the dropper is in the stack"
            );
            assert_eq!(bytes_of(event.ifname), *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
    }

    #[test]
    fn an_event_cut_off_anywhere_or_too_long_is_an_error() {
        let bytes = RECORDED[0];
        for len in 0..bytes.len() {
            let error = decode(RECORDED_LAYOUT, &bytes[..len]).expect_err("cut off");
            assert_eq!(error, DecodeError::Length { got: len, wanted: bytes.len() });
        }
        let longer = [bytes, &[0]].concat();
        assert!(decode(RECORDED_LAYOUT, &longer).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_parts_of_itself(
            facts in any::<bool>(),
            stack_bytes in 0..64_usize,
            snaplen in 0..64_usize,
            // Lengths that fit now and then.
            head in vec(any::<u8>(), 100..=100),
            lens in [0..80_u8, 0..2, 0..80, 0..2],
            tail in vec(any::<u8>(), 0..400),
            fits in any::<bool>(),
        ) {
            let layout = Layout { facts, stack_bytes, snaplen, withheld: 0 };
            let wanted = size_of::<Event>() + facts_bytes(layout) + stack_bytes + snaplen;
            let mut bytes = [&head[..], &lens, &tail].concat();
            if fits {
                bytes.resize(wanted, 0xff);
            }
            match decode(layout, &bytes) {
                Ok(decoded) => {
                    prop_assert_eq!(bytes.len(), wanted);
                    prop_assert_eq!(&decoded.event.key.location.to_ne_bytes(), &head[..8]);
                    prop_assert_eq!(decoded.facts().is_some(), facts);
                    prop_assert!(decoded.stack.iter().count() <= stack_bytes / 8);
                    prop_assert!(bytes[wanted - snaplen..].starts_with(decoded.packet));
                }
                Err(DecodeError::Length { got, .. }) => prop_assert!(got == bytes.len() && got != wanted),
                Err(DecodeError::Part { claimed, room, .. }) => prop_assert!(claimed > room),
            }
        }
    }
}
