//! `cargo xtask test`: installs what the tests need, then runs them all.

use std::{env, path::Path, process::Command};

use anyhow::{Result, bail, ensure};

/// A program, and Debian's package that has it.
pub(crate) type Tool = (&'static str, &'static str);

/// What the tests call.
const TOOLS: [Tool; 7] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
    ("script", "bsdutils"),
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(
        lossdrop_lab::is_root(),
        "the tests make network namespaces and load BPF programs: run them as root"
    );
    install_missing(&TOOLS)?;
    // The end-to-end tests run the binary, which no test of another package builds.
    crate::run(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "lossdrop"]))?;
    crate::run(Command::new(env!("CARGO")).args(["test", "--locked", "--workspace"]).args(arguments))
}

/// Installs what is not there.
pub(crate) fn install_missing(tools: &[Tool]) -> Result<()> {
    let mut packages: Vec<&str> =
        tools.iter().filter(|(tool, _)| !is_installed(tool)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    if !is_installed("apt-get") {
        bail!("this needs {}: install what has them", packages.join(", "));
    }
    println!("installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        crate::run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], packages.as_slice()].concat())
}

/// Root's PATH may lack the folders of the system's tools.
fn is_installed(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).to_owned());
    env::split_paths(&path).chain(system).any(|folder| folder.join(tool).is_file())
}
