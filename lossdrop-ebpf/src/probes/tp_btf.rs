use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    config::config,
    drop::{Drop, on_drop},
    memory::Direct,
};

#[btf_tracepoint(function = "kfree_skb")]
pub(crate) fn kfree_skb_btf(ctx: BtfTracePointContext) -> i32 {
    let args = config!(args);
    // An argument that the tracepoint does not have is never looked at: the verifier knows `args`.
    let reason = if args >= 3 { ctx.arg::<u32>(2) } else { 0 };
    let rx_sk = if args >= 4 { ctx.arg::<*const u8>(3) } else { core::ptr::null() };
    let drop = Drop { skb: ctx.arg(0), location: ctx.arg(1), reason, rx_sk };
    // SAFETY: the pointers are the tracepoint's typed arguments.
    unsafe { on_drop::<Direct>(&ctx, &drop) };
    0
}
