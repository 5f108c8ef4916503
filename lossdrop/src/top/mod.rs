//! `lossdrop top`: the live view.
//!
//! Each refresh reads the kernel's exact counters and shares what was new among the drops that were reported in detail
//! ([`model`]); a [`lens`] makes a table of it; [`state`] is what the user did with it, and [`view`] draws that. Culprits come
//! from [`windows`]: the same surveys and suspects as `lossdrop diagnose` has.

pub(crate) mod app;
pub(crate) mod frame;
pub(crate) mod input;
pub(crate) mod keys;
pub(crate) mod state;
pub(crate) mod terminal;
pub(crate) mod view;
