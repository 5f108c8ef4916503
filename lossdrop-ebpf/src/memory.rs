//! The two ways to read a kernel structure.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};

use crate::config::present;

/// How the fields of a kernel structure are read.
pub(crate) trait Memory {
    /// The value at `base + offset`, 0 where the memory is not there.
    ///
    /// # Safety
    /// `base` must be a pointer whose kind the verifier accepts for this way of reading; `T` must be an integer or
    /// a pointer.
    unsafe fn load<T: Copy + Default>(base: *const u8, offset: usize) -> T;

    /// The field at `offset`; 0 where this kernel lacks it.
    ///
    /// # Safety
    /// As [`Memory::load`].
    #[inline(always)]
    unsafe fn field<T: Copy + Default>(base: *const u8, offset: u32) -> T {
        match present(offset) {
            // SAFETY: as promised by the caller.
            Some(offset) => unsafe { Self::load(base, offset) },
            None => T::default(),
        }
    }

    /// The byte that holds the bit-field at `bit`, shifted so that the field is lowest; 0 where this kernel lacks it.
    ///
    /// # Safety
    /// As [`Memory::load`].
    #[inline(always)]
    unsafe fn bits(base: *const u8, bit: u32) -> u8 {
        match present(bit) {
            // SAFETY: as promised by the caller.
            Some(bit) => unsafe { Self::load::<u8>(base, bit / 8) >> (bit % 8) },
            None => 0,
        }
    }

    /// The pointer in the field at `offset`.
    ///
    /// # Safety
    /// As [`Memory::load`].
    unsafe fn pointer(base: *const u8, offset: u32) -> *const u8;
}

/// Typed pointers (`tp_btf`): plain loads, which the kernel turns into faultless ones.
pub(crate) enum Direct {}

impl Memory for Direct {
    #[inline(always)]
    unsafe fn load<T: Copy + Default>(base: *const u8, offset: usize) -> T {
        // SAFETY: the verifier checks the access against the pointer's BTF type. Volatile: neighbouring loads must
        // not be merged into one that spans two fields.
        unsafe { base.add(offset).cast::<T>().read_volatile() }
    }

    #[inline(always)]
    unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
        match present(offset) {
            // SAFETY: as in `load`.
            Some(offset) => unsafe { base.add(offset).cast::<*const u8>().read_volatile() },
            None => core::ptr::null(),
        }
    }
}

/// Plain addresses: the helper reads them.
pub(crate) enum Probe {}

impl Memory for Probe {
    #[inline(always)]
    unsafe fn load<T: Copy + Default>(base: *const u8, offset: usize) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        let from = base.wrapping_add(offset).cast();
        // SAFETY: the helper copes with any address, and fills the value with zeroes where it can't be read: whether it
        // could is one more branch for the verifier, of which it needs none.
        unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from) };
        // SAFETY: it is filled, and integers and pointers may have any value.
        unsafe { value.assume_init() }
    }

    #[inline(always)]
    unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
        // SAFETY: as promised by the caller.
        unsafe { Self::field::<u64>(base, offset) as *const u8 }
    }
}

/// The pointer at `base + offset`; null where this kernel has no such field.
macro_rules! pointer {
    ($base:expr, $offset:ident) => {
        // SAFETY: Probe copes with any address.
        unsafe {
            <$crate::memory::Probe as $crate::memory::Memory>::pointer(
                $base,
                $crate::config::config!(fact_offsets.$offset),
            )
        }
    };
}
pub(crate) use pointer;

/// Reads into `field` what lies at `base + offset`; leaves it where this kernel has no such field.
#[inline(always)]
pub(crate) fn fetch<T>(field: &mut T, base: *const u8, offset: u32) {
    let Some(offset) = present(offset) else { return };
    let from = base.wrapping_add(offset);
    // SAFETY: the helper copes with any source, and fills the field with zeroes where it can't be read.
    unsafe { bpf_probe_read_kernel(core::ptr::from_mut(field).cast(), size_of::<T>() as u32, from.cast()) };
}

/// The beginning of a name, padded with NULs, of which there is at least one; `field` must hold zeroes.
#[inline(always)]
pub(crate) fn fetch_text<const WORDS: usize>(field: &mut [u64; WORDS], from: *const u8) {
    // SAFETY: the helper copes with any source, and writes no more than the field has room for.
    unsafe { bpf_probe_read_kernel_str(field.as_mut_ptr().cast(), WORDS as u32 * 8, from.cast()) };
}
