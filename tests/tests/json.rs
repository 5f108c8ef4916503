//! The JSON output: every line an object, every documented field on every drop, in its type.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lossdrop_lab::traffic::{
    Fragment, arp_request, icmp_echo, icmpv6_echo, ipv4_fragments, tcp_syn, udp_send,
};
use lossdrop_lab::{Folder, Lab as _, Lossdrop, Output, Pair, UdpClosedPort};
use serde_json::Value;

/// A check of one value.
type Check = fn(&Value) -> bool;

fn is_null_or(value: &Value, check: Check) -> bool {
    value.is_null() || check(value)
}

fn is_ip(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

fn is_port(value: &Value) -> bool {
    value.as_u64().is_some_and(|port| port <= u64::from(u16::MAX))
}

fn is_byte(value: &Value) -> bool {
    value.as_u64().is_some_and(|byte| byte <= u64::from(u8::MAX))
}

fn has(value: &Value, fields: &[(&str, Check)]) -> bool {
    let object = value.as_object();
    object.is_some_and(|object| object.len() == fields.len())
        && fields.iter().all(|(name, check)| value.get(name).is_some_and(check))
}

fn is_severity(value: &Value) -> bool {
    ["benign", "policy", "capacity", "fault"].contains(&value.as_str().unwrap_or_default())
}

/// The fields of a drop. `stack` comes on request; `packet` goes on request, and where there is none.
const FIELDS: [(&str, Check); 29] = [
    ("type", |value| value == "drop"),
    ("v", |value| value == 1),
    ("ts", Value::is_string),
    ("reason", Value::is_string),
    ("location", |value| value.as_str().is_some_and(|text| text.contains("+0x"))),
    ("symbol", Value::is_string),
    ("benign", Value::is_boolean),
    ("cause", Value::is_string),
    ("kind", |value| value.as_str().is_some_and(|kind| kind.contains('/'))),
    ("severity", is_severity),
    ("confidence", |value| ["possible", "likely", "certain"].contains(&value.as_str().unwrap_or_default())),
    ("evidence", |value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string))),
    ("netns", |value| {
        is_null_or(value, |value| {
            has(value, &[("inum", Value::is_u64), ("name", |name| is_null_or(name, Value::is_string))])
        })
    }),
    ("iface", |value| {
        is_null_or(value, |value| {
            has(value, &[("index", Value::is_u64), ("name", Value::is_string), ("mtu", Value::is_u64)])
        })
    }),
    ("l3", |value| is_null_or(value, Value::is_string)),
    ("proto", |value| is_null_or(value, Value::is_string)),
    ("src_ip", |value| is_null_or(value, is_ip)),
    ("src_port", |value| is_null_or(value, is_port)),
    ("dst_ip", |value| is_null_or(value, is_ip)),
    ("dst_port", |value| is_null_or(value, is_port)),
    ("len", Value::is_u64),
    ("skb_len", Value::is_u64),
    ("tcp_flags", |value| is_null_or(value, Value::is_string)),
    ("icmp_type", |value| is_null_or(value, is_byte)),
    ("icmp_code", |value| is_null_or(value, is_byte)),
    ("vlan", |value| is_null_or(value, is_port)),
    ("owner", |value| {
        is_null_or(value, |value| {
            has(value, &[("pid", Value::is_u64), ("comm", Value::is_string), ("cgroup", Value::is_string)])
        })
    }),
    ("cpu", Value::is_u64),
    ("packet", Value::is_string),
];

/// The parts of a drop that are there where the kernel knew them.
const FACTS: [(&str, Check); 6] = [
    ("gso_size", Value::is_u64),
    ("route", |value| has(value, &[("iface", Value::is_string), ("mtu", Value::is_u64)])),
    ("peer", |value| {
        let netns = [("inum", Value::is_u64 as Check), ("name", |name| is_null_or(name, Value::is_string))];
        value["name"].is_string()
            && value["mtu"].is_u64()
            && value["index"].is_u64()
            && has(&value["netns"], &netns)
    }),
    ("netfilter", |value| is_byte(&value["hook"]) && is_byte(&value["pf"])),
    ("qdisc", |value| value["kind"].is_string() && value["handle"].is_string() && value["limit"].is_u64()),
    ("socket", |value| {
        ["port", "rmem", "rcvbuf", "backlog", "wmem", "sndbuf", "drops"]
            .iter()
            .all(|name| value[name].is_u64())
    }),
];

