use super::*;

fn running() -> Reasons {
    let names = [(2, "NOT_SPECIFIED"), (3, "NO_SOCKET"), (12, "NETFILTER_DROP"), (13, "OTHERHOST")];
    Reasons::from_names(names.map(|(number, name)| (number, name.to_owned())))
}

fn written(typed: &str, as_json: bool) -> String {
    let subject = Subject::find(typed).expect(typed);
    let mut out = Vec::new();
    write(&subject, &running(), as_json, &mut out).expect("a Vec takes everything");
    String::from_utf8(out).expect("text")
}

#[test]
fn a_reason_is_explained() {
    insta::assert_snapshot!(written("NETFILTER_DROP", false));
}

#[test]
fn a_reason_that_functions_mean_otherwise_is_explained_with_them() {
    insta::assert_snapshot!(written("otherhost", false));
}

#[test]
fn a_function_with_several_meanings_is_explained_row_by_row() {
    insta::assert_snapshot!(written("ip_error", false));
}

#[test]
fn a_cause_is_explained() {
    insta::assert_snapshot!(written("mtu/veth-peer", false));
}

#[test]
fn a_cause_lists_its_kinds() {
    insta::assert_snapshot!(written("mtu", false));
}

#[test]
fn a_subject_is_found_in_whatever_form_it_was_seen() {
    for typed in ["NO_SOCKET", "no_socket", "SKB_DROP_REASON_NO_SOCKET", "skb_drop_reason_no_socket"] {
        assert!(
            matches!(Subject::find(typed), Ok(Subject::Reason(row)) if row.name == "NO_SOCKET"),
            "{typed}"
        );
    }
    assert!(matches!(Subject::find("SKB_CSUM"), Ok(Subject::Reason(row)) if row.name == "SKB_CSUM"));
    for typed in
        ["ip_fragment", "ip_fragment.constprop.0", "ip_fragment.constprop.0+0x1f/0x90", "ip_fragment+0x87"]
    {
        let found = Subject::find(typed);
        assert!(matches!(&found, Ok(Subject::Function(name, _)) if name == "ip_fragment"), "{typed}");
    }
    assert!(matches!(Subject::find("Mtu/Veth-Peer"), Ok(Subject::Kind(kind)) if kind.slug == "veth-peer"));
    assert!(matches!(Subject::find("MTU"), Ok(Subject::Cause(Cause::Mtu))));
}

#[test]
fn what_is_not_known_is_wrong_usage_and_reported_with_what_comes_near() {
    for (typed, wanted) in [
        ("NETFILTER_DORP", "NETFILTER_DROP"),
        ("netfilter_dorp", "netfilter_drop"),
        ("no_sockets", "no_socket"),
        ("__dev_forward_skb3+0x87", "__dev_forward_skb2"),
        ("mtu/veth-pear", "mtu/veth-peer"),
        ("netfiler", "netfilter"),
    ] {
        let error = Subject::find(typed).expect_err(typed);
        assert!(error.is_usage() && error.to_string().contains(wanted), "{typed}: {error}");
    }
    assert!(Subject::find("").is_err() && Subject::find("/").is_err() && Subject::find("+").is_err());
}

#[test]
fn the_number_is_reported_only_if_the_kernel_s_are_known() {
    assert!(written("NO_SOCKET", false).starts_with("NO_SOCKET, a drop reason (number 3 on this kernel)"));
    assert!(written("TCP_CSUM", false).starts_with("TCP_CSUM, a drop reason (this kernel does not have it)"));
    let subject = Subject::find("NO_SOCKET").expect("known");
    assert!(text::explanation(&subject, &Reasons::default()).starts_with("NO_SOCKET, a drop reason\n"));
}

#[test]
fn everything_in_the_tables_can_be_explained_in_lines_that_fit() {
    let kinds = KINDS.iter().map(ToString::to_string);
    let causes = Cause::ALL.iter().map(ToString::to_string);
    let reasons = REASONS.iter().map(|row| row.name.to_owned());
    let functions = LOCATIONS.iter().flat_map(|row| row.symbols).map(|name| (*name).to_owned());
    for subject in kinds.chain(causes).chain(reasons).chain(functions) {
        let text = written(&subject, false);
        // A command may be longer than a line.
        let long = text.lines().find(|line| line.chars().count() > 96 && !line.contains('`'));
        assert_eq!(long, None, "{subject}");
        let json: serde_json::Value = serde_json::from_str(&written(&subject, true)).expect("JSON");
        assert!(json["what"].is_string() && json["v"] == 1, "{subject}");
    }
}

#[test]
fn the_json_tells_what_was_found() {
    let value = |typed| serde_json::from_str::<serde_json::Value>(&written(typed, true)).expect("JSON");
    let reason = value("OTHERHOST");
    assert_eq!((&reason["what"], &reason["number"]), (&"reason".into(), &13.into()));
    assert_eq!(reason["functions"][0]["kind"], "device/foreign-vlan");
    assert_eq!(reason["cause"]["kind"], "housekeeping/other-host");
    let function = value("tcp_v4_rcv");
    assert_eq!(function["what"], "function");
    assert!(function["rows"].as_array().is_some_and(|rows| rows.len() > 3), "{function}");
    let kind = value("queue/qdisc-limit");
    assert!(kind["reasons"].as_array().is_some_and(|all| all.contains(&"QDISC_DROP".into())), "{kind}");
    let cause = value("tunnel");
    assert_eq!(
        (&cause["what"], &cause["causes"][0]["kind"]),
        (&"cause".into(), &"tunnel/unknown-vni".into())
    );
}

#[test]
fn a_disk_that_is_full_is_an_error() {
    let subject = Subject::find("mtu").expect("known");
    for as_json in [false, true] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        assert!(write(&subject, &running(), as_json, io::BufWriter::new(full)).is_err());
    }
}
