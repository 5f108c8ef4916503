//! Lists a namespace's rules. Runs the tools that read them; nothing here changes any.

mod tool;

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Instant,
};

use nix::sched::{CloneFlags, setns};

use self::tool::{Failure, find, run};
use super::{
    model::{Api, Ruleset, Table},
    nft,
    save::{self, Saved},
};
use crate::knowledge::Family;

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// A sentence: what is missing.
    pub what: String,
    /// A sentence: what cannot be said for that.
    pub consequence: String,
}

/// The rules of the namespace that a file leads to, and what is missing of them. Takes no longer than the deadline,
/// give or take the time to stop a tool.
pub(crate) fn read(netns: &Path, deadline: Instant) -> (Ruleset, Vec<Gap>) {
    let inside = File::open(netns).and_then(|file| {
        // A thread of its own, since the namespace is the thread's.
        std::thread::spawn(move || {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            Ok(read_here(deadline))
        })
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that read the rules died")))
    });
    inside.unwrap_or_else(|error| {
        let gap = Gap {
            what: format!("The namespace of {} cannot be entered: {error}.", netns.display()),
            consequence: "Which netfilter rule dropped packets there stays open.".to_owned(),
        };
        (Ruleset::default(), vec![gap])
    })
}

struct Reader {
    deadline: Instant,
    gaps: Vec<Gap>,
    /// What plain `iptables` is: of nft, or legacy. Asked once.
    plain_is_nft: Option<Option<bool>>,
}

fn read_here(deadline: Instant) -> (Ruleset, Vec<Gap>) {
    let mut reader = Reader { deadline, gaps: Vec::new(), plain_is_nft: None };
    let mut ruleset = reader.nft();
    reader.adopt_iptables(&mut ruleset);
    reader.legacy(&mut ruleset, Family::Ip, "ip_tables_names");
    reader.legacy(&mut ruleset, Family::Ip6, "ip6_tables_names");
    (ruleset, reader.gaps)
}

impl Reader {
    fn nft(&mut self) -> Ruleset {
        let json = match self.run("nft", &["-n", "-j", "-a", "list", "ruleset"]) {
            Ok(json) => json,
            Err(failure) => {
                self.gap(&failure, "Rules of nft and of the iptables made of it are not known.");
                return Ruleset::default();
            }
        };
        let text = self.run("nft", &["-a", "list", "ruleset"]);
        let listing = text.as_deref().map(nft::listing).unwrap_or_default();
        if let Err(failure) = &text {
            self.gap(failure, "Rules of nft are shown as JSON.");
        }
        nft::parse(&json, &listing).unwrap_or_else(|error| {
            self.gaps.push(Gap {
                what: format!("What nft lists cannot be read: {error}."),
                consequence: "Rules of nft and of the iptables made of it are not known.".to_owned(),
            });
            Ruleset::default()
        })
    }

    /// Tables that iptables made of nft are iptables', and so is the text of their rules.
    fn adopt_iptables(&mut self, ruleset: &mut Ruleset) {
        for (family, api, tool) in [
            (Family::Ip, Api::IptablesNft, "iptables"),
            (Family::Ip6, Api::IptablesNft, "ip6tables"),
            (Family::Arp, Api::ArptablesNft, "arptables"),
            (Family::Bridge, Api::EbtablesNft, "ebtables"),
        ] {
            let mut tables: Vec<&mut Table> = ruleset
                .tables
                .iter_mut()
                .filter(|table| table.family == family && of_iptables(table))
                .collect();
            if tables.is_empty() {
                continue;
            }
            let saved = match self.run_either(tool, true) {
                Ok(text) => save::parse(&text),
                Err(failure) => {
                    self.gap(&failure, &format!("Rules of {tool} are shown as nft lists them."));
                    Vec::new()
                }
            };
            let tool = self.tool_name(tool, true);
            for table in &mut tables {
                table.api = api;
                tool.clone_into(&mut table.tool);
                if let Some(saved) = saved.iter().find(|saved| saved.name == table.name) {
                    adopt(table, saved);
                }
            }
        }
    }

