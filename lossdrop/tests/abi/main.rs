//! The code that runs in the kernel, tested where it can be: `lossdrop-common` has no tests of its own, so that its
//! fingerprint, and with it the committed bytecode, depends on nothing but what the kernel runs.

mod bucket;
mod filter;
mod hostile;
mod ipv4;
mod ipv6;
mod key;
mod link;
mod packet;
