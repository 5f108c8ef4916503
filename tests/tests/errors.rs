//! What goes wrong is reported in one line that says what to do, with the exit code that belongs to it.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::lossdrop::{START_LIMIT, binary};
use lossdrop_lab::{Folder, Installed, Lossdrop, Netns, Output};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

fn run(args: &[&str]) -> Result<Output> {
    Lossdrop::run(args, START_LIMIT).with_context(|| args.join(" "))
}

/// Nothing but the message, and no trace of a crash in it.
fn is_reported(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    ensure!(output.status.code() == Some(code), "wanted exit code {code}: {output}");
    ensure!(output.stdout.is_empty(), "{output}");
    let said = output.stderr.join("\n");
    ensure!(!said.contains("panicked") && !said.to_lowercase().contains("backtrace"), "{said}");
    for word in words {
        ensure!(said.contains(word), "{word:?} is missing: {said}");
    }
    Ok(())
}

/// As lossdrop tells its own errors.
fn in_one_line(args: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let output = run(args)?;
    is_reported(&output, code, words)?;
    ensure!(output.stderr.len() == 1 && output.stderr[0].starts_with("lossdrop: "), "{output}");
    Ok(())
}

/// As clap tells those of the command line: the error, perhaps the usage, and where to find help.
fn as_usage(args: &[&str], words: &[&str]) -> Result<()> {
    let output = run(args)?;
    is_reported(&output, USAGE, words)?;
    ensure!(output.stderr.len() <= 8 && output.stderr[0].starts_with("error: "), "{output}");
    Ok(())
}

#[test]
fn an_unknown_device_is_reported_with_near_ones() -> Result<()> {
    let ns = Netns::new("devices")?;
    ns.ip(&["link add ethernet7 type veth peer name ethernet9"])?;
    let near = ["ethernet5", "did you mean ethernet7", "ip link"];
    in_one_line(&["trace", "--netns", ns.name(), "--iface", "ethernet5"], USAGE, &near)?;
    // The device is elsewhere.
    let known = ["trace", "--netns", ns.name(), "--iface", "ethernet7", "--duration", "1ms"];
    ensure!(run(&known)?.status.success());
    let other = Netns::new("other")?;
    in_one_line(
        &["trace", "--netns", other.name(), "--iface", "ethernet7"],
        USAGE,
        &["no network device \"ethernet7\""],
    )
}

#[test]
fn an_unknown_namespace_is_reported_with_near_ones() -> Result<()> {
    let ns = Netns::new("production")?;
    let typo = ns.name().replace("production", "prodcution");
    in_one_line(&["trace", "--netns", &typo], USAGE, &[&typo, ns.name(), "did you mean", "ip netns"])?;
    for unknown in ["/no/such/file", "pid:0", "pid:x", "17"] {
        in_one_line(&["trace", "--netns", unknown], USAGE, &["no network namespace", unknown])?;
    }
    Ok(())
}

#[test]
fn a_file_for_json_that_is_there_already_keeps_what_is_in_it() -> Result<()> {
    let folder = Folder::new()?;
    let path = folder.path().join("kept");
    fs::write(&path, "of another run")?;
    let file = path.to_str().context("a path")?;
    in_one_line(&["trace", "--json-file", file], USAGE, &[file, "exists already", "another name"])?;
    ensure!(fs::read_to_string(&path)? == "of another run");
    in_one_line(&["trace", "--json-file", "/no/such/folder/f"], FAILED, &["cannot write /no/such/folder/f"])
}

#[test]
fn a_file_that_is_no_network_namespace_is_reported() -> Result<()> {
    for other in ["/etc/passwd", "/proc/self/ns/mnt"] {
        let args = ["trace", "--netns", other, "--duration", "1ms"];
        in_one_line(&args, USAGE, &["no network namespace", other])?;
    }
    Ok(())
}

