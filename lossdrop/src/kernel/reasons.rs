//! The names of the running kernel's drop reasons. Their numbers differ from kernel to kernel, so they are taken from
//! its BTF.

use std::{borrow::Cow, collections::BTreeMap};

use super::types::Types;

/// The upper half of a reason names the subsystem (`include/net/dropreason.h`).
const SUBSYSTEM_SHIFT: u32 = 16;

/// Enums with the reasons of a subsystem: the module whose BTF has it, unless it is built in, and the enum's name.
const SUBSYSTEM_ENUMS: &[(&str, &str)] = &[
    ("mac80211", "mac80211_drop_reason"),
    ("openvswitch", "ovs_drop_reason"),
    ("sch_generic", "qdisc_drop_reason"),
];

/// Enumerators that are no reasons of a drop.
const NO_REASONS: [&str; 3] = ["MAX", "SUBSYS_MASK", "NUM"];

const TRACED: [&str; 2] = [
    "/sys/kernel/tracing/events/skb/kfree_skb/format",
    "/sys/kernel/debug/tracing/events/skb/kfree_skb/format",
];

/// Names by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    names: BTreeMap<u32, String>,
    subsystems: BTreeMap<u32, String>,
}

impl Reasons {
    /// Reads the core reasons and those of every subsystem that the kernel or a loaded module has.
    pub fn gather(types: &Types) -> Self {
        let btf = &types.btf;
        let mut names: BTreeMap<u32, String> = btf
            .enumeration("skb_drop_reason")
            .into_iter()
            .map(|(number, name)| (number, core_name(&name).to_owned()))
            .filter(|(_, name)| !NO_REASONS.contains(&name.as_str()))
            .collect();
        let subsystems = btf
            .enumeration("skb_drop_reason_subsys")
            .into_iter()
            .filter_map(|(number, name)| {
                Some((number, name.strip_prefix("SKB_DROP_REASON_SUBSYS_")?.to_owned()))
            })
            .filter(|(_, name)| name != "NUM" && name != "CORE")
            .collect();
        for &(module, name) in SUBSYSTEM_ENUMS {
            let mut values = btf.enumeration(name);
            if values.is_empty()
                && let Some(btf) = types.module(module)
            {
                values = btf.enumeration(name);
            }
            // Values without a subsystem are the enum's markers.
            names.extend(
                values
                    .into_iter()
                    .filter(|(number, name)| number >> SUBSYSTEM_SHIFT != 0 && !name.starts_with('_')),
            );
        }
        Self { names, subsystems }
    }

    /// The core reasons, where the kernel lists them with its tracepoints: `{ 3, "NO_SOCKET" }`.
    pub fn traced() -> Self {
        let listed = TRACED.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Self::from_names(listed.split('{').skip(1).filter_map(|rest| {
            let (number, name) = rest.split_once('}')?.0.split_once(',')?;
            Some((number.trim().parse().ok()?, name.trim().trim_matches('"').to_owned()))
        }))
    }

    /// For tests and recordings: these names and no subsystems.
    pub fn from_names(names: impl IntoIterator<Item = (u32, String)>) -> Self {
        Self { names: names.into_iter().collect(), subsystems: BTreeMap::new() }
    }

    /// The reason's name; for one that the BTF does not have, its subsystem and number.
    pub fn name(&self, number: u32) -> Cow<'_, str> {
        if let Some(name) = self.names.get(&number) {
            return Cow::Borrowed(name);
        }
        match self.subsystems.get(&(number >> SUBSYSTEM_SHIFT)) {
            Some(subsystem) => Cow::Owned(format!("{subsystem}_{}", number & 0xffff)),
            None => Cow::Owned(format!("REASON_{number}")),
        }
    }

    /// The number of a name, in whatever case and with or without the prefix.
    pub fn number(&self, name: &str) -> Option<u32> {
        let find = |wanted: &str| {
            self.names.iter().find(|(_, name)| name.eq_ignore_ascii_case(wanted)).map(|(number, _)| *number)
        };
        // As typed first: `SKB_CSUM` is the whole name of a reason.
        find(name).or_else(|| find(core_name(&name.to_ascii_uppercase())))
    }

    /// A number that has another name here, with both names.
    pub fn contradiction<'a>(&'a self, other: &'a Self) -> Option<(u32, &'a str, &'a str)> {
        self.iter().find_map(|(number, name)| {
            let other = other.names.get(&number).filter(|other| *other != name)?;
            Some((number, name, other.as_str()))
        })
    }

    /// Every reason, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().map(|(number, name)| (*number, name.as_str()))
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn core_name(name: &str) -> &str {
    name.strip_prefix("SKB_DROP_REASON_").or_else(|| name.strip_prefix("SKB_")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Reasons {
        let names =
            [(2, "NOT_SPECIFIED"), (3, "NO_SOCKET"), (60, "SKB_CSUM"), (0x3_0001, "OVS_DROP_LAST_ACTION")];
        Reasons {
            names: names.map(|(number, name)| (number, name.to_owned())).into(),
            subsystems: [(1, "MAC80211_UNUSABLE"), (3, "OPENVSWITCH")]
                .map(|(n, name)| (n, name.to_owned()))
                .into(),
        }
    }

    #[test]
    fn a_number_has_its_name() {
        assert_eq!(reasons().name(3), "NO_SOCKET");
        assert_eq!(reasons().name(0x3_0001), "OVS_DROP_LAST_ACTION");
    }

    #[test]
    fn a_number_without_a_name_is_reported_by_its_subsystem() {
        assert_eq!(reasons().name(0x3_0009), "OPENVSWITCH_9");
        assert_eq!(reasons().name(0x1_0000), "MAC80211_UNUSABLE_0");
        assert_eq!(reasons().name(999), "REASON_999");
        assert_eq!(reasons().name(0x7_0001), "REASON_458753");
        assert_eq!(reasons().name(u32::MAX), "REASON_4294967295");
    }

    #[test]
    fn a_name_is_found_in_any_case_with_or_without_its_prefix() {
        for name in
            ["NO_SOCKET", "no_socket", "No_Socket", "SKB_DROP_REASON_NO_SOCKET", "skb_drop_reason_no_socket"]
        {
            assert_eq!(reasons().number(name), Some(3), "{name}");
        }
        for name in ["SKB_CSUM", "skb_csum", "SKB_DROP_REASON_SKB_CSUM"] {
            assert_eq!(reasons().number(name), Some(60), "{name}");
        }
        assert_eq!(reasons().number("ovs_drop_last_action"), Some(0x3_0001));
        for name in ["", "NO_SOCKETS", "NO_SOCK", "3", "SKB_DROP_REASON_", " NO_SOCKET"] {
            assert_eq!(reasons().number(name), None, "{name}");
        }
    }

    #[test]
    fn reasons_are_listed_by_number() {
        let listed: Vec<u32> = reasons().iter().map(|(number, _)| number).collect();
        assert_eq!((listed, reasons().len()), (vec![2, 3, 60, 0x3_0001], 4));
        assert!(Reasons::default().is_empty());
    }

    #[test]
    fn the_running_kernel_s_reasons_are_found_under_the_names_they_are_listed_by() {
        let reasons = Reasons::gather(&Types::gather(None).expect("this kernel has BTF"));
        for (number, name) in reasons.iter() {
            assert!(!name.starts_with("SKB_DROP_REASON_") && !NO_REASONS.contains(&name), "{name}");
            assert_eq!(reasons.number(name), Some(number), "{name}");
        }
    }
}
