//! What the optional probes reported of a packet that netfilter dropped: where it is known, nothing else is a candidate.

use lossdrop_common::facts::NetfilterFacts;

use crate::{
    drops::Kept,
    knowledge::Family,
    rules::{Api, Candidate, What},
};

/// The kernel's names are cut to so many bytes.
const NAME: usize = 31;

/// The probes saw what became of the packet, and not only that it was there.
pub(super) fn is_seen(sample: &Kept) -> bool {
    sample.netfilter().is_some_and(|reported| reported.flags != 0)
}

/// Conntrack refused it.
pub(super) fn is_by_conntrack(sample: &Kept) -> bool {
    sample.netfilter().is_some_and(|reported| has(reported, NetfilterFacts::CONNTRACK))
}

/// Those of the candidates that are not contradicted; all of them where that would be none: rules may come and go.
pub(super) fn narrowed(candidates: Vec<Candidate>, sample: &Kept) -> Vec<Candidate> {
    match sample.netfilter() {
        Some(reported) => narrow(candidates, reported),
        None => candidates,
    }
}

fn narrow(candidates: Vec<Candidate>, reported: &NetfilterFacts) -> Vec<Candidate> {
    let mut narrow: Vec<Candidate> =
        candidates.iter().filter(|candidate| fits(candidate, reported)).cloned().collect();
    match narrow.as_mut_slice() {
        [] => return candidates,
        [only] => only.sure |= is_rule_known(reported),
        _ => {}
    }
    narrow
}

fn fits(candidate: &Candidate, reported: &NetfilterFacts) -> bool {
    let is_legacy = candidate.api == Api::IptablesLegacy;
    if has(reported, NetfilterFacts::XT) {
        return is_legacy && is_named(reported.table, &candidate.table);
    }
    if !has(reported, NetfilterFacts::NFT) {
        return true;
    }
    let own_table = !is_legacy
        && is_named(reported.table, &candidate.table)
        && number(candidate.family) == u32::from(reported.family);
    own_table
        && match candidate.what {
            What::Rule { handle: Some(handle), .. } if is_rule_known(reported) => {
                handle == reported.rule_handle && is_named(reported.chain, &candidate.chain)
            }
            What::Rule { .. } => true,
            // Its chain is the base chain, which is reported where no rule is.
            What::Policy => {
                !has(reported, NetfilterFacts::RULE)
                    && has(reported, NetfilterFacts::POLICY_DROP)
                    && is_named(reported.chain, &candidate.chain)
            }
        }
}

fn is_rule_known(reported: &NetfilterFacts) -> bool {
    has(reported, NetfilterFacts::RULE) && reported.rule_handle != 0
}

fn has(reported: &NetfilterFacts, flag: u16) -> bool {
    reported.flags & flag != 0
}

fn is_named(words: [u64; 4], name: &str) -> bool {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let known = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    name.as_bytes() == known || (known.len() == NAME && name.as_bytes().starts_with(known))
}

/// `NFPROTO_…` (`include/uapi/linux/netfilter.h`).
const fn number(family: Family) -> u32 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Arp => 3,
        Family::Netdev => 5,
        Family::Bridge => 7,
        Family::Ip6 => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{knowledge::Hook, rules::Verdict};

    fn words(name: &str) -> [u64; 4] {
        let mut bytes = [0; 32];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        words
    }

    fn reported(flags: u16, rule_handle: u64) -> NetfilterFacts {
        let (table, chain) = (words("filter"), words("INPUT"));
        NetfilterFacts { table, chain, rule_handle, flags, family: 2, ..NetfilterFacts::default() }
    }

    fn candidate(api: Api, family: Family, what: What) -> Candidate {
        Candidate {
            what,
            api,
            family,
            table: "filter".to_owned(),
            chain: "INPUT".to_owned(),
            hook: Hook::Input,
            path: Vec::new(),
            sure: false,
            delta: None,
            exact: false,
            tool: "nft".to_owned(),
        }
    }

    fn rule(handle: u64) -> What {
        What::Rule {
            position: 1,
            handle: Some(handle),
            text: "drop".to_owned(),
            verdict: Verdict::Drop,
            element: None,
            by_chance: false,
            ct_invalid: false,
        }
    }

    fn candidates() -> Vec<Candidate> {
        vec![
            candidate(Api::IptablesLegacy, Family::Ip, What::Policy),
            candidate(Api::Nft, Family::Inet, rule(4)),
            candidate(Api::Nft, Family::Ip, rule(4)),
            candidate(Api::Nft, Family::Ip, rule(5)),
            candidate(Api::Nft, Family::Ip, What::Policy),
        ]
    }

    fn left(reported: &NetfilterFacts) -> Vec<usize> {
        let all = candidates();
        let left = narrow(all.clone(), reported);
        left.iter().filter_map(|left| all.iter().position(|one| one.is(left))).collect()
    }

    #[test]
    fn a_handle_leaves_the_one_rule_of_that_family_and_makes_it_sure() {
        let reported = reported(NetfilterFacts::NFT | NetfilterFacts::RULE, 4);
        assert_eq!(left(&reported), [2]);
        assert!(narrow(candidates(), &reported)[0].sure);
    }

    #[test]
    fn a_rule_without_a_handle_rules_the_policy_and_other_tables_out() {
        assert_eq!(left(&reported(NetfilterFacts::NFT | NetfilterFacts::RULE, 0)), [2, 3]);
    }

    #[test]
    fn a_policy_counts_only_where_it_drops() {
        assert_eq!(left(&reported(NetfilterFacts::NFT, 0)), [2, 3]);
        assert_eq!(left(&reported(NetfilterFacts::NFT | NetfilterFacts::POLICY_DROP, 0)), [2, 3, 4]);
    }

    #[test]
    fn a_legacy_table_leaves_nothing_of_nft() {
        assert_eq!(left(&reported(NetfilterFacts::XT, 0)), [0]);
    }

    #[test]
    fn what_contradicts_all_candidates_is_not_taken_for_better() {
        assert_eq!(left(&reported(NetfilterFacts::NFT | NetfilterFacts::RULE, 77)).len(), 5);
    }

    #[test]
    fn a_long_name_is_compared_as_far_as_the_kernel_s_goes() {
        let long = "a-chain-with-a-name-that-is-longer";
        assert!(is_named(words(&long[..NAME]), long));
        assert!(!is_named(words(&long[..NAME - 1]), long));
        assert!(is_named(words("short"), "short"));
    }
}
