use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    net::IpAddr,
    str::FromStr,
};

use ipnet::IpNet;
use lossdrop_common::{
    FilterKinds, HostBits, HostKey, L3, LenRange, MarkMatch, PROTO_ARP, PortBits, PortWord,
    event::{bytes_of, words_of},
};

use super::{values::service_port, *};
use crate::{
    drops::select::Selection,
    error::{Error, Result},
    identity::Namespaces,
    kernel::{
        Filter,
        fields::{Missing, lost},
        filter::Entries,
        load::host_key,
        reasons::Reasons,
    },
    knowledge::protocols::protocol_name,
    testing,
};

/// A value of each kind that any machine has, as it is typed and shown.
const EXAMPLES: &[(&str, &str)] = &[
    ("port", "80"),
    ("sport", "1-2"),
    ("dport", "53"),
    ("host", "10.0.0.0/8"),
    ("src", "::1"),
    ("dst", "192.0.2.1"),
    ("proto", "udp"),
    ("iface", "lo"),
    ("netns", "/proc/self/ns/net"),
    ("reason", "NO_SOCKET"),
    ("mark", "0x10/0xff"),
    ("len", "1401-"),
];

/// That of one kind.
fn example(kind: &Kind) -> FilterArgs {
    let (name, value) = EXAMPLES.iter().find(|(name, _)| *name == kind.name).expect(kind.name);
    FilterLine::parse(&format!("{name} {value}")).expect("a filter").filter
}

#[track_caller]
fn parsed<T: FromStr<Err = String>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

#[track_caller]
fn assert_refused<T: FromStr<Err = String> + Debug>(texts: &[&str], words: &str) {
    for text in texts {
        let message = text.parse::<T>().expect_err(text);
        assert!(message.contains(words), "{text}: {message}");
    }
}

fn reasons() -> Reasons {
    let reasons = [(2, "NOT_SPECIFIED"), (3, "NO_SOCKET")];
    Reasons::from_names(reasons.map(|(number, name)| (number, name.to_owned())))
}

/// On a machine with two reasons and no namespace.
fn resolve(args: &FilterArgs) -> Result<Filter> {
    args.resolve(&testing::info(reasons()), || panic!("no filter needs the namespaces"))
}

fn ports(filter: &Filter) -> &[PortWord] {
    match filter.maps.get("FILTER_PORTS") {
        Some(Entries::Ports(words)) => words,
        other => panic!("{other:?}"),
    }
}

