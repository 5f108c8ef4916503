//! The command line: the commands, and what holds for all of them.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::commands::{Globals, check, diagnose, explain, reasons, top, trace};

/// Shows every packet that the Linux kernel drops: what it was, where and why it was dropped, and which rule, device, queue or
/// socket is responsible.
///
/// Exit codes: 0 all went well, 1 something failed, 2 wrong usage, 3 diagnose found a capacity that was hit or a fault.
#[derive(Debug, Parser)]
#[command(name = "lossdrop", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a line for every dropped packet as it happens
    Trace(Box<trace::Args>),
    /// Watch for a while, then say what is the matter, who is responsible, and what to type
    ///
    /// Exit code 3: something above policy was found, a capacity that was hit or a fault.
    Diagnose(Box<diagnose::Args>),
    /// Show the drops as they go on: by cause, device, flow, …, with what to type
    ///
    /// Keys: ? shows them. Where the output is no terminal, frames of text, as with --batch.
    Top(Box<top::Args>),
    /// Tell what this kernel offers, and what is lost where it lacks something
    Check(check::Args),
    /// Explain a drop reason, a function of the kernel that drops, a cause, or a kind of drop
    Explain(explain::Args),
    /// List the running kernel's drop reasons, and what they mean
    Reasons(reasons::Args),
}

impl Cli {
    /// Does what was typed; errors are for the user to read.
    ///
    /// # Errors
    /// Whatever the command could not do.
    pub fn run(&self) -> Result<ExitCode> {
        let globals = &self.globals;
        globals.init_log();
        let done = |()| ExitCode::SUCCESS;
        match &self.command {
            Command::Trace(args) => trace::run(args, globals).map(done),
            Command::Diagnose(args) => diagnose::run(args, globals),
            Command::Top(args) => top::run(args, globals).map(done),
            Command::Check(args) => check::run(args, globals),
            Command::Explain(args) => explain::run(args, globals).map(done),
            Command::Reasons(args) => reasons::run(args, globals).map(done),
        }
    }
}

#[cfg(test)]
impl Cli {
    pub(crate) fn into_command(self) -> Command {
        self.command
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
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
            assert_eq!(cli.globals.verbose, verbose, "{typed}");
        }
    }

    #[test]
    fn a_command_is_wanted_with_what_it_needs() {
        assert!(Cli::try_parse_from(["lossdrop"]).is_err());
        assert!(Cli::try_parse_from(["lossdrop", "explain"]).is_err());
    }
}
