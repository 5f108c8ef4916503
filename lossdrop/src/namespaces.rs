//! The machine's network namespaces: their names, and the devices in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::statfs::{NSFS_MAGIC, fstatfs},
};

use crate::{
    error::{Error, Result},
    filter::near,
    kernel::sys::is_network_namespace,
    sanitize::sanitize,
};

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `host` for that of process 1, the name under `/run/netns`, `docker:0123456789ab` and the like for a container,
    /// else `pid:N`.
    pub name: String,
    /// A file that leads there.
    pub path: PathBuf,
}

/// The namespaces that something leads to: a file under `/run/netns`, or a process. By inode number.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<u32, Namespace>);

impl Namespaces {
    /// Looks at process 1, at `/run/netns`, then at every process; the first name wins.
    pub fn scan() -> Self {
        let mut found = Self::default();
        let host = || "host".to_owned();
        found.add(PathBuf::from("/proc/1/ns/net"), host);
        // Process 1 may be out of reach; the kernel's own threads are in the first namespace, too.
        if fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n") {
            found.add(PathBuf::from("/proc/2/ns/net"), host);
        }
        for dir in ["/run/netns", "/var/run/netns"] {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                found.add(entry.path(), || sanitize(&entry.file_name().to_string_lossy()).into_owned());
            }
        }
        for pid in processes() {
            found.add(PathBuf::from(format!("/proc/{pid}/ns/net")), || {
                let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                container(&cgroup).unwrap_or_else(|| format!("pid:{pid}"))
            });
        }
        found
    }

    fn add(&mut self, path: PathBuf, name: impl FnOnce() -> String) {
        if let Some(inum) = inum(&path) {
            self.0.entry(inum).or_insert_with(|| Namespace { name: name(), path });
        }
    }

    /// Forgets an inode number's name if it holds no more: the kernel gives the number of a namespace that is gone to
    /// the next one.
    pub fn forget_stale(&mut self, wanted: u32) {
        if self.get(wanted).is_some_and(|namespace| inum(&namespace.path) != Some(wanted)) {
            self.0.remove(&wanted);
        }
    }

    /// With those that only the others know.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (inum, namespace) in others.0 {
            self.0.entry(inum).or_insert(namespace);
        }
        self
    }

    /// Namespaces that are known already.
    pub fn from_known(known: impl IntoIterator<Item = (u32, Namespace)>) -> Self {
        Self(known.into_iter().collect())
    }

    /// The namespace of an inode number.
    pub fn get(&self, inum: u32) -> Option<&Namespace> {
        self.0.get(&inum)
    }

    /// Each namespace with its inode number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Namespace)> {
        self.0.iter().map(|(inum, namespace)| (*inum, namespace))
    }

    /// The namespace that the user means: a name as shown, a path, `pid:N`, or an inode number.
    pub fn find(&self, wanted: &str) -> Result<u32> {
        if wanted.contains('/') {
            return inum(Path::new(wanted)).ok_or_else(|| self.unknown(wanted));
        }
        if let Some(known) = self.0.iter().find(|(_, known)| known.name == wanted) {
            return Ok(*known.0);
        }
        if let Some(pid) = wanted.strip_prefix("pid:") {
            let path = pid.parse::<u32>().ok().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
            return path.and_then(|path| inum(&path)).ok_or_else(|| self.unknown(wanted));
        }
        wanted.parse().ok().filter(|inum| self.0.contains_key(inum)).ok_or_else(|| self.unknown(wanted))
    }

    fn unknown(&self, wanted: &str) -> Error {
        let names: Vec<&str> = self.0.values().map(|known| known.name.as_str()).collect();
        Error::UnknownNetns { name: wanted.to_owned(), near: near(wanted, &names) }
    }

    /// That some namespace of `among` (of all, if that is empty) has a device of this name.
    pub fn require_interface(&self, name: &str, among: &BTreeSet<u32>) -> Result<()> {
        let mut names = BTreeSet::new();
        for (_, namespace) in self.0.iter().filter(|(inum, _)| among.is_empty() || among.contains(inum)) {
            // A namespace that vanished meanwhile has no devices.
            names.extend(interfaces(&namespace.path).unwrap_or_default());
        }
        if names.contains(name) {
            return Ok(());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Err(Error::UnknownInterface { name: name.to_owned(), near: near(name, &names) })
    }
}

