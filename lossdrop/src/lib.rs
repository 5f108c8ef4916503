//! lossdrop watches `skb:kfree_skb`, where the Linux kernel's dropped packets die. A capture hands them on, an observer makes
//! drops of them, and sinks take those: `docs/architecture.md` shows the way.

pub mod capture;
pub mod cli;
mod commands;
mod diagnose;
pub mod drops;
pub mod error;
pub mod filter;
pub mod identity;
pub mod kernel;
pub mod knowledge;
mod live;
pub mod machine;
mod output;
mod rules;
#[cfg(test)]
mod testing;
mod text;
mod top;
