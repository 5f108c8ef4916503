//! A virtual machine, from its first to its last instruction.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The files behind the serial ports, in their order.
pub(super) const CONSOLE: &str = "console.log";
pub(super) const TESTS: &str = "tests.log";
pub(super) const REPORT: &str = "report.jsonl";
pub(super) const CHECK: &str = "check.json";
/// What the tests' output ends with, if the machine came so far.
const DONE: &str = "The lab is done.";

/// What is emulated.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    X86,
    Aarch64,
}

pub(super) struct Machine<'a> {
    pub(super) kind: Kind,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    /// For the files behind its serial ports.
    pub(super) folder: &'a Path,
    pub(super) limit: Duration,
}

impl Machine<'_> {
    /// Runs it to its end, and shows what its tests say; returns how long it took.
    pub(super) fn run(&self) -> Result<Duration> {
        let start = Instant::now();
        let mut qemu = Guard(self.command().spawn().context("cannot run QEMU")?);
        let mut reported = Tail::new(self.folder.join(TESTS));
        let status = loop {
            reported.copy()?;
            if let Some(status) = qemu.0.try_wait()? {
                break status;
            }
            ensure!(start.elapsed() < self.limit, "not done after {} s", self.limit.as_secs());
            thread::sleep(Duration::from_millis(200));
        };
        reported.copy()?;
        // A kernel that panics ends the machine, too, and QEMU calls that a success.
        if !status.success() || !reported.ends_with(DONE) {
            let console = fs::read(self.folder.join(CONSOLE)).unwrap_or_default();
            let last = String::from_utf8_lossy(&console[console.len().saturating_sub(4096)..]).into_owned();
            bail!("it ended before its tests did ({status}); the console's last words:\n{last}");
        }
        Ok(start.elapsed())
    }

    fn command(&self) -> Command {
        // It ends with this process, whatever ends that.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL"]).arg(match self.kind {
            Kind::X86 => "qemu-system-x86_64",
            Kind::Aarch64 => "qemu-system-aarch64",
        });
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        // Nested hardware virtualisation is not to be relied on; this runs everywhere.
        // One thread for all CPUs: with one for each, the kernel's patching of its own code (static keys, tracepoints) now and
        // then meets a CPU that still runs the breakpoint of before.
        qemu.args(["-accel", "tcg,thread=single"]);
        let console = match self.kind {
            Kind::X86 => {
                qemu.args(["-M", "pc", "-cpu", "max", "-smp", "2", "-m", "2G"]);
                "ttyS0"
            }
            // Emulating the architecture's own way to sign pointers takes more than half of the time.
            Kind::Aarch64 => {
                qemu.args(["-M", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "1", "-m", "1G"]);
                "ttyAMA0"
            }
        };
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        // Warnings with the stacks below them.
        qemu.args(["-append", &format!("console={console} loglevel=5 panic=-1 rdinit=/init")]);
        for (number, name) in [CONSOLE, TESTS, REPORT, CHECK].into_iter().enumerate() {
            let path = self.folder.join(name);
            let _ = fs::remove_file(&path);
            qemu.args(["-chardev", &format!("file,id=port{number},path={}", path.display())]);
            match self.kind {
                // This machine has one serial port of its own; the others' numbers begin with 0.
                Kind::Aarch64 if number > 0 => {
                    qemu.args(["-device", &format!("pci-serial,chardev=port{number}")])
                }
                _ => qemu.args(["-serial", &format!("chardev:port{number}")]),
            };
        }
        qemu.stdin(Stdio::null());
        qemu
    }
}

/// A machine that is never left behind.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Neither matters where it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies to standard output what is appended to a file.
struct Tail {
    path: PathBuf,
    at: u64,
    last: String,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self { path, at: 0, last: String::new() }
    }

    fn copy(&mut self) -> Result<()> {
        let Ok(mut file) = fs::File::open(&self.path) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.at))?;
        let mut new = Vec::new();
        self.at += file.read_to_end(&mut new)? as u64;
        if !new.is_empty() {
            // A serial line ends its lines twice.
            let text = String::from_utf8_lossy(&new).replace('\r', "");
            print!("{text}");
            std::io::stdout().flush()?;
            self.last.push_str(&text);
            let keep = self.last.len().saturating_sub(256);
            self.last = self.last.split_off(self.last.ceil_char_boundary(keep));
        }
        Ok(())
    }

    fn ends_with(&self, words: &str) -> bool {
        self.last.trim_end().ends_with(words)
    }
}
