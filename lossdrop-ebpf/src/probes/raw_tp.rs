use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    config::config,
    drop::{Drop, on_drop},
    memory::Probe,
};

#[raw_tracepoint(tracepoint = "kfree_skb")]
pub(crate) fn kfree_skb_raw(ctx: RawTracePointContext) -> i32 {
    let args = config!(args);
    // An argument that the tracepoint does not have is never looked at: the verifier knows `args`.
    let reason = if args >= 3 { ctx.arg::<u32>(2) } else { 0 };
    let rx_sk = if args >= 4 { ctx.arg::<*const u8>(3) } else { core::ptr::null() };
    let drop = Drop { skb: ctx.arg(0), location: ctx.arg(1), reason, rx_sk };
    // SAFETY: Probe copes with any address.
    unsafe { on_drop::<Probe>(&ctx, &drop) };
    0
}
