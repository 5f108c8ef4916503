//! Which netfilter rule, or which chain's policy, dropped a packet.
//!
//! [`read`] lists a namespace's rules by the tools that made them; done before and after packets were dropped, it gives
//! a [`Comparison`]. That one says of each packet which rules and policies it may have met ([`Candidate`]), and
//! [`blame`] settles by the counters which of them it was. [`delete_command`] is the way out.

mod blame;
mod candidates;
mod evaluate;
pub(crate) mod hook;
pub(crate) mod model;
mod nft;
mod packet;
mod read;
mod repair;
mod save;
mod values;
mod walk;
mod words;
mod xt;

pub(crate) use blame::{Blame, Certainty, Culprit, Undecided, blame};
pub(crate) use candidates::{Candidate, Comparison, Place, What};
pub(crate) use model::{Api, Ruleset, Verdict};
pub(crate) use packet::{ConnectionState, Packet};
pub(crate) use read::read;
pub(crate) use repair::delete_command;

#[cfg(test)]
mod tests;
