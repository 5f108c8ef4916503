//! Whole runs: a capture, what is shown of it, and a writer whose reader may be slow or gone.

use std::{
    future::{pending, ready},
    io::{self, Write},
};

use jiff::tz::TimeZone;

use super::*;
use crate::{
    capture::Recording,
    drops::decode::decode,
    error::Error,
    output::{Format, Lines, json::Json, text::Text, writer::Writer},
    testing::{Page, RECORDED, RECORDED_LAYOUT},
};

/// A word a line.
#[derive(Debug, Default)]
struct Words;

impl Format for Words {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend(b"begin\n");
    }

    fn drop(&mut self, drop: &Drop<'_>, out: &mut Vec<u8>) {
        out.extend(if drop.described.benign() { &b"noise\n"[..] } else { b"fault\n" });
    }

    fn end(&mut self, _summary: &Summary, out: &mut Vec<u8>) {
        out.extend(b"end\n");
    }
}

/// A capture of these batches, whose kernel counted so much.
fn capture(batches: impl IntoIterator<Item = Batch>, counters: Counters) -> Capture {
    let mut recording = Recording::new(testing::names());
    for batch in batches {
        recording.push(batch, Counters::default());
    }
    recording.end(counters);
    Capture::from(recording)
}

/// A whole run, with its output.
fn ran(
    batches: impl IntoIterator<Item = Batch>,
    counters: Counters,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> (End, String) {
    let page = Page::default();
    let end = run_into(page.clone(), capture(batches, counters), Words, limits, stop);
    (end.expect("nothing fails"), page.text())
}

fn run_into(
    output: impl Write + Send + 'static,
    mut capture: Capture,
    format: impl Format + 'static,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Result<End> {
    let mut sinks = Sinks::default();
    sinks.push(Lines::new(format, Writer::new(output)));
    let mut observer = Observer::new(capture.names());
    block_on(run(&mut capture, &mut observer, &mut Show::new(limits, sinks), stop))
}

#[test]
fn a_count_is_exact_within_and_across_batches() {
    for (batches, count) in [(vec![10], 3), (vec![2, 2, 2], 3), (vec![1, 1, 1, 9], 3), (vec![5], 5)] {
        let events = || batches.iter().map(|len| batch(&vec![fault(); *len])).collect::<Vec<_>>();
        let total: usize = batches.iter().sum();
        let limits = Limits { count: Some(count), ..Limits::default() };
        let (end, text) = ran(events(), counted(&vec![fault(); total]), limits, pending());
        assert_eq!(end, End::Count);
        assert_eq!(text, format!("begin\n{}end\n", "fault\n".repeat(3.max(usize::from(count == 5) * 5))));
    }
}

#[test]
fn a_signal_ends_the_run_and_nothing_that_was_recorded_is_left_out() {
    let batches = [batch(&[fault()]), batch(&[fault(), noise()]), batch(&[fault()])];
    let counters = counted(&[fault(), fault(), noise(), fault()]);
    let (end, text) = ran(batches, counters, Limits::default(), ready(()));
    assert_eq!((end, text.as_str()), (End::Signal, "begin\nfault\nfault\nfault\nend\n"));
}

#[test]
fn a_duration_ends_the_run() {
    // More than can be shown in that time.
    let drops = 20_000;
    let limits = Limits { duration: Some(Duration::from_nanos(1)), ..Limits::default() };
    let (end, text) = ran((0..drops).map(|_| batch(&[fault()])), Counters::default(), limits, pending());
    assert_eq!((end, text.lines().count()), (End::Duration, drops + 2));
}

/// The recorded events with a namespace and a socket that no machine has.
fn recorded() -> Batch {
    let mut recorded = Batch::default();
    assert!(Capture::from(testing::recording()).read(&mut recorded));
    let mut batch = Batch::new(recorded.layout, recorded.clock);
    for event in recorded.iter() {
        let mut event = event.to_vec();
        event[12..16].copy_from_slice(&1_u32.to_ne_bytes());
        event[32..40].fill(0);
        batch.push(&event);
    }
    batch
}

fn recorded_run(format: impl Format + 'static) -> String {
    let mut source = Capture::from(testing::recording());
    let mut recording = Recording::new(source.names());
    recording.push(recorded(), source.stop());
    let page = Page::default();
    let limits = Limits { all: true, ..Limits::default() };
    let end = run_into(page.clone(), Capture::from(recording), format, limits, pending());
    assert_eq!(end.expect("nothing fails"), End::Over);
    page.text()
}

#[test]
fn a_recorded_run_is_reported_as_text() {
    let text = recorded_run(Text::new(false, 0, true, TimeZone::UTC));
    let starts_with_digit = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    // Without the times, which are those of this run.
    let lines = text
        .lines()
        .map(|line| if starts_with_digit(line) && line.contains(':') { &line[14..] } else { line });
    let reported = lines.filter(|line| !line.contains(" drops in ")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(reported);
}

#[test]
fn a_recorded_run_is_reported_as_json() {
    let text = recorded_run(Json::new(128, true));
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 6);
    for (line, bytes) in lines.iter().zip(RECORDED) {
        let packet = decode(RECORDED_LAYOUT, bytes).expect("an event").packet;
        assert_eq!(line["packet"].as_str().map(str::len), Some(packet.len() * 2));
        assert_eq!(
            (&line["iface"]["name"], &line["netns"]["name"]),
            (&"lo".into(), &serde_json::Value::Null)
        );
        assert!(line["stack"].as_array().is_some_and(|frames| frames.len() > 10));
    }
    let fields =
        ["seen", "shown", "suppressed", "filtered", "lost", "other"].map(|name| lines[5][name].as_u64());
    assert_eq!(fields, [5, 5, 0, 0, 0, 0].map(Some));
}

/// A disk that is full, a pipe without a reader.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ran_into(kind: io::ErrorKind, limits: Limits, stop: impl Future<Output = ()>) -> Result<End> {
    let capture = capture([batch(&[fault()])], counted(&[fault()]));
    run_into(Broken(kind), capture, Words, limits, stop)
}

