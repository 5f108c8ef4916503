//! From bytes to drops: decoded, described, judged, and with names. Every reader of drops gets them from here.

use log::warn;
use lossdrop_common::Event;

use super::{
    decode::decode,
    describe::{Described, Describer},
    drop::Drop,
    judge::judge,
};
use crate::{capture::Batch, identity::resolve::Resolver, kernel::Names};

/// Whoever wants to know of drops.
pub trait Reader {
    /// Whether a drop is wanted by what its key says, before anything else is worked out.
    fn wants(&mut self, event: &Event, described: &Described) -> bool;

    /// Whether a drop is wanted, now that there is a verdict on it; names are not looked up yet.
    fn takes(&mut self, _drop: &Drop<'_>) -> bool {
        true
    }

    /// Takes in a drop with all that is known of it.
    fn read(&mut self, drop: &Drop<'_>);
}

/// The one place where drops are made.
#[derive(Debug)]
pub struct Observer {
    pub describer: Describer,
    pub resolver: Resolver,
}

impl Observer {
    /// By the names of a capture.
    pub fn new(names: Names) -> Self {
        Self { describer: Describer::new(names), resolver: Resolver::default() }
    }

    /// Hands the drops of a batch that are wanted to a reader, in their order. An event that cannot be read is warned of.
    pub async fn observe(&mut self, batch: &Batch, reader: &mut impl Reader) {
        let mut wanted = Vec::new();
        for bytes in batch.iter() {
            match decode(batch.layout, bytes) {
                Ok(decoded) => {
                    self.describer.keep_up(decoded.stack.iter());
                    let described = self.describer.describe(&decoded.event.key);
                    if reader.wants(&decoded.event, &described) {
                        wanted.push((bytes, described));
                    }
                }
                Err(error) => warn!("{error}"),
            }
        }
        let describer = &self.describer;
        let drops = wanted.into_iter().filter_map(|(bytes, described)| {
            // It was read before, and costs little: a whole batch of what it becomes would cost much more.
            let decoded = decode(batch.layout, bytes).ok()?;
            let mut drop = Drop::new(decoded, batch.clock, described, describer);
            judge(&mut drop);
            reader.takes(&drop).then_some(drop)
        });
        let drops: Vec<Drop<'_>> = drops.collect();
        let own = drops.iter().map(|drop| (drop.event.key.netns, drop.event.socket_ino));
        let peers = drops.iter().filter_map(|drop| Some((drop.facts.as_ref()?.peer.netns, 0)));
        self.resolver.prepare(own.chain(peers)).await;
        for mut drop in drops {
            drop.netns = self.resolver.netns(drop.event.key.netns);
            drop.peer_netns = drop.peer().and_then(|peer| self.resolver.netns(peer.netns));
            drop.owner = self.resolver.owner(drop.event.socket_ino);
            reader.read(&drop);
        }
    }
}