const SUMMARY: [(&str, Check); 12] = [
    ("type", |value| value == "summary"),
    ("v", |value| value == 1),
    ("seen", Value::is_u64),
    ("shown", Value::is_u64),
    ("suppressed", Value::is_u64),
    ("filtered", Value::is_u64),
    ("lost", Value::is_u64),
    ("suppressed_benign", Value::is_u64),
    ("suppressed_unselected", Value::is_u64),
    ("duration_s", |value| value.as_f64().is_some_and(|seconds| seconds > 0.0)),
    ("other", Value::is_u64),
    ("groups", |value| value.as_array().is_some_and(|groups| groups.iter().all(|group| has(group, &GROUP)))),
];

const GROUP: [(&str, Check); 7] = [
    ("reason", Value::is_string),
    ("symbol", Value::is_string),
    ("benign", Value::is_boolean),
    ("cause", Value::is_string),
    ("kind", Value::is_string),
    ("severity", is_severity),
    ("count", Value::is_u64),
];

/// The time by the system's own tool, in the form of `ts`.
fn now() -> Result<String> {
    let said = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output()?;
    Ok(String::from_utf8(said.stdout)?.trim_end().to_owned())
}

/// One packet of each kind, dropped between two moments; returns these, too.
fn one_of_each() -> Result<(Output, String, String)> {
    let pair = Pair::deaf()?;
    let (a, b) = (Pair::CLIENT_V4, Pair::SERVER_V4);
    let running = Lossdrop::watch(&pair.namespaces(), &["--json"])?;
    let start = now()?;
    tcp_syn(&pair.client, a, 3000..3001, SocketAddrV4::new(b, 80))?;
    pair.send_v4(53, 1, 16)?;
    pair.send_v6(53, 1, 16)?;
    icmp_echo(&pair.client, a, b, 1, 1)?;
    icmpv6_echo(&pair.client, Pair::CLIENT_V6, Pair::SERVER_V6, 1, 1)?;
    arp_request(&pair.client, "eth0", a, b, 1)?;
    let (from, to) = (SocketAddrV4::new(a, 1053), SocketAddrV4::new(b, 53));
    ipv4_fragments(&pair.client, from, to, Fragment::NonFirst, 1, 1)?;
    // Owned by a socket, perhaps.
    let home = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    udp_send(&pair.server, home(0), home(9), 1, 16)?;
    running.wait_for_drops("one of each", |drops| drops.len() >= 8)?;
    let end = now()?;
    let output = running.stop()?;
    output.is_complete()?;
    ensure!(output.drops.len() == 8, "{output}");
    Ok((output, start, end))
}

#[test]
fn every_line_is_an_object_with_every_documented_field_in_its_type() -> Result<()> {
    let (output, ..) = one_of_each()?;
    ensure!(output.stdout.len() == 9);
    for line in &output.stdout {
        documented(line)?;
    }
    let last: Value = serde_json::from_str(&output.stdout[8])?;
    ensure!(last["type"] == "summary", "{last}");
    Ok(())
}

/// A line as the documentation has it, no more and no less.
fn documented(line: &str) -> Result<Value> {
    let object: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    let fields = if object["type"] == "drop" { &FIELDS[..] } else { &SUMMARY };
    for (name, check) in fields {
        let value = object.get(name).with_context(|| format!("no {name}: {line}"))?;
        ensure!(check(value), "{name}: {line}");
    }
    for name in object.as_object().context("no object")?.keys() {
        let check = fields.iter().chain(&FACTS).find(|(known, _)| known == name);
        let (_, check) = check.with_context(|| format!("{name} is not documented: {line}"))?;
        ensure!(check(&object[name]), "{name}: {line}");
    }
    Ok(object)
}

