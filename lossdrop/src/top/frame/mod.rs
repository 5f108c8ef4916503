//! A frame for a pipe or a file: what the screen shows, as text or as JSON.

use jiff::Timestamp;
use ratatui::text::Line;
use serde_json::{Map, Value, json};

use super::{
    state::State,
    view::{Look, detail, header, table},
};
use crate::{
    live::{
        detail::RowDetail,
        lens::{Mix, Row},
    },
    text::JSON_VERSION,
};

/// Lines above the table, at the most.
const HEADER: usize = 6;

/// The header and all rows, in lines of that many cells.
pub(crate) fn text(state: &State, look: &Look, width: usize) -> String {
    let mut lines = header::all(state, *look, width, HEADER);
    lines.push(Line::default());
    lines.extend(table::all(state, *look, width));
    plain(&lines)
}

/// The page of a row. What is to be copied is in one line, however long.
pub(crate) fn detail_text(detail: &RowDetail, look: &Look, width: usize) -> String {
    plain(&detail::whole(detail, *look, width))
}

fn plain(lines: &[Line<'static>]) -> String {
    let mut out = String::new();
    for line in lines {
        out.push_str(line.to_string().trim_end());
        out.push('\n');
    }
    out
}

/// One object; `details[i]` belongs to the row `i`.
pub(crate) fn json(state: &State, details: &[RowDetail]) -> Value {
    let State { header, table, lens, .. } = state;
    let time = Timestamp::from_nanosecond(header.unix_ns).unwrap_or_default();
    let rows = table.rows.iter().enumerate().map(|(index, row)| json_row(row, details.get(index)));
    json!({
        "type": "frame",
        "v": JSON_VERSION,
        "ts": format!("{time:.9}"),
        "host": header.host,
        "kernel": header.kernel,
        "up_s": rounded(header.up.as_secs_f64()),
        "interval_s": rounded(header.interval.as_secs_f64()),
        "group": lens.group.word(),
        "sort": lens.sort.word(),
        "reversed": lens.reversed,
        "filter": header.filter,
        "selection": lens.selection.to_string(),
        "benign_shown": lens.benign,
        "rate": rounded(header.rate),
        "rate_1m": rounded(header.rate_1m),
        "accounting": header.books,
        "benign": header.benign,
        "unselected": header.unselected,
        "details_lost": header.details_lost,
        "rows": rows.collect::<Vec<Value>>(),
    })
}

/// Each property is the most frequent one; `others` counts the rest, where there are others.
fn json_row(row: &Row, detail: Option<&RowDetail>) -> Value {
    let mixes = [
        ("cause", &row.cause),
        ("culprit", &row.culprit),
        ("reason", &row.reason),
        ("location", &row.location),
        ("netns", &row.netns),
    ];
    let most = |mix: &Mix| if mix.most.is_empty() { Value::Null } else { Value::from(mix.most.as_str()) };
    let others = mixes.iter().filter(|(_, mix)| mix.others > 0);
    let others: Map<String, Value> =
        others.map(|(name, mix)| ((*name).to_owned(), Value::from(mix.others))).collect();
    let cases = detail.map_or(&[][..], |detail| &detail.cases);
    let findings: Vec<Value> =
        cases.iter().filter_map(|case| case.finding.as_ref()).map(|finding| json!(finding)).collect();
    let mut object = json!({
        "name": row.name,
        "severity": row.severity.as_str(),
        "total": row.total,
        "exact": row.exact,
        "rate": rounded(row.rate),
        "rate_1m": rounded(row.rate_1m),
        "share": rounded(row.share),
        "findings": findings,
    });
    for (name, mix) in mixes {
        object[name] = most(mix);
    }
    if !others.is_empty() {
        object["others"] = Value::Object(others);
    }
    object
}

/// To a thousandth: what is measured is not more exact.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests;
