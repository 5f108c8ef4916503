//! The filters: from what the user typed to what the kernel program compares. [`kinds`] is the table of them.

mod kinds;
mod line;
mod resolve;
mod values;

pub use kinds::{FilterArgs, KINDS, Kind};
pub use line::FilterLine;
pub use resolve::NETNS;
pub use values::{Host, Iface, Length, Mark, PortRange, Protocol};

#[cfg(test)]
mod tests;
