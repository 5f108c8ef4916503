//! Rules of the real tools, each test in a namespace of its own.

use std::{
    fs::File,
    net::UdpSocket,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};

use super::*;
use crate::knowledge::{Family, Hook};

/// A network namespace that goes with the test.
struct Netns(String);

impl Netns {
    fn new(test: &str) -> Self {
        let netns = Self(format!("rules-{test}-{}", std::process::id()));
        ip(&["netns", "add", &netns.0]);
        netns.shell("ip link set lo up");
        netns
    }

    /// Runs lines of a shell in it; each must succeed.
    fn shell(&self, script: &str) {
        ip(&["netns", "exec", &self.0, "sh", "-ec", script]);
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}", self.0))
    }

    fn read(&self) -> Ruleset {
        let (ruleset, gaps) = read(&self.path(), in_a_minute());
        assert_eq!(gaps, []);
        ruleset
    }

    /// Sends that many packets to a port of the loopback; whether they arrive is not our concern.
    fn send(&self, count: usize, port: u16) {
        let file = File::open(self.path()).expect("it exists");
        std::thread::spawn(move || {
            setns(&file, CloneFlags::CLONE_NEWNET).expect("we are root");
            for _ in 0..count {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                // A rule at the output hook makes it fail.
                let _sent = socket.send_to(b"x", ("127.0.0.1", port));
            }
        })
        .join()
        .expect("it sent");
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _deleted = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// To a port of the loopback.
fn local(port: u16) -> Packet {
    Packet {
        source: Some("127.0.0.1".parse().expect("an address")),
        destination: Some("127.0.0.1".parse().expect("an address")),
        input_device: Some("lo".to_owned()),
        ..udp(port)
    }
}

fn candidates(netns: &Netns, place: &Place, packet: &Packet) -> Vec<Candidate> {
    let ruleset = netns.read();
    Comparison::new(&ruleset, &ruleset).candidates(place, packet)
}

#[test]
fn an_empty_namespace_has_no_rules_and_reading_makes_none() {
    let netns = Netns::new("empty");
    assert_eq!(netns.read(), Ruleset::default());
    netns.shell("test ! -s /proc/net/ip_tables_names && test -z \"$(nft list ruleset)\"");
}

#[test]
fn a_place_that_is_no_namespace_and_a_deadline_that_is_over_are_gaps() {
    let (ruleset, gaps) = read(&PathBuf::from("/dev/null"), in_a_minute());
    assert_eq!((ruleset, gaps.len()), (Ruleset::default(), 1));
    let netns = Netns::new("late");
    let (_, gaps) = read(&netns.path(), Instant::now());
    assert!(gaps[0].what.contains("took too long"), "{gaps:?}");
}

#[test]
fn each_tools_rule_is_named_and_its_counter_proves_it() {
    let netns = Netns::new("named");
    netns.shell(
        "iptables-legacy -A INPUT -i lo -p udp --dport 1001 -j DROP
        iptables-nft -A INPUT -p tcp -j ACCEPT
        iptables-nft -A INPUT -p udp -m multiport --dports 1002,1003 -j DROP
        nft 'add table inet lab'
        nft 'add chain inet lab input { type filter hook input priority 5 ; }'
        nft 'add chain inet lab sub'
        nft 'add rule inet lab input udp dport 1004 jump sub'
        nft 'add rule inet lab sub counter drop'
        iptables-legacy -t raw -P OUTPUT ACCEPT",
    );
    let before = netns.read();
    for port in 1001..=1004 {
        netns.send(3, port);
    }
    let after = netns.read();
    let comparison = Comparison::new(&before, &after);
    for (port, name) in [
        (1001, "iptables-legacy filter INPUT rule 1"),
        (1002, "iptables filter INPUT rule 2"),
        (1004, "nft inet lab sub handle 4"),
    ] {
        let found = comparison.candidates(&INPUT, &local(port));
        assert_eq!(found.iter().map(Candidate::name).collect::<Vec<_>>(), [name]);
        let blame = blame(&[(found, 3)], 3);
        assert_eq!((blame.culprits[0].count, blame.culprits[0].certainty), (3, Certainty::Certain));
    }
    let both = comparison.candidates(&INPUT, &local(1003));
    assert_eq!((both[0].delta, both[0].exact), (Some(6), true));
    assert_eq!(both[0].text(), "-A INPUT -p udp -m multiport --dports 1002,1003 -j DROP");
    assert!(comparison.candidates(&INPUT, &local(1005)).is_empty());
}

#[test]
fn policies_of_iptables_are_named_and_counted() {
    for (tool, name) in [
        ("iptables-legacy", "iptables-legacy filter INPUT policy DROP"),
        ("iptables-nft", "iptables filter INPUT policy DROP"),
    ] {
        let netns = Netns::new(tool);
        netns.shell(&format!("{tool} -P INPUT DROP"));
        let before = netns.read();
        netns.send(2, 1001);
        let after = netns.read();
        let found = Comparison::new(&before, &after).candidates(&INPUT, &local(1001));
        assert_eq!(found[0].name(), name);
        assert_eq!((found[0].delta, found[0].sure), (Some(2), true));
    }
}

/// Every candidate goes by the command that we give for it.
#[test]
fn the_commands_that_delete_rules_and_change_policies_work() {
    let netns = Netns::new("delete");
    netns.shell(
        r#"for tool in iptables-legacy iptables-nft; do
            $tool -P INPUT DROP
            $tool -A INPUT -s 127.0.0.0/8 -p udp -m comment --comment "it's \"a\" \$HOME \\ drop" -j DROP
            $tool -A INPUT ! -s 10.0.0.0/8 -p udp -m statistic --mode random --probability 0.5 -j DROP
            $tool -A INPUT -m conntrack --ctstate NEW -m recent --set --name x -j DROP
            $tool -t mangle -A INPUT ! -i eth+ -j DROP
        done
        nft 'add table inet lab'
        nft 'add chain inet lab input { type filter hook input priority 5 ; policy drop ; }'
        nft 'add map inet lab ports { type inet_service : verdict ; elements = { 1001 : drop } ; }'
        nft 'add set inet lab hosts { type ipv4_addr . ifname ; elements = { 127.0.0.1 . "lo" } ; }'
        nft 'add rule inet lab input udp dport vmap @ports'
        nft 'add rule inet lab input ip saddr . iifname @hosts drop'
        nft 'add rule inet lab input meta l4proto udp reject'"#,
    );
    let mut gone = Vec::new();
    while let Some(first) = candidates(&netns, &INPUT, &local(1001)).first() {
        let (command, effect) = delete_command(first);
        assert!(effect.ends_with('.'), "{effect}");
        netns.shell(&command);
        assert!(!gone.contains(&command), "no effect: {command}");
        gone.push(command);
    }
    assert_eq!(gone.len(), 14, "{gone:#?}");
    assert!(
        gone.iter().any(|command| command == "nft 'delete element inet lab ports { 1001 }'"),
        "{gone:#?}"
    );
}

#[test]
fn rules_of_arp_and_bridges_are_named_and_deleted() {
    let netns = Netns::new("lower");
    netns.shell(
        "arptables-nft -A INPUT -s 10.0.0.9 -j DROP
        ebtables-nft -A FORWARD -s 02:00:00:00:00:01 -j DROP
        ebtables-nft -P FORWARD DROP",
    );
    let arp = Packet {
        ether_type: Some(0x0806),
        source: Some("10.0.0.9".parse().expect("an address")),
        ..Packet::default()
    };
    let at = |family, hook| Place { family, hook, nft: Some(true), queued: false };
    for (place, packet, names) in [
        (at(Family::Arp, Hook::Input), &arp, &["arptables filter INPUT rule 1"][..]),
        (
            at(Family::Bridge, Hook::Forward),
            &syn(1),
            &["ebtables filter FORWARD rule 1", "ebtables filter FORWARD policy DROP"],
        ),
    ] {
        for name in names {
            let found = candidates(&netns, &place, packet);
            assert_eq!(found[0].name(), *name);
            netns.shell(&delete_command(&found[0]).0);
        }
        assert!(candidates(&netns, &place, packet).is_empty());
    }
}
