//! One HTTP request, and a server that answers it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::libc;
use nix::sys::socket::{self, setsockopt, sockopt};

use crate::netns::Netns;

/// Length of the request: with IPv4, TCP and timestamps (52 bytes) an IP packet of 131 bytes.
pub const GET_BYTES: usize = 79;

/// How long the server waits for a request before it hangs up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Open connections, so that stopping the server can end them.
type Open = Arc<Mutex<HashMap<u64, TcpStream>>>;

/// Answers `200` to a `GET`, in threads of its own; stops when dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    listener: TcpListener,
    open: Open,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens when it returns.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(ns: &Netns, at: SocketAddr) -> Result<Self> {
        let listener = ns.run(|| TcpListener::bind(at).with_context(|| format!("cannot listen at {at}")))?;
        let open = Open::default();
        let (accepting, register) = (listener.try_clone()?, Arc::clone(&open));
        let acceptor = thread::spawn(move || accept(&accepting, &register));
        Ok(Self { address: listener.local_addr()?, listener, open, acceptor: Some(acceptor) })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // Wakes accept() up with an error.
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        for stream in lock(&self.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, open: &Open) {
    thread::scope(|scope| {
        for (id, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
            if let Ok(known) = stream.try_clone() {
                lock(open).insert(id, known);
            }
            scope.spawn(move || {
                let _ = answer(&stream);
                lock(open).remove(&id);
            });
        }
        // What was accepted while the server stopped.
        for stream in lock(open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

fn answer(mut stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(len) => request.extend_from_slice(&chunk[..len]),
            // No request: a plain close would send a FIN again and again to a client that has long gone.
            Err(_) => return reset_on_close(stream),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")?;
    Ok(())
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Get {
    pub local: SocketAddr,
    /// Connections tried until one was established.
    pub attempts: u32,
    /// The status line; `None` when nothing came in time.
    pub status: Option<String>,
}

/// Connects from inside `ns` (again, until a connection is established within `timeout`), sends a request of
/// [`GET_BYTES`] and waits for the answer until `done` says that it has seen enough or `timeout` has passed.
/// A connection without an answer is reset, so that nothing is retransmitted after the return.
///
/// # Errors
/// When no connection could be established, or `done` fails.
pub fn http_get(
    ns: &Netns,
    to: SocketAddr,
    timeout: Duration,
    mut done: impl FnMut() -> Result<bool> + Send,
) -> Result<Get> {
    ns.run(|| {
        let deadline = Instant::now() + timeout;
        let (mut stream, attempts) = connect(to, deadline)?;
        let local = stream.local_addr()?;
        stream.write_all(&request(to)).context("cannot send the request")?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut answer = Vec::new();
        let answered = loop {
            let mut chunk = [0; 1024];
            match stream.read(&mut chunk) {
                Ok(0) => break true,
                Ok(len) => answer.extend_from_slice(&chunk[..len]),
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break false;
                }
                Err(_) => {}
            }
            if Instant::now() >= deadline || done()? {
                break false;
            }
        };
        if !answered {
            reset_on_close(&stream)?;
        }
        let status = String::from_utf8_lossy(&answer).lines().next().map(str::to_owned);
        Ok(Get { local, attempts, status })
    })
}

/// Short attempts: one whose SYN is lost would wait a second for its retransmission.
fn connect(to: SocketAddr, deadline: Instant) -> Result<(TcpStream, u32)> {
    for attempts in 1.. {
        match TcpStream::connect_timeout(&to, Duration::from_millis(150)) {
            Ok(stream) => return Ok((stream, attempts)),
            Err(error) if error.kind() != ErrorKind::TimedOut => {
                return Err(error).with_context(|| format!("cannot connect to {to}"));
            }
            Err(_) if Instant::now() >= deadline => break,
            Err(_) => {}
        }
    }
    bail!("{to}: no connection established in time")
}

fn request(to: SocketAddr) -> Vec<u8> {
    let (head, tail) = (format!("GET / HTTP/1.1\r\nHost: {}\r\nX: ", to.ip()), "\r\n\r\n");
    let filler = "x".repeat(GET_BYTES.saturating_sub(head.len() + tail.len()));
    (head + &filler + tail).into_bytes()
}

fn reset_on_close(stream: &TcpStream) -> Result<()> {
    setsockopt(stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Ok(())
}

fn lock(open: &Open) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_length_of_the_readme_case() {
        assert_eq!(request("10.0.0.2:80".parse().unwrap()).len(), GET_BYTES);
    }
}
