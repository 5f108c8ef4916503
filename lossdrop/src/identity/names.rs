//! What network namespaces are called: by providers, of which the first that knows a namespace names it.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use super::namespaces::{inum, named};
use crate::text::sanitize::sanitize;

/// Whose a network namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// That of process 1.
    Host,
    /// The name that `ip netns` gave it.
    Named(String),
    Container(Container),
    /// That of a process of which nothing else is known.
    Process(u32),
}

/// A container, by what its cgroup is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Container {
    /// `docker`, `podman`, `containerd`, …; `container` where the cgroup does not tell.
    pub runtime: String,
    /// All of it: 64 hex digits.
    pub id: String,
}

impl fmt::Display for Identity {
    /// `host`, `web`, `docker:0123456789ab`, `pid:4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Digits of a container's id that are shown, as the runtimes show them.
        const SHORT: usize = 12;
        match self {
            Self::Host => f.write_str("host"),
            Self::Named(name) => f.write_str(name),
            Self::Container(Container { runtime, id }) => {
                write!(f, "{runtime}:{}", id.get(..SHORT).unwrap_or(id))
            }
            Self::Process(pid) => write!(f, "pid:{pid}"),
        }
    }
}

/// Something that knows what namespaces are called.
pub trait Provider {
    /// By the namespace's inode number, and by the cgroup of a process in it (the contents of `/proc/PID/cgroup`; empty for
    /// none).
    fn name(&self, netns: u32, cgroup: &str) -> Option<Identity>;
}

/// Those that there are, each asked before the next.
pub(super) fn providers() -> Vec<Box<dyn Provider>> {
    vec![Box::new(Host::find()), Box::new(IpNetns::find()), Box::new(Containers)]
}

/// The first namespace.
struct Host(Option<u32>);

impl Host {
    fn find() -> Self {
        // Process 1 may be out of reach; the kernel's own threads are in the first namespace, too.
        let is_kernel = fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n");
        let kernel = || is_kernel.then(|| inum(Path::new("/proc/2/ns/net"))).flatten();
        Self(inum(Path::new("/proc/1/ns/net")).or_else(kernel))
    }
}

impl Provider for Host {
    fn name(&self, netns: u32, _cgroup: &str) -> Option<Identity> {
        (self.0 == Some(netns)).then_some(Identity::Host)
    }
}

/// Names under `/run/netns`.
struct IpNetns(BTreeMap<u32, String>);

impl IpNetns {
    fn find() -> Self {
        let mut names = BTreeMap::new();
        for path in named() {
            if let (Some(inum), Some(name)) = (inum(&path), path.file_name()) {
                names.entry(inum).or_insert_with(|| sanitize(&name.to_string_lossy()).into_owned());
            }
        }
        Self(names)
    }
}

impl Provider for IpNetns {
    fn name(&self, netns: u32, _cgroup: &str) -> Option<Identity> {
        self.0.get(&netns).cloned().map(Identity::Named)
    }
}

/// Docker, containerd, CRI-O and Podman, by how they name their cgroups: a path's part with an id of 64 hex digits.
struct Containers;

impl Provider for Containers {
    fn name(&self, _netns: u32, cgroup: &str) -> Option<Identity> {
        container(cgroup).map(Identity::Container)
    }
}

fn container(cgroup: &str) -> Option<Container> {
    const ID: usize = 64;
    let is_id = |text: &&str| text.len() == ID && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        path.rsplit('/').find_map(|part| {
            let part = part.strip_suffix(".scope").unwrap_or(part);
            let (runtime, id) = match part.rsplit_once(['-', ':']) {
                Some((runtime, id)) => (runtime, id),
                None => ("", part),
            };
            let id = Some(id).filter(is_id)?;
            let runtime = match runtime {
                "cri-containerd" => "containerd",
                "libpod" => "podman",
                "" if path.contains("/docker/") => "docker",
                "" => "container",
                known => known,
            };
            Some(Container { runtime: sanitize(runtime).into_owned(), id: id.to_owned() })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn named(cgroup: &str) -> Option<String> {
        Containers.name(1, cgroup).map(|identity| identity.to_string())
    }

    #[test]
    fn containers_are_known_by_their_cgroup() {
        for (cgroup, name) in [
            (format!("0::/system.slice/docker-{ID}.scope\n"), "docker:0123456789ab"),
            (format!("12:pids:/docker/{ID}\n0::/x\n"), "docker:0123456789ab"),
            (
                format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n"),
                "containerd:0123456789ab",
            ),
            (format!("0::/kubepods/besteffort/pod1/{ID}\n"), "container:0123456789ab"),
            (format!("0::/machine.slice/libpod-{ID}.scope/container\n"), "podman:0123456789ab"),
        ] {
            assert_eq!(named(&cgroup).as_deref(), Some(name), "{cgroup}");
        }
        assert_eq!(named("0::/system.slice/ssh.service\n"), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn a_container_s_id_is_kept_whole() {
        let container = container(&format!("12:pids:/docker/{ID}\n")).expect("a container");
        assert_eq!((container.runtime.as_str(), container.id.as_str()), ("docker", ID));
    }

    #[test]
    fn a_cgroup_cannot_steer_the_terminal_and_ids_are_whole() {
        assert_eq!(named(&format!("0::/x/\x1b[31m-{ID}.scope\n")).as_deref(), Some("?[31m:0123456789ab"));
        for part in [&ID[1..], &format!("{ID}0"), &ID.replace('f', "g"), ""] {
            assert_eq!(named(&format!("0::/docker/{part}\n")), None, "{part}");
        }
    }

    #[test]
    fn the_first_namespace_is_the_host_s_and_no_other() {
        let host = Host(Some(7));
        assert_eq!(host.name(7, ""), Some(Identity::Host));
        assert_eq!(host.name(8, ""), None);
        assert_eq!(Host(None).name(7, ""), None);
    }

    #[test]
    fn every_identity_has_a_name_to_be_seen_and_typed() {
        let container = Container { runtime: "podman".to_owned(), id: "ab".to_owned() };
        let names = [
            Identity::Host,
            Identity::Named("web".to_owned()),
            Identity::Container(container),
            Identity::Process(4711),
        ];
        assert_eq!(names.map(|name| name.to_string()), ["host", "web", "podman:ab", "pid:4711"]);
    }
}
