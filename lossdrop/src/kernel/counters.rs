//! The exact counters, read through a mapping that the kernel program writes to: no system call, however often.

use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use lossdrop_common::{Slot, Totals};
use memmap2::{MmapOptions, MmapRaw};

use super::sys::possible_cpus;
use crate::{
    accounting::{Counters, Row},
    error::{Error, Result},
};

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
