//! lossdrop's chores.

mod bench;
mod bpf;
mod causes;
mod lab;
mod screen;
mod test;
mod vm;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

/// lossdrop's chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the bytecode from its sources (needs a nightly or Debian's rustc-web, bpf-linker and LLVM)
    BuildBpf {
        /// Compare it with what is committed instead of writing it
        #[arg(long)]
        check: bool,
    },
    /// Measure what watching costs, beside the peers that are installed
    Bench {
        /// Write the tables into docs/benchmarks.md
        #[arg(long)]
        write: bool,
        /// Only what the live view costs
        #[arg(long, conflicts_with = "write")]
        top: bool,
        /// Measure this binary of lossdrop, too, in the same rounds, and print the ratios
        #[arg(long, value_name = "BINARY", conflicts_with = "top")]
        before: Option<PathBuf>,
    },
    /// Write docs/causes.md anew from the tables of causes
    Causes,
    /// Install what the tests need (Debian) and run them all; as root
    Test {
        /// Handed to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make real drops in network namespaces, to see lossdrop at work; without a name, list what there is
    Lab { scenario: Option<String> },
    /// Take the documentation's pictures of lossdrop top, docs/top.svg and docs/top-detail.svg, from a real one (needs tmux)
    Screen {
        /// Write them here instead of into docs/
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Run the lab on Debian's kernels in virtual machines (QEMU)
    Vm(vm::Args),
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test { arguments } => test::run(&arguments),
        Task::Bench { write, top, before } => bench::run(write, top, before.as_deref()),
        Task::Causes => causes::write(),
        Task::BuildBpf { check } => bpf::build(check),
        Task::Lab { scenario } => lab::run(scenario.as_deref()),
        Task::Screen { out } => screen::run(&out.unwrap_or_else(|| root().join("docs"))),
        Task::Vm(arguments) => vm::run(&arguments),
    }
}

/// The project's root.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Runs a command; failing is an error.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