#[test]
fn a_broken_pipe_is_a_clean_end_whatever_else_ends_the_run() {
    let count = Limits { count: Some(1), ..Limits::default() };
    for end in [
        ran_into(io::ErrorKind::BrokenPipe, Limits::default(), pending()),
        ran_into(io::ErrorKind::BrokenPipe, count, pending()),
        ran_into(io::ErrorKind::BrokenPipe, Limits::default(), ready(())),
    ] {
        assert_eq!(end.expect("a clean end"), End::PipeClosed);
    }
}

#[test]
fn a_full_disk_is_an_error_whatever_else_ends_the_run() {
    let count = Limits { count: Some(1), ..Limits::default() };
    for end in [
        ran_into(io::ErrorKind::StorageFull, count, pending()),
        ran_into(io::ErrorKind::StorageFull, Limits::default(), ready(())),
        ran_into(io::ErrorKind::StorageFull, Limits::default(), pending()),
    ] {
        assert!(
            matches!(&end, Err(Error::Output(error)) if error.kind() == io::ErrorKind::StorageFull),
            "{end:?}"
        );
    }
}

#[test]
fn two_sinks_get_the_same_drops_each_in_its_own_form() {
    let [text, json] = [Page::default(), Page::default()];
    let mut sinks = Sinks::default();
    sinks.push(Lines::new(Text::new(false, 0, false, TimeZone::UTC), Writer::new(text.clone())));
    sinks.push(Lines::new(Json::new(128, false), Writer::new(json.clone())));
    assert_eq!(sinks.needs(), Needs { snaplen: 128, ..Needs::default() });
    let mut capture = Capture::from(testing::recording());
    let mut observer = Observer::new(capture.names());
    let mut show = Show::new(Limits { all: true, ..Limits::default() }, sinks);
    let end = block_on(run(&mut capture, &mut observer, &mut show, pending()));
    assert_eq!(end.expect("nothing fails"), End::Over);
    let places: Vec<String> = json
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter_map(|line| Some(line["location"].as_str()?.to_owned()))
        .collect();
    let text = text.text();
    assert_eq!(places.len(), 5);
    for (line, place) in text.lines().skip(1).zip(&places) {
        assert!(line.contains(place), "{place}: {line}");
    }
}

#[test]
fn a_sink_that_fails_ends_the_run_and_the_other_has_everything() {
    let page = Page::default();
    let mut sinks = Sinks::default();
    sinks.push(Lines::new(Words, Writer::new(Broken(io::ErrorKind::StorageFull))));
    sinks.push(Lines::new(Words, Writer::new(page.clone())));
    let mut capture = capture([batch(&[fault()])], counted(&[fault()]));
    let mut observer = Observer::new(capture.names());
    let end = block_on(run(&mut capture, &mut observer, &mut Show::new(Limits::default(), sinks), pending()));
    assert!(
        matches!(&end, Err(Error::Output(error)) if error.kind() == io::ErrorKind::StorageFull),
        "{end:?}"
    );
    assert_eq!(page.text(), "begin\nfault\nend\n");
}
