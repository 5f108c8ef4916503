use aya_ebpf::{macros::fentry, programs::FEntryContext};

/// Never attached: `lossdrop check` loads it to see whether the kernel allows `fentry`.
#[fentry(function = "ip_rcv")]
pub(crate) fn trial_fentry(_ctx: FEntryContext) -> i32 {
    0
}
