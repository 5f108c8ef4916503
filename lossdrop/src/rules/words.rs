//! A rule's words, as iptables-save quotes them and as a shell wants them.

/// Splits a line of iptables-save: words may be in double quotes, with backslashes before quotes and backslashes.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The word such that a shell takes it as it is.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_taken_as_iptables_save_means_them() {
        let line = r#"-A INPUT -m comment --comment "it\'s \"a\" \\ drop" --x "" -j DROP"#;
        let words = split(line);
        assert_eq!(words[5], r#"it's "a" \ drop"#);
        assert_eq!(words[7..], ["", "-j", "DROP"]);
    }

    #[test]
    fn a_shell_takes_quoted_words_as_they_are() {
        assert_eq!(quote("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(quote("!"), "'!'");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_split_and_any_word_quoted(line in ".*") {
            for word in split(&line) {
                proptest::prop_assert!(!quote(&word).is_empty());
            }
        }
    }
}
