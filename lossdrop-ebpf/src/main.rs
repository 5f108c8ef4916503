//! The kernel side of lossdrop: counts every dropped packet under a key, and hands a rationed share of them to
//! user space in detail. `drop.rs` is the body; `probes/` are the ways to attach it.
//!
//! Maps stand in the files that use them; user space sets their sizes before it loads the program
//! (`lossdrop/src/kernel/load.rs`).

#![no_std]
#![no_main]

mod config;
mod count;
mod detail;
mod device;
mod drop;
mod emit;
mod facts;
mod filter;
mod memory;
mod netfilter;
mod packet;
mod probes;

/// The kernel hands its GPL-only helpers (`bpf_probe_read_kernel`, `bpf_get_stack`) to a compatible licence only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier accepts no path that leads here.
    loop {}
}
