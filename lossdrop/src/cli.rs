//! The command line: what was typed, checked as far as it can be without looking at the machine.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, Subcommand};
use lossdrop_common::{Attach, MAX_SNAPLEN};

use crate::{
    filter::FilterArgs,
    select::Selection,
    top::lens::{GroupBy, SortBy},
};

/// Says for every packet that the Linux kernel drops: which, where, why, and whose.
///
/// Exit codes: 0 all went well, 1 something failed, 2 wrong usage, 3 diagnose found a capacity that was hit or a fault.
#[derive(Debug, Parser)]
#[command(name = "lossdrop", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Tell what lossdrop does, on stderr; -vv also what its kernel side does
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Take the kernel's types from this file (raw BTF, or ELF with a section .BTF), for kernels that do not tell them
    #[arg(long, global = true, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a line for every dropped packet as it happens
    Trace(Box<TraceArgs>),
    /// Watch for a while, then say what is the matter, who is responsible, and what to type
    ///
    /// Exit code 3: something above policy was found, a capacity that was hit or a fault.
    Diagnose(Box<DiagnoseArgs>),
    /// Show the drops as they go on: by cause, device, flow, …, with what to type
    ///
    /// Keys: ? shows them. Where the output is no terminal, frames of text, as with --batch.
    Top(Box<TopArgs>),
    /// Tell what this kernel offers, and what is lost where it lacks something
    Check {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Explain a drop reason, a function of the kernel that drops, a cause, or a class of causes
    Explain {
        /// NO_SOCKET, __dev_forward_skb2+0x87, mtu/veth-peer, mtu
        subject: String,
        /// JSON instead of text
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
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl TraceArgs {
    /// Benign noise was asked for, by `--all` or by its name.
    pub fn shows_benign(&self) -> bool {
        self.all || self.selection.names_benign()
    }
}

#[derive(Debug, clap::Args)]
pub struct DiagnoseArgs {
    /// Watch for this time: 500ms, 10s, 5m, 1h; Ctrl-C ends it early with what there is
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub duration: Span,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    /// Time between two refreshes: 500ms, 1s, 1m (at least 100ms)
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Span,
    /// Print one frame of text after an interval, and end
    #[arg(long, conflicts_with_all = ["frames", "batch"])]
    pub once: bool,
    /// Print frames of text, one an interval, instead of the live view
    #[arg(long)]
    pub batch: bool,
    /// Print so many frames, and end
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,
    /// Print each frame as a JSON object in a line
    #[arg(long)]
    pub json: bool,
    /// What the drops of a row have in common
    #[arg(long, value_name = "WHAT", default_value = "cause")]
    pub group: GroupBy,
    /// The order of the rows
    #[arg(long, value_name = "WHAT", default_value = "severity")]
    pub sort: SortBy,
    /// The other way round
    #[arg(long)]
    pub reverse: bool,
    /// Show benign noise, too
    #[arg(long)]
    pub all: bool,
    /// Colours: auto goes by NO_COLOR and COLORFGBG
    #[arg(long, value_name = "THEME", default_value = "auto")]
    pub theme: ThemeArg,
    /// Draw with ASCII alone; by default, if the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
    #[command(flatten)]
    pub tuning: Tuning,
    // Last: their headings would hold for what follows.
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// A theme, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ThemeArg {
    Auto,
    Dark,
    Light,
    Mono,
}

/// Not so short that the machine has nothing else to do.
fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0 < Duration::from_millis(100) {
        return Err("100ms is the shortest interval".to_owned());
    }
    Ok(span)
}

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn trace(args: &str) -> Result<TraceArgs, clap::Error> {
        let typed = ["lossdrop", "trace"].into_iter().chain(args.split_whitespace());
        Cli::try_parse_from(typed).map(|cli| match cli.command {
            Command::Trace(args) => *args,
            other => panic!("{other:?}"),
        })
    }

    #[track_caller]
    fn assert_refused<T: FromStr<Err = String> + std::fmt::Debug>(texts: &[&str], words: &str) {
        for text in texts {
            let message = text.parse::<T>().expect_err(text);
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_options_the_defaults_hold() {
        let args = trace("").expect("no option is needed");
        assert_eq!(
            (args.snaplen, args.rate, args.tuning.buffer, args.tuning.keys),
            (128, Rate(Some(100)), BufferSize(8 << 20), Keys(4096))
        );
        assert!(!(args.all || args.stack || args.hex || args.json));
        assert_eq!((args.count, args.duration, args.tuning.attach), (None, None, None));
        assert_eq!(args.filter.to_string(), "none");
    }

    #[test]
    fn every_option_is_understood() {
        let args = trace(
            "--port 80 --sport 1-9 --dport 443 --host 10.0.0.1 --src 10.0.0.0/8 --dst ::1 --proto udp --iface eth0 \
             --netns host --reason NO_SOCKET --all --stack --snaplen 64 --json --count 5 --duration 1.5s \
             --rate unlimited --buffer 64K --keys 1 --attach raw-tp --cause mtu --cause socket/rcvbuf --severity fault",
        )
        .expect("all of them");
        assert_eq!(
            args.filter.to_string(),
            "port 80, sport 1-9, dport 443, host 10.0.0.1, src 10.0.0.0/8, dst ::1, proto udp, iface eth0, netns host, \
             reason NO_SOCKET"
        );
        assert!(args.all && args.stack && args.json);
        assert_eq!((args.snaplen, args.count, args.rate), (64, Some(5), Rate(None)));
        assert_eq!(args.duration, Some(Span(Duration::from_millis(1500))));
        assert_eq!((args.tuning.buffer, args.tuning.keys), (BufferSize(65536), Keys(1)));
        assert_eq!(args.tuning.attach.map(Attach::from), Some(Attach::RawTracepoint));
        assert_eq!(
            trace("--attach tp-btf").expect("known").tuning.attach.map(Attach::from),
            Some(Attach::TpBtf)
        );
        assert_eq!(args.selection.to_string(), "cause mtu, cause socket/rcvbuf, severity fault");
        assert!(trace("--hex").expect("known").hex);
    }

    #[test]
    fn the_other_commands_and_verbosity_are_understood() {
        for (typed, verbose) in [
            ("check", 0),
            ("check --json -v", 1),
            ("-vv reasons --json", 2),
            ("reasons", 0),
            ("explain mtu --json", 0),
        ] {
            let cli = Cli::try_parse_from(["lossdrop"].into_iter().chain(typed.split(' '))).expect(typed);
            assert_eq!(cli.verbose, verbose, "{typed}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            "--hex --json",
            "--count 0",
            "--count -1",
            "--snaplen 257",
            "--snaplen -1",
            "--rate 0",
            "--duration 0s",
            "--attach kprobe",
            "--port 70000",
            "--json yes",
            "--cause nothing",
            "--severity bad",
            "eth0",
        ] {
            assert!(trace(args).is_err(), "{args}");
        }
        assert!(Cli::try_parse_from(["lossdrop"]).is_err());
        assert!(Cli::try_parse_from(["lossdrop", "explain"]).is_err());
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("0.5s", 500),
            ("1e3ms", 1000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        let bad = [
            "", "s", "10", "10 s", "0s", "0.0ms", "-1s", "infs", "NaNs", "1d", "1e300h", "ms", "1s1s", "10S",
        ];
        assert_refused::<Span>(&bad, "500ms, 10s, 5m, 1h");
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
