//! What a drop shows on request: its stack, its bytes; and how soon it shows at all.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lossdrop_lab::traffic::{udp_bind, udp_send_through};
use lossdrop_lab::{Lab, Lossdrop, NftDrop, Output, Pair, UdpClosedPort};
use serde_json::Value;

fn watch_round(lab: &mut dyn Lab, args: &[&str]) -> Result<Output> {
    let running = Lossdrop::watch(&lab.namespaces(), args)?;
    let shot = lab.fire()?;
    running.wait_for_shot(&shot)?;
    let output = running.stop()?;
    output.is_complete()?;
    shot.check(&output.drops)?;
    Ok(output)
}

fn stack_of(drop: &Value) -> Result<Vec<&str>> {
    let frames = drop["stack"].as_array().with_context(|| format!("no stack: {drop}"))?;
    frames.iter().map(|frame| frame.as_str().context("no text")).collect()
}

/// The function of `nft_do_chain+0x3e8`.
fn function(frame: &str) -> Result<&str> {
    let (function, offset) = frame.split_once('+').with_context(|| format!("no offset: {frame}"))?;
    let hex = offset.strip_prefix("0x").with_context(|| format!("no offset: {frame}"))?;
    u64::from_str_radix(hex, 16).with_context(|| format!("no offset: {frame}"))?;
    Ok(function)
}

#[test]
fn the_stack_of_a_rules_drop_names_the_rule_engine_and_the_hook() -> Result<()> {
    for attach in ["tp-btf", "raw-tp"] {
        let mut lab = NftDrop::new(2)?;
        let output = watch_round(&mut lab, &["--json", "--stack", "--attach", attach])?;
        ensure!(output.drops.len() == 4, "{output}");
        for drop in &output.drops {
            let stack = stack_of(drop)?;
            let functions: Result<Vec<_>> = stack.iter().map(|frame| function(frame)).collect();
            let functions = functions?;
            let position = |name: &str| functions.iter().position(|function| *function == name);
            let hook = if drop["l3"] == "ipv6" { "ip6_input" } else { "ip_local_deliver" };
            let (rule, slow, hook) = (position("nft_do_chain"), position("nf_hook_slow"), position(hook));
            ensure!(rule.is_some() && rule < slow && slow < hook, "{attach}: {stack:#?}");
            // The location is where the function that frees the packet was called from.
            ensure!(
                stack[..=rule.unwrap_or(0)].contains(&drop["location"].as_str().unwrap_or_default()),
                "{drop}"
            );
            let foreign = |function: &&&str| {
                function.starts_with("bpf_") || function.contains("trampoline") || function.contains('.')
            };
            ensure!(!functions.iter().any(|function| foreign(&function)), "{attach}: {stack:#?}");
            ensure!(
                functions.iter().all(|function| !function.contains("trace_kfree_skb")),
                "{attach}: {stack:#?}"
            );
        }
    }
    Ok(())
}

#[test]
fn without_being_asked_for_there_is_no_stack() -> Result<()> {
    let output = watch_round(&mut UdpClosedPort::v4(1)?, &["--json"])?;
    ensure!(output.drops.iter().all(|drop| drop.get("stack").is_none()), "{output}");
    Ok(())
}

#[test]
fn a_stack_in_text_stands_below_its_drop() -> Result<()> {
    let mut lab = NftDrop::new(1)?;
    let running = Lossdrop::watch(&lab.namespaces(), &["--stack"])?;
    lab.fire()?;
    let drops = |lines: &[String]| {
        lines
            .iter()
            .filter(|line| line.contains(":5353 UDP len 60") || line.contains(":5353 UDP len 80"))
            .count()
    };
    running.wait_for("both drops", |lines| drops(lines) == 2)?;
    let lines = running.stop()?.stdout;
    let first = lines.iter().position(|line| line.contains("NETFILTER_DROP")).context("no drop")?;
    let frames: Vec<_> = lines[first + 1..].iter().take_while(|line| line.starts_with("     ")).collect();
    ensure!(frames.len() >= 4, "{lines:#?}");
    for frame in &frames {
        function(frame.trim())?;
    }
    ensure!(frames.iter().any(|frame| frame.trim().starts_with("nft_do_chain+0x")), "{lines:#?}");
    Ok(())
}

