//! Everything that talks to the kernel through BPF, and what the kernel says of itself. Only this folder knows aya.

pub mod btf;
pub mod counters;
pub mod error;
pub mod fact_offsets;
pub mod fields;
pub mod filter;
pub mod info;
pub mod layout;
pub mod load;
pub mod names;
pub mod offsets;
pub mod probes;
pub mod programs;
pub mod reasons;
pub mod ring;
pub mod symbols;
pub mod sys;
pub mod types;

pub use error::Error;
pub use filter::Filter;
pub use info::KernelInfo;
pub use load::{Kernel, Options};
pub use names::Names;
