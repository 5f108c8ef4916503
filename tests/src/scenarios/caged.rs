//! A process in a control group of its own, at which a BPF program refuses all packets of one direction.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use aya::programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType};

use super::pair::{CLIENT_V4, Pair, at_server, from_client};
use crate::bpf::object;
use crate::counters::nstat;
use crate::netns::Netns;
use crate::scenario::{Endpoint, Expected, Lab, Shot};
use crate::traffic::udp_send;
use crate::wait::{LIMIT, wait_until};

const PORT: u16 = 5370;
const COUNT: u64 = 4;

/// Told to go on by a line, it opens its socket and answers. Each further line makes it send, and say how many were
/// refused.
const SENDER: &str = r#"$| = 1; <STDIN>;
    socket(S, PF_INET, SOCK_DGRAM, 0) or die $!;
    print "ready\n";
    while (<STDIN>) {
        my $refused = 0;
        for (1..4) { send(S, "*", 0, sockaddr_in(5370, inet_aton("10.0.0.2"))) or $refused++ }
        print "$refused\n";
    }"#;
const RECEIVER: &str = r#"$| = 1; <STDIN>;
    socket(S, PF_INET, SOCK_DGRAM, 0) or die $!;
    bind(S, sockaddr_in(5370, inet_aton("10.0.0.2"))) or die $!;
    print "ready\n"; <STDIN>"#;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The direction that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Sending,
    Receiving,
}

pub(super) struct Caged {
    process: Prisoner,
    /// The program is detached with it.
    _program: Ebpf,
    _group: ControlGroup,
    pair: Pair,
    refused: Refused,
}

impl Caged {
    /// # Errors
    /// When there are no control groups of version 2, or the kernel refuses the program.
    pub(super) fn new(refused: Refused) -> Result<Self> {
        let pair = Pair::v4()?;
        let group = ControlGroup::new()?;
        let (ns, script) = match refused {
            Refused::Sending => (&pair.client, SENDER),
            Refused::Receiving => (&pair.server, RECEIVER),
        };
        let mut process = Prisoner::new(ns, script)?;
        fs::write(group.0.join("cgroup.procs"), process.child.id().to_string())?;
        let program = attach(&group, refused)?;
        // A socket belongs to the group in which it was opened.
        ensure!(process.ask()? == "ready", "the process in the control group has no socket");
        Ok(Self { process, _program: program, _group: group, pair, refused })
    }

    fn sent(&mut self) -> Result<Expected> {
        let refused = self.process.ask()?.parse()?;
        ensure!(refused == COUNT, "{refused} datagrams refused");
        Ok(Expected {
            reason: "BPF_CGROUP_EGRESS",
            symbols: &["ip_finish_output", "__ip_finish_output"],
            netns: Some(self.pair.client.inum()),
            ..self.expected(refused)
        })
    }

    fn received(&self) -> Result<Expected> {
        let server = &self.pair.server;
        let before = nstat(server, "UdpInErrors")?;
        let to = at_server(PORT);
        let sent = udp_send(&self.pair.client, from_client(to), to, COUNT, 32)?.accepted;
        wait_until("each is refused", LIMIT, || Ok(nstat(server, "UdpInErrors")? - before >= sent))?;
        Ok(self.expected(sent))
    }

    fn expected(&self, count: u64) -> Expected {
        Expected {
            reason: "SOCKET_FILTER",
            symbols: &["udp_queue_rcv_one_skb", "udp_queue_rcv_skb"],
            netns: Some(self.pair.server.inum()),
            iface: Some("eth0"),
            proto: "udp",
            src: Endpoint::host(CLIENT_V4),
            dst: at_server(PORT).into(),
            owner: Some(self.process.child.id()),
            count,
        }
    }
}

impl Lab for Caged {
    fn namespaces(&self) -> Vec<&Netns> {
        self.pair.namespaces()
    }

    fn fire(&mut self) -> Result<Shot> {
        let expected = match self.refused {
            Refused::Sending => self.sent()?,
            Refused::Receiving => self.received()?,
        };
        Ok(Shot { expected: vec![expected], ..Shot::default() })
    }
}

/// A program that refuses everything, attached to the group.
fn attach(group: &ControlGroup, refused: Refused) -> Result<Ebpf> {
    let (section, way) = match refused {
        Refused::Sending => ("cgroup_skb/egress", CgroupSkbAttachType::Egress),
        Refused::Receiving => ("cgroup_skb/ingress", CgroupSkbAttachType::Ingress),
    };
    let mut loaded = Ebpf::load(&object(section, "lab_cgroup_drop", 0))?;
    let program = loaded.program_mut("lab_cgroup_drop").context("the object has no program")?;
    let program: &mut CgroupSkb = program.try_into()?;
    program.load()?;
    program.attach(File::open(&group.0)?, way, CgroupAttachMode::Single)?;
    Ok(loaded)
}

/// A perl that answers lines; killed when dropped.
struct Prisoner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Prisoner {
    fn new(ns: &Netns, script: &str) -> Result<Self> {
        let mut child = ns.run(|| {
            let mut perl = Command::new("perl");
            // A group of its own: a Ctrl-C at the terminal is for the lab, which ends it.
            perl.args(["-MSocket", "-e", script]).process_group(0);
            perl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run perl")
        })?;
        let orders = child.stdin.take().context("perl has no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("perl has no standard output")?);
        Ok(Self { child, orders, answers })
    }

    /// Sends an empty line and returns the answer.
    fn ask(&mut self) -> Result<String> {
        writeln!(self.orders)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Prisoner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removed when dropped; by then, nobody may be in it.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn new() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let at = fields.next()?;
            (fields.next()? == "cgroup2").then_some(at)
        });
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lossdrop-lab-{}-{count}", process::id());
        let path = PathBuf::from(root.context("control groups of version 2 are not mounted")?).join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
