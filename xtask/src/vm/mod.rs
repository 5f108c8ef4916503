//! `cargo xtask vm`: the lab on the kernels that people run, each in a virtual machine, with one static binary.

mod aarch64;
mod boot;
mod image;
mod kernels;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use self::{
    boot::{Kind, Machine},
    kernels::{Kernel, LINES, Line},
    report::Run,
};
use crate::test::install;

/// Debian's packages that the machines are made with, besides those in them.
const PACKAGES: [&str; 3] = ["qemu-system-x86", "cpio", "xz-utils"];

/// Static, as it is released: it runs on any Linux, whatever its C library.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Something of each cause, and what few kernels can run.
const BRIEF: &str = "udp-closed-port,tcp-closed-port,socket-filter,routing-reverse-path,container-mtu,\
    mtu-forward-dummy,mtu-tunnel-gre,nf-nft-three-jumps,nf-nft-no-counter,nf-legacy-input-rule,nf-bridge-iptables,\
    nf-synproxy,nf-nfqueue-full,nf-conntrack-full,qdisc-netem,qdisc-fq,qdisc-prio,vlan-mtu,bridge-vlan-ingress,ipvlan,\
    tunnel-geneve,tunnel-gre-key,tunnel-ipip,tunnel-wireguard-no-peer,tc-drop-ingress,tc-police-egress";

/// Watched by `lossdrop trace` instead of diagnosed.
const TRACE: &str = "trace";

/// What is looked at again in other ways, which must find the same: scenarios, and arguments of `lossdrop diagnose`.
const AGAIN: [(&str, &str); 3] = [("nf-", "--no-probes"), (RAW_TRACEPOINT, "--attach raw-tp"), ("", TRACE)];
const AGAIN_BRIEF: [(&str, &str); 3] = [
    ("nf-nft-three-jumps,nf-legacy-input-rule", "--no-probes"),
    ("container-mtu", "--attach raw-tp"),
    ("udp-closed-port,mtu-tunnel-gre,vlan-mtu,qdisc-fq,bridge-vlan-ingress", TRACE),
];
const RAW_TRACEPOINT: &str = "mtu-veth-peer,qdisc-full,udp-rcvbuf,nf-legacy-input-rule";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// 5.10, 6.1, 6.12, 6.18, or all; several with commas between them; aarch64, by itself, for a smoke test
    #[arg(long, default_value = "all", value_delimiter = ',')]
    kernel: Vec<String>,
    /// Names of scenarios or parts of them, with commas between them: only these
    #[arg(long, default_value = "")]
    scenario: String,
    /// Only something of each cause, and what few kernels can run
    #[arg(long, conflicts_with = "scenario")]
    brief: bool,
    /// In one way only: with further arguments of `lossdrop diagnose`, such as --no-probes; or "trace"
    #[arg(long, value_name = "WAY", default_value = "", allow_hyphen_values = true)]
    with: String,
    /// Do not type the commands that are printed, which takes half the time
    #[arg(long)]
    without_fixes: bool,
    /// Run this shell command instead of the lab; /lab/lossdrop is there
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// How long a machine may take
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    limit: u64,
    /// Write docs/kernels.md
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(arguments: &Args) -> Result<()> {
    if arguments.kernel == [kernels::AARCH64.name] {
        return aarch64::run();
    }
    let lines = lines(&arguments.kernel)?;
    install(PACKAGES.iter().chain(&image::PACKAGES))?;
    let scratch = crate::root().join("target/vm");
    fs::create_dir_all(&scratch)?;
    let built = build()?;
    let tools = scratch.join("tools.cpio");
    image::tools(&tools)?;
    let (mut runs, mut failed) = (Vec::new(), Vec::new());
    for line in lines {
        let run = kernels::fetch(line).and_then(|kernel| lab(&kernel, &built, &tools, &scratch, arguments));
        match run {
            Ok(run) => runs.extend(run),
            // The others may still be fine.
            Err(error) => failed.push(format!("Linux {}: {error:#}", line.version)),
        }
    }
    println!("\n{}", report::table(&runs)?);
    failed.extend(runs.iter().filter(|run| !run.is_good()).map(Run::summary));
    for run in &mut runs {
        println!("{}", run.summary());
        run.add_earlier(&scratch.join(run.version))?;
    }
    if arguments.write {
        let path = crate::root().join("docs/kernels.md");
        fs::write(&path, report::document(&runs)?).with_context(|| path.display().to_string())?;
    }
    ensure!(failed.is_empty(), "not every kernel is fine:\n{}", failed.join("\n"));
    Ok(())
}

fn lines(wanted: &[String]) -> Result<Vec<&'static Line>> {
    if wanted.iter().any(|name| name == "all") {
        return Ok(LINES.iter().collect());
    }
    let find = |name: &String| {
        let known = || LINES.map(|line| line.version).join(", ");
        LINES
            .iter()
            .find(|line| line.version == name)
            .with_context(|| format!("no kernel {name}; there are {}", known()))
    };
    wanted.iter().map(find).collect()
}

