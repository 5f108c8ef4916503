//! `lossdrop diagnose`: watches for a while, then says what is the matter, who is responsible, and what to type.
//!
//! A [`survey`] of the machine before and after, the drops in between [`collect`]ed into groups, each group's
//! [`suspects`], findings [`build`] from them, and the kernel's counters [`reconcile`]d with it all.

pub mod build;
pub mod collect;
pub mod context;
pub mod finding;
pub mod group;
pub mod place;
pub mod reconcile;
pub mod ruled_out;
pub mod survey;
pub mod suspects;
pub mod untraced;
pub mod watch;
