//! The exact counters, read through a mapping that the kernel program writes to: no system call, however often.

use std::{
    collections::HashMap,
    ops::AddAssign,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use lossdrop_common::{DropKey, Slot, Totals};
use memmap2::{MmapOptions, MmapRaw};

use super::{
    error::{Error, Result},
    sys::possible_cpus,
};

/// What the kernel counted of one key, in drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Drops that passed the filter.
    pub count: u64,
    /// Of `count`: details handed to user space.
    pub sent: u64,
    /// Of `count`: details that the ring buffer had no room for.
    pub lost: u64,
}

impl Row {
    fn less(self, then: Option<Self>) -> Self {
        let then = then.unwrap_or_default();
        Self {
            count: self.count.saturating_sub(then.count),
            sent: self.sent.saturating_sub(then.sent),
            lost: self.lost.saturating_sub(then.lost),
        }
    }
}

impl AddAssign for Row {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.sent += other.sent;
        self.lost += other.lost;
    }
}

/// The kernel's counters, summed up over the CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Every drop since the start.
    pub seen: u64,
    /// Drops that a filter refused.
    pub filtered: u64,
    /// Drops whose detail was to be sent and could not be: the ring buffer was full, or the drop interrupted the
    /// kernel program itself.
    pub lost: u64,
    pub rows: HashMap<DropKey, Row>,
    /// Drops for whose key the table had no room.
    pub other: Row,
}

impl Counters {
    /// Drops that were counted under a key.
    pub fn counted(&self) -> u64 {
        self.rows.values().map(|row| row.count).sum()
    }

    /// Of these: details that the ring buffer had no room for.
    pub fn details_lost(&self) -> u64 {
        self.rows.values().map(|row| row.lost).sum()
    }

    /// What was counted after `then`.
    #[must_use]
    pub fn since(&self, then: &Self) -> Self {
        let rows = self.rows.iter().map(|(key, row)| (*key, row.less(then.rows.get(key).copied())));
        Self {
            seen: self.seen.saturating_sub(then.seen),
            filtered: self.filtered.saturating_sub(then.filtered),
            lost: self.lost.saturating_sub(then.lost),
            rows: rows.filter(|(_, row)| row.count > 0).collect(),
            other: self.other.less(Some(then.other)),
        }
    }

    /// Adds drops that the kernel did not call the program for.
    pub fn add_missed(&mut self, missed: u64) {
        self.seen += missed;
        self.lost += missed;
    }
}

/// The kernel's counter maps.
#[derive(Debug)]
pub struct CounterMaps {
    slots: Mapping<Slot>,
    totals: Mapping<Totals>,
    /// Rows of a CPU, the `other` row included.
    rows: usize,
}

impl CounterMaps {
    pub(super) fn new(ebpf: &Ebpf, keys: u32) -> Result<Self> {
        let cpus = possible_cpus()? as usize;
        let rows = keys as usize + 1;
        Ok(Self {
            slots: Mapping::new(ebpf, "SLOTS", cpus * rows)?,
            totals: Mapping::new(ebpf, "TOTALS", cpus)?,
            rows,
        })
    }

    /// The counters of all CPUs, summed up. Exact once the program is detached; before, each number is right by itself
    /// and they may be a few drops apart.
    pub fn read(&self) -> Counters {
        let mut counters = Counters::default();
        for index in 0..self.totals.len {
            let totals = self.totals.get(index);
            counters.seen += totals.seen;
            counters.filtered += totals.filtered;
            counters.lost += totals.nested;
        }
        for index in 0..self.slots.len {
            let slot = self.slots.get(index);
            if slot.count == 0 {
                continue;
            }
            let row = Row { count: slot.count, sent: slot.sent, lost: slot.lost };
            counters.lost += slot.lost;
            if index % self.rows == self.rows - 1 {
                counters.other += row;
            } else {
                *counters.rows.entry(slot.key).or_default() += row;
            }
        }
        counters
    }
}

/// The elements of an mmapable array.
#[derive(Debug)]
pub(super) struct Mapping<T> {
    memory: MmapRaw,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: aya::Pod> Mapping<T> {
    pub(super) fn new(ebpf: &Ebpf, name: &'static str, len: usize) -> Result<Self> {
        let map = ebpf.map(name).ok_or(Error::Bytecode { missing: name })?;
        let Map::Array(data) = map else { return Err(Error::Bytecode { missing: name }) };
        let data: &MapData = data;
        let memory = MmapOptions::new()
            .len(len * stride::<T>())
            .map_raw(data.fd().as_fd().as_raw_fd())
            .map_err(|source| Error::Map { name, source })?;
        Ok(Self { memory, len, element: std::marker::PhantomData })
    }

    pub(super) fn get(&self, index: usize) -> T {
        assert!(index < self.len, "element {index} of {}", self.len);
        let at = self.memory.as_ptr().wrapping_add(index * stride::<T>()).cast::<T>();
        // SAFETY: within the mapping, whose elements are aligned to 8 bytes and plain data. Volatile, since the kernel
        // writes at the same time; a value torn between two fields is allowed for by the callers.
        unsafe { at.read_volatile() }
    }

    pub(super) fn set(&self, index: usize, value: T) {
        assert!(index < self.len, "element {index} of {}", self.len);
        let at = self.memory.as_mut_ptr().wrapping_add(index * stride::<T>()).cast::<T>();
        // SAFETY: as above; the mapping is writable.
        unsafe { at.write_volatile(value) }
    }
}

/// Array maps round their elements up to 8 bytes (`kernel/bpf/arraymap.c`).
const fn stride<T>() -> usize {
    size_of::<T>().next_multiple_of(8)
}