/// The inode number of the namespace that a path leads to; `None` for a file that is none.
pub fn inum(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    // Not every file may be asked what kind of namespace it is: devices have requests of their own.
    let is_namespace = fstatfs(&file).ok()?.filesystem_type() == NSFS_MAGIC;
    (is_namespace && is_network_namespace(file.as_fd()))
        .then(|| u32::try_from(file.metadata().ok()?.ino()).ok())
        .flatten()
}

/// The devices of a namespace.
pub fn interfaces(namespace: &Path) -> io::Result<Vec<String>> {
    let file = File::open(namespace)?;
    // A thread of its own, since the namespace is the thread's.
    std::thread::spawn(move || {
        setns(&file, CloneFlags::CLONE_NEWNET)?;
        let names = nix::net::if_::if_nameindex()?;
        Ok(names.iter().map(|device| device.name().to_string_lossy().into_owned()).collect())
    })
    .join()
    .unwrap_or_else(|_| Err(io::Error::other("the thread that listed the devices died")))
}

/// The numbers of the running processes.
pub fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The container that a process belongs to, by the contents of its `/proc/PID/cgroup`: a path's part with an id of 64
/// hex digits, as Docker, containerd, CRI-O and Podman name their cgroups.
pub fn container(cgroup: &str) -> Option<String> {
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
            Some(sanitize(&format!("{runtime}:{}", &id[..12])).into_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

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
            assert_eq!(container(&cgroup).as_deref(), Some(name), "{cgroup}");
        }
        assert_eq!(container("0::/system.slice/ssh.service\n"), None);
        assert_eq!(container(""), None);
    }

    #[test]
    fn our_own_namespace_is_found_by_each_of_its_names() {
        let namespaces = Namespaces::scan();
        let own = inum(Path::new("/proc/self/ns/net")).expect("we have one");
        let pid = format!("pid:{}", std::process::id());
        for name in ["/proc/self/ns/net", &pid, &own.to_string(), &namespaces.get(own).expect("scanned").name]
        {
            assert_eq!(namespaces.find(name).expect(name), own);
        }
    }

    #[test]
    fn an_unknown_namespace_is_an_error_that_names_near_ones() {
        let error = Namespaces::scan().find("hots").expect_err("there is none").to_string();
        assert!(error.contains("did you mean host"), "{error}");
        assert!(Namespaces::scan().find("pid:x").is_err());
        assert!(Namespaces::scan().find("/no/such/file").is_err());
        assert!(Namespaces::scan().find("1").is_err());
    }

    #[test]
    fn the_loopback_is_among_our_devices() {
        let names = interfaces(Path::new("/proc/self/ns/net")).expect("we may look at our own");
        assert!(names.iter().any(|name| name == "lo"), "{names:?}");
    }

    #[test]
    fn a_device_is_looked_for_in_the_wanted_namespaces_only() {
        let namespaces = Namespaces::scan();
        let own = inum(Path::new("/proc/self/ns/net")).expect("we have one");
        assert!(namespaces.require_interface("lo", &BTreeSet::from([own])).is_ok());
        assert!(namespaces.require_interface("lo", &BTreeSet::new()).is_ok());
        // A namespace that nothing leads to has no devices.
        assert!(namespaces.require_interface("lo", &BTreeSet::from([1])).is_err());
        let error = namespaces.require_interface("no-such-device", &BTreeSet::from([own])).expect_err("none");
        assert!(error.to_string().contains("no network device \"no-such-device\""), "{error}");
    }

    #[test]
    fn the_first_name_of_a_namespace_wins() {
        let mut namespaces = Namespaces::default();
        let own = PathBuf::from("/proc/self/ns/net");
        namespaces.add(own.clone(), || "first".to_owned());
        namespaces.add(own.clone(), || panic!("it has a name"));
        namespaces.add(PathBuf::from("/no/such/file"), || panic!("it is nowhere"));
        assert_eq!(namespaces.find("first").ok(), inum(&own));
        assert_eq!(namespaces.0.len(), 1);
    }

    #[test]
    fn a_path_that_is_no_namespace_has_no_devices() {
        assert!(interfaces(Path::new("/dev/null")).is_err());
        assert!(interfaces(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn a_cgroup_cannot_steer_the_terminal_and_ids_are_whole() {
        let name = container(&format!("0::/x/\x1b[31m-{ID}.scope\n")).expect("a container");
        assert_eq!(name, "?[31m:0123456789ab");
        for part in [&ID[1..], &format!("{ID}0"), &ID.replace('f', "g"), ""] {
            assert_eq!(container(&format!("0::/docker/{part}\n")), None, "{part}");
        }
    }

    #[test]
    fn we_are_among_the_processes() {
        assert!(processes().any(|pid| pid == std::process::id()));
    }
}
