use std::time::Duration;

use clap::Parser as _;
use lossdrop_common::Attach;

use super::*;
use crate::{
    capture::tuning::{BufferSize, Keys},
    cli::{Cli, Command},
};

fn trace(args: &str) -> Result<Args, clap::Error> {
    let typed = ["lossdrop", "trace"].into_iter().chain(args.split_whitespace());
    Cli::try_parse_from(typed).map(|cli| match cli.into_command() {
        Command::Trace(args) => *args,
        other => panic!("{other:?}"),
    })
}

#[test]
fn without_options_the_defaults_hold() {
    let args = trace("").expect("no option is needed");
    assert_eq!(
        (args.snaplen, args.rate, args.tuning.buffer, args.tuning.keys),
        (128, Rate(Some(100)), BufferSize(8 << 20), Keys(4096))
    );
    assert!(!(args.all || args.stack || args.hex || args.json));
    assert_eq!((args.count, args.duration, args.tuning.attach), (None, None, None));
    assert_eq!(args.filter.to_string(), "none");
}

#[test]
fn every_option_is_understood() {
    let args = trace(
        "--port 80 --sport 1-9 --dport 443 --host 10.0.0.1 --src 10.0.0.0/8 --dst ::1 --proto udp --iface eth0 \
         --netns host --reason NO_SOCKET --all --stack --snaplen 64 --json --count 5 --duration 1.5s \
         --rate unlimited --buffer 64K --keys 1 --attach raw-tp --cause mtu --cause socket/rcvbuf --severity fault",
    )
    .expect("all of them");
    assert_eq!(
        args.filter.to_string(),
        "port 80, sport 1-9, dport 443, host 10.0.0.1, src 10.0.0.0/8, dst ::1, proto udp, iface eth0, netns host, \
         reason NO_SOCKET"
    );
    assert!(args.all && args.stack && args.json);
    assert_eq!((args.snaplen, args.count, args.rate), (64, Some(5), Rate(None)));
    assert_eq!(args.duration, Some(Span(Duration::from_millis(1500))));
    assert_eq!((args.tuning.buffer, args.tuning.keys), (BufferSize(65536), Keys(1)));
    assert_eq!(args.tuning.attach.map(Attach::from), Some(Attach::RawTracepoint));
    assert_eq!(trace("--attach tp-btf").expect("known").tuning.attach.map(Attach::from), Some(Attach::TpBtf));
    assert_eq!(args.selection.to_string(), "cause mtu, cause socket/rcvbuf, severity fault");
    assert!(trace("--hex").expect("known").hex);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for args in [
        "--hex --json",
        "--count 0",
        "--count -1",
        "--snaplen 257",
        "--snaplen -1",
        "--rate 0",
        "--duration 0s",
        "--attach kprobe",
        "--port 70000",
        "--json yes",
        "--cause nothing",
        "--severity bad",
        "eth0",
    ] {
        assert!(trace(args).is_err(), "{args}");
    }
}

#[test]
fn the_kernel_side_s_defaults_are_those_of_json() {
    let args = trace("--json").expect("known");
    let needs = args.sinks().expect("stdout is open").needs();
    let [typed, default] =
        [args.options(Filter::default(), needs), Options::default()].map(|options| format!("{options:?}"));
    assert_eq!(typed, default);
}

#[test]
fn the_kernel_is_asked_for_what_all_sinks_need() {
    let needs = |args: &str| trace(args).expect("known").sinks().expect("a sink").needs();
    let bytes = |snaplen| Needs { snaplen, ..Needs::default() };
    assert_eq!(needs(""), bytes(0));
    assert_eq!(needs("--hex --snaplen 64"), bytes(64));
    assert_eq!(needs("--json-file /dev/null"), bytes(128));
    assert_eq!(needs("--json-file /dev/null --stack"), Needs { stack: true, ..bytes(128) });
    let asked = |args: &str| {
        let args = trace(args).expect("known");
        let options = args.options(Filter::default(), args.sinks().expect("a sink").needs());
        (options.snaplen, options.stack, options.facts, options.probes)
    };
    assert_eq!(asked(""), (0, true, true, true));
    assert_eq!(asked("--no-probes"), (0, true, true, false));
    assert_eq!(asked("--rate unlimited --json-file /dev/null"), (128, false, false, false));
}
