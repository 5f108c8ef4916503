use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use lossdrop_common::facts::NetfilterFacts;

use crate::{
    config::config,
    memory::{Direct, Memory},
    netfilter::{NF_DROP, dropped_by, enter, leave},
};

/// A packet comes to a base chain.
#[fentry(function = "nft_do_chain")]
pub(crate) fn nft_do_chain_entry(ctx: FEntryContext) -> i32 {
    let packet = ctx.arg(0);
    // SAFETY: the function's first argument, a `struct nft_pktinfo *`.
    let state = unsafe { Direct::pointer(packet, config!(fact_offsets.pktinfo_state)) };
    // SAFETY: a pointer of that structure.
    unsafe { enter(skb(packet), state, ctx.arg(1), NetfilterFacts::NFT) };
    0
}

/// It has been judged. Where kernels free a packet that was dropped only after this, what is known of it stays.
#[fexit(function = "nft_do_chain")]
pub(crate) fn nft_do_chain_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<u32>(2) & 0xff != NF_DROP {
        leave(skb(ctx.arg(0)));
    }
    0
}

/// A rule has set a register, perhaps that of the verdict: before 6.7 the packet is freed later, since then in the chain.
#[fexit(function = "nft_immediate_eval")]
pub(crate) fn nft_immediate_eval_exit(ctx: FExitContext) -> i32 {
    let registers = ctx.arg(1);
    // SAFETY: the function's second argument, a `struct nft_regs *`.
    let code: u32 = unsafe { Direct::field(registers, config!(fact_offsets.regs_verdict_code)) };
    if code == NF_DROP {
        dropped_by(skb(ctx.arg(2)), ctx.arg(0));
    }
    0
}

/// The packet of a `struct nft_pktinfo`.
#[inline(always)]
fn skb(packet: *const u8) -> u64 {
    // SAFETY: an argument of the traced functions.
    unsafe { Direct::pointer(packet, config!(fact_offsets.pktinfo_skb)) as u64 }
}
