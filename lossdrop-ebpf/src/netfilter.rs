//! What netfilter was doing with a packet that died: the probes note where it is, and only a report looks closer.

use aya_ebpf::{helpers::generated::bpf_get_smp_processor_id, macros::map, maps::Array};
use lossdrop_common::{Config, Facts, facts::NetfilterFacts};

use crate::{
    config::{config, present},
    memory::{Direct, Memory, Probe, fetch_text, pointer},
};

/// One element a CPU: what its netfilter is doing.
#[map]
static NETFILTER: Array<Verdict> = Array::with_max_entries(1, 0);

/// `NF_DROP` in a verdict's lowest byte.
pub(crate) const NF_DROP: u32 = 0;

/// Where a CPU's netfilter is: addresses that hold as long as the packet is in its hook.
#[repr(C)]
struct Verdict {
    /// 0 for none.
    skb: u64,
    /// The base chain (`struct nft_chain`) or the `struct xt_table`, by `flags`.
    place: u64,
    /// The `struct nft_expr` with the verdict.
    expr: u64,
    flags: u16,
    hook: u8,
    pf: u8,
    pad: u32,
}

/// This CPU's verdict. A packet that is interrupted by another one in the same place loses its own: the address tells.
#[inline(always)]
fn current() -> Option<&'static mut Verdict> {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let verdict = NETFILTER.get_ptr_mut(cpu)?;
    // SAFETY: an element of the map, which only this CPU writes.
    Some(unsafe { &mut *verdict })
}

/// A packet is at a hook, or at a place within it.
///
/// # Safety
/// `state` must be the `struct nf_hook_state *` of the traced function, or one of its typed pointers.
#[inline(always)]
pub(crate) unsafe fn enter(skb: u64, state: *const u8, place: u64, flags: u16) {
    let Some(verdict) = current() else { return };
    verdict.skb = skb;
    // SAFETY: a reference is valid for writes, here and below. Volatile: together they would become a call of `memset`.
    unsafe { core::ptr::from_mut(&mut verdict.place).write_volatile(place) };
    // SAFETY: as above.
    unsafe { core::ptr::from_mut(&mut verdict.expr).write_volatile(0) };
    verdict.flags = flags;
    // SAFETY: as promised by the caller.
    verdict.hook = unsafe { Direct::field(state, config!(fact_offsets.hook_state_hook)) };
    // SAFETY: as promised by the caller.
    verdict.pf = unsafe { Direct::field(state, config!(fact_offsets.hook_state_pf)) };
}

/// The packet got through nftables.
#[inline(always)]
pub(crate) fn leave(skb: u64) {
    let Some(verdict) = current() else { return };
    if verdict.skb == skb {
        verdict.flags = 0;
        verdict.expr = 0;
    }
}

/// A rule's expression said to drop the packet.
#[inline(always)]
pub(crate) fn dropped_by(skb: u64, expr: u64) {
    let Some(verdict) = current() else { return };
    if verdict.skb == skb {
        verdict.expr = expr;
    }
}

/// Fills in what is known of the packet on this CPU.
#[inline(always)]
pub(crate) fn netfilter(facts: &mut NetfilterFacts, skb: *const u8, cpu: u32) -> u32 {
    if config!(facts) < Config::FACTS_WITH_PROBES {
        return 0;
    }
    let Some(verdict) = NETFILTER.get_ptr(cpu) else { return 0 };
    // SAFETY: an element of the map, which only this CPU writes.
    let verdict = unsafe { &*verdict };
    if verdict.skb != skb as u64 {
        return 0;
    }
    facts.hook = verdict.hook;
    facts.pf = verdict.pf;
    facts.flags = verdict.flags;
    let place = verdict.place as *const u8;
    if verdict.flags & NetfilterFacts::XT != 0 {
        if let Some(name) = present(config!(fact_offsets.xt_table_name)) {
            fetch_text(&mut facts.table, place.wrapping_add(name));
        }
    } else if verdict.flags & NetfilterFacts::NFT != 0 {
        nft(facts, place, verdict.expr as *const u8);
    }
    Facts::NETFILTER
}

