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
    filter::FilterArgs,
    kernel::{Kernel, KernelFacts, Options},
    namespaces::Namespaces,
    source::{Batch, Source as _},
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
        ensure!(connected.is_err(), "nobody listens on port {port}");
    }
    Ok(())
}

async fn record() -> anyhow::Result<()> {
    let facts = KernelFacts::gather(None)?;
    let filter = FilterArgs { netns: vec!["/proc/self/ns/net".to_owned()], ..FilterArgs::default() };
    let filter = filter.resolve(&facts.reasons, Namespaces::scan)?;
    let options = Options { filter, rate: None, snaplen: 128, stack: true, ..Options::default() };
    let layout = facts.layout(&options);
    let (_kernel, mut ring) = Kernel::start(&facts, &options)?;
    provoke()?;
    let mut batch = Batch::default();
    let (mut recorded, mut reasons, mut addresses) = (0, BTreeSet::new(), BTreeSet::new());
    while recorded < DROPS {
        let had_events = ring.read(&mut batch);
        for bytes in batch.iter().take(DROPS - recorded) {
            let event = layout.decode(bytes)?;
            fs::write(Path::new(DIRECTORY).join(format!("{recorded}.event")), bytes)?;
            recorded += 1;
            reasons.insert(event.event.key.reason);
            addresses.insert(event.event.key.location);
            addresses.extend(event.stack());
        }
        ring.wait(had_events).await;
    }
    let mut names = String::new();
    for number in reasons {
        writeln!(names, "{number} {}", facts.reasons.name(number))?;
    }
    fs::write(Path::new(DIRECTORY).join("reasons"), names)?;
    let functions = functions(&fs::read_to_string("/proc/kallsyms")?, &addresses);
    fs::write(Path::new(DIRECTORY).join("kallsyms"), functions)?;
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
