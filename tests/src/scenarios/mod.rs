//! The table of scenarios. Each file declares its entries, and the labs that are code next to them.

mod benign;
mod caged;
mod container;
mod devices;
mod filters;
mod flood;
mod held;
mod mtu;
mod nf_chains;
mod nf_conntrack;
mod nf_iptables;
mod nf_layers;
mod nf_mixed;
mod nf_needs;
mod nf_nft;
mod nf_verdicts;
mod nft;
mod output_rule;
mod pair;
mod plain;
mod programs;
mod qdiscs;
mod queues;
mod routing;
mod special;
mod stacked;
mod stage;
mod tcp;
mod tunnels;
mod udp_closed;
mod unreachable;
mod untraced;
mod wrong;

pub use container::Container;
pub use flood::Flood;
pub use nft::NftDrop;
pub use output_rule::OutputRule;
pub use pair::Pair;
pub use plain::{Lost, Plain, Share, Traffic, Volley};
pub use queues::{Qdisc, RcvBuf};
pub use special::Special;
pub use stage::Stage;
pub use tcp::{CloseNoise, TcpClosedPort};
pub use udp_closed::UdpClosedPort;
pub use unreachable::Neighbour;

use crate::scenario::Scenario;

/// All of them, file by file.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        FIRST,
        nf_iptables::ALL,
        nf_chains::ALL,
        nf_nft::ALL,
        nf_verdicts::ALL,
        nf_conntrack::ALL,
        nf_layers::ALL,
        nf_mixed::ALL,
        mtu::ALL,
        routing::ALL,
        unreachable::ALL,
        wrong::ALL,
        devices::ALL,
        stacked::ALL,
        tunnels::ALL,
        qdiscs::ALL,
        held::ALL,
        programs::ALL,
        filters::ALL,
        benign::ALL,
    ]
    .into_iter()
    .flatten()
}

const FIRST: &[Scenario] = &[
    container::SCENARIO,
    udp_closed::V4,
    udp_closed::V6,
    tcp::CLOSED_PORT,
    nft::SCENARIO,
    output_rule::SCENARIO,
    queues::RCVBUF,
    queues::QDISC,
    flood::SCENARIO,
    tcp::CLOSE_NOISE,
];
