//! The table of scenarios. Each file declares its entry next to the lab that it sets up.

mod container;
mod flood;
mod nft;
mod output_rule;
mod pair;
mod plain;
mod queues;
mod stage;
mod tcp;
mod udp_closed;
mod unreachable;

pub use container::Container;
pub use flood::Flood;
pub use nft::NftDrop;
pub use output_rule::OutputRule;
pub use pair::Pair;
pub use queues::{Qdisc, RcvBuf};
pub use tcp::{CloseNoise, TcpClosedPort};
pub use udp_closed::UdpClosedPort;
pub use unreachable::Neighbour;

use crate::scenario::Scenario;

pub(crate) const ALL: &[Scenario] = &[
    container::SCENARIO,
    udp_closed::V4,
    udp_closed::V6,
    tcp::CLOSED_PORT,
    nft::SCENARIO,
    output_rule::SCENARIO,
    queues::RCVBUF,
    queues::QDISC,
    unreachable::SCENARIO,
    flood::SCENARIO,
    tcp::CLOSE_NOISE,
];
