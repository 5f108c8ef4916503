//! lossdrop watches `skb:kfree_skb`, where the Linux kernel's dropped packets die, and says of every drop which
//! packet it was, where, why, and whose. `docs/architecture.md` shows the data's way from the kernel to the screen.

pub mod accounting;
pub mod check;
pub mod cli;
pub mod commands;
pub mod decode;
pub mod describe;
pub mod diagnose;
pub mod error;
pub mod explain;
pub mod filter;
pub mod hook;
pub mod judge;
pub mod kernel;
pub mod knowledge;
pub mod machine;
pub mod messages;
pub mod namespaces;
pub mod output;
pub mod owners;
pub mod reasons;
pub mod resolve;
pub mod rules;
pub mod sanitize;
pub mod select;
pub mod source;
pub mod symbols;
#[cfg(test)]
mod testing;
pub mod top;
pub mod trace;
pub mod verdict;

pub use commands::run;