#[inline(always)]
fn nft(facts: &mut NetfilterFacts, base: *const u8, expr: *const u8) {
    let inner = present(config!(fact_offsets.base_chain_chain));
    let policy = present(config!(fact_offsets.base_chain_policy));
    if let (Some(inner), Some(policy)) = (inner, policy) {
        // SAFETY: Probe copes with any address.
        let policy: u8 = unsafe { Probe::load(base.wrapping_sub(inner), policy) };
        if u32::from(policy) == NF_DROP {
            facts.flags |= NetfilterFacts::POLICY_DROP;
        }
    }
    let mut chain = base;
    if !expr.is_null() {
        facts.flags |= NetfilterFacts::RULE;
        let own = chain_of(expr);
        // Where the kernel does not tell the rule's chain, it may be the base chain itself.
        let own = if own.is_null() { base } else { own };
        let handle = handle(own, expr);
        if handle != 0 {
            chain = own;
            facts.rule_handle = handle;
        }
    }
    let name = pointer!(chain, chain_name);
    fetch_text(&mut facts.chain, name);
    let table = pointer!(chain, chain_table);
    let name = pointer!(table, nft_table_name);
    fetch_text(&mut facts.table, name);
    // SAFETY: as above. A field of 6 bits.
    facts.family = unsafe { Probe::bits(table, config!(fact_offsets.nft_table_family)) } & 0x3f;
}

/// The most rules of a chain that are looked at.
const RULES: u32 = 256;

/// The lowest bit of what follows the last rule.
const LAST: u64 = 1;

/// Goes from rule to rule (`struct nft_rule_dp`, which begins with a word of bit-fields). What does not change is read
/// once, and the walks have few branches: the verifier goes through each of their steps.
struct Walk {
    at: *const u8,
    /// The bit-field `dlen`, in bits.
    dlen: u32,
    /// From a rule to its expressions.
    data: usize,
}

impl Walk {
    #[inline(always)]
    fn from(at: *const u8) -> Option<Self> {
        let data = present(config!(fact_offsets.rule_data))?;
        Some(Self { at, dlen: config!(fact_offsets.rule_dlen) & 63, data })
    }

    #[inline(always)]
    fn rule(&self) -> u64 {
        // SAFETY: Probe copes with any address.
        unsafe { Probe::load(self.at, 0) }
    }

    /// Where the next rule begins. The length of the expressions is a field of 12 bits.
    #[inline(always)]
    fn behind(&self, rule: u64) -> *const u8 {
        self.at.wrapping_add(self.data + (rule >> self.dlen & 0xfff) as usize)
    }
}

/// The chain whose rule ends with the expression; null where the kernel does not tell. Since 6.4 what follows a chain's last
/// rule leads to the chain (`struct nft_rule_dp_last`).
#[inline(always)]
fn chain_of(expr: *const u8) -> *const u8 {
    if present(config!(fact_offsets.rule_last_chain)).is_none() {
        return core::ptr::null();
    }
    let ops = pointer!(expr, expr_ops);
    // SAFETY: Probe copes with any address.
    let size: u32 = unsafe { Probe::field(ops, config!(fact_offsets.expr_ops_size)) };
    let Some(mut walk) = Walk::from(expr.wrapping_add(size as usize)) else { return core::ptr::null() };
    let mut left = RULES;
    while left != 0 {
        let rule = walk.rule();
        if rule & LAST != 0 {
            return pointer!(walk.at, rule_last_chain);
        }
        walk.at = walk.behind(rule);
        left -= 1;
    }
    core::ptr::null()
}

/// The handle of the chain's rule that holds the expression; 0 for none.
#[inline(always)]
fn handle(chain: *const u8, expr: *const u8) -> u64 {
    if chain.is_null() {
        return 0;
    }
    let first = rules(chain, config!(fact_offsets.chain_blob_0), expr);
    let rules = if first.is_null() { rules(chain, config!(fact_offsets.chain_blob_1), expr) } else { first };
    if rules.is_null() {
        return 0;
    }
    let Some(mut walk) = Walk::from(rules) else { return 0 };
    let mut left = RULES;
    while left != 0 {
        let rule = walk.rule();
        walk.at = walk.behind(rule);
        // It lies among the rules: in the first one that ends behind it.
        if expr < walk.at {
            // A field of 42 bits.
            return rule >> (config!(fact_offsets.rule_handle) & 63) & 0x3ff_ffff_ffff;
        }
        left -= 1;
    }
    0
}

/// The chain's rules of one generation, if the expression lies among them; else null.
#[inline(always)]
fn rules(chain: *const u8, generation: u32, expr: *const u8) -> *const u8 {
    let Some(data) = present(config!(fact_offsets.blob_data)) else { return core::ptr::null() };
    // SAFETY: Probe copes with any address.
    let blob = unsafe { Probe::pointer(chain, generation) };
    // SAFETY: as above.
    let size: u64 = unsafe { Probe::field(blob, config!(fact_offsets.blob_size)) };
    let rules = blob.wrapping_add(data);
    if rules <= expr && expr < rules.wrapping_add(size as usize) { rules } else { core::ptr::null() }
}