#[test]
fn an_unknown_reason_is_reported_with_near_ones() -> Result<()> {
    let words = ["NETFILTER_DORP", "did you mean NETFILTER_DROP", "lossdrop reasons"];
    in_one_line(&["trace", "--reason", "NETFILTER_DORP"], USAGE, &words)?;
    in_one_line(&["trace", "--reason", "netfilter"], USAGE, &["netfilter", "did you mean NETFILTER_DROP"])?;
    in_one_line(&["trace", "--reason", "zzz"], USAGE, &["\"zzz\"", "lossdrop reasons"])
}

#[test]
fn a_value_that_is_none_is_reported_with_what_is_wanted() -> Result<()> {
    for (option, value, words) in [
        ("--port", "70000", "0 to 65535"),
        ("--port", "12x", "8000-8100"),
        ("--port", "8100-8000", "upside down: try 8000-8100"),
        ("--sport", "-5", "unexpected argument"),
        ("--dport", "nosuchservice", "nosuchservice"),
        ("--host", "10.0.0.0/33", "10.0.0.0/8"),
        ("--src", "example.org", "192.0.2.1"),
        ("--dst", "fd00::/129", "2001:db8::/32"),
        ("--proto", "256", "0 to 255"),
        ("--mark", "red", "0x10/0xff"),
        ("--mark", "0x1ffffffff", "0x10/0xff"),
        ("--mark", "0x100/0xff", "bits outside the mask 0xff"),
        ("--len", "big", "1401-1500"),
        ("--len", "1500-1401", "upside down: try 1401-1500"),
        ("--iface", "far-too-long-a-name", "1 to 15 bytes"),
        ("--duration", "10", "500ms, 10s, 5m, 1h"),
        ("--duration", "0s", "500ms"),
        ("--duration", "1e400s", "500ms"),
        ("--rate", "0", "unlimited"),
        ("--rate", "fast", "unlimited"),
        ("--count", "0", "--count"),
        ("--snaplen", "257", "256"),
        ("--buffer", "5K", "power of two"),
        ("--buffer", "2G", "1G"),
        ("--keys", "3", "power of two"),
        ("--attach", "kprobe", "tp-btf, raw-tp"),
    ] {
        as_usage(&["trace", option, value], &[value, words])?;
    }
    Ok(())
}

#[test]
fn a_command_line_that_makes_no_sense_is_reported() -> Result<()> {
    as_usage(&["trace", "--hex", "--json"], &["--hex", "--json"])?;
    as_usage(&["trace", "--prot", "tcp"], &["--prot", "--proto"])?;
    as_usage(&["trace", "everything"], &["everything"])?;
    as_usage(&["trace", "--port"], &["--port"])?;
    as_usage(&["watch"], &["watch"])?;
    // Nothing at all is answered with the help.
    let nothing = run(&[])?;
    is_reported(&nothing, USAGE, &["Usage: lossdrop", "trace", "check", "reasons"])
}

#[test]
fn a_user_without_rights_is_reported_what_it_takes() -> Result<()> {
    let reachable = Installed::new(&binary()?, "lossdrop")?;
    let run = |identity: &[&str], args: &[&str]| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(identity).args(["--bounding-set=-all", "--inh-caps=-all"]).arg(reachable.path());
        Lossdrop::spawn(setpriv.args(args))?.finish(START_LIMIT)
    };
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    // A user, and root in a container that has taken root's rights away.
    for identity in [&nobody[..], &[]] {
        let output = run(identity, &["trace"])?;
        is_reported(&output, FAILED, &["lossdrop: ", "root", "CAP_BPF and CAP_PERFMON", "sudo"])?;
        ensure!(output.stderr.len() == 1, "{output}");

        let check = run(identity, &["check"])?;
        ensure!(check.status.code() == Some(FAILED) && check.stderr.is_empty(), "{check}");
        let said = check.stdout.join("\n");
        ensure!(said.contains("no CAP_BPF, no CAP_PERFMON"), "{said}");
        ensure!(said.contains("run lossdrop as root"), "{said}");
        ensure!(said.ends_with("lossdrop trace can't run here."), "{said}");
        ensure!(!said.contains("panicked"), "{said}");
    }
    // What takes no rights works without.
    let reasons = run(&nobody, &["reasons"])?;
    ensure!(reasons.status.success() && reasons.stdout.len() > 40, "{reasons}");
    Ok(())
}
