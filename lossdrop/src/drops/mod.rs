//! What a drop is, and what it means: from bytes to a verdict, for every reader in the same way.

pub mod accounting;
pub mod decode;
pub mod describe;
pub mod drop;
pub mod judge;
pub mod observe;
pub mod packet;
pub mod ration;
pub mod select;
pub mod verdict;

pub use drop::{Detail, Drop, Kept};
pub use observe::{Observer, Reader};
