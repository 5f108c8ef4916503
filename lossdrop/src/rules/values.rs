//! Sets of values, and answers that may be "maybe". Every value is a number: addresses, ports, and names of devices.

use std::collections::HashMap;

use super::model::Verdict;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Not known.
    Maybe,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// First and last value of a range.
pub(crate) type Range = (u128, u128);

/// A set's element, or a verdict map's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    /// As nft writes its key.
    pub text: String,
    /// Of a set: [`Verdict::Continue`].
    pub verdict: Verdict,
}

impl Element {
    /// One of a set.
    pub(crate) fn of_set(text: impl Into<String>) -> Self {
        Self { text: text.into(), verdict: Verdict::Continue }
    }
}

/// Elements by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Elements {
    /// Keys of one part, by their first value.
    ranges: Vec<(Range, Element)>,
    /// Keys of several parts, each a single value.
    tuples: HashMap<Vec<u128>, Element>,
    /// Keys of several parts, some of them ranges.
    boxes: Vec<(Vec<Range>, Element)>,
    /// For a key that no other element has.
    pub otherwise: Option<Box<Element>>,
    /// Of keys that we cannot read.
    pub unreadable: Vec<Element>,
}

impl Elements {
    /// Elements of keys, in any order.
    pub(crate) fn new(elements: impl IntoIterator<Item = (Vec<Range>, Element)>) -> Self {
        let mut found = Self::default();
        for (key, element) in elements {
            match key.as_slice() {
                [range] => found.ranges.push((*range, element)),
                parts if parts.iter().all(|(first, last)| first == last) => {
                    found.tuples.insert(parts.iter().map(|(first, _)| *first).collect(), element);
                }
                _ => found.boxes.push((key, element)),
            }
        }
        found.ranges.sort_by_key(|((first, last), _)| (*first, *last));
        found.join_overlapping();
        found
    }

    /// Of one part, and not looked up by their text.
    pub(crate) fn of_ranges(ranges: impl IntoIterator<Item = Range>) -> Self {
        Self::new(ranges.into_iter().map(|range| (vec![range], Element::of_set(""))))
    }

    /// A look-up sees only the last range that begins before the value.
    fn join_overlapping(&mut self) {
        self.ranges.dedup_by(|((first, last), _), ((_, end), _)| {
            let overlap = *first <= *end;
            if overlap {
                *end = (*end).max(*last);
            }
            overlap
        });
    }

    /// The element of a key.
    pub(crate) fn find(&self, key: &[u128]) -> Option<&Element> {
        self.listed(key).or(self.otherwise.as_deref())
    }

    fn listed(&self, key: &[u128]) -> Option<&Element> {
        match key {
            [value] => {
                let after = self.ranges.partition_point(|((first, _), _)| first <= value);
                let ((_, last), element) = self.ranges[..after].last()?;
                (value <= last).then_some(element)
            }
            parts => self.tuples.get(parts).or_else(|| {
                let inside = |ranges: &[Range]| {
                    ranges.len() == parts.len()
                        && ranges.iter().zip(parts).all(|((first, last), part)| first <= part && part <= last)
                };
                self.boxes.iter().find(|(ranges, _)| inside(ranges)).map(|(_, element)| element)
            }),
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Element> {
        let ranges = self.ranges.iter().map(|(_, element)| element);
        let boxes = self.boxes.iter().map(|(_, element)| element);
        ranges
            .chain(self.tuples.values())
            .chain(boxes)
            .chain(self.otherwise.as_deref())
            .chain(&self.unreadable)
    }

    /// The values of its keys of one part, for comparisons bit by bit.
    pub(crate) fn values(&self) -> impl Iterator<Item = u128> {
        self.ranges.iter().map(|((first, _), _)| *first)
    }
}

/// The name of a device as a number that sorts like it; a `*` or `+` at the end stands for anything.
pub(super) fn device_range(name: &str, wildcard: char) -> Range {
    match name.strip_suffix(wildcard) {
        Some(prefix) => (device(prefix, 0), device(prefix, 0xff)),
        None => (device(name, 0), device(name, 0)),
    }
}

/// A device's name as a number.
pub(super) fn device_number(name: &str) -> u128 {
    device(name, 0)
}

fn device(name: &str, fill: u8) -> u128 {
    let mut bytes = [fill; 16];
    for (byte, of_name) in bytes.iter_mut().zip(name.bytes()) {
        *byte = of_name;
    }
    u128::from_be_bytes(bytes)
}

/// The range of a prefix of `bits` long values; `None` if it is longer than they are.
pub(super) fn prefix_range(value: u128, length: u32, bits: u32) -> Option<Range> {
    let host = bits.checked_sub(length)?;
    let mask = if host >= 128 { u128::MAX } else { (1 << host) - 1 };
    Some((value & !mask, value | mask))
}

/// A MAC address as a number.
pub(super) fn mac_number(text: &str) -> Option<u128> {
    let bytes: Vec<&str> = text.split(':').collect();
    (bytes.len() == 6).then_some(())?;
    bytes
        .iter()
        .try_fold(0, |number, byte| Some(number << 8 | u128::from(u8::from_str_radix(byte, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_whatever_their_order_and_overlap() {
        let elements = Elements::of_ranges([(20, 30), (1, 10), (3, 4), (9, 12), (40, 40)]);
        for (value, inside) in
            [(0, false), (1, true), (7, true), (12, true), (13, false), (25, true), (40, true)]
        {
            assert_eq!(elements.find(&[value]).is_some(), inside, "{value}");
        }
    }

    #[test]
    fn keys_of_several_parts_are_found_as_tuples_and_as_boxes() {
        let element = |text: &str| Element::of_set(text);
        let elements = Elements::new([
            (vec![(1, 1), (80, 80)], element("exact")),
            (vec![(10, 20), (1, 9)], element("box")),
        ]);
        let text = |key: &[u128]| elements.find(key).map(|element| element.text.as_str());
        assert_eq!(text(&[1, 80]), Some("exact"));
        assert_eq!(text(&[15, 9]), Some("box"));
        assert_eq!(text(&[15, 10]), None);
        assert_eq!(text(&[15]), None);
    }

    #[test]
    fn a_wildcard_covers_the_names_that_begin_so() {
        let (first, last) = device_range("eth*", '*');
        let covers = |name: &str| (first..=last).contains(&device_number(name));
        assert!(covers("eth0") && covers("eth") && covers("eth0123456789ab"));
        assert!(!covers("et") && !covers("wlan0") && !covers("fth0"));
        assert_eq!(device_range("*", '*'), (0, u128::MAX));
    }

    #[test]
    fn prefixes_of_any_length_are_ranges() {
        assert_eq!(prefix_range(0x0a01_0203, 8, 32), Some((0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(prefix_range(5, 0, 128), Some((0, u128::MAX)));
        assert_eq!(prefix_range(5, 128, 128), Some((5, 5)));
        assert_eq!(prefix_range(5, 33, 32), None);
    }

    #[test]
    fn a_conjunction_is_as_sure_as_its_parts() {
        use Truth::{Maybe, No, Yes};
        assert_eq!(Yes.and(Yes), Yes);
        assert_eq!(Yes.and(Maybe), Maybe);
        assert_eq!(Maybe.and(No), No);
        assert_eq!(Maybe.and(Maybe), Maybe);
    }
}
