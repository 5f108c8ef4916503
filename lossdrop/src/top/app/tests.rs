use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, rc::Rc};

use lossdrop_common::Event;

use super::*;
use crate::{
    capture::Recording,
    diagnose::survey::Survey,
    identity::Namespaces,
    kernel::counters::Row,
    live::lens::GroupBy,
    testing::{self, Page, diagnosis::block_on, fault, live, noise},
    top::{
        state::{Asked, Header, Prompt},
        view::Theme,
    },
};

const LOOK: Look = Look { theme: Theme::Mono, utf8: false };

/// The filters that were asked for, and what the next start is to be.
#[derive(Clone, Default)]
struct Starts {
    asked: Rc<RefCell<Vec<String>>>,
    next: Rc<RefCell<Option<Recording>>>,
}

fn survey_nothing(_: &BTreeSet<u32>, known: Namespaces) -> (Namespaces, Survey) {
    (known, Survey::default())
}

fn started(recording: Recording, filter: &FilterArgs) -> Started {
    let capture = Capture::from(recording);
    Started { capture, filter: filter.clone(), netns: BTreeSet::new(), began: Instant::now() }
}

/// Within a runtime only.
fn app(interval: Duration) -> (App, Starts) {
    let starts = Starts::default();
    let starter: Starter = {
        let starts = starts.clone();
        Box::new(move |filter| {
            starts.asked.borrow_mut().push(filter.to_string());
            let next = starts.next.borrow_mut().take();
            next.map(|next| started(next, filter)).ok_or(Error::Lockdown)
        })
    };
    let windows = Windows::new(survey_nothing, BTreeSet::new(), Namespaces::default());
    let header = Header { filter: "none".to_owned(), ..Header::default() };
    let state = State::new(live::lens(GroupBy::Cause), header);
    let first = started(Recording::default(), &FilterArgs::default());
    let app = App::new(first, starter, testing::observer(), windows, state, interval);
    (app, starts)
}

fn recording(app: &mut App) -> &mut Recording {
    match &mut app.capture {
        Capture::File(recording) => recording,
        Capture::Live(_) => panic!("no test has root"),
    }
}

/// So many more of an event's kind are counted.
fn count(app: &mut App, event: &Event, count: u64) {
    recording(app).count(|counters| {
        counters.seen += count;
        *counters.rows.entry(event.key).or_default() += Row { count, sent: count, lost: 0 };
    });
}

/// The kernel counts these and tells of each.
fn come(app: &mut App, events: &[Event]) {
    events.iter().for_each(|event| count(app, event, 1));
    let counters = app.capture.counters();
    recording(app).push(testing::batch(events), counters);
}

fn port(port: &str) -> FilterArgs {
    FilterArgs { port: vec![port.parse().expect("a port")], ..FilterArgs::default() }
}

fn totals(app: &App) -> Vec<u64> {
    app.state.table.rows.iter().map(|row| row.total).collect()
}

fn typing(app: &mut App) {
    let (text, cursor) = (String::new(), 0);
    app.state.mode = Mode::Prompt(Prompt { what: Asked::Filter, text, cursor, error: None, opened: None });
}

fn error(app: &App) -> Option<&str> {
    match &app.state.mode {
        Mode::Prompt(prompt) => prompt.error.as_deref(),
        _ => None,
    }
}

/// A name in a folder that is the test's own and goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lossdrop-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a name").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_refresh_shows_what_was_counted_and_hides_noise() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault(), fault(), noise()]);
        recording(&mut app).count(|counters| counters.filtered = 4);
        app.refresh().await;
        assert_eq!(totals(&app), [2]);
        let header = &app.state.header;
        assert_eq!(
            header.books,
            Accounting { seen: 7, shown: 2, suppressed: 1, filtered: 4, benign: 1, ..Accounting::default() }
        );
        assert_eq!((header.benign, header.unselected), (1, 0));
        assert!(header.unix_ns > 0 && app.state.table.rows[0].exact);
    });
}

#[test]
fn filters_that_the_kernel_refuses_change_nothing_and_are_reported() {
    block_on(async {
        let (mut app, starts) = app(Duration::from_secs(1));
        come(&mut app, &[fault()]);
        app.refresh().await;
        typing(&mut app);
        let selection = Selection { cause: vec!["mtu".parse().expect("known")], ..Selection::default() };
        app.filter(&port("80"), selection);
        assert_eq!(error(&app), Some(Error::Lockdown.to_string().as_str()));
        assert_eq!(*starts.asked.borrow(), ["port 80"]);
        assert_eq!((app.state.header.filter.as_str(), totals(&app)), ("none", vec![1]));
        assert!(app.state.lens.selection.is_everything());
        count(&mut app, &fault(), 2);
        app.refresh().await;
        assert_eq!(totals(&app), [3], "it goes on with what it had");
    });
}

