//! The kernels: Debian's own packages, downloaded and unpacked, never installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

/// A kernel that people run: the newest package of a line.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it is called on the command line, and what its packages' names go on with.
    pub(crate) version: &'static str,
    /// Debian's archives and suites that have it.
    sources: &'static [(&'static str, &'static str)],
}

/// All of them, the oldest first.
pub(crate) const LINES: [Line; 4] = [
    Line { version: "5.10", sources: &[("debian-security", "bullseye-security")] },
    Line { version: "6.1", sources: &[("debian", "bookworm"), ("debian-security", "bookworm-security")] },
    Line { version: "6.12", sources: &[("debian-security", "bookworm-security")] },
    Line { version: "6.18", sources: &[("debian", "trixie-backports")] },
];

const MIRROR: &str = "http://deb.debian.org";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) version: &'static str,
    /// As `uname -r` says in it.
    pub(crate) release: String,
    /// What was unpacked: `boot/`, `lib/modules/`.
    root: PathBuf,
}

impl Kernel {
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    pub(crate) fn modules(&self) -> PathBuf {
        let of = |folder: &str| self.root.join(folder).join("modules").join(&self.release);
        let (old, merged) = (of("lib"), of("usr/lib"));
        if merged.is_dir() { merged } else { old }
    }
}

/// Where kernels are kept from one run to the next.
fn cache() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("lossdrop/kernels"))
}

/// The newest kernel of a line, from the cache if it is there.
pub(crate) fn fetch(line: &Line) -> Result<Kernel> {
    let home = cache()?.join(line.version);
    let apt = Apt::new(&home, line)?;
    let package = apt.newest(line.version)?;
    let release = release_of(&package).with_context(|| format!("{package} is no kernel"))?.to_owned();
    let root = home.join(&package);
    if !root.is_dir() {
        println!("{}: downloading {package}", line.version);
        let unpacked = home.join("unpacking");
        let _ = fs::remove_dir_all(&unpacked);
        let archive = apt.download(&package)?;
        crate::run(Command::new("dpkg-deb").arg("-x").args([&archive, &unpacked]))?;
        fs::remove_file(archive)?;
        // Only what is whole gets its name.
        fs::rename(&unpacked, &root)?;
    }
    let kernel = Kernel { version: line.version, release, root };
    ensure!(kernel.image().is_file(), "{package} has no {}", kernel.image().display());
    Ok(kernel)
}

/// `linux-image-6.1.0-56-cloud-amd64-unsigned` → `6.1.0-56-cloud-amd64`.
fn release_of(package: &str) -> Option<&str> {
    let release = package.strip_prefix("linux-image-")?;
    Some(release.strip_suffix("-unsigned").unwrap_or(release))
}

/// apt with lists and a cache of its own: nothing of the system changes.
struct Apt {
    home: PathBuf,
}

impl Apt {
    fn new(home: &Path, line: &Line) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(folder))?;
        }
        let source = |(archive, suite): &(&str, &str)| {
            format!("deb [arch=amd64 signed-by={KEYRING}] {MIRROR}/{archive} {suite} main\n")
        };
        fs::write(home.join("sources.list"), line.sources.iter().map(source).collect::<String>())?;
        fs::write(home.join("status"), "")?;
        let apt = Self { home: home.to_owned() };
        if let Err(error) = crate::run(apt.command("apt-get").args(["update", "-qq"])) {
            println!("{}: no news of packages ({error}): going by what is known", line.version);
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let home = self.home.display();
        let mut command = Command::new(program);
        for option in [
            format!("Dir::Etc::SourceList={home}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={home}/lists"),
            format!("Dir::State::status={home}/status"),
            format!("Dir::Cache={home}/cache"),
            // Root's own folders are closed to the user that apt would become.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// The newest package of a line of versions; a signed and an unsigned one are the same kernel.
    fn newest(&self, version: &str) -> Result<String> {
        let listed = self.command("apt-cache").args(["pkgnames", "linux-image-"]).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let beginning = format!("linux-image-{version}.");
        let mut known: Vec<&str> = listed
            .lines()
            .filter(|name| name.starts_with(&beginning))
            .filter(|name| release_of(name).is_some_and(|release| release.ends_with("-cloud-amd64")))
            .collect();
        known.sort_by_cached_key(|name| numbers(name));
        match known.last() {
            Some(newest) => Ok((*newest).to_owned()),
            None => bail!("Debian's archive has no package {beginning}*-cloud-amd64"),
        }
    }

    fn download(&self, package: &str) -> Result<PathBuf> {
        let folder = self.home.join("cache");
        crate::run(self.command("apt-get").args(["download", "-qq", package]).current_dir(&folder))?;
        let archive = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
        });
        archive.with_context(|| format!("apt-get download {package} left no package"))
    }
}

/// The numbers in a name, by which versions are compared.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_versions_come_from_the_packages_names() {
        assert_eq!(release_of("linux-image-6.1.0-56-cloud-amd64"), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(release_of("linux-image-5.10.0-46-cloud-amd64-unsigned"), Some("5.10.0-46-cloud-amd64"));
        assert!(numbers("linux-image-6.1.0-9-cloud-amd64") < numbers("linux-image-6.1.0-56-cloud-amd64"));
        assert!(numbers("linux-image-6.12.9+deb12-cloud") < numbers("linux-image-6.12.117+deb12-cloud"));
    }
}
