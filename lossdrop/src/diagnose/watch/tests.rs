use super::*;
use crate::{
    capture::Recording,
    kernel::counters::Row,
    testing::{self, diagnosis::block_on, fault},
};

/// So many batches of one fault each.
fn watch(batches: usize) -> Watch {
    let mut recording = Recording::default();
    let mut counters = Counters::default();
    for count in 1..=batches as u64 {
        counters.seen = count;
        counters.rows.insert(fault().key, Row { count, sent: count, lost: 0 });
        recording.push(testing::batch([&fault()]), counters.clone());
    }
    Watch::new(Capture::from(recording), testing::observer(), Collector::default())
}

/// Drops in all, and those reported in detail.
fn collected(collected: &Collected) -> (u64, u64) {
    let groups = &collected.groups;
    (groups.iter().map(|group| group.count).sum(), groups.iter().map(|group| group.detailed).sum())
}

#[test]
fn it_ends_when_it_is_reported_to_and_hands_back_what_that_was() {
    let said = block_on(async {
        let mut watch = watch(0);
        watch.until(async { "over" }, None).await
    });
    assert_eq!(said, "over");
}

#[test]
fn it_goes_on_as_long_as_it_is_not_reported_to_end() {
    block_on(async {
        let mut watch = watch(3);
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let end = async {
            // So often the others have their turn first.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            sender.send(()).expect("the receiver waits");
            receiver.await.expect("it was sent");
        };
        watch.until(end, Some(Progress::new(Duration::from_secs(1)))).await;
        let (_, found) = watch.finish().await;
        assert_eq!(collected(&found), (3, 3));
    });
}

#[test]
fn what_is_in_the_ring_when_it_ends_is_still_taken_in() {
    block_on(async {
        let mut watch = watch(50);
        watch.until(async {}, None).await;
        let (_, found) = watch.finish().await;
        assert_eq!(collected(&found), (50, 50));
    });
}

#[test]
fn nothing_is_read_or_lost_between_two_stages() {
    block_on(async {
        let mut watch = watch(4);
        watch.until(async {}, None).await;
        watch.until(async {}, None).await;
        let (counters, found) = watch.finish().await;
        assert_eq!((counters.seen, collected(&found)), (4, (4, 4)));
    });
}
