use aya_ebpf::{macros::fentry, programs::FEntryContext};

use crate::netfilter::enter;

/// A packet comes to a hook that somebody listens at.
#[fentry(function = "nf_hook_slow")]
pub(crate) fn nf_hook_slow_entry(ctx: FEntryContext) -> i32 {
    // SAFETY: the function's second argument.
    unsafe { enter(ctx.arg(0), ctx.arg(1), 0, 0) };
    0
}
