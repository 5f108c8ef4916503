//! Filters and selection in one line, as the live view edits them.

use super::{FilterArgs, KINDS};
use crate::{drops::select::Selection, text::near};

/// Filters and selection in a line: `port 80 host 10.0.0.1 cause mtu`, or as options are typed. What stands behind a name,
/// up to the next one, are its values.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "filter", no_binary_name = true, disable_help_flag = true)]
pub struct FilterLine {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl FilterLine {
    /// What was typed; an error in one line says what would be understood.
    pub fn parse(line: &str) -> Result<Self, String> {
        use clap::{CommandFactory as _, Parser as _};
        let command = Self::command();
        let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut options: Vec<String> = Vec::new();
        let mut name: Option<(&str, bool)> = None;
        for (word, is_another) in words(line) {
            let (head, value) = word.split_once('=').unwrap_or((word, ""));
            let plain = head.trim_start_matches("--");
            let is_value =
                is_another || name.is_some_and(|(name, has_value)| !has_value && takes_any_word(name));
            let known = names.iter().find(|known| **known == plain).filter(|_| !is_value);
            match (known, name) {
                (Some(known), _) => {
                    let has_value = !value.is_empty();
                    if let Some(bare) = name.replace((*known, has_value)).filter(|(_, has_value)| !has_value)
                    {
                        return Err(format!("{} of what? {}", bare.0, EXAMPLE));
                    }
                    options.extend(has_value.then(|| format!("--{known}={value}")));
                }
                (None, Some((option, _))) => {
                    options.push(format!("--{option}={word}"));
                    name = Some((option, true));
                }
                (None, None) => {
                    let near = near(plain, &names);
                    return Err(format!("{word:?} is no filter{near}; {EXAMPLE}, and {}", names.join(", ")));
                }
            }
        }
        if let Some((bare, false)) = name {
            return Err(format!("{bare} of what? {EXAMPLE}"));
        }
        Self::try_parse_from(options).map_err(|error| {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })
    }
}

/// Namespaces and devices may be called as filters are: that of process 1 is "host".
fn takes_any_word(name: &str) -> bool {
    KINDS.iter().any(|kind| kind.name == name && kind.any_word)
}

/// The words of a line, and whether each is another value beside the one before it, as in `80|443`.
fn words(line: &str) -> impl Iterator<Item = (&str, bool)> {
    let words = line.split([' ', '\t', ',']);
    let values = words.flat_map(|word| word.split('|').enumerate().map(|(at, value)| (value, at > 0)));
    values.filter(|(value, _)| !value.is_empty())
}

/// What a filter looks like.
const EXAMPLE: &str = "as in: port 80 host 10.0.0.1 cause mtu";
