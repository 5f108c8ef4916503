//! Filters and selection in one line.

use clap::CommandFactory as _;
use proptest::prelude::*;

use super::*;

/// What was understood, as it is shown: the filters, and the selection.
#[track_caller]
fn understood(line: &str) -> (String, String) {
    let line = FilterLine::parse(line).expect(line);
    (line.filter.to_string(), line.selection.to_string())
}

#[track_caller]
fn refused(line: &str) -> String {
    let message = FilterLine::parse(line).expect_err(line);
    assert!(!message.contains('\n') && !message.is_empty(), "{message}");
    message
}

#[test]
fn a_line_has_all_names_that_the_options_have() {
    let values = [EXAMPLES, &[("cause", "mtu"), ("severity", "fault")]].concat();
    for (name, value) in &values {
        let (filter, selection) = understood(&format!("{name} {value}"));
        assert!([filter, selection].contains(&format!("{name} {value}")), "{name}");
    }
    let command = FilterLine::command();
    let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    assert_eq!(names.len(), values.len(), "{names:?}");
    assert!(values.iter().all(|(name, _)| names.contains(name)), "{names:?}");
}

#[test]
fn values_may_be_kept_apart_by_whatever_comes_to_mind() {
    for line in [
        "port 80 443",
        "port=80|443",
        "port 80|443",
        "port 80,443",
        "port 80, 443",
        "--port 80 --port 443",
        "--port=80 port=443",
        "  port\t80   port 443  ",
        "port= 80 443",
    ] {
        assert_eq!(understood(line).0, "port 80|443", "{line}");
    }
    let line = "port 80, host 10.0.0.1 cause mtu, cause socket severity FAULT";
    let filter = "port 80, host 10.0.0.1".to_owned();
    assert_eq!(understood(line), (filter, "cause mtu, cause socket, severity fault".to_owned()));
}

#[test]
fn an_empty_line_is_no_filter() {
    for line in ["", "   ", ",", "\t|"] {
        assert_eq!(understood(line), ("none".to_owned(), String::new()), "{line:?}");
    }
}

#[test]
fn namespaces_and_devices_may_be_called_as_filters_are() {
    assert_eq!(understood("netns host").0, "netns host");
    assert_eq!(understood("netns=host port 80").0, "port 80, netns host");
    assert_eq!(understood("netns web|host host 10.0.0.1").0, "host 10.0.0.1, netns web|host");
    assert_eq!(understood("iface port iface src").0, "iface port|src");
    assert_eq!(understood("netns pid:1 iface a=b").0, "iface a=b, netns pid:1");
}

#[test]
fn what_is_wrong_is_reported_with_what_would_be_understood() {
    assert!(refused("80").starts_with("\"80\" is no filter;"));
    assert!(refused("80").contains("as in: port 80 host 10.0.0.1 cause mtu, and "));
    assert!(refused("prot tcp").contains("did you mean proto or port"), "{}", refused("prot tcp"));
    for line in ["port", "port host 10.0.0.1", "host 10.0.0.1 port", "port=", "netns"] {
        let what = refused(line);
        assert!(what.contains(" of what? as in: port 80"), "{line}: {what}");
    }
    assert!(refused("port 80-").contains("a port is a number"), "{}", refused("port 80-"));
    assert!(refused("port -1").contains("/etc/services"), "{}", refused("port -1"));
    assert!(refused("severity high").contains("fault, capacity, policy or benign"));
    assert!(refused("cause mtuu").contains("did you mean mtu"), "{}", refused("cause mtuu"));
    assert!(refused("--help").contains("is no filter"));
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (any::<u16>(), any::<u16>());
    let range = range.prop_map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) });
    proptest::collection::vec(range, 0..3)
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    let v4 = (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, bits)| (IpAddr::from(address), bits));
    let v6 = (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(address, bits)| (IpAddr::from(address), bits));
    let host = prop_oneof![v4, v6];
    let host = host.prop_map(|(address, bits)| Host(IpNet::new(address, bits).expect("a prefix").trunc()));
    proptest::collection::vec(host, 0..3)
}

/// Words among which there are names of filters, too.
fn words() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z0-9@._+=-]{1,12}|host|port|netns|--port", 0..3)
}

prop_compose! {
    fn filters()(
        (port, sport, dport) in (ports(), ports(), ports()),
        (host, src, dst) in (hosts(), hosts(), hosts()),
        proto in proptest::collection::vec(0..256_u32, 0..3),
        (iface, netns) in (words(), words()),
        reason in proptest::collection::vec("[A-Z][A-Z_]{0,9}", 0..3),
        marks in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..3),
        lens in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..3),
    ) -> FilterArgs {
        FilterArgs {
            port, sport, dport, host, src, dst,
            proto: proto.into_iter().map(Protocol).collect(),
            iface: iface.iter().filter_map(|name| name.parse().ok()).collect(),
            netns,
            reason,
            mark: marks.into_iter().map(|(value, mask)| Mark(MarkMatch { value: value & mask, mask })).collect(),
            len: lens.into_iter().map(|(a, b)| Length(LenRange { first: a.min(b), last: a.max(b) })).collect(),
        }
    }
}

proptest! {
    #[test]
    fn a_filter_that_is_shown_can_be_typed(
        filter in filters(),
        causes in proptest::collection::vec(0..crate::knowledge::KINDS.len(), 0..3),
        severities in proptest::collection::vec(0..4_usize, 0..3),
    ) {
        let selection = Selection {
            cause: causes.iter().map(|at| crate::drops::select::Wanted::Kind(crate::knowledge::KINDS[*at])).collect(),
            severity: severities.iter().map(|at| crate::knowledge::Severity::ALL[*at]).collect(),
        };
        let shown = Some(filter.to_string()).filter(|shown| shown != "none").unwrap_or_default();
        for line in [format!("{shown}, {selection}"), format!("{shown} {selection}").replace(", ", " ")] {
            let typed = FilterLine::parse(&line);
            prop_assert!(typed.is_ok(), "{}: {:?}", line, typed);
            let typed = typed.expect("it is");
            prop_assert_eq!(&typed.filter, &filter);
            prop_assert_eq!(typed.selection.to_string(), selection.to_string());
        }
    }

    #[test]
    fn whatever_is_typed_is_understood_or_refused_in_one_line(line in "[ -~äé|,=\t]{0,40}|(port|host|netns|cause|80|=|,|\\||--| ){0,12}") {
        if let Err(message) = FilterLine::parse(&line) {
            prop_assert!(!message.is_empty() && !message.contains('\n'), "{}", message);
        }
    }
}
