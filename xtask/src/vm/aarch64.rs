//! `cargo xtask vm --kernel aarch64`: the same bytecode in a binary that is built for arm64, on Debian's kernel for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    boot::{CHECK, Kind, Machine, REPORT},
    executable, image,
    kernels::{self, AARCH64, Apt, Kernel},
};
use crate::test::install;

/// Debian's packages that the machine is made with, besides those in it.
const PACKAGES: [&str; 2] = ["qemu-system-arm", "cpio"];
/// Static with nothing of this machine's: the C library comes with Rust's standard library.
const TARGET: &str = "aarch64-unknown-linux-musl";
const LIMIT: Duration = Duration::from_secs(600);
/// As in `aarch64.sh`.
const DATAGRAMS: usize = 5;
const PORT: u64 = 9999;
const WAYS: [&str; 2] = ["tp-btf", "raw-tp"];

pub(super) fn run() -> Result<()> {
    install(PACKAGES.iter())?;
    let lossdrop = build(&crate::root())?;
    let kernel = kernels::fetch(&AARCH64)?;
    let scratch = crate::root().join("target/vm").join(AARCH64.name);
    let _alone = super::lock(&scratch)?;
    let took = boot(&kernel, &lossdrop, &scratch)?;
    let read = |name: &str| {
        let text = fs::read_to_string(scratch.join(name)).with_context(|| name.to_owned())?;
        let objects = serde_json::Deserializer::from_str(&text).into_iter();
        objects.collect::<Result<Vec<Value>, _>>().with_context(|| name.to_owned())
    };
    let check = read(CHECK)?;
    ensure!(
        check.len() == 1 && check[0]["can_trace"] == true,
        "`lossdrop check` says it can't run: {check:?}"
    );
    judge(&read(REPORT)?)?;
    println!("Linux {}: {} passed; finished in {} s", kernel.release, WAYS.len(), took.as_secs());
    Ok(())
}

/// The static binary; Rust's standard library for the target is fetched where it is missing.
pub(super) fn build(root: &Path) -> Result<PathBuf> {
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(root)
        .output()?;
    if !Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        crate::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root))
            .context("Rust's standard library for arm64 comes by rustup")?;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "lossdrop"]);
    // Rust's own linker, since this machine's knows no arm64.
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    executable(&mut cargo, TARGET)
}

/// Boots a kernel with lossdrop in it, and has it watch drops of a known number; returns how long it took.
pub(super) fn boot(kernel: &Kernel, lossdrop: &Path, scratch: &Path) -> Result<Duration> {
    let apt = Apt::new(&AARCH64)?;
    let (busybox, bash) = (apt.unpacked("busybox-static")?, apt.unpacked("bash-static")?);
    let (busybox, bash) = (busybox.join("bin/busybox"), bash.join("bin/bash-static"));
    let files: [(&str, &Path); 3] = [("lossdrop", lossdrop), ("busybox", &busybox), ("bash", &bash)];
    let initramfs = scratch.join("initramfs");
    image::lab(&files, include_str!("aarch64.sh"), scratch, &initramfs)?;
    println!("{}: booting {}", AARCH64.name, kernel.release);
    let image = kernel.image();
    let machine =
        Machine { kind: Kind::Aarch64, kernel: &image, initramfs: &initramfs, folder: scratch, limit: LIMIT };
    machine.run().with_context(|| format!("Linux {}", kernel.release))
}

/// Whether exactly what was sent was seen, each way: `sent` lines of the script's, `drop` and `summary` lines of `trace`'s.
fn judge(lines: &[Value]) -> Result<()> {
    let runs: Vec<&[Value]> = lines.split_inclusive(|line| line["type"] == "summary").collect();
    ensure!(runs.len() == WAYS.len(), "{} runs of lossdrop instead of {}", runs.len(), WAYS.len());
    for (run, way) in runs.into_iter().zip(WAYS) {
        let of = |kind: &'static str| run.iter().filter(move |line| line["type"] == kind);
        let sent: Vec<&Value> = of("sent").map(|line| &line["src_port"]).collect();
        let dropped: Vec<&Value> = of("drop").map(|line| &line["src_port"]).collect();
        ensure!(sent.len() == DATAGRAMS && sent == dropped, "{way}: sent from {sent:?}, dropped {dropped:?}");
        for drop in of("drop") {
            for (field, due) in [
                ("reason", Value::from("NO_SOCKET")),
                ("kind", "socket/closed-port".into()),
                ("proto", "udp".into()),
                ("src_ip", "127.0.0.1".into()),
                ("dst_ip", "127.0.0.1".into()),
                ("dst_port", PORT.into()),
                ("len", 29.into()),
            ] {
                ensure!(drop[field] == due, "{way}: {field} is not {due}: {drop}");
            }
            ensure!(drop["iface"]["name"] == "lo", "{way}: not at lo: {drop}");
        }
        let summary = of("summary").next().context("the loop's own runs end with one")?;
        for (field, due) in
            [("seen", DATAGRAMS), ("shown", DATAGRAMS), ("suppressed", 0), ("filtered", 0), ("lost", 0)]
        {
            ensure!(summary[field] == due, "{way}: {field} is not {due}: {summary}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(ports: &[u64]) -> Vec<Value> {
        let sent = (1..=5).map(|port| json!({"type": "sent", "src_port": port}));
        let drop = |port: &u64| {
            json!({"type": "drop", "reason": "NO_SOCKET", "kind": "socket/closed-port", "proto": "udp", "len": 29,
                "src_ip": "127.0.0.1", "src_port": port, "dst_ip": "127.0.0.1", "dst_port": 9999,
                "iface": {"name": "lo"}})
        };
        let books =
            json!({"type": "summary", "seen": 5, "shown": 5, "suppressed": 0, "filtered": 0, "lost": 0});
        sent.chain(ports.iter().map(drop)).chain([books]).collect()
    }

    #[test]
    fn exactly_what_was_sent_must_be_dropped_in_every_way() {
        let good = lines(&[1, 2, 3, 4, 5]);
        let run = |one: &[Value], other: &[Value]| judge(&[one, other].concat());
        run(&good, &good).expect("all is there");
        assert!(judge(&good).is_err(), "one way only");
        for bad in [&[1, 2, 3, 4][..], &[1, 2, 3, 4, 6], &[1, 2, 3, 4, 5, 5]] {
            assert!(run(&good, &lines(bad)).is_err(), "{bad:?}");
        }
        let mut unbalanced = good.clone();
        unbalanced.last_mut().expect("the books")["lost"] = 1.into();
        assert!(run(&unbalanced, &good).is_err());
    }
}
