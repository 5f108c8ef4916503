//! A network namespace that lives as long as its guard.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{panic, process, thread};

use anyhow::{Context, Result, bail};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A named network namespace (`ld-<pid>-<counter>-<label>`), loopback up. Dropping it kills what runs inside and
/// deletes it; namespaces of other processes are never touched.
#[derive(Debug)]
pub struct Netns {
    name: String,
    inum: u64,
    file: File,
}

impl Netns {
    /// # Errors
    /// Without root, or when `ip` is missing.
    pub fn new(label: &str) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ld-{}-{count}-{label}", process::id());
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let opened = Self::path_of(&name);
        let netns = File::open(&opened)
            .and_then(|file| Ok((file.metadata()?.ino(), file)))
            .with_context(|| format!("cannot open {}", opened.display()));
        let (inum, file) = netns.inspect_err(|_| delete(&name))?;
        let netns = Self { name, inum, file };
        // Devices that appear later inherit this: no link-local address, so neither DAD nor router solicitation.
        let quiet = [("addr_gen_mode", "1"), ("accept_ra", "0"), ("router_solicitations", "0")];
        for (key, value) in quiet.into_iter().filter(|_| has_ipv6()) {
            netns.sysctl(&format!("net/ipv6/conf/default/{key}"), value)?;
        }
        netns.ip(&["link set lo up"])?;
        Ok(netns)
    }

    /// Its name, as `ip netns` knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the lab calls it: the end of its name.
    #[must_use]
    pub fn label(&self) -> &str {
        // `ld-<pid>-<counter>-<label>`
        self.name.splitn(4, '-').last().unwrap_or(&self.name)
    }

    /// The inode that identifies the namespace: what the kernel calls `net->ns.inum`.
    #[must_use]
    pub fn inum(&self) -> u64 {
        self.inum
    }

    /// The file that names it; gone when the guard is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Self::path_of(&self.name)
    }

    fn path_of(name: &str) -> PathBuf {
        Path::new("/run/netns").join(name)
    }

    /// Runs `work` on a fresh thread that has joined the namespace. Sockets it opens, threads and processes it starts
    /// stay there.
    ///
    /// # Errors
    /// Those of `work`, or when the namespace cannot be joined.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("cannot join {}", self.name))?;
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|cause| panic::resume_unwind(cause))
    }

    /// A command that will run inside, with its own view of `/sys`.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a shell line inside and returns what it printed.
    ///
    /// # Errors
    /// When it fails: with the line and what it wrote to standard error.
    pub fn sh(&self, line: &str) -> Result<String> {
        output(self.command("sh").args(["-c", line]))
    }

    /// Runs `ip` commands (without the word `ip`) inside, in one process.
    ///
    /// # Errors
    /// When one fails: with all of them and what `ip` said.
    pub fn ip(&self, lines: &[&str]) -> Result<()> {
        let script = lines.join("\n") + "\n";
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run ip")?;
        child.stdin.take().context("ip has no standard input")?.write_all(script.as_bytes())?;
        let done = child.wait_with_output()?;
        if !done.status.success() {
            bail!("ip -n {}: {}\n{script}", self.name, String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(())
    }

    /// Sets a kernel parameter of the namespace; `key` is the path below `/proc/sys`.
    ///
    /// # Errors
    /// When the parameter does not exist or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(|| {
            fs::write(Path::new("/proc/sys").join(key), value).with_context(|| format!("{key} = {value}"))
        })
    }

    /// Takes IPv6 away from all its devices, present and future: no multicast joins, no neighbour discovery.
    ///
    /// # Errors
    /// When the kernel refuses; a kernel without IPv6 has nothing to disable.
    pub fn disable_ipv6(&self) -> Result<()> {
        if !has_ipv6() {
            return Ok(());
        }
        self.sysctl("net/ipv6/conf/all/disable_ipv6", "1")?;
        self.sysctl("net/ipv6/conf/default/disable_ipv6", "1")
    }

    /// The number of a device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn ifindex(&self, dev: &str) -> Result<u32> {
        self.run(|| if_nametoindex(dev).with_context(|| format!("no device {dev}")))
    }

    fn kill_inhabitants(&self) {
        let listed = Command::new("ip").args(["netns", "pids", &self.name]).output();
        let listed = listed.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
        for pid in listed.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            if u32::try_from(pid).is_ok_and(|pid| pid != process::id()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.kill_inhabitants();
        delete(&self.name);
    }
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

fn delete(name: &str) {
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} failed ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
