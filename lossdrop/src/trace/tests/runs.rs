//! Whole runs: a source, a pipeline, and a writer whose reader may be slow or gone.

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex, mpsc},
};

use jiff::tz::TimeZone;

use super::*;
use crate::{
    output::{json::Json, text::Text},
    source::Recorded,
    testing::{RECORDED, RECORDED_LAYOUT},
};

/// A kernel with these counters.
struct Stub(Counters);

impl Watched for Stub {
    fn stop(&mut self) -> Counters {
        self.0.clone()
    }

    fn counters(&mut self) -> Counters {
        Counters::default()
    }
}

/// Shared by a writer and its test.
#[derive(Clone, Debug, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

/// A whole run over the batches, with its output.
fn ran(
    batches: impl Into<VecDeque<Batch>>,
    counters: Counters,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> (End, String) {
    let sink = Sink::default();
    let mut writer = Writer::new(sink.clone());
    let source = Recorded(batches.into());
    let end = block_on(run(source, &mut Stub(counters), &mut pipeline(limits), &mut writer, stop));
    (end.expect("nothing fails"), sink.text())
}

#[test]
fn a_count_is_exact_within_and_across_batches() {
    for (batches, count) in [(vec![10], 3), (vec![2, 2, 2], 3), (vec![1, 1, 1, 9], 3), (vec![5], 5)] {
        let events = || batches.iter().map(|len| batch(&vec![fault(); *len])).collect::<VecDeque<_>>();
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
    let limits = Limits { duration: Some(Duration::from_nanos(1)), ..Limits::default() };
    let (end, text) = ran([], Counters::default(), limits, pending());
    assert_eq!((end, text.as_str()), (End::Duration, "begin\nend\n"));
}

/// The recorded events with a namespace and a socket that no machine has.
fn recorded() -> Batch {
    let mut batch = Batch::default();
    for event in RECORDED {
        let mut event = event.to_vec();
        event[12..16].copy_from_slice(&1_u32.to_ne_bytes());
        event[32..40].fill(0);
        batch.push(&event);
    }
    batch
}

fn recorded_run<O: Output>(output: O) -> String {
    let limits = Limits { all: true, stack: true, ..Limits::default() };
    let mut pipeline = Pipeline::new(testing::recorded_describer(), output, RECORDED_LAYOUT, limits);
    let decoded = RECORDED.map(|bytes| RECORDED_LAYOUT.decode(bytes).expect("an event").event);
    let sink = Sink::default();
    let mut writer = Writer::new(sink.clone());
    let mut stub = Stub(counted(&decoded));
    let source = Recorded([recorded()].into());
    let end = block_on(run(source, &mut stub, &mut pipeline, &mut writer, ready(())));
    assert_eq!(end.expect("nothing fails"), End::Signal);
    sink.text()
}

#[test]
fn a_recorded_run_is_told_as_text() {
    let text = recorded_run(Text::new(false, false, TimeZone::UTC));
    let starts_with_digit = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    // Without the times, which are those of this run.
    let lines = text
        .lines()
        .map(|line| if starts_with_digit(line) && line.contains(':') { &line[14..] } else { line });
    let told = lines.filter(|line| !line.contains(" drops in ")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn a_recorded_run_is_told_as_json() {
    let text = recorded_run(Json::default());
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 6);
    for (line, bytes) in lines.iter().zip(RECORDED) {
        let packet = RECORDED_LAYOUT.decode(bytes).expect("an event").packet;
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

/// Takes nothing before it may.
struct Gate {
    opened: Receiver<()>,
    sink: Sink,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Open for good once the other end is gone.
        let _ = self.opened.recv();
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_reader_makes_lines_wait_and_loses_none() {
    let (open, opened) = mpsc::channel();
    let sink = Sink::default();
    let mut writer = Writer::new(Gate { opened, sink: sink.clone() });
    let mut text = String::new();
    let mut refused = Vec::new();
    for line in 0..WAITING + 2 {
        let mut buffer = format!("{line}\n").into_bytes();
        text.push_str(&format!("{line}\n"));
        if !writer.offer(&mut buffer) {
            refused = buffer;
            break;
        }
        assert!(buffer.is_empty());
    }
    assert!(!refused.is_empty(), "at most one buffer is being written, the others wait");
    assert!(!writer.is_closed());
    drop(open);
    writer.close(refused).expect("all of it is written");
    assert_eq!(sink.text(), text);
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
    let mut writer = Writer::new(Broken(kind));
    let source = Recorded([batch(&[fault()])].into());
    block_on(run(source, &mut Stub(counted(&[fault()])), &mut pipeline(limits), &mut writer, stop))
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
fn a_pipe_tells_that_its_reader_is_gone() {
    let (reader, writer) = io::pipe().expect("a pipe");
    assert!(!reader_is_gone(&writer));
    drop(reader);
    assert!(reader_is_gone(&writer));
    assert!(!reader_is_gone(std::fs::File::open("/dev/null").expect("Linux has it")));
}
