//! How the kernel side works, as it is typed.

use std::str::FromStr;

use lossdrop_common::Attach;

use super::Needs;
use crate::kernel::{Filter, Options};

/// How the kernel side works.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Tuning")]
pub struct Tuning {
    /// Size of the ring buffer between kernel and lossdrop: 64K, 8M, …
    #[arg(long, value_name = "SIZE", default_value = "8M")]
    pub buffer: BufferSize,
    /// Kinds of drop that each CPU keeps count of, a power of two; 64 bytes each
    #[arg(long, value_name = "ROWS", default_value = "4096")]
    pub keys: Keys,
    /// How to attach to the kernel; by default, the best that it allows
    #[arg(long, value_name = "HOW")]
    pub attach: Option<AttachArg>,
    /// Do without the optional probes in netfilter, which every packet passes
    #[arg(long)]
    pub no_probes: bool,
}

impl Tuning {
    /// How the kernel side is to work. `rate`: details a second of each kind of drop and CPU; `None` for all.
    pub fn options(&self, filter: Filter, needs: Needs, rate: Option<u32>) -> Options {
        Options {
            attach: self.attach.map(Into::into),
            filter,
            rate,
            snaplen: needs.snaplen,
            stack: needs.stack,
            facts: needs.facts,
            probes: needs.facts && !self.no_probes,
            keys: self.keys.0,
            ring_bytes: self.buffer.0,
            debug: false,
        }
    }
}

/// A way to attach, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AttachArg {
    TpBtf,
    RawTp,
}

impl From<AttachArg> for Attach {
    fn from(typed: AttachArg) -> Self {
        match typed {
            AttachArg::TpBtf => Self::TpBtf,
            AttachArg::RawTp => Self::RawTracepoint,
        }
    }
}

/// Lines a second; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<u32>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(None));
        }
        match text.parse() {
            Ok(0) | Err(_) => Err("a number of lines from 1 on is wanted, or \"unlimited\"".to_owned()),
            Ok(rate) => Ok(Self(Some(rate))),
        }
    }
}

/// A power of two of bytes, at least a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize(pub u32);

impl FromStr for BufferSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "a power of two from 4K to 1G is wanted, such as 256K or 8M".to_owned();
        let (number, unit) = match text.trim_end_matches(['K', 'k', 'M', 'm', 'G', 'g']) {
            number if number.len() == text.len() => (number, 1_u64),
            number if number.len() + 1 == text.len() => {
                let shift = match text.as_bytes()[number.len()].to_ascii_uppercase() {
                    b'K' => 10,
                    b'M' => 20,
                    _ => 30,
                };
                (number, 1 << shift)
            }
            _ => return Err(wanted()),
        };
        let bytes = number.parse::<u32>().ok().and_then(|number| u64::from(number).checked_mul(unit));
        bytes
            .filter(|bytes| bytes.is_power_of_two() && (4096..=1 << 30).contains(bytes))
            .and_then(|bytes| u32::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(wanted)
    }
}

/// Rows of the key table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys(pub u32);

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|rows: &u32| rows.is_power_of_two() && *rows <= 1 << 20)
            .map(Self)
            .ok_or_else(|| "a power of two from 1 to 1048576 is wanted".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused<T: FromStr<Err = String> + std::fmt::Debug>(texts: &[&str], words: &str) {
        for text in texts {
            let message = text.parse::<T>().expect_err(text);
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn a_rate_is_a_number_from_one_on_or_unlimited() {
        assert_eq!("1".parse(), Ok(Rate(Some(1))));
        assert_eq!("4294967295".parse(), Ok(Rate(Some(u32::MAX))));
        assert_eq!("unlimited".parse(), Ok(Rate(None)));
        assert_refused::<Rate>(&["", "0", "-1", "4294967296", "1.5", "Unlimited", "none"], "\"unlimited\"");
    }

    #[test]
    fn a_buffer_s_size_is_a_power_of_two_in_bounds() {
        for (text, bytes) in [
            ("4K", 4096),
            ("4096", 4096),
            ("256k", 256 << 10),
            ("8M", 8 << 20),
            ("512m", 512 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(BufferSize(bytes)), "{text}");
        }
        let bad = [
            "",
            "K",
            "0",
            "1",
            "2K",
            "3M",
            "2G",
            "4G",
            "8MB",
            "8MM",
            "8 M",
            "-8M",
            "4097",
            "18014398509481984K",
            "4294967295G",
            "8é",
        ];
        assert_refused::<BufferSize>(&bad, "a power of two from 4K to 1G");
    }

    #[test]
    fn keys_are_a_power_of_two_in_bounds() {
        for (text, rows) in [("1", 1), ("2", 2), ("4096", 4096), ("1048576", 1 << 20)] {
            assert_eq!(text.parse(), Ok(Keys(rows)), "{text}");
        }
        assert_refused::<Keys>(&["", "0", "3", "4095", "2097152", "4K", "-1"], "from 1 to 1048576");
    }
}
