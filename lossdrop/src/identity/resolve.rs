//! Names for namespaces and sockets, looked up beside the stream of events and kept.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::timeout};

use super::{
    namespaces::{Namespace, Namespaces},
    owners::{self, Owner},
};

/// How long an event may wait for its names. Meanwhile, others wait in the ring buffer.
const WAIT_AT_MOST: Duration = Duration::from_millis(50);
/// How long something that was not found is not looked for again.
const GIVE_UP_FOR: Duration = Duration::from_secs(1);
/// A look-up may take this part of a CPU's time at the most.
const DUTY: u32 = 10;
/// Entries at which the cache of sockets begins anew.
const CACHE_AT_MOST: usize = 65_536;

/// What a look-up found.
#[derive(Debug)]
struct Found {
    namespaces: Option<Namespaces>,
    sockets: HashSet<u64>,
    owners: HashMap<u64, Owner>,
    took: Duration,
}

/// The names that are known so far.
#[derive(Debug)]
pub struct Resolver {
    namespaces: Namespaces,
    /// `None`: looked for in vain.
    owners: HashMap<u64, Result<Owner, Instant>>,
    unknown_netns: HashMap<u32, Instant>,
    running: Option<JoinHandle<Found>>,
    not_before: Instant,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            namespaces: Namespaces::default(),
            owners: HashMap::new(),
            unknown_netns: HashMap::new(),
            running: None,
            not_before: Instant::now(),
        }
    }
}

