//! `lossdrop diagnose`: watches for a while, then says what is the matter, who is responsible, and what to type.
//!
//! A [`survey`] of the machine before and after, the drops in between [`collect`]ed into groups, each group's
//! [`suspects`], findings [`build`] from them, and the kernel's counters [`reconcile`]d with it all.

pub(crate) mod build;
pub(crate) mod collect;
pub(crate) mod context;
pub(crate) mod finding;
pub(crate) mod group;
pub(crate) mod place;
pub(crate) mod reconcile;
pub(crate) mod ruled_out;
pub(crate) mod survey;
pub(crate) mod suspects;
pub(crate) mod untraced;
pub(crate) mod watch;
