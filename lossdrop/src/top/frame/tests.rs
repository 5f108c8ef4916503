use super::*;
use crate::top::view::tests::{ASCII, DARK, fixture::*};

#[test]
fn a_frame_of_text_has_what_the_screen_has() {
    let wide = text(&state(), &DARK, 120);
    insta::assert_snapshot!(format!("{wide}\n{}", text(&devices(), &ASCII, 80)));
    assert!(!wide.contains('\x1b'));
    assert!(wide.lines().all(|line| line == line.trim_end()));
}

#[test]
fn a_frame_has_all_rows_whatever_is_selected_or_scrolled() {
    let state = State { offset: 3, ..state() };
    let text = text(&state, &DARK, 100);
    assert!(text.contains("netfilter rule") && !text.contains('▶') && text.ends_with('\n'), "{text}");
}

#[test]
fn a_frame_without_drops_says_so() {
    insta::assert_snapshot!(text(&empty(), &DARK, 100));
}

#[test]
fn a_row_in_a_file_has_its_commands_whole() {
    let detail = rule_detail();
    let fix = detail.fixes().next().expect("a fix").to_owned();
    let text = detail_text(&detail, &DARK, 60);
    assert!(text.lines().any(|line| line == fix), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_frame_of_json_has_everything() {
    let mut state = state();
    state.table.rows.truncate(3);
    let json = json(&state, &[rule_detail()]);
    assert_eq!(json["rows"][1]["findings"], json!([]));
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).expect("JSON"));
}
