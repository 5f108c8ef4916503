//! The machine's network namespaces: their names, and the devices in them.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::statfs::{NSFS_MAGIC, fstatfs},
};

use super::names::{Identity, providers};
use crate::{
    error::{Error, Result},
    kernel::sys::is_network_namespace,
    text::near,
};

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub identity: Identity,
    /// The identity, as users see and type it.
    pub name: String,
    /// A file that leads there.
    pub path: PathBuf,
}

impl Namespace {
    pub fn new(identity: Identity, path: PathBuf) -> Self {
        Self { name: identity.to_string(), identity, path }
    }
}

/// The namespaces that something leads to: a file under `/run/netns`, or a process. By inode number.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<u32, Namespace>);

impl Namespaces {
    /// Looks at process 1, at `/run/netns`, then at every process; the first way wins.
    pub fn scan() -> Self {
        let mut found = Self::default();
        let providers = providers();
        let identity = |inum, cgroup: &str| providers.iter().find_map(|provider| provider.name(inum, cgroup));
        for pid in [1, 2] {
            let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
            found.add(path, |inum| identity(inum, "").filter(|known| *known == Identity::Host));
        }
        for path in named() {
            found.add(path, |inum| identity(inum, ""));
        }
        for pid in processes() {
            found.add(PathBuf::from(format!("/proc/{pid}/ns/net")), |inum| {
                let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                Some(identity(inum, &cgroup).unwrap_or(Identity::Process(pid)))
            });
        }
        found
    }

    /// Adds what the path leads to, unless it is known already or has no name.
    fn add(&mut self, path: PathBuf, name: impl FnOnce(u32) -> Option<Identity>) {
        if let Some(inum) = inum(&path)
            && let Entry::Vacant(vacant) = self.0.entry(inum)
            && let Some(identity) = name(inum)
        {
            vacant.insert(Namespace::new(identity, path));
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

/// The files under `/run/netns`, where `ip netns` keeps its namespaces.
pub(super) fn named() -> impl Iterator<Item = PathBuf> {
    let entries = ["/run/netns", "/var/run/netns"].into_iter().flat_map(fs::read_dir).flatten().flatten();
    entries.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        namespaces.add(own.clone(), |_| None);
        namespaces.add(own.clone(), |_| Some(Identity::Named("first".to_owned())));
        namespaces.add(own.clone(), |_| panic!("it has a name"));
        namespaces.add(PathBuf::from("/no/such/file"), |_| panic!("it is nowhere"));
        assert_eq!(namespaces.find("first").ok(), inum(&own));
        assert_eq!(namespaces.0.len(), 1);
    }

    #[test]
    fn a_path_that_is_no_namespace_has_no_devices() {
        assert!(interfaces(Path::new("/dev/null")).is_err());
        assert!(interfaces(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn we_are_among_the_processes() {
        assert!(processes().any(|pid| pid == std::process::id()));
    }
}
