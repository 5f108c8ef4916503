//! A drop with everything that is known of it, and the form of it that can be kept.

use std::{cell::OnceCell, net::IpAddr, ops::Deref, rc::Rc, sync::Arc};

use lossdrop_common::{
    Event, Facts, L3, Shape,
    event::bytes_of,
    facts::{DeviceFacts, NetfilterFacts, PeerFacts, QdiscFacts, RouteFacts, SocketFacts},
    parse::IPPROTO_TCP,
};

use super::{
    decode::{Decoded, Stack},
    describe::{Described, Describer},
    packet,
    verdict::Verdict,
};
use crate::{
    capture::Clock,
    identity::{Namespace, Owner},
    text::sanitize::sanitize_bytes,
};

/// What the kernel reported of a dropped packet, but for what varies in length.
#[derive(Clone, Debug)]
pub struct Detail {
    pub event: Event,
    /// `None` where the kernel program was not asked for them.
    pub facts: Option<Arc<Facts>>,
}

/// A drop, as every reader sees it.
#[derive(Debug)]
pub struct Drop<'a> {
    pub detail: Detail,
    /// Nanoseconds since 1970, UTC.
    pub unix_ns: i128,
    pub described: Rc<Described>,
    pub verdict: Verdict,
    /// The functions on the stack, innermost first; empty where it was not taken.
    pub frames: Vec<&'a str>,
    /// From the network header on.
    pub packet: &'a [u8],
    /// The namespace, if something leads there.
    pub netns: Option<&'a Namespace>,
    /// That of a veth's other end.
    pub peer_netns: Option<&'a Namespace>,
    /// The process that holds the packet's socket.
    pub owner: Option<&'a Owner>,
    pub(crate) stack: Stack<'a>,
    pub(crate) describer: &'a Describer,
    pub(crate) kept: OnceCell<Box<Kept>>,
}

/// A drop that outlives its batch, as far as the search for its culprit needs it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kept {
    pub detail: Detail,
    /// Nanoseconds since 1970, UTC.
    pub unix_ns: i128,
    /// The functions on the stack, innermost first.
    pub frames: Arc<[String]>,
    /// From the network header on.
    pub packet: Arc<[u8]>,
    pub owner: Option<Owner>,
}

impl<'a> Drop<'a> {
    /// As the kernel reported it, with the verdict that its key alone allows; names are not looked up yet.
    pub(crate) fn new(
        decoded: Decoded<'a>,
        clock: Clock,
        described: Rc<Described>,
        describer: &'a Describer,
    ) -> Self {
        Self {
            unix_ns: clock.unix_ns(decoded.event.ktime_ns),
            frames: describer.frames(decoded.stack.iter()),
            detail: Detail { event: decoded.event, facts: decoded.facts().map(Into::into) },
            packet: decoded.packet,
            verdict: Verdict::of(&described),
            described,
            netns: None,
            peer_netns: None,
            owner: None,
            stack: decoded.stack,
            describer,
            kept: OnceCell::new(),
        }
    }

    /// The stack, innermost first, with offsets; empty where it was not taken.
    pub fn stack(&self) -> Vec<String> {
        self.describer.stack(self.stack.iter())
    }

    /// To be looked at when the batch is gone; made once, however many readers keep it.
    pub fn keep(&self) -> Kept {
        let keep = || Kept {
            detail: self.detail.clone(),
            unix_ns: self.unix_ns,
            frames: self.frames.iter().map(|frame| (*frame).to_owned()).collect(),
            packet: self.packet.into(),
            owner: self.owner.cloned(),
        };
        (**self.kept.get_or_init(|| Box::new(keep()))).clone()
    }
}

impl Deref for Drop<'_> {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        &self.detail
    }
}

impl Deref for Kept {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        &self.detail
    }
}

impl Detail {
    pub fn peer(&self) -> Option<&PeerFacts> {
        self.group(Facts::PEER).map(|facts| &facts.peer)
    }

    pub fn device(&self) -> Option<&DeviceFacts> {
        self.group(Facts::DEVICE).map(|facts| &facts.device)
    }

    pub fn route(&self) -> Option<&RouteFacts> {
        self.group(Facts::ROUTE).map(|facts| &facts.route)
    }

    pub fn qdisc(&self) -> Option<&QdiscFacts> {
        self.group(Facts::QDISC).map(|facts| &facts.qdisc)
    }

    pub fn socket(&self) -> Option<&SocketFacts> {
        self.group(Facts::SOCKET).map(|facts| &facts.socket)
    }

    pub fn netfilter(&self) -> Option<&NetfilterFacts> {
        self.group(Facts::NETFILTER).map(|facts| &facts.netfilter)
    }

    fn group(&self, bit: u32) -> Option<&Facts> {
        self.facts.as_deref().filter(|facts| facts.present & bit != 0)
    }

    /// The name of the device; empty for none.
    pub fn iface(&self) -> String {
        sanitize_bytes(&bytes_of(self.event.ifname)).into_owned()
    }

    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        packet::addresses(&self.event)
    }

    pub fn ports(&self) -> Option<(u16, u16)> {
        packet::ports(&self.event)
    }

    pub fn is_ipv6(&self) -> bool {
        self.event.key.l3 == L3::Ipv6 as u8
    }

    pub fn is_tcp(&self) -> bool {
        self.event.key.l4 == IPPROTO_TCP
    }

    pub fn has_shape(&self, shape: Shape) -> bool {
        self.event.key.shape().contains(shape)
    }
}
