//! What the kernel's drop reasons and drop locations mean: their cause, how much it matters, whether they are
//! usually noise, one sentence each; and what is known of each cause.
//!
//! Three tables, [`REASONS`], [`LOCATIONS`] and [`KINDS`], are the only place that knows; [`classify()`] asks
//! the first two, whose rows name an entry of the third. They go by name, since numbers differ between kernels. They were made from the sources of Linux 5.10.223,
//! 6.1.192, 6.12.117 and 7.2.13 (Debian), the BTF of 6.18.44, and drops provoked on 5.10 to 6.18.

pub mod alternatives;
mod cause;
mod classify;
mod conditions;
pub mod counters;
mod document;
pub mod hooks;
pub mod kinds;
mod locations;
pub mod protocols;
mod reasons;
mod severity;
mod subsystems;

pub use cause::{Cause, Condition, Noise};
pub use classify::{Classified, classify, location, reason};
pub use conditions::{LATE, MULTICAST};
pub use document::causes;
pub use hooks::{Family, Hook};
pub use kinds::{KINDS, Kind, kind};
pub use locations::{Applies, LOCATIONS, Location};
pub use reasons::{REASONS, Reason};
pub use severity::{Assessment, Confidence, Severity};