/// The text shows neither the packet's bytes nor what only facts tell: the kernel is asked for what the file needs.
#[test]
fn a_file_gets_json_with_all_that_it_needs_beside_the_text_on_the_screen() -> Result<()> {
    let folder = Folder::new()?;
    let path = folder.path().join("drops.json");
    let file = path.to_str().context("a path")?;
    let mut lab = UdpClosedPort::v4(3)?;
    for rate in ["100", "unlimited"] {
        let running = Lossdrop::watch(&lab.namespaces(), &["--json-file", file, "--rate", rate])?;
        lab.fire()?;
        running.wait_for("the drops on the screen", |lines| lines.len() >= 4)?;
        let output = running.stop()?;
        ensure!(output.status.success() && output.stderr.len() == 1, "{output}");
        let shown = output.stdout.iter().filter(|line| line.contains("→ 10.0.0.2:9999 UDP")).count();
        ensure!(shown == 3 && !output.stdout.iter().any(|line| line.starts_with('{')), "{output}");

        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{mode:o}");
        let written = fs::read_to_string(&path)?;
        let objects = written.lines().map(documented).collect::<Result<Vec<_>>>()?;
        let (summary, drops) = objects.split_last().context("nothing is written")?;
        ensure!(drops.len() == 3 && summary["type"] == "summary" && summary["shown"] == 3, "{written}");
        for drop in drops {
            ensure!(drop["dst_port"] == 9999 && drop["kind"] == "socket/closed-port", "{drop}");
            // From the IP header on: 40 hex digits of it, ports 8, length and checksum 8.
            let bytes = drop["packet"].as_str().context("no bytes")?;
            ensure!(bytes.starts_with("45") && bytes.len() >= 56, "{drop}");
        }
        fs::remove_file(&path)?;
    }
    Ok(())
}

#[test]
fn without_a_file_nothing_is_written_and_both_can_be_json() -> Result<()> {
    let folder = Folder::new()?;
    let path = folder.path().join("drops.json");
    let mut lab = UdpClosedPort::v4(2)?;
    let each: [&[&str]; 2] = [&["--json"], &["--json", "--json-file", path.to_str().context("a path")?]];
    for args in each {
        let running = Lossdrop::watch(&lab.namespaces(), args)?;
        ensure!(path.exists() == (args.len() > 1), "{args:?}");
        lab.fire()?;
        running.wait_for_drops("both", |drops| drops.len() == 2)?;
        let output = running.stop()?;
        output.is_complete()?;
        if args.len() > 1 {
            let written = fs::read_to_string(&path)?;
            ensure!(written.lines().eq(output.stdout.iter()), "{written}{output}");
        }
    }
    Ok(())
}

#[test]
fn every_packet_is_described_by_its_own_headers() -> Result<()> {
    let (output, ..) = one_of_each()?;
    // l3, proto, ports, flags, ICMP type, length
    let described = |drop: &Value| {
        let port = |value: &Value| value.as_u64().map_or("-".to_owned(), |port| port.to_string());
        format!(
            "{} {} {} {} {} {} {}",
            drop["l3"].as_str().unwrap_or("-"),
            drop["proto"].as_str().unwrap_or("-"),
            drop["dst_ip"].as_str().unwrap_or("-"),
            port(&drop["dst_port"]),
            drop["tcp_flags"].as_str().unwrap_or("-"),
            port(&drop["icmp_type"]),
            drop["len"],
        )
    };
    let mut packets: Vec<_> = output.drops.iter().map(described).collect();
    packets.sort();
    let expected = [
        "arp - 10.0.0.2 - - - 28",
        "ipv4 icmp 10.0.0.2 - - 8 36",
        "ipv4 tcp 10.0.0.2 80 S - 44",
        "ipv4 udp 10.0.0.2 - - - 84",
        "ipv4 udp 10.0.0.2 53 - - 44",
        "ipv4 udp 127.0.0.1 9 - - 44",
        "ipv6 icmpv6 fd00::2 - - 128 56",
        "ipv6 udp fd00::2 53 - - 64",
    ];
    ensure!(packets == expected, "{packets:#?}");
    Ok(())
}

#[test]
fn the_time_is_that_of_the_drop_in_utc_to_the_nanosecond() -> Result<()> {
    let (output, start, end) = one_of_each()?;
    for drop in &output.drops {
        let ts = drop["ts"].as_str().context("no time")?;
        let form: String = ts.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        ensure!(form == "0000-00-00T00:00:00.000000000Z", "{ts}");
        // Of the same length, they compare as text.
        ensure!(*start <= *ts && *ts <= *end, "{ts} is not between {start} and {end}");
    }
    Ok(())
}
