//! Records the events of `tests-data/recorded`: `sudo cargo run -p lossdrop --example record_events`, as the events'
//! layout or the bits in them change. It provokes five drops in a network namespace of its own, and keeps them as they
//! crossed the ring buffer, with the names of their reasons and functions.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{TcpStream, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use lossdrop::{
    capture::{AT_ONCE, Batch, Capture, Next, live::Start},
    drops::decode::decode,
    filter::FilterArgs,
    identity::Namespaces,
    kernel::Options,
};
use nix::sched::{CloneFlags, unshare};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests-data/recorded");
const DROPS: usize = 5;
const RULES: &str = "
table inet filter {
    chain input {
        type filter hook input priority 0
        icmp type destination-unreachable drop
        tcp dport 8080 drop
    }
}";

fn main() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    run(Command::new("ip").args(["link", "set", "lo", "up"]), "")?;
    run(Command::new("nft").args(["-f", "-"]), RULES)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(record())
}

/// What `tests-data/recorded/README.md` lists, in this order.
fn provoke() -> anyhow::Result<()> {
    // Refused, and the refusal is dropped, too.
    UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", "127.0.0.1:9")?;
    UdpSocket::bind("[::1]:0")?.send_to(b"hello, six", "[::1]:9")?;
    for port in [81, 8080] {
        let connected =
            TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_millis(100));
        ensure!(connected.is_err(), "no process listens on port {port}");
    }
    Ok(())
}

async fn record() -> anyhow::Result<()> {
    let start = Start::new(None, false)?;
    let filter = FilterArgs { netns: vec!["/proc/self/ns/net".to_owned()], ..FilterArgs::default() };
    let filter = filter.resolve(&start.info, Namespaces::scan)?;
    let options = Options { filter, rate: None, facts: false, probes: false, ..Options::default() };
    let mut capture = Capture::from(start.capture(options)?);
    provoke()?;
    let folder = Path::new(DIRECTORY);
    let mut batch = Batch::default();
    let (mut recorded, mut reasons, mut addresses) = (0, BTreeSet::new(), BTreeSet::new());
    while recorded < DROPS {
        if capture.next(&mut batch, AT_ONCE).await != Next::Drops {
            continue;
        }
        for bytes in batch.iter().take(DROPS - recorded) {
            let decoded = decode(batch.layout, bytes)?;
            fs::write(folder.join(format!("{recorded}.event")), bytes)?;
            recorded += 1;
            reasons.insert(decoded.event.key.reason);
            addresses.insert(decoded.event.key.location);
            addresses.extend(decoded.stack.iter());
        }
    }
    let layout = batch.layout;
    let facts = u8::from(layout.facts);
    fs::write(folder.join("layout"), format!("{facts} {} {}\n", layout.stack_bytes, layout.snaplen))?;
    fs::write(folder.join("clock"), format!("{}\n", batch.clock.unix_ns(0)))?;
    let mut names = String::new();
    for number in reasons {
        writeln!(names, "{number} {}", start.info.reasons.name(number))?;
    }
    fs::write(folder.join("reasons"), names)?;
    let functions = functions(&fs::read_to_string("/proc/kallsyms")?, &addresses);
    fs::write(folder.join("kallsyms"), functions)?;
    Ok(())
}

/// The lines of the functions that the addresses lie in.
fn functions(table: &str, addresses: &BTreeSet<u64>) -> String {
    let mut functions: Vec<(u64, &str)> = table
        .lines()
        .filter_map(|line| {
            let (address, rest) = line.split_once(' ')?;
            let address = u64::from_str_radix(address, 16).ok()?;
            rest.starts_with(['t', 'T', 'w', 'W']).then_some((address, line))
        })
        .collect();
    functions.sort_unstable();
    let holding = |address: &u64| functions.partition_point(|(start, _)| start <= address).checked_sub(1);
    let wanted: BTreeSet<usize> = addresses.iter().filter_map(holding).collect();
    wanted.into_iter().map(|index| format!("{}\n", functions[index].1)).collect()
}

fn run(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn().with_context(|| format!("{command:?}"))?;
    child.stdin.take().context("it was asked for")?.write_all(input.as_bytes())?;
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok(())
}
