//! Names, each kept once, and numbers for them.

use std::{collections::HashMap, rc::Rc};

use lossdrop_common::{DropKey, Event};

use super::UNKNOWN;
use crate::{
    drops::{
        describe::{Described, Describer},
        packet,
    },
    identity::owners::Owner,
};

/// Names by number, from 1; [`UNKNOWN`] is none of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Interned {
    names: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, u32>,
}

impl Interned {
    fn number(&mut self, name: &str, at_most: usize) -> u32 {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        if self.names.len() >= at_most {
            return UNKNOWN;
        }
        let name: Rc<str> = name.into();
        self.names.push(Rc::clone(&name));
        let number = u32::try_from(self.names.len()).unwrap_or(UNKNOWN);
        self.numbers.insert(name, number);
        number
    }

    pub(super) fn name(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.names.get(index).map(|name| &**name)
    }
}

/// What is known by name.
#[derive(Clone, Debug)]
pub(super) struct Names {
    at_most: usize,
    pub(super) flows: Interned,
    pub(super) owners: Interned,
    /// Functions and reasons.
    pub(super) words: Interned,
    described: HashMap<DropKey, Words>,
    devices: HashMap<(u32, u32), String>,
    netns: HashMap<u32, String>,
}

/// A key in words.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) reason: u32,
    pub(super) location: u32,
    pub(super) described: Rc<Described>,
}

impl Names {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            at_most,
            flows: Interned::default(),
            owners: Interned::default(),
            words: Interned::default(),
            described: HashMap::new(),
            devices: HashMap::new(),
            netns: HashMap::new(),
        }
    }

    pub(super) fn flow(&mut self, flow: impl FnOnce() -> String, event: &Event) -> u32 {
        match packet::addresses(event) {
            Some(_) => self.flows.number(&flow(), self.at_most),
            None => UNKNOWN,
        }
    }

    pub(super) fn owner(&mut self, owner: &Owner) -> u32 {
        self.owners.number(&format!("{}[{}]", owner.comm, owner.pid), self.at_most)
    }

    pub(super) fn describe(&mut self, key: &DropKey, describer: &mut Describer) {
        if self.described.contains_key(key) {
            return;
        }
        let described = describer.describe(key);
        let symbol = described.symbol.as_deref().unwrap_or(&described.location);
        let location = self.words.number(symbol, self.at_most);
        let reason = self.words.number(described.reason.as_deref().unwrap_or("-"), self.at_most);
        self.described.insert(*key, Words { reason, location, described });
    }

    pub(super) fn words_of(&self, key: &DropKey) -> Option<&Words> {
        self.described.get(key)
    }

    pub(super) fn device(&mut self, netns: u32, ifindex: u32, name: impl FnOnce() -> String) {
        if ifindex != 0 && !self.devices.contains_key(&(netns, ifindex)) {
            let name = name();
            if !name.is_empty() {
                self.devices.insert((netns, ifindex), name);
            }
        }
    }

    /// The device's name, else its index.
    pub(super) fn device_name(&self, netns: u32, ifindex: u32) -> String {
        match ifindex {
            0 => "-".to_owned(),
            _ => self.devices.get(&(netns, ifindex)).cloned().unwrap_or_else(|| format!("#{ifindex}")),
        }
    }

    pub(super) fn netns(&mut self, inum: u32, name: &str) {
        if self.netns.get(&inum).is_none_or(|known| known != name) {
            self.netns.insert(inum, name.to_owned());
        }
    }

    /// The namespace's name, else its inode number.
    pub(super) fn netns_name(&self, inum: u32) -> String {
        match inum {
            0 => "-".to_owned(),
            _ => self.netns.get(&inum).cloned().unwrap_or_else(|| format!("net:{inum}")),
        }
    }
}

/// A protocol and a port as a number, never [`UNKNOWN`].
pub(super) const fn port(l4: u8, port: u16) -> u32 {
    1 << 24 | (l4 as u32) << 16 | port as u32
}

/// `tcp 80`.
pub(super) fn port_name(number: u32) -> String {
    let [_, l4, high, low] = number.to_be_bytes();
    format!("{} {}", packet::protocol_word(l4), u16::from_be_bytes([high, low]))
}