fn prefixes(filter: &Filter) -> &BTreeMap<IpNet, u32> {
    match filter.maps.get("FILTER_HOSTS") {
        Some(Entries::Prefixes(prefixes)) => prefixes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kernel_without_reasons_has_none_to_filter_by() {
    let args = FilterArgs { reason: vec!["NO_SOCKET".to_owned()], ..FilterArgs::default() };
    let info = testing::info(Reasons::default());
    let refused = args.resolve(&info, || panic!("no filter needs the namespaces"));
    assert!(matches!(refused, Err(Error::NoReasons)), "{refused:?}");
}

#[test]
fn a_filter_whose_field_the_kernel_lacks_is_refused_and_another_is_not() {
    for (kind, field) in KINDS.iter().flat_map(|kind| kind.needs.iter().map(move |field| (kind, *field))) {
        let mut info = testing::info(reasons());
        info.missing_facts = vec![Missing { field: field.to_owned(), lost: lost("something") }];
        let refused = example(kind).resolve(&info, Namespaces::scan).expect_err(field).to_string();
        let words = format!("--{} can't be used on this kernel, which has no {field}", kind.name);
        assert!(refused.starts_with(&words), "{refused}");
        let other = KINDS.iter().find(|other| !other.needs.contains(&field)).expect("another kind");
        assert!(example(other).resolve(&info, Namespaces::scan).is_ok(), "{}", other.name);
    }
}

#[test]
fn filters_look_at_fields_that_there_are() {
    let main = crate::kernel::offsets::FIELDS.iter().map(crate::kernel::fields::Field::name);
    let facts = crate::kernel::fact_offsets::FIELDS.iter().map(crate::kernel::fields::Field::name);
    let known: Vec<String> = main.chain(facts).collect();
    for field in KINDS.iter().flat_map(|kind| kind.needs) {
        assert!(known.iter().any(|known| known == field), "{field}");
    }
}

#[test]
fn every_kind_has_a_bit_of_its_own_and_every_bit_its_kind() {
    let mut all = FilterKinds::default();
    for kind in KINDS {
        assert!(!all.has(kind.bit), "{}", kind.name);
        all.add(kind.bit);
    }
    for bit in FilterKinds::ALL {
        assert!(all.has(*bit), "{bit:?} has no entry");
    }
}

#[test]
fn a_port_is_a_number_a_range_or_a_service() {
    for (text, first, last) in [
        ("0", 0, 0),
        ("80", 80, 80),
        ("65535", 65535, 65535),
        ("8000-8100", 8000, 8100),
        ("7-7", 7, 7),
        ("0-65535", 0, 65535),
    ] {
        assert_eq!(text.parse(), Ok(PortRange { first, last }), "{text}");
    }
    let words = "a number from 0 to 65535, a range such as 8000-8100, or a service's name";
    assert_refused::<PortRange>(&["65536", "80-", "80-90-100", "80-http", "80,81", "0x50", "80 "], words);
    assert_refused::<PortRange>(&["443-80"], "upside down: try 80-443");
    assert_refused::<PortRange>(&["no-such-service", "", "-80"], "give the port's number");
}

#[test]
fn a_service_is_found_by_its_name_or_alias() {
    let services = "\
# a comment\n\
\n\
http\t\t80/tcp\t\twww # WorldWideWeb\n\
domain 53/udp\n\
broken\n\
odd xx/tcp\n\
kerberos\t88/tcp\tkerberos5 krb5\n";
    for (name, port) in [("http", 80), ("www", 80), ("domain", 53), ("krb5", 88)] {
        assert_eq!(service_port(services, name), Some(port), "{name}");
    }
    for name in ["WorldWideWeb", "broken", "odd", "#", "", "htt", "80/tcp", "HTTP"] {
        assert_eq!(service_port(services, name), None, "{name}");
    }
}

#[test]
fn a_host_is_an_address_or_a_prefix_cut_to_its_length() {
    for (text, shown) in [
        ("192.0.2.1", "192.0.2.1"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:ffff::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(text.parse::<Host>().expect(text).to_string(), shown);
    }
    let bad = [
        "",
        "10.0.0",
        "10.0.0.0/33",
        "10.0.0.256",
        "::1/129",
        "example.org",
        "10.0.0.0/",
        "fe80::1%eth0",
        "/8",
    ];
    assert_refused::<Host>(&bad, "such as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32");
}

#[test]
fn a_protocol_is_a_name_in_any_case_or_a_number() {
    for (text, number, shown) in [
        ("tcp", 6, "tcp"),
        ("UDP", 17, "udp"),
        ("58", 58, "icmpv6"),
        ("arp", PROTO_ARP, "arp"),
        ("0", 0, "0"),
        ("255", 255, "255"),
    ] {
        let protocol: Protocol = text.parse().expect(text);
        assert_eq!((protocol.0, protocol.to_string().as_str()), (number, shown));
    }
    assert_refused::<Protocol>(&["", "256", "-1", "tcp ", "http", "tcp,udp"], "a number from 0 to 255");
    assert_eq!((protocol_name(132), protocol_name(47)), (Some("sctp"), None));
}

#[test]
fn a_device_s_name_is_one_that_the_kernel_allows() {
    for name in ["lo", "eth0.100", "fifteen-bytes-x", "@", "ü"] {
        assert_eq!(name.parse::<Iface>().expect(name).to_string(), name);
    }
    let bad = ["", ".", "..", "a/b", "eth0:1", "a b", "a\tb", "sixteen-bytes-xy", "üüüüüüüü"];
    assert_refused::<Iface>(&bad, "1 to 15 bytes, and no slash, colon or blank");
}

#[test]
fn no_filter_refuses_nothing_and_is_called_none() {
    let args = FilterArgs::default();
    let filter = resolve(&args).expect("nothing to look up");
    assert!(filter.is_empty() && filter.maps.is_empty());
    assert_eq!(args.to_string(), "none");
}

#[test]
fn each_kind_in_use_sets_its_own_bit() {
    for kind in KINDS {
        let filter = example(kind).resolve(&testing::info(reasons()), Namespaces::scan);
        let filter = filter.expect("all is known");
        assert_eq!(filter.kinds, kind.bit, "{}", kind.name);
        assert!(!filter.is_empty());
    }
}

#[test]
fn names_of_this_machine_become_numbers() {
    let args = FilterArgs {
        iface: parsed(&["lo"]),
        netns: vec![format!("pid:{}", std::process::id())],
        reason: vec!["NO_SOCKET".to_owned(), "skb_drop_reason_not_specified".to_owned()],
        ..FilterArgs::default()
    };
    let filter = args.resolve(&testing::info(reasons()), Namespaces::scan).expect("all is known");
    assert_eq!(filter.numbers("FILTER_REASON"), BTreeSet::from([2, 3]));
    let own = crate::identity::namespaces::inum(std::path::Path::new("/proc/self/ns/net"));
    assert_eq!(filter.numbers(NETNS), BTreeSet::from([own.expect("we have one")]));
    let Some(Entries::Names(ifaces)) = filter.maps.get("FILTER_IFACE") else { panic!("{filter:?}") };
    let names: Vec<[u8; 16]> = ifaces.iter().copied().map(bytes_of).collect();
    assert_eq!(names, [*b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]);
    for kind in [FilterKinds::REASON, FilterKinds::NETNS, FilterKinds::IFACE] {
        assert!(filter.kinds.has(kind));
    }
}

#[test]
fn what_is_not_there_is_wrong_usage_with_a_hint() {
    let reason = FilterArgs { reason: vec!["no_sokcet".to_owned()], ..FilterArgs::default() };
    let error = resolve(&reason).expect_err("misspelt");
    assert!(error.is_usage());
    assert_eq!(
        error.to_string(),
        "there is no drop reason \"no_sokcet\" in this kernel; did you mean NO_SOCKET? (\"lossdrop reasons\" lists them)"
    );
    let iface = FilterArgs { iface: parsed(&["lossdrop-none"]), ..FilterArgs::default() };
    let error = iface.resolve(&testing::info(reasons()), Namespaces::scan).expect_err("no such device");
    assert!(error.is_usage() && error.to_string().contains("no network device \"lossdrop-none\""), "{error}");
}

#[test]
fn port_words_have_exactly_the_bits_that_were_named() {
    let args = FilterArgs {
        port: parsed(&["0", "63-64", "65535"]),
        sport: parsed(&["64-127"]),
        dport: parsed(&["80", "0-65535"]),
        ..FilterArgs::default()
    };
    let filter = resolve(&args).expect("nothing to look up");
    let words = ports(&filter);
    assert_eq!(words.len(), PortBits::WORDS as usize);
    let named = |field: fn(&PortWord) -> u64| -> Vec<usize> {
        (0..65536).filter(|port| field(&words[port / 64]) >> (port % 64) & 1 != 0).collect()
    };
    assert_eq!(named(|word| word.any), [0, 63, 64, 65535]);
    assert_eq!(named(|word| word.source), (64..128).collect::<Vec<_>>());
    assert_eq!(named(|word| word.destination).len(), 65536);
}

#[test]
fn a_longer_prefix_carries_the_bits_of_those_that_cover_it() {
    const ANY: u32 = HostBits::ANY;
    const SOURCE: u32 = HostBits::SOURCE;
    const DESTINATION: u32 = HostBits::DESTINATION;
    let args = FilterArgs {
        host: parsed(&["10.0.0.0/8"]),
        src: parsed(&["10.1.0.0/16", "192.0.2.1"]),
        dst: parsed(&["10.1.2.3", "192.0.2.1", "::/0", "2001:db8::1"]),
        ..FilterArgs::default()
    };
    let filter = resolve(&args).expect("nothing to look up");
    let found: Vec<(String, u32)> =
        prefixes(&filter).iter().map(|(prefix, bits)| (prefix.to_string(), *bits)).collect();
    let wanted = [
        ("10.0.0.0/8", ANY),
        ("10.1.0.0/16", ANY | SOURCE),
        ("10.1.2.3/32", ANY | SOURCE | DESTINATION),
        ("192.0.2.1/32", SOURCE | DESTINATION),
        ("::/0", DESTINATION),
        ("2001:db8::1/128", DESTINATION),
    ];
    assert_eq!(found, wanted.map(|(prefix, bits)| (prefix.to_owned(), bits)));
}

#[test]
fn prefixes_are_kept_behind_their_family() {
    let key = |text: &str| host_key(&text.parse::<Host>().expect(text).0);
    let address = |bytes: [u8; 16], l3: L3| HostKey::new(l3 as u8, words_of(bytes));
    let v4 = *b"\x0a\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(key("10.1.2.3/16"), (32 + 16, address(v4, L3::Ipv4)));
    assert_eq!(key("10.1.0.0").0, 32 + 32);
    let v6 = *b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
    assert_eq!(key("2001:db8::1"), (HostKey::BITS, address(v6, L3::Ipv6)));
    assert_eq!(key("::/0").0, HostKey::FAMILY_BITS);
    assert_ne!(key("::/0").1, key("0.0.0.0/0").1);
}

#[test]
fn filters_are_shown_as_they_were_typed() {
    let args = FilterArgs {
        port: parsed(&["80", "8000-8100"]),
        src: parsed(&["10.1.2.3/8"]),
        proto: parsed(&["TCP", "47"]),
        netns: vec!["web".to_owned()],
        ..FilterArgs::default()
    };
    assert_eq!(args.to_string(), "port 80|8000-8100, src 10.0.0.0/8, proto tcp|47, netns web");
}

#[test]
fn a_mark_is_a_number_in_either_base_with_or_without_a_mask() {
    for (text, value, mask, shown) in [
        ("16", 16, u32::MAX, "0x10"),
        ("0x10", 16, u32::MAX, "0x10"),
        ("0X1f/0xFF", 0x1f, 0xff, "0x1f/0xff"),
        ("0/1", 0, 1, "0x0/0x1"),
        ("0/0", 0, 0, "0x0/0x0"),
        ("4294967295/0xffffffff", u32::MAX, u32::MAX, "0xffffffff"),
    ] {
        let mark: Mark = text.parse().expect(text);
        assert_eq!((mark.0, mark.to_string().as_str()), (MarkMatch { value, mask }, shown));
        assert_eq!(shown.parse(), Ok(mark), "what is shown can be typed");
    }
    let bad = ["", "/", "0x", "1/", "/1", "-1", "0x1ffffffff", "1/2/3", "0x+1", "eth0", "10h"];
    assert_refused::<Mark>(&bad, "a number, 16 or 0x10, or a number and a mask, 0x10/0xff");
    assert_refused::<Mark>(&["0x100/0xff", "3/1"], "bits outside the mask");
}

#[test]
fn a_length_is_a_number_or_a_range_that_may_have_no_end() {
    for (text, first, last, shown) in [
        ("1500", 1500, 1500, "1500"),
        ("0", 0, 0, "0"),
        ("1401-1500", 1401, 1500, "1401-1500"),
        ("7-7", 7, 7, "7"),
        ("1401-", 1401, u32::MAX, "1401-"),
        ("0-65535", 0, 65535, "0-65535"),
    ] {
        let length: Length = text.parse().expect(text);
        assert_eq!((length.0, length.to_string().as_str()), (LenRange { first, last }, shown));
        assert_eq!(shown.parse(), Ok(length), "what is shown can be typed");
    }
    let bad = ["", "-", "-64", "1-2-3", "1500B", "0x10", "1,5", "4294967296", "1 - 2"];
    assert_refused::<Length>(&bad, "a number of bytes, 1500, or a range, 1401-1500 or 1401-");
    assert_refused::<Length>(&["1500-1401"], "upside down: try 1401-1500");
}

#[test]
fn more_marks_or_lengths_than_the_kernel_compares_are_refused() {
    let many = |count| {
        let texts: Vec<String> = (0..count).map(|number: u32| number.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        [
            FilterArgs { mark: parsed(&texts), ..FilterArgs::default() },
            FilterArgs { len: parsed(&texts), ..FilterArgs::default() },
        ]
    };
    for args in many(lossdrop_common::FILTER_VALUES) {
        let filter = resolve(&args).expect("they fit");
        let [entries] = filter.maps.values().collect::<Vec<_>>()[..] else { panic!("{filter:?}") };
        match entries {
            Entries::Marks(marks) => assert_eq!(marks[1], MarkMatch { value: 1, mask: u32::MAX }),
            Entries::Lengths(lengths) => assert_eq!(lengths[1], LenRange { first: 1, last: 1 }),
            other => panic!("{other:?}"),
        }
    }
    for args in many(lossdrop_common::FILTER_VALUES + 1) {
        let refused = resolve(&args).expect_err("too many");
        assert!(refused.is_usage() && refused.to_string().contains("takes at most 32 values"), "{refused}");
    }
}

mod line;
