//! `lossdrop explain`: what the tables know of a reason, a function of the kernel, a cause, or one kind of it.

mod json;
mod text;

use std::{
    collections::BTreeSet,
    io::{self, Write, stdout},
    path::Path,
};

use super::Globals;
use crate::{
    error::{Error, Result},
    kernel::{reasons::Reasons, types::Types},
    knowledge::{Applies, Cause, KINDS, Kind, LOCATIONS, Location, REASONS, Reason, kind},
    text::near,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// NO_SOCKET, __dev_forward_skb2+0x87, mtu/veth-peer, mtu
    pub subject: String,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What is to be explained.
#[derive(Clone, Debug)]
enum Subject {
    Reason(&'static Reason),
    /// The rows for a function of the kernel, by its name without offset and compiler's suffix.
    Function(String, Vec<&'static Location>),
    Kind(&'static Kind),
    Cause(Cause),
}

impl Subject {
    /// What is meant by what was typed: in any case; a reason with or without its prefix; a function with or without its
    /// offset.
    fn find(typed: &str) -> Result<Self> {
        let lower = typed.to_ascii_lowercase();
        if let Some(cause) = Cause::ALL.into_iter().find(|cause| cause.as_str() == lower) {
            return Ok(Self::Cause(cause));
        }
        if let Some(kind) = kind(&lower) {
            return Ok(Self::Kind(kind));
        }
        if let Some(reason) = find_reason(&typed.to_ascii_uppercase()) {
            return Ok(Self::Reason(reason));
        }
        let function = bare_function(&lower);
        let rows: Vec<_> = LOCATIONS.iter().filter(|row| row.symbols.contains(&function)).collect();
        if rows.is_empty() {
            Err(Error::UnknownSubject { name: typed.to_owned(), near: near_any(typed) })
        } else {
            Ok(Self::Function(function.to_owned(), rows))
        }
    }
}

/// As typed first: `SKB_CSUM` is the whole name of a reason.
fn find_reason(upper: &str) -> Option<&'static Reason> {
    let find = |wanted: &str| REASONS.iter().find(|row| row.name == wanted);
    find(upper)
        .or_else(|| find(upper.strip_prefix("SKB_DROP_REASON_").or_else(|| upper.strip_prefix("SKB_"))?))
}

/// `ip_fragment` of `ip_fragment.constprop.0+0x1f/0x90`.
fn bare_function(typed: &str) -> &str {
    typed.split(['+', '.']).next().unwrap_or(typed)
}

/// What resembles what was typed, of everything that can be explained. Reasons in capitals if it has any.
fn near_any(typed: &str) -> String {
    let lower = typed.to_ascii_lowercase();
    if typed != lower {
        let reasons: Vec<&str> = REASONS.iter().map(|row| row.name).collect();
        let found = near(&typed.to_ascii_uppercase(), &reasons);
        if !found.is_empty() {
            return found;
        }
    }
    let reasons = REASONS.iter().map(|row| row.name.to_ascii_lowercase());
    let kinds = KINDS.iter().map(ToString::to_string);
    let causes = Cause::ALL.iter().map(ToString::to_string);
    let functions = LOCATIONS.iter().flat_map(|row| row.symbols).map(ToString::to_string);
    let all: BTreeSet<String> = reasons.chain(kinds).chain(causes).chain(functions).collect();
    near(bare_function(&lower), &all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Rows by which a function gives a reason another meaning.
fn refinements(reason: &Reason) -> impl Iterator<Item = &'static Location> {
    LOCATIONS.iter().filter(move |row| row.applies == Applies::Reason(reason.name))
}

/// When a row of the locations is the one that counts.
fn when(row: &Location) -> String {
    let reason = match row.applies {
        Applies::Unsaid => "where the kernel gives no reason".to_owned(),
        Applies::NoReasons => "on kernels that have no reasons".to_owned(),
        Applies::Reason(name) => format!("for the reason {name}"),
    };
    match row.when {
        Some(condition) => format!("{reason}, {}", condition.text),
        None => reason,
    }
}

/// Names of the running kernel's reasons; none where it does not tell them.
fn running_reasons(btf: Option<&Path>) -> Result<Reasons> {
    match Types::gather(btf) {
        Ok(types) => Ok(Reasons::gather(&types)),
        Err(error) if btf.is_some() => Err(error.into()),
        Err(_) => Ok(Reasons::default()),
    }
}

pub(crate) fn run(args: &Args, globals: &Globals) -> anyhow::Result<()> {
    let subject = Subject::find(&args.subject)?;
    match write(
        &subject,
        &running_reasons(globals.btf.as_deref())?,
        args.json,
        io::BufWriter::new(stdout().lock()),
    ) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn write(subject: &Subject, reasons: &Reasons, as_json: bool, mut out: impl Write) -> io::Result<()> {
    if as_json {
        serde_json::to_writer_pretty(&mut out, &json::document(subject, reasons))?;
        writeln!(out)?;
    } else {
        out.write_all(text::explanation(subject, reasons).as_bytes())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests;
