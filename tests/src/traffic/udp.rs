//! UDP through ordinary sockets.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, setsockopt, sockopt};
use nix::unistd::Pid;

use crate::netns::Netns;

/// What became of a number of `sendto()` calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub accepted: u64,
    /// Returned an error, `EPERM` of a firewall rule for instance.
    pub refused: u64,
}

/// Sends `count` datagrams from a socket bound to `from` that is not connected, so that an ICMP error that comes back
/// fails no later `sendto()`.
///
/// # Errors
/// When the socket cannot be bound; a refused datagram is no error but counted.
pub fn udp_send(ns: &Netns, from: SocketAddr, to: SocketAddr, count: u64, payload: usize) -> Result<Sent> {
    Ok(udp_send_through(&udp_bind(ns, from, None)?, to, count, payload))
}

/// As [`udp_send`], through a socket that is there already, and stays.
#[must_use]
pub fn udp_send_through(socket: &UdpSocket, to: SocketAddr, count: u64, payload: usize) -> Sent {
    let payload = vec![0x2a; payload];
    let mut sent = Sent::default();
    for _ in 0..count {
        match socket.send_to(&payload, to) {
            Ok(_) => sent.accepted += 1,
            Err(_) => sent.refused += 1,
        }
    }
    sent
}

/// As [`udp_send`], with this TTL or hop limit.
///
/// # Errors
/// When the socket cannot be bound or refuses the value.
pub fn udp_send_ttl(ns: &Netns, from: SocketAddr, to: SocketAddr, ttl: u8, count: u64) -> Result<Sent> {
    let socket = udp_bind(ns, from, None)?;
    if from.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4Ttl, &i32::from(ttl))?;
    } else {
        setsockopt(&socket, sockopt::Ipv6Ttl, &i32::from(ttl))?;
    }
    Ok(udp_send_through(&socket, to, count, 32))
}

/// Binds a UDP socket inside; `receive_buffer` in bytes as `SO_RCVBUF` takes it (the kernel doubles it, and has a
/// minimum of about 2 KiB).
///
/// # Errors
/// When the address is taken.
pub fn udp_bind(ns: &Netns, at: SocketAddr, receive_buffer: Option<usize>) -> Result<UdpSocket> {
    ns.run(|| {
        let socket = UdpSocket::bind(at).with_context(|| format!("cannot bind {at}"))?;
        if let Some(bytes) = receive_buffer {
            setsockopt(&socket, sockopt::RcvBuf, &bytes)?;
        }
        Ok(socket)
    })
}

/// How a flood went.
#[derive(Clone, Copy, Debug)]
pub struct FloodReport {
    /// Datagrams that the kernel took: exactly as many as asked for.
    pub accepted: u64,
    pub elapsed: Duration,
}

/// More than one batch would not make `sendmmsg` cheaper, but keep a signal waiting.
const BATCH: usize = 64;
const FLOOD_PAYLOAD: [u8; 16] = [0x2a; 16];
const FLOOD_LIMIT: Duration = Duration::from_secs(60);

/// Sends exactly `count` small datagrams to `dst` as fast as one CPU can.
///
/// # Errors
/// When the CPU does not exist, the kernel refuses a datagram for good, or a minute has passed.
pub fn flood(ns: &Netns, dst: SocketAddr, count: u64, cpu: usize) -> Result<FloodReport> {
    ns.run(|| {
        let mut cpus = CpuSet::new();
        cpus.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot run on CPU {cpu}"))?;
        let any = if dst.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        // Connected: one route look-up for all. What drops these must send no ICMP error, or sends would fail.
        socket.connect(dst)?;

        let slices: Vec<_> = (0..BATCH).map(|_| [IoSlice::new(&FLOOD_PAYLOAD)]).collect();
        let nowhere = [None::<SockaddrStorage>; BATCH];
        let mut headers = MultiHeaders::preallocate(BATCH, None);
        let start = Instant::now();
        let mut accepted = 0;
        while accepted < count {
            let batch = usize::try_from(count - accepted).map_or(BATCH, |left| left.min(BATCH));
            let flags = MsgFlags::empty();
            match sendmmsg(socket.as_raw_fd(), &mut headers, &slices[..batch], nowhere, [], flags) {
                Ok(sent) => accepted += sent.count() as u64,
                Err(Errno::ENOBUFS | Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("flood refused after {accepted}"));
                }
            }
            if start.elapsed() > FLOOD_LIMIT {
                bail!("flood not done after {FLOOD_LIMIT:?}: {accepted} of {count}");
            }
        }
        Ok(FloodReport { accepted, elapsed: start.elapsed() })
    })
}

/// Reads and forgets what arrives, so that packets which are meant to arrive drop nowhere.
#[derive(Debug)]
pub struct UdpSink {
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl UdpSink {
    /// # Errors
    /// When the address is taken.
    pub fn start(ns: &Netns, at: SocketAddr) -> Result<Self> {
        let socket = udp_bind(ns, at, None)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let _ = socket.recv(&mut buffer);
            }
        });
        Ok(Self { stop, reader: Some(reader) })
    }
}

impl Drop for UdpSink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
