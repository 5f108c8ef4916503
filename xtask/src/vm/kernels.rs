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
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What its packages' names go on with.
    pub(crate) version: &'static str,
    /// As Debian calls it.
    architecture: &'static str,
    /// Debian's archives and suites that have it.
    sources: &'static [(&'static str, &'static str)],
}

/// All of them that run the lab, the oldest first.
pub(crate) const LINES: [Line; 4] = [
    amd64("5.10", &[("debian-security", "bullseye-security")]),
    amd64("6.1", &[("debian", "bookworm"), ("debian-security", "bookworm-security")]),
    amd64("6.12", &[("debian-security", "bookworm-security")]),
    amd64("6.18", &[("debian", "trixie-backports")]),
];

/// Debian's 6.1 for arm64 attaches no `fentry` program; this line does. The static programs come from bookworm.
pub(crate) const AARCH64: Line = Line {
    name: "aarch64",
    version: "6.18",
    architecture: "arm64",
    sources: &[("debian", "trixie-backports"), ("debian", "bookworm")],
};

const fn amd64(version: &'static str, sources: &'static [(&'static str, &'static str)]) -> Line {
    Line { name: version, version, architecture: "amd64", sources }
}

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
    let apt = Apt::new(line)?;
    let package = apt.newest(line)?;
    let release = release_of(&package).with_context(|| format!("{package} is no kernel"))?.to_owned();
    let kernel = Kernel { version: line.version, release, root: apt.unpacked(&package)? };
    ensure!(kernel.image().is_file(), "{package} has no {}", kernel.image().display());
    Ok(kernel)
}

/// `linux-image-6.1.0-56-cloud-amd64-unsigned` → `6.1.0-56-cloud-amd64`.
fn release_of(package: &str) -> Option<&str> {
    let release = package.strip_prefix("linux-image-")?;
    Some(release.strip_suffix("-unsigned").unwrap_or(release))
}

/// apt with lists and a cache of its own: nothing of the system changes.
pub(crate) struct Apt {
    home: PathBuf,
    architecture: &'static str,
}

impl Apt {
    pub(crate) fn new(line: &Line) -> Result<Self> {
        let home = cache()?.join(line.name);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(folder))?;
        }
        let source = |(archive, suite): &(&str, &str)| {
            let architecture = line.architecture;
            format!("deb [arch={architecture} signed-by={KEYRING}] {MIRROR}/{archive} {suite} main\n")
        };
        fs::write(home.join("sources.list"), line.sources.iter().map(source).collect::<String>())?;
        fs::write(home.join("status"), "")?;
        let apt = Self { home, architecture: line.architecture };
        if let Err(error) = crate::run(apt.command("apt-get").args(["update", "-qq"])) {
            println!("{}: no news of packages ({error}): going by what is known", line.name);
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let home = self.home.display();
        let mut command = Command::new(program);
        for option in [
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
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
    fn newest(&self, line: &Line) -> Result<String> {
        let listed = self.command("apt-cache").args(["pkgnames", "linux-image-"]).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let (beginning, end) =
            (format!("linux-image-{}.", line.version), format!("-cloud-{}", line.architecture));
        let mut known: Vec<&str> = listed
            .lines()
            .filter(|name| name.starts_with(&beginning))
            .filter(|name| release_of(name).is_some_and(|release| release.ends_with(&end)))
            .collect();
        known.sort_by_cached_key(|name| numbers(name));
        match known.last() {
            Some(newest) => Ok((*newest).to_owned()),
            None => bail!("Debian's archive has no package {beginning}*{end}"),
        }
    }

    /// A package's folder in the cache, where its files are.
    pub(crate) fn unpacked(&self, package: &str) -> Result<PathBuf> {
        let root = self.home.join(package);
        if !root.is_dir() {
            println!("downloading {package} ({})", self.architecture);
            let unpacked = self.home.join("unpacking");
            let _ = fs::remove_dir_all(&unpacked);
            let archive = self.download(package)?;
            crate::run(Command::new("dpkg-deb").arg("-x").args([&archive, &unpacked]))?;
            fs::remove_file(archive)?;
            // Only what is whole gets its name.
            fs::rename(&unpacked, &root)?;
        }
        Ok(root)
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
