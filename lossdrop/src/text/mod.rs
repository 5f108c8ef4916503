//! Text, whatever it is about: what may reach a terminal, numbers, spans of time, what was meant, messages.

pub mod messages;
mod near;
mod numbers;
pub mod sanitize;
pub mod span;

pub use near::near;
pub use numbers::{duration, thousands};
