//! What the user may have meant.

/// The candidates that resemble what was typed, best first, as part of a sentence: "; did you mean A or B?".
pub(crate) fn near(typed: &str, candidates: &[&str]) -> String {
    let mut ranked: Vec<(f64, &str)> = candidates
        .iter()
        .map(|candidate| {
            let part = f64::from(u8::from(candidate.contains(typed) && typed.len() >= 3));
            (strsim::jaro_winkler(typed, candidate).max(part), *candidate)
        })
        .filter(|(score, _)| *score > 0.75)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let names: Vec<&str> = ranked.into_iter().take(4).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_what_resembles_the_typed_word_best_first() {
        let names =
            ["NO_SOCKET", "NETFILTER_DROP", "TCP_CSUM", "UDP_CSUM", "IP_CSUM", "IP_INHDR", "SOCKET_FILTER"];
        assert_eq!(near("NO_SOKET", &names), "; did you mean NO_SOCKET?");
        assert_eq!(near("NETFILTER", &names[..2]), "; did you mean NETFILTER_DROP?");
        assert!(near("CSUM", &names).contains("TCP_CSUM or UDP_CSUM or IP_CSUM"));
        assert_eq!(near("XYZZY", &names), "");
        assert_eq!(near("", &names), "");
        assert_eq!(near("eth0", &[]), "");
        let many = ["eth1", "eth2", "eth3", "eth4", "eth5"];
        assert_eq!(near("eth0", &many).matches(" or ").count(), 3, "at most four");
    }
}
