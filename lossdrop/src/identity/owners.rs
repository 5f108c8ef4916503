//! The process behind a socket, by the socket's inode number.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use crate::{identity::namespaces::processes, text::sanitize::sanitize};

/// A process that holds a socket open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    pub pid: u32,
    pub comm: String,
    /// Path of its cgroup: that of version 2 where there is one.
    pub cgroup: String,
}

/// Finds the owners among the file descriptors of all processes; those of a socket that several processes hold is the
/// one with the lowest number.
pub fn find(sockets: &HashSet<u64>) -> HashMap<u64, Owner> {
    let mut owners = HashMap::new();
    let mut pids: Vec<u32> = processes().collect();
    pids.sort_unstable();
    for pid in pids {
        if owners.len() == sockets.len() {
            break;
        }
        for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            let inode = target.to_str().and_then(socket_inode).filter(|inode| sockets.contains(inode));
            if let Some(inode) = inode {
                owners.entry(inode).or_insert_with(|| describe(pid));
            }
        }
    }
    owners
}

/// `socket:[12345]`, as `/proc/PID/fd` shows it.
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn describe(pid: u32) -> Owner {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    Owner {
        pid,
        comm: sanitize(read("comm").trim_end_matches('\n')).into_owned(),
        cgroup: sanitize(cgroup_path(&read("cgroup"))).into_owned(),
    }
}

/// The path in the line of version 2 (`0::PATH`), else in the first line.
fn cgroup_path(text: &str) -> &str {
    let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
    unified.or_else(|| text.lines().next()?.splitn(3, ':').nth(2)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_socket_of_ours_is_ours() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let inode = fs::metadata(format!("/proc/self/fd/{fd}")).expect("it is open").ino();
        let owners = find(&HashSet::from([inode, 1]));
        assert_eq!(owners[&inode].pid, std::process::id());
        assert!(!owners[&inode].comm.is_empty());
        assert_eq!(owners.len(), 1);
    }

    #[test]
    fn the_cgroup_of_version_2_wins() {
        assert_eq!(cgroup_path("12:pids:/a\n0::/b/c\n"), "/b/c");
        assert_eq!(cgroup_path("12:pids:/a\n11:cpu:/z\n"), "/a");
        assert_eq!(cgroup_path(""), "");
    }

    #[test]
    fn only_sockets_have_a_socket_inode() {
        assert_eq!(socket_inode("socket:[42]"), Some(42));
        for link in ["pipe:[42]", "/dev/null", "socket:[]", "socket:[x]", "socket:42"] {
            assert_eq!(socket_inode(link), None, "{link}");
        }
    }

    #[test]
    fn nothing_is_looked_for_where_nothing_is_wanted() {
        assert!(find(&HashSet::new()).is_empty());
        assert!(find(&HashSet::from([0, 1])).is_empty());
    }

    #[test]
    fn a_process_that_is_gone_has_a_number_and_no_name() {
        let gone = Owner { pid: u32::MAX, comm: String::new(), cgroup: String::new() };
        assert_eq!(describe(u32::MAX), gone);
    }
}
