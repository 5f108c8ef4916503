use aya_ebpf::{macros::fexit, programs::FExitContext};
use lossdrop_common::facts::NetfilterFacts;

use crate::netfilter::{NF_DROP, enter};

/// Conntrack has looked at a packet: it refuses one when its table is full.
#[fexit(function = "nf_conntrack_in")]
pub(crate) fn nf_conntrack_in_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<u32>(2) & 0xff == NF_DROP {
        // SAFETY: the function's second argument.
        unsafe { enter(ctx.arg(0), ctx.arg(1), 0, NetfilterFacts::CONNTRACK) };
    }
    0
}
