//! Drops without root and without a kernel, as another program would read them: a recording through the same door and the same
//! observer as drops that happen now.

use std::{path::Path, time::Duration};

use lossdrop::{
    capture::{AT_ONCE, Batch, Capture, Next, Recording},
    drops::{Drop, Observer, Reader, describe::Described},
};
use lossdrop_common::Event;

/// A line for each drop that it takes.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
    refuses: Option<&'static str>,
}

impl Reader for Page {
    fn wants(&mut self, _event: &Event, described: &Described) -> bool {
        self.refuses.is_none_or(|reason| described.reason.as_deref() != Some(reason))
    }

    fn read(&mut self, drop: &Drop<'_>) {
        let ports = drop.ports().map_or(String::new(), |(_, port)| format!(" port {port}"));
        let (verdict, described) = (&drop.verdict, &drop.described);
        let reason = described.reason.as_deref().unwrap_or("-");
        let symbol = described.symbol.as_deref().unwrap_or("-");
        let frames = drop.frames.len();
        self.lines.push(format!(
            "{} {reason} {symbol}{ports} {} {frames}",
            verdict.assessment.kind,
            drop.packet.len()
        ));
    }
}

/// All that is in the recording, and the number of drops that it counts.
async fn read(page: &mut Page) -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/recorded");
    let mut capture = Capture::from(Recording::open(&folder).expect("it is part of the sources"));
    let mut observer = Observer::new(capture.names());
    let mut batch = Batch::default();
    while capture.next(&mut batch, AT_ONCE).await == Next::Drops {
        observer.observe(&batch, page).await;
    }
    capture.stop().seen
}

fn run(page: &mut Page) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seen = runtime.block_on(read(page));
    runtime.shutdown_timeout(Duration::ZERO);
    seen
}

#[test]
fn a_recording_is_read_from_outside_like_drops_that_happen_now() {
    let mut page = Page::default();
    assert_eq!(run(&mut page), 5);
    // Kind, reason, function, destination port, bytes of packet, functions on the stack.
    let lines = [
        "socket/closed-port NO_SOCKET __udp4_lib_rcv port 9 33 21",
        "netfilter/drop NETFILTER_DROP nft_do_chain 61 22",
        "socket/closed-port NO_SOCKET __udp6_lib_rcv port 9 58 22",
        "socket/closed-port NO_SOCKET tcp_v4_rcv port 81 60 24",
        "netfilter/drop NETFILTER_DROP nft_do_chain port 8080 60 25",
    ];
    assert_eq!(page.lines, lines);
}

#[test]
fn what_the_reader_does_not_want_by_its_key_does_not_come() {
    let mut page = Page { refuses: Some("NO_SOCKET"), ..Page::default() };
    assert_eq!(run(&mut page), 5, "it is counted all the same");
    assert_eq!(page.lines.len(), 2, "{page:?}");
}
