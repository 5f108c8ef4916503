//! What rows are called, and how many names there may be.

use super::*;
use crate::identity::Owner;

fn owned(event: Event, comm: &str, pid: u32) -> Drop<'static> {
    let owner = Owner { pid, comm: comm.to_owned(), cgroup: String::new() };
    Drop { owner: Some(Box::leak(Box::new(owner))), ..judged(PORT, event) }
}

fn names(model: &Model, group: GroupBy) -> Vec<String> {
    rows(model, group).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn rows_are_called_by_what_their_drops_have_in_common() {
    let mut model = model();
    let event = datagram(WEB, 0x10, 53);
    model.add(&owned(event, "resolver", 812), Target::None);
    refresh(&mut model, &[(event.key, 1)]);
    model.name_netns([(WEB, "web")].into_iter());
    for (group, name) in [
        (GroupBy::Cause, "socket closed-port -"),
        (GroupBy::Location, "nf_hook_slow"),
        (GroupBy::Device, "veth0"),
        (GroupBy::Namespace, "web"),
        (GroupBy::Process, "resolver[812]"),
        (GroupBy::Port, "udp 53"),
        (GroupBy::Flow, "10.0.0.1:40000 → 10.0.0.2:53 UDP"),
        (GroupBy::Rule, "no rule"),
    ] {
        assert_eq!(names(&model, group), [name], "{group:?}");
    }
}

#[test]
fn what_has_no_name_has_its_number() {
    let mut model = model();
    let mut describer = testing::describer();
    let bare = DropKey { netns: 77, ifindex: 5, ..DropKey::default() };
    let nowhere = DropKey { reason: 1, ..DropKey::default() };
    model.refresh(&counters([(bare, 1), (nowhere, 1)]), SECOND, &mut describer);
    assert_eq!(names(&model, GroupBy::Device), ["#5", "-"]);
    assert_eq!(names(&model, GroupBy::Namespace), ["-", "net:77"]);
    assert_eq!(names(&model, GroupBy::Process), ["no process known"]);
    assert_eq!(names(&model, GroupBy::Port), ["no port"]);
    assert_eq!(names(&model, GroupBy::Flow), ["other flows"]);
    model.name_devices([(77, 5, "wlan0"), (77, 0, "none")].into_iter());
    assert_eq!(names(&model, GroupBy::Device), ["-", "wlan0"]);
}

#[test]
fn devices_of_the_same_number_in_two_namespaces_are_two() {
    let mut model = model();
    let [web, edge] = [datagram(WEB, 0, 1), datagram(EDGE, 0, 1)];
    refresh(&mut model, &[(web.key, 1), (edge.key, 2)]);
    model.name_devices([(WEB, 2, "eth0"), (EDGE, 2, "eth1")].into_iter());
    assert_eq!(rows(&model, GroupBy::Device), [("eth0".to_owned(), 1), ("eth1".to_owned(), 2)]);
}

#[test]
fn a_namespace_that_is_called_otherwise_now_is_called_so() {
    let mut model = model();
    refresh(&mut model, &[(datagram(WEB, 0, 1).key, 1)]);
    for name in ["web", "shop"] {
        model.name_netns([(WEB, name)].into_iter());
        assert_eq!(names(&model, GroupBy::Namespace), [name]);
    }
}

#[test]
fn the_port_of_a_flow_is_the_lower_one_whichever_way_the_packet_goes() {
    let mut model = model();
    let there = datagram(WEB, 0, 53);
    let back = Event { sport: 53, dport: 40_000, ..there };
    report(&mut model, there);
    report(&mut model, back);
    refresh(&mut model, &[(there.key, 2)]);
    assert_eq!(rows(&model, GroupBy::Port), [("udp 53".to_owned(), 2)]);
    assert_eq!(names(&model, GroupBy::Flow).len(), 2);
}

#[test]
fn flows_and_processes_beyond_those_that_are_kept_are_reported_together() {
    let mut model = small(100, 2);
    let event = |port| datagram(WEB, 0, port);
    for port in 1..=5_u16 {
        model.add(&owned(event(port), "many", port.into()), Target::None);
    }
    refresh(&mut model, &[(event(1).key, 5)]);
    let count = |group| rows(&model, group).into_iter().map(|(_, total)| total).collect::<Vec<u64>>();
    assert_eq!(count(GroupBy::Flow), [1, 1, 3]);
    assert_eq!(count(GroupBy::Process), [1, 1, 3]);
    assert_eq!(count(GroupBy::Port), [1, 1, 1, 1, 1], "ports need no names");
}

#[test]
fn units_beyond_those_that_are_kept_are_reported_by_their_cause_alone() {
    let mut model = small(3, 100);
    for port in 1..=20 {
        let event = datagram(WEB, 0, port);
        model.add(&judged(PORT, event), Target::None);
    }
    refresh(&mut model, &[(datagram(WEB, 0, 1).key, 20)]);
    assert_eq!(only_row(&model, GroupBy::Cause).total, 20);
    let flows = model.table(&lens(GroupBy::Flow));
    assert_eq!((flows.rows.len(), flows.shown), (4, 20));
    assert!(model.units.len() <= 4, "{}", model.units.len());
}

#[test]
fn a_long_run_grows_no_further_than_its_limits() {
    let mut model = small(50, 20);
    let mut describer = testing::describer();
    let mut counted = Counters::default();
    for round in 0..200_u16 {
        for key in 0..4 {
            let event = datagram(WEB, key, 1000 + round);
            model.add(&judged(PORT, event), Target::None);
            counted.rows.entry(event.key).or_default().count += 3;
        }
        model.refresh(&counted, SECOND, &mut describer);
    }
    assert!(model.units.len() <= 54 && model.details.len() == 4, "{}", model.units.len());
    assert_eq!((model.history.iter().len(), model.of_key.len()), (60, 4));
    assert!(model.recent.len() <= RECENT && model.details.values().all(|details| details.fresh.is_empty()));
}
