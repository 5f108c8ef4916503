//! `lossdrop reasons`: the running kernel's reasons, with what the table knows of them.

use std::io::{self, stdout};

use anyhow::Result;
use serde::Serialize;

use super::Globals;
use crate::{
    error::Error,
    kernel::{reasons::Reasons, types::Types},
    knowledge::{self, Noise},
    text::JSON_VERSION,
};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    number: u32,
    name: &'a str,
    cause: &'static str,
    /// `yes`, `no`, or when.
    noise: &'static str,
    meaning: &'static str,
}

fn lines(reasons: &Reasons) -> impl Iterator<Item = Line<'_>> {
    reasons.iter().map(|(number, name)| match knowledge::reason(name) {
        Some(known) => Line {
            v: JSON_VERSION,
            number,
            name,
            cause: known.kind.cause.as_str(),
            noise: match &known.noise {
                Noise::Never => "no",
                Noise::Always => "yes",
                Noise::When(condition) => condition.text,
            },
            meaning: known.meaning,
        },
        None => Line {
            v: JSON_VERSION,
            number,
            name,
            cause: "unknown",
            noise: "no",
            meaning: "newer than this lossdrop: not in its table",
        },
    })
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<()> {
    let types = Types::gather(globals.btf.as_deref()).map_err(Error::from)?;
    let reasons = Reasons::gather(&types);
    match write(&reasons, args.json, io::BufWriter::new(stdout().lock())) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn write(reasons: &Reasons, json: bool, mut out: impl io::Write) -> io::Result<()> {
    if json {
        let lines: Vec<Line<'_>> = lines(reasons).collect();
        serde_json::to_writer_pretty(&mut out, &lines)?;
        writeln!(out)?;
        return out.flush();
    }
    if reasons.is_empty() {
        writeln!(
            out,
            "This kernel has no drop reasons (Linux 5.17 brought them): drops are reported by their location."
        )?;
        return out.flush();
    }
    let width = reasons.iter().map(|(_, name)| name.len()).max().unwrap_or(0);
    writeln!(out, "{:>6}  {:<width$}  {:<12}  {:<5}  MEANING", "NUMBER", "REASON", "CAUSE", "NOISE")?;
    for line in lines(reasons) {
        let (noise, when) = match line.noise {
            "yes" | "no" => (line.noise, String::new()),
            when => ("some", format!(" (noise {when})")),
        };
        writeln!(
            out,
            "{:>6}  {:<width$}  {:<12}  {noise:<5}  {}{when}",
            line.number, line.name, line.cause, line.meaning
        )?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_running_kernel_has_an_entry() {
        let reasons = Reasons::gather(&Types::gather(None).expect("this kernel has BTF"));
        assert!(reasons.len() > 40, "{reasons:?}");
        let unknown: Vec<&str> =
            reasons.iter().map(|(_, name)| name).filter(|name| knowledge::reason(name).is_none()).collect();
        assert!(unknown.is_empty(), "the table lacks {unknown:?}");
    }

    #[test]
    fn an_unknown_reason_is_shown_by_its_name() {
        let reasons = Reasons::from_names([(7, "BRAND_NEW".to_owned())]);
        let line = lines(&reasons).next().expect("one line");
        assert_eq!((line.name, line.cause, line.noise), ("BRAND_NEW", "unknown", "no"));
    }

    fn reasons() -> Reasons {
        let names = [(2, "NOT_SPECIFIED"), (3, "NO_SOCKET"), (5, "TCP_CSUM"), (0x3_0001, "BRAND_NEW")];
        Reasons::from_names(names.map(|(number, name)| (number, name.to_owned())))
    }

    fn written(reasons: &Reasons, json: bool) -> String {
        let mut out = Vec::new();
        write(reasons, json, &mut out).expect("a Vec takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_table_has_a_line_a_reason_in_columns() {
        insta::assert_snapshot!(written(&reasons(), false));
    }

    #[test]
    fn the_json_has_an_object_a_reason() {
        let lines: serde_json::Value = serde_json::from_str(&written(&reasons(), true)).expect("JSON");
        let lines = lines.as_array().expect("an array");
        assert_eq!(lines.len(), 4);
        for line in lines {
            let fields: Vec<&String> = line.as_object().expect("an object").keys().collect();
            assert_eq!(fields, ["cause", "meaning", "name", "noise", "number", "v"]);
        }
        assert_eq!((&lines[3]["number"], &lines[3]["name"]), (&0x3_0001.into(), &"BRAND_NEW".into()));
    }

    #[test]
    fn a_kernel_without_reasons_says_so() {
        assert!(written(&Reasons::default(), false).contains("no drop reasons (Linux 5.17 brought them)"));
        assert_eq!(written(&Reasons::default(), true), "[]\n");
    }

    #[test]
    fn a_disk_that_is_full_is_an_error() {
        for json in [false, true] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
            assert!(write(&reasons(), json, io::BufWriter::new(full)).is_err());
        }
    }
}
