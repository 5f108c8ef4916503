//! The thin end of `lossdrop`: exit codes and nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use lossdrop::{cli::Cli, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lossdrop: {error:#}");
            let usage =
                error.downcast_ref::<lossdrop::error::Error>().is_some_and(lossdrop::error::Error::is_usage);
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
