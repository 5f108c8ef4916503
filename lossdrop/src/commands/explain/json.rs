//! The explanation for programs.

use serde::Serialize;

use super::{Subject, refinements, when};
use crate::{
    kernel::reasons::Reasons,
    knowledge::{KINDS, Kind, Location, Noise},
    text::JSON_VERSION,
};

#[derive(Serialize)]
pub(super) struct Document<'a> {
    v: u32,
    #[serde(flatten)]
    explanation: Explanation<'a>,
}

#[derive(Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Explanation<'a> {
    Reason {
        name: &'a str,
        /// The running kernel's; null if it does not have the reason.
        number: Option<u32>,
        meaning: &'a str,
        noise: &'a str,
        severity: &'a str,
        confidence: &'a str,
        cause: Entry<'a>,
        /// Functions that mean something else by it.
        functions: Vec<Row<'a>>,
    },
    Function {
        name: &'a str,
        rows: Vec<Row<'a>>,
        causes: Vec<Entry<'a>>,
    },
    Kind {
        cause: Entry<'a>,
        reasons: Vec<&'a str>,
        functions: Vec<&'a str>,
    },
    Cause {
        name: &'a str,
        causes: Vec<Entry<'a>>,
    },
}

#[derive(Serialize)]
struct Entry<'a> {
    kind: String,
    severity: &'a str,
    title: &'a str,
    causes: &'a [&'a str],
    look: &'a [&'a str],
    fixes: &'a [&'a str],
}

impl<'a> From<&'a Kind> for Entry<'a> {
    fn from(kind: &'a Kind) -> Self {
        let Kind { cause: _, slug: _, severity, title, causes, look, fixes } = *kind;
        Self { kind: kind.to_string(), severity: severity.as_str(), title, causes, look, fixes }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    functions: &'a [&'a str],
    when: String,
    kind: String,
    severity: &'a str,
    confidence: &'a str,
    noise: &'a str,
    meaning: &'a str,
}

impl From<&'static Location> for Row<'static> {
    fn from(row: &'static Location) -> Self {
        Self {
            functions: row.symbols,
            when: when(row),
            kind: row.kind.to_string(),
            severity: row.severity.as_str(),
            confidence: row.confidence.as_str(),
            noise: noise(&row.noise),
            meaning: row.meaning,
        }
    }
}

pub(super) fn noise(noise: &Noise) -> &'static str {
    match noise {
        Noise::Never => "never",
        Noise::Always => "always",
        Noise::When(condition) => condition.text,
    }
}

/// The causes of the rows, each once.
pub(super) fn kinds_of(rows: &[&'static Location]) -> Vec<&'static Kind> {
    let mut kinds: Vec<&Kind> = Vec::new();
    for row in rows {
        if !kinds.contains(&row.kind) {
            kinds.push(row.kind);
        }
    }
    kinds
}

pub(super) fn document<'a>(subject: &'a Subject, reasons: &Reasons) -> Document<'a> {
    Document { v: JSON_VERSION, explanation: explanation(subject, reasons) }
}

fn explanation<'a>(subject: &'a Subject, reasons: &Reasons) -> Explanation<'a> {
    match subject {
        Subject::Reason(row) => Explanation::Reason {
            name: row.name,
            number: reasons.number(row.name),
            meaning: row.meaning,
            noise: noise(&row.noise),
            severity: row.severity.as_str(),
            confidence: row.confidence.as_str(),
            cause: row.kind.into(),
            functions: refinements(row).map(Row::from).collect(),
        },
        Subject::Function(name, rows) => Explanation::Function {
            name,
            rows: rows.iter().map(|row| Row::from(*row)).collect(),
            causes: kinds_of(rows).into_iter().map(Entry::from).collect(),
        },
        Subject::Kind(kind) => {
            Explanation::Kind { cause: (*kind).into(), reasons: kind.reasons(), functions: kind.functions() }
        }
        Subject::Cause(cause) => Explanation::Cause {
            name: cause.as_str(),
            causes: KINDS.iter().filter(|kind| kind.cause == *cause).map(|kind| Entry::from(*kind)).collect(),
        },
    }
}
