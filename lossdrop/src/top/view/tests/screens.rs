//! The table, the menus, the prompts.

use super::{fixture::*, *};
use crate::{
    drops::accounting::Accounting,
    knowledge::Severity,
    live::lens::{GroupBy, SortBy},
    top::state::{Asked, Message},
};

const ALL: [(u16, u16); 5] = [(80, 24), (100, 30), (200, 50), (40, 12), (20, 6)];

#[test]
fn the_table_by_cause_fits_every_screen() {
    insta::assert_snapshot!(screens(&state(), DARK, &ALL));
}

#[test]
fn the_table_by_device_has_the_device_first() {
    insta::assert_snapshot!(screens(&devices(), DARK, &ALL[..4]));
}

#[test]
fn the_table_by_flow_has_room_for_addresses() {
    insta::assert_snapshot!(screens(&flows(), DARK, &ALL[..4]));
}

#[test]
fn without_drops_the_screen_says_what_is_hidden() {
    insta::assert_snapshot!(screens(&empty(), DARK, &[(80, 24), (40, 12), (20, 6)]));
}

/// Large numbers, losses, a selection, and everything else that the header can say.
fn busy() -> State {
    let mut state = state();
    state.header.books = Accounting {
        seen: 1_187_736_001,
        shown: 212_114,
        suppressed: 1_185_622_000,
        filtered: 9_001,
        lost: 21,
        ..Accounting::default()
    };
    state.header.details_lost = 1234;
    state.header.filter = "port 80 host 10.0.0.1".to_owned();
    state.header.rate = 2_345_678.0;
    state.table.rows[0].rate = 2_345_000.0;
    state.table.rows[0].total = 1_181_020_000;
    state.table.rows[0].exact = false;
    state.lens.selection.severity = vec![Severity::Fault];
    state.lens.reversed = true;
    state.lens.sort = SortBy::Total;
    state.paused = true;
    state.message = Some(Message { text: "written to /tmp/drops.json".to_owned(), is_error: false });
    state
}

#[test]
fn paused_with_losses_and_a_message_all_of_it_is_seen() {
    insta::assert_snapshot!(screens(&busy(), DARK, &ALL));
}

#[test]
fn the_menus_show_what_is_so_and_what_is_chosen() {
    let group = State { mode: Mode::GroupMenu { chosen: 4 }, ..state() };
    let sort = State { mode: Mode::SortMenu { chosen: 0 }, ..state() };
    let small = [(80, 24), (20, 6)];
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        screens(&group, DARK, &small),
        screens(&sort, ASCII, &small)
    ));
}

#[test]
fn a_prompt_has_its_error_above_it() {
    let filter = asking(
        Asked::Filter,
        "cause mtuu",
        Some("there is no such cause, did you mean mtu? (docs/causes.md lists them)"),
    );
    let file = asking(Asked::File, "/tmp/drops.json", None);
    let small = [(80, 24), (40, 12), (20, 6)];
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        screens(&filter, DARK, &small),
        screens(&file, DARK, &small[..1])
    ));
}

#[test]
fn the_cursor_of_a_prompt_is_on_the_screen_however_long_the_line() {
    let mut state = asking(Asked::Filter, "port 80", None);
    assert_eq!(drawn(&state, DARK, 80, 24).1, Position { x: 15, y: 23 });
    let Mode::Prompt(prompt) = &mut state.mode else { panic!("a prompt") };
    prompt.cursor = 0;
    assert_eq!(drawn(&state, DARK, 80, 24).1, Position { x: 8, y: 23 });
    let long = asking(Asked::Filter, &"port 80 ".repeat(30), None);
    assert_eq!(drawn(&long, DARK, 40, 12).1, Position { x: 39, y: 11 });
}

#[test]
fn without_more_than_ascii_every_glyph_has_a_stand_in() {
    let mut state = flows();
    state.table.rows[0].netns.most = "wörker".to_owned();
    insta::assert_snapshot!(screens(&state, ASCII, &[(100, 30)]));
    let states = [
        state,
        busy(),
        empty(),
        opened(mtu_detail(), 0),
        opened(mtu_detail(), 30),
        opened(unexplained_detail(), 0),
        State { mode: Mode::Help { scroll: 0 }, ..busy() },
        State { mode: Mode::GroupMenu { chosen: 1 }, ..busy() },
        asking(Asked::File, "Größe→", Some("…")),
    ];
    for state in &states {
        for (width, height) in ALL {
            let text = texts(&drawn(state, ASCII, width, height).0).join("\n");
            assert!(text.is_ascii(), "{text}");
        }
    }
}

