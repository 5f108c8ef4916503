use aya_ebpf::{macros::fexit, programs::FExitContext};
use lossdrop_common::facts::NetfilterFacts;

use crate::netfilter::{NF_DROP, enter};

#[fexit(function = "ipt_do_table")]
pub(crate) fn ipt_do_table_exit(ctx: FExitContext) -> i32 {
    do_table(&ctx)
}

#[fexit(function = "ip6t_do_table")]
pub(crate) fn ip6t_do_table_exit(ctx: FExitContext) -> i32 {
    do_table(&ctx)
}

/// A legacy table has judged a packet, which its hook has yet to free. The arguments are those since 5.16: table, packet,
/// state.
#[inline(always)]
fn do_table(ctx: &FExitContext) -> i32 {
    if ctx.arg::<u32>(3) & 0xff == NF_DROP {
        // SAFETY: the function's third argument.
        unsafe { enter(ctx.arg(1), ctx.arg(2), ctx.arg(0), NetfilterFacts::XT) };
    }
    0
}
