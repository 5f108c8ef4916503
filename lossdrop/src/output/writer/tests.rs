use std::sync::mpsc;

use super::*;
use crate::testing::Page;

/// Takes nothing before it may.
struct Gate {
    opened: Receiver<()>,
    page: Page,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Open for good once the other end is gone.
        let _ = self.opened.recv();
        self.page.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_reader_makes_lines_wait_and_loses_none() {
    let (open, opened) = mpsc::channel();
    let page = Page::default();
    let mut writer = Writer::new(Gate { opened, page: page.clone() });
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
    assert_eq!(page.text(), text);
}

#[test]
fn a_pipe_tells_that_its_reader_is_gone() {
    let (reader, writer) = io::pipe().expect("a pipe");
    assert!(!reader_is_gone(&writer));
    drop(reader);
    assert!(reader_is_gone(&writer));
    assert!(!reader_is_gone(File::open("/dev/null").expect("Linux has it")));
}

#[test]
fn a_reader_who_is_gone_is_a_broken_pipe_whatever_else_is_wrong() {
    let (reader, pipe) = io::pipe().expect("a pipe");
    let mut writer = Writer::to(&pipe).expect("it is open");
    assert!(!writer.is_closed());
    drop(reader);
    assert!(writer.is_closed());
    let closed = writer.close(b"the end".to_vec());
    assert!(closed.as_ref().is_err_and(Error::is_reader_gone), "{closed:?}");
}

#[test]
fn a_file_is_never_written_over_and_a_device_is_taken_as_it_is() {
    let folder = std::env::temp_dir().join(format!("lossdrop-{}-writer", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("drops.json");
    let mut file = create(&path).expect("it is new");
    file.write_all(b"kept").expect("written");
    assert!(matches!(create(&path), Err(Error::FileExists { .. })));
    assert_eq!(std::fs::read(&path).expect("it is there"), b"kept");
    let error = create(&folder).expect_err("a folder is no file").to_string();
    assert!(error.contains("exists already"), "{error}");
    let error = create(&folder.join("no/such/file")).expect_err("no folder").to_string();
    assert!(error.starts_with("cannot write "), "{error}");
    assert!(create(Path::new("/dev/null")).is_ok());
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let mut writer = Writer::create(Path::new("/dev/full")).expect("a device is written to as it is");
    let error = writer.close(b"line\n".to_vec()).expect_err("it is full").to_string();
    assert!(error.starts_with("cannot write /dev/full: No space left"), "{error}");
}
