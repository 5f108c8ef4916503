//! Bytes of the ring buffer to events.

use lossdrop_common::Event;

/// Where the variable parts of an event lie: as the kernel program was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes kept for the stack.
    pub stack_bytes: usize,
    /// Bytes kept for the packet.
    pub snaplen: usize,
}

/// An event with its variable parts.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub event: Event,
    stack: &'a [u8],
    /// The packet from its network header on.
    pub packet: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("an event of {got} bytes, where {wanted} were expected")]
    Length { got: usize, wanted: usize },
    #[error("an event claims {claimed} bytes of {part}, and has room for {room}")]
    Part { part: &'static str, claimed: usize, room: usize },
}

impl Layout {
    /// Decodes one event; its length is checked before anything is read.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<'a>, DecodeError> {
        let wanted = size_of::<Event>() + self.stack_bytes + self.snaplen;
        // The ring buffer rounds nothing up: it hands out what was reserved.
        if bytes.len() != wanted {
            return Err(DecodeError::Length { got: bytes.len(), wanted });
        }
        let (head, rest) = bytes.split_at(size_of::<Event>());
        // SAFETY: `head` is as long as an Event, which is plain data for which any bytes are valid; the read copes with
        // any alignment.
        let event = unsafe { head.as_ptr().cast::<Event>().read_unaligned() };
        let (stack, packet) = rest.split_at(self.stack_bytes);
        Ok(Decoded {
            event,
            stack: part("stack", stack, event.stack_len.into())?,
            packet: part("packet", packet, event.packet_len.into())?,
        })
    }
}

fn part<'a>(part: &'static str, bytes: &'a [u8], claimed: usize) -> Result<&'a [u8], DecodeError> {
    bytes.get(..claimed).ok_or(DecodeError::Part { part, claimed, room: bytes.len() })
}

impl Decoded<'_> {
    /// Return addresses, innermost first.
    pub fn stack(&self) -> impl Iterator<Item = u64> {
        self.stack
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes))
            .take_while(|address| *address != 0)
    }
}
