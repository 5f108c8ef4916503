use aya_ebpf::{
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};

/// Never attached: `lossdrop check` loads it to see whether the kernel allows `fentry`.
#[fentry(function = "ip_rcv")]
pub(crate) fn trial_fentry(_ctx: FEntryContext) -> i32 {
    0
}

/// What being called costs: the benchmark attaches it to have something to compare with.
#[btf_tracepoint(function = "kfree_skb")]
pub(crate) fn trial_empty(_ctx: BtfTracePointContext) -> i32 {
    0
}
