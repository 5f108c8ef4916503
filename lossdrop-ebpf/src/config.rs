//! The configuration that user space froze into `.rodata`. Each read is volatile, so that the compiler leaves it to
//! the verifier, which knows the value.

use lossdrop_common::{ABSENT, Config};

#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config::DEFAULT;

/// One field of the configuration.
macro_rules! config {
    ($($field:ident).+) => {
        $crate::config::read(&$crate::config::CONFIG.$($field).+)
    };
}
pub(crate) use config;

#[inline(always)]
pub(crate) fn read<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::from_ref(field).read_volatile() }
}

/// An offset, if the running kernel has the field.
#[inline(always)]
pub(crate) fn present(offset: u32) -> Option<usize> {
    if offset == ABSENT { None } else { Some(offset as usize) }
}
