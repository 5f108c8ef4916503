//! Strings from the kernel may hold anything: a process can name itself by an escape sequence.

use std::borrow::Cow;

/// The text with everything that could steer a terminal replaced by `?`.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_harmless(c) { c } else { '?' }).collect())
}

/// The bytes up to the first NUL as such a text.
pub(crate) fn sanitize_bytes(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    match String::from_utf8_lossy(&bytes[..end]) {
        Cow::Borrowed(text) => sanitize(text),
        Cow::Owned(text) => Cow::Owned(sanitize(&text).into_owned()),
    }
}

/// No control character, and none that reorders the text around it.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_never_reach_the_terminal() {
        assert_eq!(sanitize("\x1b]0;owned\x07"), "?]0;owned?");
        assert_eq!(sanitize("a\u{9b}31m"), "a?31m");
        assert_eq!(sanitize("line\nline\ttab"), "line?line?tab");
        assert_eq!(sanitize("\u{202e}txt.exe"), "?txt.exe");
        assert_eq!(sanitize("nginx: wörker"), "nginx: wörker");
    }

    #[test]
    fn bytes_end_at_the_first_nul_and_need_not_be_utf8() {
        assert_eq!(sanitize_bytes(b"eth0\0\0\x1b"), "eth0");
        assert_eq!(sanitize_bytes(b"\xff\x1bx"), "\u{fffd}?x");
        assert_eq!(sanitize_bytes(b""), "");
    }

    proptest::proptest! {
        #[test]
        fn no_text_keeps_a_control_character_and_no_harmless_one_is_lost(text in "\\PC*|.*|[\\x00-\\x9f\u{200b}-\u{202e}]*") {
            let clean = sanitize(&text);
            proptest::prop_assert!(!clean.chars().any(char::is_control));
            proptest::prop_assert_eq!(clean.chars().count(), text.chars().count());
            proptest::prop_assert!(clean.chars().zip(text.chars()).all(|(new, old)| new == old || new == '?'));
            proptest::prop_assert!(matches!(sanitize(&clean), Cow::Borrowed(_)));
        }

        #[test]
        fn any_bytes_are_a_text(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..32)) {
            proptest::prop_assert!(!sanitize_bytes(&bytes).chars().any(char::is_control));
        }
    }
}
