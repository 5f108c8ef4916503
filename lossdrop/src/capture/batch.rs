//! Drops in detail, as the kernel program wrote them.

use super::clock::Clock;
use crate::kernel::layout::Layout;

/// Events one behind the other, with what is needed to read them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub layout: Layout,
    pub clock: Clock,
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
}

impl Batch {
    /// A batch is full at this size; what is behind it waits for the next.
    const FULL: usize = 1 << 20;

    /// An empty one for events of this layout.
    pub fn new(layout: Layout, clock: Clock) -> Self {
        Self { layout, clock, ..Self::default() }
    }

    /// Empties it for events of this layout; its memory is kept.
    pub fn begin(&mut self, layout: Layout, clock: Clock) {
        (self.layout, self.clock) = (layout, clock);
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn push(&mut self, event: &[u8]) {
        self.bytes.extend_from_slice(event);
        self.ends.push(self.bytes.len());
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= Self::FULL
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The events, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_hands_out_what_was_put_in_even_events_of_no_bytes() {
        let mut batch = Batch::default();
        assert!(batch.is_empty() && batch.iter().next().is_none());
        for event in [&b"first"[..], b"", b"third"] {
            batch.push(event);
        }
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"first"[..], b"", b"third"]);
        assert_eq!((batch.len(), batch.is_empty()), (3, false));
        batch.begin(Layout::default(), Clock::default());
        assert_eq!((batch.len(), batch.iter().count()), (0, 0));
    }

    #[test]
    fn a_batch_is_full_at_its_size() {
        let mut batch = Batch::default();
        batch.push(&vec![0; Batch::FULL - 1]);
        assert!(!batch.is_full());
        batch.push(&[0]);
        assert!(batch.is_full());
    }
}