#[test]
fn columns_leave_in_the_table_s_order_and_every_line_fits() {
    let heads = ["RATE/s", "S", "CAUSE", "CULPRIT", "TOTAL", "NETNS", " s", "SHARE", "REASON", "LOCATION"];
    let mut before = 0;
    for width in 30..=250 {
        let (buffer, _) = drawn(&state(), DARK, width, 24);
        let head = texts(&buffer).into_iter().find(|line| line.contains("RATE/s")).expect("a head");
        // The mark of the column that sorts is no part of its name; the trend is called by its length.
        let words = head.replace('▼', " ");
        let words: Vec<&str> = words.split_whitespace().collect();
        let there = |head: &&str| words.contains(&head.trim());
        let shown = heads.iter().take_while(|head| there(head)).count();
        let all = words.len() - usize::from(shown > 6);
        assert_eq!(shown, all, "{width}: {head}");
        assert!(shown >= before, "{width}: {head}");
        before = shown;
        let row = texts(&buffer).into_iter().find(|line| line.contains("iptabl")).expect("a row");
        assert!(row.contains("1,187"), "{width}: {row}");
    }
    assert_eq!(before, heads.len());
}

#[test]
fn what_the_rows_are_sorted_by_is_seen_on_a_narrow_screen() {
    let mut state = state();
    assert!(!screen(&state, DARK, (40, 12)).contains("TOTAL"));
    state.lens.sort = SortBy::Total;
    assert!(screen(&state, DARK, (40, 12)).contains("TOTAL▼"));
    state.lens.reversed = true;
    assert!(screen(&state, DARK, (40, 12)).contains("TOTAL▲"));
    state.lens.sort = SortBy::Name;
    assert!(screen(&state, DARK, (40, 12)).contains("CAUSE▼"));
    state.lens.sort = SortBy::Severity;
    assert!(screen(&state, DARK, (80, 24)).contains(" S▲ CAUSE"));
}

#[test]
fn rows_above_the_offset_are_not_seen_and_the_selected_one_is_marked() {
    let mut state = State { offset: 1, ..state() };
    let text = screen(&state, DARK, (80, 24));
    assert!(!text.contains("filter INPUT") && text.contains("▶F  mtu veth-peer"), "{text}");
    state.offset = usize::MAX;
    assert!(!screen(&state, DARK, (80, 24)).contains("mtu veth-peer"));
}

#[test]
fn a_click_on_a_row_is_that_row_and_one_on_a_head_sorts_by_it() {
    let state = State { offset: 2, ..state() };
    let (buffer, _) = drawn(&state, DARK, 100, 30);
    let lines = texts(&buffer);
    let find = |text: &str| {
        let y = lines.iter().position(|line| line.contains(text)).expect(text);
        let x = lines[y].split(text).next().map(|before| before.chars().count()).expect(text);
        (u16::try_from(x).expect("a column"), u16::try_from(y).expect("a row"))
    };
    let hit = |(x, y)| hit(area(100, 30), &state, &DARK, x, y);
    assert_eq!(hit(find("socket rcvbuf")), Some(Hit::Row(2)));
    assert_eq!(hit(find("housekeeping")), Some(Hit::Row(4)));
    let (_, last) = find("housekeeping");
    assert_eq!(hit((5, last + 1)), None);
    assert_eq!(hit(find("RATE/s")), Some(Hit::Sort(SortBy::Rate)));
    assert_eq!(hit(find("TOTAL")), Some(Hit::Sort(SortBy::Total)));
    assert_eq!(hit(find("CAUSE")), Some(Hit::Sort(SortBy::Name)));
    assert_eq!(hit(find("S  CAUSE")), Some(Hit::Sort(SortBy::Severity)));
    assert_eq!(hit(find("NETNS")), None);
    assert_eq!(hit((0, 0)), None);
    assert_eq!(hit((0, 29)), None);
    assert_eq!(hit((500, 500)), None);
}

#[test]
fn a_click_into_a_menu_is_the_entry_that_is_seen_there() {
    for (width, height) in [(80, 24), (20, 6)] {
        for chosen in [0, GroupBy::ALL.len() - 1] {
            let state = State { mode: Mode::GroupMenu { chosen }, ..state() };
            let (buffer, _) = drawn(&state, DARK, width, height);
            let word = GroupBy::ALL[chosen].word();
            let entry = format!("{} {word}", GroupBy::ALL[chosen].key());
            let y = texts(&buffer).iter().position(|line| line.contains(&entry)).expect("an entry");
            let y = u16::try_from(y).expect("a row");
            assert_eq!(hit(area(width, height), &state, &DARK, width / 2, y), Some(Hit::Choice(chosen)));
            assert_eq!(hit(area(width, height), &state, &DARK, 0, 0), None);
        }
    }
}

#[test]
fn a_page_is_as_many_rows_as_are_seen() {
    let mut state = state();
    let row = state.table.rows[0].clone();
    state.table.rows = vec![row; 100];
    for (width, height) in ALL {
        let (buffer, _) = drawn(&state, DARK, width, height);
        let seen = texts(&buffer).iter().filter(|line| line.contains(" F ") && line.contains("netf")).count();
        assert_eq!(page(area(width, height), &state), seen, "{width} x {height}");
    }
    assert_eq!(page(area(0, 0), &state), 1);
}
