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