/// The packet's bytes, of which there are `snaplen` at the most.
fn packet(drop: &Value, snaplen: usize) -> Result<&str> {
    let packet = drop["packet"].as_str().with_context(|| format!("no packet: {drop}"))?;
    let whole = usize::try_from(drop["len"].as_u64().context("no length")?)?;
    ensure!(packet.len() == 2 * snaplen.min(whole), "{} digits of {snaplen} bytes: {drop}", packet.len());
    ensure!(packet.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{packet}");
    Ok(packet)
}

#[test]
fn a_packet_is_shown_from_its_ip_header_on_and_no_longer_than_asked_for() -> Result<()> {
    let pair = Pair::deaf()?;
    let snaplens = [Some(0), Some(1), Some(20), Some(50), None, Some(256)];
    let texts: Vec<_> = snaplens.iter().map(|snaplen| snaplen.unwrap_or(128).to_string()).collect();
    let args: Vec<Vec<&str>> = snaplens
        .iter()
        .zip(&texts)
        .map(
            |(snaplen, text)| {
                if snaplen.is_some() { vec!["--json", "--snaplen", text] } else { vec!["--json"] }
            },
        )
        .collect();
    let args: Vec<&[&str]> = args.iter().map(Vec::as_slice).collect();
    let running = Lossdrop::watch_each(&pair.namespaces(), &args)?;
    pair.send_v4(7, 1, 400)?;
    pair.send_v6(7, 1, 400)?;
    pair.send_v4(7, 1, 12)?;
    for (snaplen, running) in texts.iter().zip(running) {
        let snaplen = snaplen.parse()?;
        running.wait_for_drops("all three", |drops| drops.len() == 3)?;
        let output = running.stop()?;
        output.is_complete()?;
        for drop in &output.drops {
            if snaplen == 0 {
                ensure!(drop.get("packet").is_none(), "{drop}");
                continue;
            }
            let packet = packet(drop, snaplen)?;
            if drop["l3"] == "ipv6" {
                ensure!(packet.starts_with("60"), "{packet}");
                ensure!(
                    snaplen < 40
                        || &packet[16..80]
                            == concat!(
                                "fd000000000000000000000000000001",
                                "fd000000000000000000000000000002"
                            ),
                    "{packet}"
                );
            } else {
                ensure!(packet.starts_with("45"), "{packet}");
                ensure!(snaplen < 20 || &packet[24..40] == "0a0000010a000002", "{packet}");
                // The payload of every datagram of the lab.
                ensure!(
                    packet.len() <= 56 || packet[56..].bytes().step_by(2).all(|digit| digit == b'2'),
                    "{packet}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_dump_in_text_stands_below_its_drop() -> Result<()> {
    let pair = Pair::deaf()?;
    let running = Lossdrop::watch(&pair.namespaces(), &["--hex"])?;
    pair.send_v4(7, 1, 20)?;
    running.wait_for("the whole dump", |lines| {
        lines.iter().any(|line| line.trim_start().starts_with("0020  "))
    })?;
    let lines = running.stop()?.stdout;
    let at = lines.iter().position(|line| line.contains("10.0.0.2:7 UDP len 48")).context("no drop")?;
    let rows: Vec<_> = lines[at + 1..at + 4].iter().map(|line| line.trim()).collect();
    ensure!(rows[0].starts_with("0000  45 00 00 30 "), "{rows:#?}");
    ensure!(rows[1].starts_with("0010  0a 00 00 02 "), "{rows:#?}");
    ensure!(
        rows[2] == "0020  2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a  ****************",
        "{rows:#?}"
    );
    Ok(())
}

/// How long a lone drop takes from its sending to its line, after `silence`.
fn delay(running: &Lossdrop, send: impl FnOnce(), silence: Duration) -> Result<Duration> {
    let before = running.drops().len();
    thread::sleep(silence);
    let start = Instant::now();
    send();
    running.wait_for_drops("the drop", |drops| drops.len() > before)?;
    Ok(start.elapsed())
}

#[test]
fn a_lone_drop_shows_within_a_tenth_of_a_second() -> Result<()> {
    const TRIES: usize = 9;
    let lab = UdpClosedPort::v4(1)?;
    let (client, server) = lab.ends();
    let running = Lossdrop::watch(&[client, server], &["--json"])?;
    let from = SocketAddr::from((Pair::CLIENT_V4, 0));
    let socket = udp_bind(client, from, None)?;
    let to = SocketAddr::from((Pair::SERVER_V4, 9999));
    let mut delays = Vec::new();
    for _ in 0..TRIES {
        delays.push(delay(
            &running,
            || _ = udp_send_through(&socket, to, 1, 16),
            Duration::from_millis(300),
        )?);
    }
    running.stop()?.is_complete()?;
    delays.sort();
    ensure!(delays[TRIES / 2] < Duration::from_millis(100), "{delays:?}");
    Ok(())
}
