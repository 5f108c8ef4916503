//! A span of time, as it is typed.

use std::{str::FromStr, time::Duration};

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let wanted = || "a time is a number and a unit: 500ms, 10s, 5m, 1h".to_owned();
        let (number, unit) = UNITS
            .iter()
            .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
            .ok_or_else(wanted)?;
        let number: f64 = number.parse().map_err(|_| wanted())?;
        Duration::try_from_secs_f64(number * unit)
            .ok()
            .filter(|span| !span.is_zero())
            .map(Self)
            .ok_or_else(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("0.5s", 500),
            ("1e3ms", 1000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        let bad = [
            "", "s", "10", "10 s", "0s", "0.0ms", "-1s", "infs", "NaNs", "1d", "1e300h", "ms", "1s1s", "10S",
        ];
        for text in bad {
            let message = text.parse::<Span>().expect_err(text);
            assert!(message.contains("500ms, 10s, 5m, 1h"), "{text}: {message}");
        }
    }
}