/// The static binaries: what is tested, and the tests.
struct Built {
    lossdrop: PathBuf,
    diagnose: PathBuf,
    trace: PathBuf,
}

fn build() -> Result<Built> {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).env("RUSTFLAGS", "-C target-feature=+crt-static");
        command
    };
    let tests = |name| {
        executable(&mut cargo(&["test", "--package", "lossdrop-lab", "--test", name, "--no-run"]), TARGET)
    };
    Ok(Built {
        lossdrop: executable(&mut cargo(&["build", "--package", "lossdrop"]), TARGET)?,
        diagnose: tests("diagnose")?,
        trace: tests("scenarios")?,
    })
}

/// Has cargo build for a target in the release profile; returns what it made.
fn executable(cargo: &mut Command, target: &str) -> Result<PathBuf> {
    cargo.args(["--locked", "--release", "--target", target]).current_dir(crate::root());
    cargo.args(["--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    // It does the same, and takes less time to build and to unpack.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "none");
    let messages = cargo.output()?;
    ensure!(messages.status.success(), "{cargo:?} failed: {}", messages.status);
    String::from_utf8_lossy(&messages.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .with_context(|| format!("{cargo:?} names no executable"))
}

/// Boots a kernel with the lab in it, and reads what came of it.
fn lab(
    kernel: &Kernel,
    built: &Built,
    tools: &Path,
    scratch: &Path,
    arguments: &Args,
) -> Result<Option<Run>> {
    let scratch = scratch.join(kernel.version);
    let _alone = lock(&scratch)?;
    let at = |name: &str| scratch.join(name);
    image::modules(kernel, &scratch, &at("modules.cpio"))?;
    fs::write(at("tests"), tests(arguments))?;
    let files = [
        ("lossdrop", &*built.lossdrop),
        ("diagnose", &*built.diagnose),
        ("trace", &*built.trace),
        ("tests", &*at("tests")),
    ];
    image::lab(&files, include_str!("init.sh"), &scratch, &at("lab.cpio"))?;
    image::join(&[tools, &at("modules.cpio"), &at("lab.cpio")], &at("initramfs"))?;
    println!("{}: booting {}", kernel.version, kernel.release);
    let machine = Machine {
        kind: Kind::X86,
        kernel: &kernel.image(),
        initramfs: &at("initramfs"),
        folder: &scratch,
        limit: Duration::from_secs(arguments.limit * 60),
    };
    let result = machine.run().with_context(|| format!("Linux {}", kernel.release));
    if arguments.run.is_some() {
        return result.map(|_| None);
    }
    match result {
        Ok(took) => Run::read(kernel, &scratch, took).map(Some),
        Err(error) => {
            // What was tried before it broke off counts all the same.
            if let Ok(mut run) = Run::read(kernel, &scratch, machine.limit) {
                run.add_earlier(&scratch)?;
            }
            Err(error)
        }
    }
}

/// Makes the folder of a kernel, whose files are one run's at a time: until what is returned is dropped.
fn lock(folder: &Path) -> Result<fs::File> {
    fs::create_dir_all(folder)?;
    let path = folder.join("lock");
    let file = fs::File::create(&path)?;
    file.try_lock().with_context(|| format!("{}: another run uses it; wait for its end", path.display()))?;
    Ok(file)
}

/// What the machine's first process runs at last.
fn tests(arguments: &Args) -> String {
    if let Some(command) = &arguments.run {
        return command.clone() + "\n";
    }
    let mut script = String::from(
        // As on a host with a firewall: the check has all to look at.
        "modprobe -a nf_tables nf_conntrack ip_tables ip6_tables veth bridge\n\
         /lab/lossdrop check --json >/dev/ttyS3\n\
         export LOSSDROP_BIN=/lab/lossdrop LOSSDROP_LAB_REPORT=/dev/ttyS2\n\
         export LOSSDROP_LAB_OWN_MACHINE=1 LOSSDROP_SIDE_BY_SIDE=3\n",
    );
    let scenarios = if arguments.brief { BRIEF } else { &arguments.scenario };
    let whole = [(scenarios, &*arguments.with)];
    let again: &[(&str, &str)] = match (arguments.brief, scenarios, &*arguments.with) {
        (true, ..) => &AGAIN_BRIEF,
        (false, "", "") => &AGAIN,
        (false, some, "") => &[(some, TRACE)],
        (false, ..) => &[],
    };
    for (number, (scenarios, way)) in whole.iter().chain(again).enumerate() {
        // That its commands help is shown by the first look.
        if arguments.without_fixes || number > 0 {
            script.push_str("export LOSSDROP_WITHOUT_FIXES=1\n");
        }
        let (tests, with) = if *way == TRACE { ("trace", "") } else { ("diagnose", *way) };
        script.push_str(&format!("export LOSSDROP_SCENARIO='{scenarios}' LOSSDROP_DIAGNOSE_ARGS='{with}'\n"));
        script.push_str(&format!("/lab/{tests} --nocapture every_scenario\n"));
    }
    script
}
