//! Which netfilter rule, or which chain's policy, dropped a packet.
//!
//! [`read`] lists a namespace's rules by the tools that made them; done before and after packets were dropped, it gives
//! a [`Comparison`]. That one says of each packet which rules and policies it may have met ([`Candidate`]), and
//! [`blame`] settles by the counters which of them it was. [`delete_command`] is the way out.

mod blame;
mod candidates;
mod evaluate;
pub mod hook;
mod model;
mod nft;
mod packet;
mod read;
mod repair;
mod save;
mod values;
mod walk;
mod words;
mod xt;

pub use blame::{Blame, Certainty, Culprit, Undecided, blame};
pub use candidates::{Candidate, Comparison, Decisive, Place, What};
pub use model::{
    Api, Base, BitOperation, Chain, Counter, Match, NamedSet, Operand, Relation, Rule, Ruleset, Table, Test,
    Values, Verdict,
};
pub use packet::{ConnectionState, Field, Packet, Read};
pub use read::{Gap, read};
pub use repair::{Repair, delete_command};
pub use values::{Element, Elements, Range, Truth};

#[cfg(test)]
mod tests;
