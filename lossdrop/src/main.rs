//! The thin end of `lossdrop`: exit codes and nothing else.

use std::{
    io::{Write as _, stderr},
    process::ExitCode,
};

use clap::Parser as _;
use lossdrop::{
    cli::Cli,
    error::{Error, message},
};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // Best effort: stderr may be closed.
            let _ = writeln!(stderr(), "lossdrop: {}", message(&error));
            let usage = error.downcast_ref::<Error>().is_some_and(Error::is_usage);
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
