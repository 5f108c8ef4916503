//! The command line: what was typed, checked as far as it can be without looking at the machine.

use std::{str::FromStr, time::Duration};

use clap::{Parser, Subcommand};
use lossdrop_common::{Attach, MAX_SNAPLEN};

use crate::filter::FilterArgs;

/// Says for every packet that the Linux kernel drops: which, where, why, and whose.
///
/// Exit codes: 0 all went well, 1 something failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "lossdrop", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Tell what lossdrop does, on stderr; -vv also what its kernel side does
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a line for every dropped packet as it happens
    Trace(Box<TraceArgs>),
    /// Tell what this kernel offers, and what is lost where it lacks something
    Check {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List the running kernel's drop reasons, and what they mean
    Reasons {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct TraceArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Show benign noise, too
    #[arg(long)]
    pub all: bool,
    /// Show the kernel stack of each drop
    #[arg(long)]
    pub stack: bool,
    /// Bytes of each packet to take, from its IP header on
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=MAX_SNAPLEN as i64))]
    pub snaplen: u32,
    /// Dump those bytes below each line (JSON always has them)
    #[arg(long, conflicts_with = "json")]
    pub hex: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// End after this many lines
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time: 500ms, 10s, 5m, 1h
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Span>,
    /// Lines a second for each kind of drop (reason, location, device, …), or "unlimited"; the rest is only counted
    #[arg(long, value_name = "LINES", default_value = "100")]
    pub rate: Rate,
    /// Size of the ring buffer between kernel and lossdrop: 64K, 8M, …
    #[arg(long, value_name = "SIZE", default_value = "8M", help_heading = "Tuning")]
    pub buffer: BufferSize,
    /// Kinds of drop that each CPU keeps count of, a power of two; 64 bytes each
    #[arg(long, value_name = "ROWS", default_value = "4096", help_heading = "Tuning")]
    pub keys: Keys,
    /// How to attach to the kernel; by default, the best that it allows
    #[arg(long, value_name = "HOW", help_heading = "Tuning")]
    pub attach: Option<AttachArg>,
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

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let wanted = || "a time is a number and a unit: 500ms, 10s, 5m, 1h".to_owned();
        let (number, unit) = UNITS
            .iter()
            .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
            .ok_or_else(wanted)?;
        let number: f64 = number.parse().map_err(|_| wanted())?;
        Duration::try_from_secs_f64(number * unit)
            .ok()
            .filter(|span| !span.is_zero())
            .map(Self)
            .ok_or_else(wanted)
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