    /// Legacy tables are made by looking at them, so only what the kernel says it has is looked at.
    fn legacy(&mut self, ruleset: &mut Ruleset, family: Family, names: &str) {
        // Of the thread, whose namespace is not the process's.
        let path = format!("/proc/thread-self/net/{names}");
        if fs::read_to_string(path).unwrap_or_default().trim().is_empty() {
            return;
        }
        let tool = if family == Family::Ip6 { "ip6tables" } else { "iptables" };
        match self.run_either(tool, false) {
            Ok(text) => {
                let name = self.tool_name(tool, false);
                let tables = save::parse(&text);
                ruleset.tables.extend(tables.iter().map(|saved| save::legacy(saved, family, &name)));
            }
            Err(failure) => self.gap(&failure, &format!("Rules of {tool}-legacy are not known.")),
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failure> {
        run(program, arguments, self.deadline)
    }

    /// `iptables-nft-save -c`, or plain `iptables-save -c` where that is it.
    fn run_either(&mut self, tool: &str, of_nft: bool) -> Result<String, Failure> {
        let suffixed = format!("{tool}-{}-save", if of_nft { "nft" } else { "legacy" });
        let plain = format!("{tool}-save");
        if find(&suffixed).is_none() && find(&plain).is_some() && self.plain_is(of_nft) {
            return self.run(&plain, &["-c"]);
        }
        self.run(&suffixed, &["-c"])
    }

    /// The command that changes such a table.
    fn tool_name(&mut self, tool: &str, of_nft: bool) -> String {
        let suffixed = format!("{tool}-{}", if of_nft { "nft" } else { "legacy" });
        // What plain iptables is says little about plain arptables and ebtables.
        let plain_will_do = tool.starts_with("ip") || find(&suffixed).is_none();
        if plain_will_do && find(tool).is_some() && self.plain_is(of_nft) {
            tool.to_owned()
        } else {
            suffixed
        }
    }

    /// What `iptables --version` says holds for its siblings.
    fn plain_is(&mut self, of_nft: bool) -> bool {
        let deadline = self.deadline;
        let is_nft = *self.plain_is_nft.get_or_insert_with(|| {
            let version = run("iptables", &["--version"], deadline).ok()?;
            // Before 1.8 there was but the one, and it did not say.
            Some(version.contains("nf_tables"))
        });
        is_nft == Some(of_nft)
    }

    fn gap(&mut self, failure: &Failure, consequence: &str) {
        self.gaps.push(Gap { what: failure.to_string(), consequence: consequence.to_owned() });
    }
}

/// By its names: those that iptables and its kin use, and base chains in capitals.
fn of_iptables(table: &Table) -> bool {
    let known = matches!(table.name.as_str(), "filter" | "nat" | "mangle" | "raw" | "security" | "broute");
    let mut bases = table.chains.iter().filter_map(|chain| Some((&chain.name, chain.base.as_ref()?)));
    known
        && !table.chains.is_empty()
        && bases.all(|(name, base)| *name == base.hook.name().to_ascii_uppercase() || name == "BROUTING")
}

/// Takes over the text of rules. For the families that iptables itself is of, also what they match: nft does not show
/// the insides of extensions.
fn adopt(table: &mut Table, saved: &Saved) {
    let family = table.family;
    for chain in &mut table.chains {
        let of_policy =
            saved.chains.iter().find(|(name, ..)| *name == chain.name).and_then(|(.., count)| *count);
        // Only chains that iptables itself made count; for others it prints nought.
        chain.policy_packets = of_policy.filter(|count| chain.base.is_some() && *count > 0);
        let rules = save::rules(saved, &chain.name, family);
        if rules.len() != chain.rules.len() {
            // They were changed between two tools' readings, or nft added what iptables does not know.
            continue;
        }
        for (rule, mut of_save) in chain.rules.iter_mut().zip(rules) {
            of_save.handle = rule.handle;
            if matches!(family, Family::Ip | Family::Ip6) {
                // One reading for all counters.
                of_save.counter = rule
                    .counter
                    .or(of_save.counter)
                    .map(|counter| super::model::Counter { exact: true, ..counter });
                *rule = of_save;
            } else {
                rule.text = of_save.text;
            }
        }
    }
}
