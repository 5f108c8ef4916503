//! Nothing that can be drawn stops the drawing.

use proptest::prelude::*;

use super::{fixture::*, *};
use crate::{
    live::lens::{GroupBy, SortBy},
    top::state::{Asked, Message, Prompt},
};

/// Wide, narrow, and evil characters, too.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,60}", "[\\x00-\\x9f→…漢é\u{301}\u{202e}🇩🇪👨\u{200d}👩 ]{0,40}"]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1e13, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)]
}

fn mode() -> impl Strategy<Value = Mode> {
    let packet = proptest::collection::vec(any::<u8>(), 0..90);
    let detail = (0..3_usize, any::<usize>(), text(), packet, 0..200_usize).prop_map(
        |(which, scroll, text, bytes, first)| {
            let mut detail = [mtu_detail, rule_detail, unexplained_detail][which]();
            detail.row.culprit.most.clone_from(&text);
            detail.stack.push(text);
            if let Some(packet) = &mut detail.sample {
                packet.bytes = bytes;
                // Headers are met more often than by chance.
                if let Some(byte) = packet.bytes.first_mut() {
                    *byte = [0x45, 0x60, 0x4f, *byte][first % 4];
                }
            }
            Mode::Detail { detail: Box::new(detail), scroll: if which == 0 { scroll } else { scroll % 50 } }
        },
    );
    let prompt = (text(), 0..100_usize, proptest::option::of(text())).prop_map(|(text, cursor, error)| {
        Mode::Prompt(Prompt { what: Asked::Filter, text, cursor, error, opened: None })
    });
    prop_oneof![
        Just(Mode::Table),
        detail,
        (0..99_usize).prop_map(|scroll| Mode::Help { scroll }),
        (0..GroupBy::ALL.len()).prop_map(|chosen| Mode::GroupMenu { chosen }),
        (0..SortBy::ALL.len()).prop_map(|chosen| Mode::SortMenu { chosen }),
        prompt,
    ]
}

fn any_state() -> impl Strategy<Value = State> {
    let lens = (0..GroupBy::ALL.len(), 0..SortBy::ALL.len(), any::<bool>(), any::<bool>());
    let rows = proptest::collection::vec((text(), number(), any::<u64>(), 0..40_usize), 0..30);
    (lens, rows, mode(), 0..40_usize, text(), any::<[u64; 6]>(), number()).prop_map(
        |((group, sort, reversed, flag), rows, mode, offset, text, books, rate)| {
            let mut state = State { mode, offset, paused: flag, ..state() };
            state.lens.group = GroupBy::ALL[group];
            state.lens.sort = SortBy::ALL[sort];
            state.lens.reversed = reversed;
            state.lens.benign = flag;
            let template = state.table.rows[0].clone();
            let row = |(name, rate, total, history): (String, f64, u64, usize)| {
                let mut row = template.clone();
                row.culprit.most.clone_from(&name);
                row.netns.others = history;
                row.history = vec![rate; history];
                crate::live::lens::Row { name, rate, share: rate, total, exact: flag, ..row }
            };
            state.table.rows = rows.into_iter().map(row).collect();
            [state.header.books.seen, state.header.books.shown, state.header.books.suppressed, ..] = books;
            [.., state.header.books.filtered, state.header.books.lost, state.table.shown] = books;
            state.header.filter.clone_from(&text);
            state.header.rate = rate;
            state.message = flag.then_some(Message { text, is_error: reversed });
            state
        },
    )
}

proptest! {
    #[test]
    fn any_state_can_be_drawn_on_a_screen_of_any_size(
        state in any_state(), width in 0..260_u16, height in 0..60_u16, utf8: bool, x: u16, y: u16,
    ) {
        let look = Look { theme: Theme::Dark, utf8 };
        let (buffer, _) = drawn(&state, look, width, height);
        let text = texts(&buffer).concat();
        prop_assert!(!text.contains(char::is_control));
        prop_assert!(utf8 || text.is_ascii());
        let hit = hit(area(width, height), &state, &look, x % 260, y % 60);
        if let Some(Hit::Row(row)) = hit {
            prop_assert!(row < state.table.rows.len());
        }
        prop_assert!(page(area(width, height), &state) >= 1);
        lines(area(width, height), &state, &look);
    }
}
