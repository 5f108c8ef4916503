//! `cargo xtask test`: installs what the tests need, then runs them all.

use std::{env, path::Path, process::Command};

use anyhow::{Result, bail, ensure};

/// What the tests call, and Debian's package that has it.
const TOOLS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
    ("script", "bsdutils"),
    ("tmux", "tmux"),
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(
        lossdrop_lab::is_root(),
        "the tests make network namespaces and load BPF programs: run them as root"
    );
    install_missing()?;
    // The end-to-end tests run the binary, which no test of another package builds.
    crate::run(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "lossdrop"]))?;
    crate::run(Command::new(env!("CARGO")).args(["test", "--locked", "--workspace"]).args(arguments))
}

/// On other systems than Debian, the tools are enough.
fn install_missing() -> Result<()> {
    let mut packages: Vec<&str> =
        TOOLS.iter().filter(|(tool, _)| !is_installed(tool)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    if !is_installed("apt-get") {
        bail!("the tests need {}: install what has them", packages.join(", "));
    }
    apt_install(&packages)
}

/// Installs those of Debian's packages that are not there.
pub(crate) fn install<'a>(packages: impl Iterator<Item = &'a &'a str>) -> Result<()> {
    ensure!(
        is_installed("dpkg-query") && is_installed("apt-get"),
        "the virtual machines are made of Debian's packages: run this on a Debian system"
    );
    let is_there = |package: &&str| {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat=${db:Status-Status}", package]);
        query.output().is_ok_and(|output| output.stdout == b"installed")
    };
    let missing: Vec<&str> = packages.copied().filter(|package| !is_there(package)).collect();
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        crate::run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], packages].concat())
}

/// Root's PATH may lack the folders of the system's tools.
fn is_installed(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).to_owned());
    env::split_paths(&path).chain(system).any(|folder| folder.join(tool).is_file())
}
