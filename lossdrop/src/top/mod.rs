//! `lossdrop top`: the live view.
//!
//! Each refresh reads the kernel's exact counters and shares what was new among the drops that were reported in detail
//! ([`model`]); a [`lens`] makes a table of it; [`state`] is what the user did with it, and [`view`] draws that. Culprits come
//! from [`windows`]: the same surveys and suspects as `lossdrop diagnose` has.

pub mod app;
pub mod frame;
pub mod input;
pub mod keys;
pub mod state;
pub mod terminal;
pub mod view;
