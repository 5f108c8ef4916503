//! The pages: a row, opened, and the help.

use super::{fixture::*, *};

const SIZES: [(u16, u16); 3] = [(80, 24), (100, 30), (40, 12)];

#[test]
fn a_row_opens_with_why_and_what_to_type() {
    insta::assert_snapshot!(screens(&opened(mtu_detail(), 0), DARK, &SIZES));
}

#[test]
fn the_whole_page_of_a_row_is_seen_on_a_large_screen() {
    insta::assert_snapshot!(screens(&opened(mtu_detail(), 0), DARK, &[(100, 80)]));
}

#[test]
fn scrolling_shows_the_rest_of_a_page() {
    insta::assert_snapshot!(screens(&opened(mtu_detail(), 30), DARK, &[(80, 24), (20, 6)]));
}

#[test]
fn a_row_without_a_finding_says_what_its_causes_mean() {
    insta::assert_snapshot!(screens(&opened(unexplained_detail(), 0), DARK, &SIZES));
}

#[test]
fn the_help_tells_every_key() {
    let help = State { mode: Mode::Help { scroll: 0 }, ..state() };
    insta::assert_snapshot!(screens(&help, DARK, &[(80, 60), (40, 12), (20, 6)]));
}

/// All lines of a page, whatever the screen.
fn unscrolled(state: &State, look: Look, width: u16) -> Vec<String> {
    let height = u16::try_from(lines(area(width, 0), state, &look)).expect("a page") + 10;
    texts(&drawn(state, look, width, height).0)
}

#[test]
fn a_command_can_be_copied_from_the_lines_it_takes() {
    let detail = rule_detail();
    let fix = detail.fixes().next().expect("a fix").to_owned();
    let state = opened(detail, 0);
    for width in [20, 40, 80, 200] {
        let lines = unscrolled(&state, DARK, width);
        let from = lines.iter().position(|line| line.trim() == "fix").expect("a label") + 1;
        let cells = usize::from(width);
        let taken = fix.len().div_ceil(cells);
        assert_eq!(lines[from..from + taken].concat().trim_end(), fix, "{width}");
        assert!(!lines[from + taken].contains("DROP"), "{width}");
    }
}

#[test]
fn a_page_has_as_many_lines_as_it_takes_to_show_its_end() {
    let size = area(80, 24);
    let state = opened(mtu_detail(), 0);
    let (all, seen) = (lines(size, &state, &DARK), page(size, &state));
    let last = screen(&opened(mtu_detail(), all - seen), DARK, (80, 24));
    assert!(last.contains("ip_finish_output2+0x2c0") && last.contains(&format!("–{all}/{all}")), "{last}");
    let before = screen(&opened(mtu_detail(), all - seen - 1), DARK, (80, 24));
    assert!(!before.contains("ip_finish_output2+0x2c0"), "{before}");
    assert_eq!(lines(size, &fixture::state(), &DARK), 0);
}

#[test]
fn control_characters_never_reach_the_screen() {
    let mut detail = mtu_detail();
    let evil = "\x1b]0;owned\x07\u{9b}31m\r\n\u{202e}".to_owned();
    detail.row.name.clone_from(&evil);
    detail.row.culprit.most.clone_from(&evil);
    detail.flows[0].flow.clone_from(&evil);
    detail.stack[0].clone_from(&evil);
    if let Some(finding) = &mut detail.cases[0].finding {
        finding.title.clone_from(&evil);
        finding.fixes[0].command.clone_from(&evil);
    }
    if let Some(packet) = &mut detail.sample {
        packet.line.clone_from(&evil);
        packet.owner.clone_from(&evil);
    }
    let mut table = devices();
    table.table.rows[0] = detail.row.clone();
    table.header.host.clone_from(&evil);
    for text in [unscrolled(&opened(detail, 0), DARK, 80), unscrolled(&table, DARK, 80)] {
        let text = text.concat();
        assert!(text.contains("?]0;owned?"), "{text}");
        assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text}");
    }
}
