//! Writes what is to be read, beside everything else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Error, Result};

/// Writes to the output on a thread of its own, so that a reader who is slow or gone never keeps us from ending.
#[derive(Debug)]
pub(crate) struct Writer {
    buffers: Option<SyncSender<Vec<u8>>>,
    result: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
    failed: Option<io::Error>,
    /// What is written to, if it can tell that its reader is gone.
    output: Option<OwnedFd>,
    /// Of a file that was asked for by its name.
    path: Option<PathBuf>,
}

/// Buffers that may wait for the writer.
const WAITING: usize = 4;
/// How long a reader may take for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

impl Writer {
    pub(crate) fn new(mut output: impl Write + Send + 'static) -> Self {
        let (buffers, incoming) = sync_channel::<Vec<u8>>(WAITING);
        let (outcome, result) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let written = incoming.into_iter().try_for_each(|buffer| {
                output.write_all(&buffer)?;
                output.flush()
            });
            // Best effort: the receiver is gone only when the run is over.
            let _ = outcome.send(written);
        });
        Self { buffers: Some(buffers), result, thread: Some(thread), failed: None, output: None, path: None }
    }

    /// To a file, or whatever else has a descriptor.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub(crate) fn to(output: impl AsFd) -> io::Result<Self> {
        let own = output.as_fd().try_clone_to_owned()?;
        let writer = Self::new(File::from(output.as_fd().try_clone_to_owned()?));
        Ok(Self { output: Some(own), ..writer })
    }

    /// To a new file, as [`create`] makes it.
    ///
    /// # Errors
    /// Those of `create`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { path: Some(path.to_owned()), ..Self::to(create(path)?)? })
    }

    /// Hands the buffer over if there is room; true if it is empty afterwards.
    pub(crate) fn offer(&mut self, buffer: &mut Vec<u8>) -> bool {
        if buffer.is_empty() {
            return true;
        }
        let Some(buffers) = &self.buffers else { return false };
        match buffers.try_send(std::mem::take(buffer)) {
            Ok(()) => true,
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                *buffer = back;
                false
            }
        }
    }

    /// The output failed, or its reader is gone.
    pub(crate) fn is_closed(&mut self) -> bool {
        if let Ok(Err(error)) = self.result.try_recv() {
            self.failed = Some(error);
        }
        self.failed.is_some() || self.is_abandoned()
    }

    fn is_abandoned(&self) -> bool {
        self.output.as_ref().is_some_and(reader_is_gone)
    }

    /// Writes the last buffer and waits for the end, but not for a reader who has stopped reading.
    ///
    /// # Errors
    /// When writing fails: [`io::ErrorKind::BrokenPipe`] where the reader is gone.
    pub(crate) fn close(&mut self, last: Vec<u8>) -> Result<()> {
        self.finish(last).map_err(|error| match self.path.take() {
            _ if self.is_abandoned() => Error::Output(io::ErrorKind::BrokenPipe.into()),
            Some(path) => Error::File { path, source: error },
            None => Error::Output(error),
        })
    }

    fn finish(&mut self, mut last: Vec<u8>) -> io::Result<()> {
        let stopped = || io::Error::other("whoever reads the output has stopped reading; the end is lost");
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let deadline = Instant::now() + LAST_LINES;
        while !self.offer(&mut last) {
            if let Ok(Err(error)) = self.result.try_recv() {
                return Err(error);
            }
            if Instant::now() > deadline {
                return Err(stopped());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.buffers = None;
        let result = self.result.recv_timeout(LAST_LINES).map_err(|_| stopped())?;
        if let Some(thread) = self.thread.take() {
            // It has sent its result, its last act.
            let _ = thread.join();
        }
        result
    }
}

/// A pipe without a reader says so before anything is written to it.
fn reader_is_gone(output: impl AsFd) -> bool {
    let mut fds = [PollFd::new(output.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

/// A new file for root's eyes alone, since packets hold secrets; never over one that is there. A pipe or a device is written
/// to as it is.
///
/// # Errors
/// When there is such a file, or it cannot be made.
pub(crate) fn create(path: &Path) -> Result<File> {
    let is_special = path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
    let mut options = OpenOptions::new();
    options.write(true).create_new(!is_special).mode(0o600);
    options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::FileExists { path: path.to_owned() },
        _ => Error::File { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests;