#[test]
fn filters_that_the_kernel_takes_begin_anew_with_its_new_counters() {
    block_on(async {
        let (mut app, starts) = app(Duration::from_secs(1));
        come(&mut app, &[fault(), fault()]);
        app.refresh().await;
        typing(&mut app);
        *starts.next.borrow_mut() = Some(Recording::default());
        app.filter(&port("80"), Selection::default());
        assert!(matches!(app.state.mode, Mode::Table));
        assert_eq!((app.state.header.filter.as_str(), totals(&app)), ("port 80", vec![]));
        assert_eq!(app.state.header.books, Accounting::default());
        count(&mut app, &fault(), 3);
        app.refresh().await;
        assert_eq!(totals(&app), [3]);
        // The same again restarts nothing.
        app.filter(&port("80"), Selection::default());
        assert_eq!((starts.asked.borrow().len(), totals(&app)), (1, vec![3]));
    });
}

#[test]
fn another_selection_only_looks_at_what_is_there() {
    block_on(async {
        let (mut app, starts) = app(Duration::from_secs(1));
        come(&mut app, &[fault(), noise()]);
        app.refresh().await;
        typing(&mut app);
        let selection =
            Selection { severity: vec!["benign".parse().expect("known")], ..Selection::default() };
        app.filter(&FilterArgs::default(), selection);
        assert!(starts.asked.borrow().is_empty() && matches!(app.state.mode, Mode::Table));
        assert_eq!((totals(&app), app.state.header.unselected), (vec![1], 1));
    });
}

#[test]
fn a_reset_counts_from_zero_and_forgets_details_of_before() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault(), fault()]);
        app.refresh().await;
        app.state.act(Action::Open, &app.live.model, Extent { page: 5, lines: 5 });
        // Counted, and its details still wait to be read.
        come(&mut app, &[noise()]);
        app.reset();
        assert!(totals(&app).is_empty() && !app.capture.read(&mut Batch::default()));
        assert!(matches!(app.state.mode, Mode::Table), "what was open is no more");
        assert_eq!(app.state.header.books, Accounting::default());
        app.refresh().await;
        assert_eq!((totals(&app), app.state.header.rate), (vec![], 0.0));
        come(&mut app, &[fault(), fault(), fault()]);
        app.refresh().await;
        assert_eq!(totals(&app), [3]);
        assert_eq!(app.state.header.books, Accounting { seen: 3, shown: 3, ..Accounting::default() });
    });
}

#[test]
fn a_reset_while_drops_go_on_loses_none_in_the_end() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        count(&mut app, &fault(), 10);
        app.refresh().await;
        // The sum was read before the rows, and three drops came in between.
        count(&mut app, &fault(), 3);
        recording(&mut app).count(|counters| counters.seen -= 3);
        app.reset();
        recording(&mut app).count(|counters| counters.seen += 3);
        count(&mut app, &fault(), 5);
        let (books, _) = app.finish();
        assert_eq!(books, Accounting { seen: 5, shown: 5, ..Accounting::default() });
    });
}

#[test]
fn a_pause_holds_the_screen_while_the_counting_goes_on() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault()]);
        app.refresh().await;
        app.state.paused = true;
        app.show();
        let (time, up) = (app.state.header.unix_ns, app.state.header.up);
        for _ in 0..3 {
            come(&mut app, &[fault()]);
            app.refresh().await;
            assert_eq!(totals(&app), [1]);
        }
        assert_eq!((app.state.header.unix_ns, app.state.header.up), (time, up));
        app.state.lens.group = GroupBy::Reason;
        app.show();
        assert_eq!((totals(&app), app.state.table.rows[0].name.as_str()), (vec![1], "NETFILTER_DROP"));
        assert_eq!(app.details().len(), 1);
        app.state.paused = false;
        app.show();
        assert_eq!((totals(&app), app.state.table.rows[0].history.len()), (vec![4], 4));
        assert!(app.state.table.rows[0].exact);
    });
}

#[test]
fn what_is_seen_is_written_for_its_user_alone_and_over_nothing() {
    block_on(async {
        let folder = Folder::new("write");
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault()]);
        app.refresh().await;
        for (name, is_json) in [("frame.txt", false), ("frame.json", true)] {
            let name = folder.file(name);
            typing(&mut app);
            app.write(&name, &LOOK, 100);
            assert!(matches!(app.state.mode, Mode::Table));
            assert!(app.state.message.as_ref().is_some_and(|message| message.text.contains(&name)));
            let text = fs::read_to_string(&name).expect("a file");
            let mode = fs::metadata(&name).expect("a file").permissions().mode();
            assert_eq!((mode & 0o777, text.contains("netfilter"), text.ends_with('\n')), (0o600, true, true));
            let json = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(json.is_ok_and(|json| json["rows"][0]["total"] == 1), is_json);
            typing(&mut app);
            app.write(&name, &LOOK, 100);
            assert!(error(&app).is_some_and(|error| error.contains("exists already")));
            assert_eq!(fs::read_to_string(&name).expect("a file"), text);
        }
        app.write(&folder.file("no/such/folder.txt"), &LOOK, 100);
        assert!(error(&app).is_some_and(|error| error.starts_with("cannot write")));
    });
}

