//! The lab: network namespaces in which packets are really dropped, in a number that is known exactly, and the runner
//! of the binary that watches them. End-to-end tests and `cargo xtask lab` are built on it. Needs root.

pub mod attempt;
mod bpf;
pub mod btf;
mod counter;
pub mod counters;
mod finding;
mod installed;
pub mod lossdrop;
mod need;
pub mod netns;
pub mod output;
pub mod report;
pub mod scenario;
mod scenarios;
pub mod tmux;
pub mod traffic;
pub mod veth;
pub mod wait;

pub use counter::Counter;
pub use finding::{Count, Finding, Fix};
pub use installed::{Folder, Installed};
pub use lossdrop::Lossdrop;
pub use need::{Need, OWN_MACHINE};
pub use netns::Netns;
pub use output::Output;
pub use scenario::{Endpoint, Expected, Lab, Noise, Scenario, Setup, Shot};
pub use scenarios::{
    CloseNoise, Container, Flood, Lost, Neighbour, NftDrop, OutputRule, Pair, Plain, Qdisc, RcvBuf, Share,
    Special, Stage, TcpClosedPort, Traffic, UdpClosedPort, Volley,
};
pub use tmux::Tmux;

/// Whether this process may make network namespaces at all.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
