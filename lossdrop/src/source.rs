//! Where detail events come from: the live ring buffer, or bytes recorded from it.

/// Events as they crossed the ring buffer, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
}

impl Batch {
    /// A batch is full at this size; what is behind it waits for the next.
    const FULL: usize = 4 << 20;

    pub fn clear(&mut self) {
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

/// A source of detail events.
#[expect(async_fn_in_trait, reason = "sources run on one thread; no caller needs the future to be Send")]
pub trait Source {
    /// Replaces the batch by what has come in since the last call; false if nothing has.
    fn read(&mut self, batch: &mut Batch) -> bool;

    /// Waits until there may be something to read. `had_events`: the last read found something.
    async fn wait(&mut self, had_events: bool);
}

/// Bytes recorded earlier, handed out batch by batch.
#[derive(Debug, Default)]
pub struct Recorded(pub std::collections::VecDeque<Batch>);

impl Source for Recorded {
    fn read(&mut self, batch: &mut Batch) -> bool {
        match self.0.pop_front() {
            Some(recorded) => {
                *batch = recorded;
                true
            }
            None => {
                batch.clear();
                false
            }
        }
    }

    async fn wait(&mut self, _had_events: bool) {
        tokio::task::yield_now().await;
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
        batch.clear();
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

    #[test]
    fn a_recording_is_handed_out_batch_by_batch_then_nothing() {
        let recorded = |event: &[u8]| {
            let mut batch = Batch::default();
            batch.push(event);
            batch
        };
        let mut source = Recorded([recorded(b"a"), recorded(b"b")].into());
        let mut batch = Batch::default();
        for event in [b"a", b"b"] {
            assert!(source.read(&mut batch));
            assert_eq!(batch.iter().collect::<Vec<_>>(), [event]);
        }
        assert!(!source.read(&mut batch) && batch.is_empty());
    }
}