impl Resolver {
    /// Looks up what is not known yet, and waits for it, if briefly. 0 stands for none.
    pub async fn prepare(&mut self, places: impl Iterator<Item = (u32, u64)>) {
        // What an earlier batch did not wait for may be there by now.
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish().await;
        }
        let now = Instant::now();
        let (mut netns, mut sockets): (HashSet<u32>, HashSet<u64>) = places.unzip();
        for inum in &netns {
            self.namespaces.forget_stale(*inum);
        }
        netns.retain(|inum| *inum != 0 && self.wants_netns(*inum, now));
        sockets.retain(|socket| *socket != 0 && self.wants_owner(*socket, now));
        if netns.is_empty() && sockets.is_empty() {
            return;
        }
        // In time or not: what is not known by then is shown as it is.
        let _in_time = timeout(WAIT_AT_MOST, self.look_up(&netns, sockets)).await;
        for inum in netns {
            if self.namespaces.get(inum).is_none() {
                self.unknown_netns.insert(inum, Instant::now());
            }
        }
    }

    async fn look_up(&mut self, netns: &HashSet<u32>, mut sockets: HashSet<u64>) {
        // One that an earlier batch did not wait for to the end; it may have found what is wanted.
        self.finish().await;
        let now = Instant::now();
        sockets.retain(|socket| self.wants_owner(*socket, now));
        let scan = netns.iter().any(|inum| self.wants_netns(*inum, now));
        if !scan && sockets.is_empty() {
            return;
        }
        tokio::time::sleep_until(self.not_before.into()).await;
        self.running = Some(tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            let namespaces = scan.then(Namespaces::scan);
            let owners = if sockets.is_empty() { HashMap::new() } else { owners::find(&sockets) };
            Found { namespaces, sockets, owners, took: start.elapsed() }
        }));
        self.finish().await;
    }

    async fn finish(&mut self) {
        let Some(running) = &mut self.running else { return };
        let found = running.await;
        self.running = None;
        let Ok(mut found) = found else { return };
        let now = Instant::now();
        self.not_before = now + found.took * DUTY;
        if let Some(namespaces) = found.namespaces {
            self.namespaces = namespaces;
            self.unknown_netns.clear();
        }
        if self.owners.len() > CACHE_AT_MOST {
            self.owners.clear();
        }
        for socket in found.sockets {
            self.owners.insert(socket, found.owners.remove(&socket).ok_or(now));
        }
    }

    fn wants_netns(&self, inum: u32, now: Instant) -> bool {
        self.namespaces.get(inum).is_none()
            && self.unknown_netns.get(&inum).is_none_or(|since| now - *since > GIVE_UP_FOR)
    }

    fn wants_owner(&self, socket: u64, now: Instant) -> bool {
        match self.owners.get(&socket) {
            Some(Ok(_)) => false,
            Some(Err(since)) => now - *since > GIVE_UP_FOR,
            None => true,
        }
    }

    /// The namespace, if it is known.
    pub fn netns(&self, inum: u32) -> Option<&Namespace> {
        self.namespaces.get(inum)
    }

    /// The process that holds the socket, if it is known.
    pub fn owner(&self, socket: u64) -> Option<&Owner> {
        self.owners.get(&socket)?.as_ref().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::unix::fs::MetadataExt as _, path::Path};

    use super::*;
    use crate::identity::namespaces::inum;

    /// Of no namespace and no socket.
    const NEITHER: (u32, u64) = (1, 1);

    fn own_netns() -> u32 {
        inum(Path::new("/proc/self/ns/net")).expect("we have one")
    }

    fn socket_and_inode() -> (UdpSocket, u64) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let inode = std::fs::metadata(format!("/proc/self/fd/{fd}")).expect("it is open").ino();
        (socket, inode)
    }

    #[tokio::test]
    async fn our_namespace_and_socket_have_names_once_they_were_looked_up() {
        let (_socket, inode) = socket_and_inode();
        let mut resolver = Resolver::default();
        assert_eq!((resolver.netns(own_netns()), resolver.owner(inode)), (None, None));
        resolver.look_up(&HashSet::from([own_netns()]), HashSet::from([inode])).await;
        assert!(resolver.netns(own_netns()).is_some_and(|known| !known.name.is_empty()));
        assert_eq!(resolver.owner(inode).map(|owner| owner.pid), Some(std::process::id()));
        let now = Instant::now();
        assert!(!resolver.wants_netns(own_netns(), now) && !resolver.wants_owner(inode, now));
    }

    #[tokio::test]
    async fn zero_stands_for_none_and_is_not_looked_up() {
        let mut resolver = Resolver::default();
        resolver.prepare([(0, 0), (0, 0)].into_iter()).await;
        assert!(
            resolver.running.is_none() && resolver.unknown_netns.is_empty() && resolver.owners.is_empty()
        );
    }

    #[tokio::test]
    async fn what_was_looked_for_in_vain_is_given_up_for_a_while() {
        let mut resolver = Resolver::default();
        let (netns, socket) = NEITHER;
        resolver.look_up(&HashSet::from([netns]), HashSet::from([socket])).await;
        assert_eq!((resolver.netns(netns), resolver.owner(socket)), (None, None));
        let now = Instant::now();
        assert!(!resolver.wants_owner(socket, now));
        assert!(resolver.wants_owner(socket, now + GIVE_UP_FOR * 2));
        resolver.prepare([NEITHER].into_iter()).await;
        let now = Instant::now();
        assert!(!resolver.wants_netns(netns, now));
        assert!(resolver.wants_netns(netns, now + GIVE_UP_FOR * 2));
    }

    #[tokio::test]
    async fn a_look_up_that_was_not_waited_for_is_not_lost() {
        let mut resolver = Resolver::default();
        let netns = HashSet::from([own_netns()]);
        // Polled once: it has begun.
        let _in_time = timeout(Duration::ZERO, resolver.look_up(&netns, HashSet::new())).await;
        resolver.finish().await;
        assert!(resolver.netns(own_netns()).is_some());
        assert!(resolver.running.is_none());
    }

    #[tokio::test]
    async fn a_new_namespace_is_looked_for_though_others_are_known() {
        let mut resolver = Resolver::default();
        resolver.look_up(&HashSet::from([own_netns()]), HashSet::new()).await;
        let (netns, _) = NEITHER;
        assert!(resolver.wants_netns(netns, Instant::now()));
    }
}
