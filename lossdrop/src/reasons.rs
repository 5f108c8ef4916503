//! `lossdrop reasons`: the running kernel's reasons, with what the table knows of them.

use std::{
    io::{self, Write as _, stdout},
    path::Path,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    kernel::{btf::KernelBtf, facts::BTF_DIR, reasons::Reasons},
    knowledge::{self, Noise},
};

#[derive(Serialize)]
struct Line<'a> {
    number: u32,
    name: &'a str,
    class: &'static str,
    /// `yes`, `no`, or when.
    noise: &'static str,
    meaning: &'static str,
}

fn lines(reasons: &Reasons) -> impl Iterator<Item = Line<'_>> {
    reasons.iter().map(|(number, name)| match knowledge::reason(name) {
        Some(known) => Line {
            number,
            name,
            class: known.class.as_str(),
            noise: match &known.noise {
                Noise::Never => "no",
                Noise::Always => "yes",
                Noise::When(condition) => condition.text,
            },
            meaning: known.meaning,
        },
        None => Line {
            number,
            name,
            class: "unknown",
            noise: "no",
            meaning: "newer than this lossdrop: not in its table",
        },
    })
}

pub fn run(json: bool) -> Result<()> {
    let btf = KernelBtf::open(&Path::new(BTF_DIR).join("vmlinux"))?;
    let reasons = Reasons::gather(&btf, Path::new(BTF_DIR));
    match write(&reasons, json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn write(reasons: &Reasons, json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(stdout().lock());
    if json {
        let lines: Vec<Line<'_>> = lines(reasons).collect();
        serde_json::to_writer_pretty(&mut out, &lines)?;
        return writeln!(out);
    }
    if reasons.is_empty() {
        return writeln!(
            out,
            "This kernel has no drop reasons (Linux 5.17 brought them): drops are told by their location."
        );
    }
    let width = reasons.iter().map(|(_, name)| name.len()).max().unwrap_or(0);
    writeln!(out, "{:>6}  {:<width$}  {:<12}  {:<5}  MEANING", "NUMBER", "REASON", "CLASS", "NOISE")?;
    for line in lines(reasons) {
        let (noise, when) = match line.noise {
            "yes" | "no" => (line.noise, String::new()),
            when => ("some", format!(" (noise {when})")),
        };
        writeln!(
            out,
            "{:>6}  {:<width$}  {:<12}  {noise:<5}  {}{when}",
            line.number, line.name, line.class, line.meaning
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_running_kernel_has_an_entry() {
        let btf = KernelBtf::open(&Path::new(BTF_DIR).join("vmlinux")).expect("this kernel has BTF");
        let reasons = Reasons::gather(&btf, Path::new(BTF_DIR));
        assert!(reasons.len() > 40, "{reasons:?}");
        let unknown: Vec<&str> =
            reasons.iter().map(|(_, name)| name).filter(|name| knowledge::reason(name).is_none()).collect();
        assert!(unknown.is_empty(), "the table lacks {unknown:?}");
    }

    #[test]
    fn an_unknown_reason_is_shown_by_its_name() {
        let reasons = Reasons::from_names([(7, "BRAND_NEW".to_owned())]);
        let line = lines(&reasons).next().expect("one line");
        assert_eq!((line.name, line.class, line.noise), ("BRAND_NEW", "unknown", "no"));
    }
}
