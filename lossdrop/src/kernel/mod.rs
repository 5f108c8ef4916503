//! Everything that talks to the kernel through BPF. Only this folder knows aya.

pub mod btf;
pub mod counters;
pub mod ethtool;
pub mod fact_offsets;
pub mod facts;
pub mod fields;
pub mod load;
pub mod offsets;
pub mod probes;
pub mod programs;
pub mod reasons;
pub mod ring;
pub mod sys;
pub mod types;

pub use facts::KernelFacts;
pub use load::{Kernel, Options};