#[test]
fn a_row_that_is_open_is_what_is_written() {
    block_on(async {
        let folder = Folder::new("row");
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault()]);
        app.refresh().await;
        app.state.act(Action::Open, &app.live.model, Extent { page: 5, lines: 5 });
        app.state.act(Action::Write, &app.live.model, Extent { page: 5, lines: 5 });
        let name = folder.file("row.txt");
        app.write(&name, &LOOK, 100);
        assert!(matches!(app.state.mode, Mode::Detail { .. }), "back to where the name was asked for");
        let text = fs::read_to_string(&name).expect("a file");
        assert!(text.contains("10.99.0.1:41234"), "{text}");
    });
}

#[test]
fn the_final_books_have_every_drop_in_one_place() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        come(&mut app, &[fault(), noise()]);
        app.refresh().await;
        count(&mut app, &fault(), 5);
        recording(&mut app).count(|counters| {
            counters.filtered = 7;
            counters.other.count = 2;
            counters.seen += 9;
            counters.add_missed(3);
        });
        let (books, _) = app.finish();
        assert_eq!(
            books,
            Accounting { seen: 19, shown: 8, suppressed: 1, filtered: 7, lost: 3, benign: 1, unselected: 0 }
        );
    });
}

#[test]
fn a_failed_survey_is_survived() {
    fn broken(_: &BTreeSet<u32>, _: Namespaces) -> (Namespaces, Survey) {
        panic!("this survey fails, as the test wants it");
    }
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(1));
        app.live.windows = Windows::new(broken, BTreeSet::new(), Namespaces::default());
        let failed = app.live.windows.progress().await;
        assert!(failed.is_err());
        app.advance(failed);
        come(&mut app, &[fault()]);
        app.refresh().await;
        assert_eq!(totals(&app), [1]);
        assert!(app.live.windows.is_idle(), "another survey waits its time");
    });
}

fn frames(page: &Page) -> Vec<serde_json::Value> {
    page.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn json(app: &App) -> String {
    format!("{}\n", frame::json(&app.state, &app.details()))
}

#[test]
fn so_many_frames_are_printed_and_each_is_json() {
    block_on(async {
        let (mut app, _) = app(Duration::from_millis(1));
        come(&mut app, &[noise()]);
        let page = Page::default();
        let mut writer = Writer::new(page.clone());
        batch(&mut app, json, Some(3), &mut writer, std::future::pending()).await.expect("printed");
        let frames = frames(&page);
        assert!((1..=3).contains(&frames.len()), "a reader who is behind gets what is current");
        let last = frames.last().expect("a frame");
        assert_eq!(
            (&last["type"], &last["accounting"]["seen"], &last["benign"]),
            (&"frame".into(), &1.into(), &1.into())
        );
    });
}

#[test]
fn the_last_frame_waits_for_its_culprits_but_not_for_ever() {
    block_on(async {
        let (mut app, _) = app(Duration::from_millis(1));
        come(&mut app, &[fault()]);
        // As if the machine had been surveyed a while ago.
        let surveyed = app.live.windows.progress().await;
        app.advance(surveyed);
        let page = Page::default();
        let mut writer = Writer::new(page.clone());
        batch(&mut app, json, Some(1), &mut writer, std::future::pending()).await.expect("printed");
        let frames = frames(&page);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0]["rows"][0]["findings"].as_array().map(Vec::len), Some(1), "{}", frames[0]);
        assert!(!app.live.model.has_unnamed());
    });
}

#[test]
fn frames_end_when_they_are_reported_to_even_while_the_last_waits() {
    block_on(async {
        let (mut app, _) = app(Duration::from_secs(3600));
        let page = Page::default();
        let mut writer = Writer::new(page.clone());
        batch(&mut app, json, None, &mut writer, std::future::ready(())).await.expect("ended");
        assert!(frames(&page).is_empty());
        // A survey that never ends: only the stop does.
        fn endless(_: &BTreeSet<u32>, known: Namespaces) -> (Namespaces, Survey) {
            std::thread::park_timeout(Duration::from_millis(300));
            (known, Survey::default())
        }
        app.live.windows = Windows::new(endless, BTreeSet::new(), Namespaces::default());
        app.interval = Duration::from_millis(1);
        let mut writer = Writer::new(page.clone());
        let mut polls = 0;
        let stop = std::future::poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls > 200 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        batch(&mut app, json, Some(1), &mut writer, stop).await.expect("ended");
        assert!(frames(&page).len() <= 1);
    });
}

#[test]
fn history_reaches_a_minute_back_however_short_the_intervals() {
    for (ms, count) in [(100, 600), (700, 86), (1000, 60), (5000, 60), (0, 60_000)] {
        assert_eq!(intervals(Duration::from_millis(ms)), count, "{ms}");
    }
}
