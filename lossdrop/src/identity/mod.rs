//! Whose a packet is: the name of the network namespace, and the process behind a socket.

pub mod names;
pub mod namespaces;
pub mod owners;
pub mod resolve;

pub use names::{Identity, Provider};
pub use namespaces::{Namespace, Namespaces};
pub use owners::Owner;
pub use resolve::Resolver;
