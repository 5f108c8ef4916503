//! The commands, one file each: what can be typed, and what is done then. None knows another.

pub(crate) mod check;
pub(crate) mod diagnose;
pub(crate) mod explain;
pub(crate) mod reasons;
pub(crate) mod top;
pub(crate) mod trace;

use std::{
    io::{Write as _, stdout},
    path::PathBuf,
};

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::{capture::live::Start, text::messages::Messages};

/// What holds for every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Globals {
    /// Tell what lossdrop does, on stderr; -vv also what its kernel side does
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Take the kernel's types from this file (raw BTF, or ELF with a section .BTF), for kernels that do not tell them
    #[arg(long, global = true, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

impl Globals {
    /// Begins to tell what lossdrop does.
    pub(crate) fn init_log(&self) {
        let level = match self.verbose {
            0 => log::LevelFilter::Warn,
            1 => log::LevelFilter::Info,
            _ => log::LevelFilter::Debug,
        };
        env_logger::Builder::new()
            .target(env_logger::Target::Pipe(Box::new(Messages)))
            .filter_level(level)
            // aya tells of every relocation.
            .filter_module("aya_obj", log::LevelFilter::Warn)
            .filter_module("aya", log::LevelFilter::Warn)
            .format(|out, record| {
                writeln!(out, "lossdrop: {}: {}", record.level().as_str().to_ascii_lowercase(), record.args())
            })
            .init();
    }

    /// What every command that watches begins with.
    fn start(&self) -> Result<Start> {
        Start::new(self.btf.as_deref(), self.verbose >= 2)
    }
}

/// Runs to the end, and does not wait for a look-up that is still under way.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = runtime()?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()
}

/// Ready when a signal asks us to end.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Standard output takes colours.
fn wants_color() -> bool {
    // anstream takes any terminal for a colourful one where the variable CI is set.
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !dumb && AutoStream::choice(&stdout()) != ColorChoice::Never
}
