//! The same work for each namespace, on a few threads, until the time is up.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

/// Works on each, at most `threads` at once, and hands every result over as it comes. Returns those that were not done by the
/// deadline: their threads end by themselves, and what they still find is not waited for.
pub fn for_each<T: Send + 'static>(
    inums: impl IntoIterator<Item = u32>,
    threads: usize,
    deadline: Instant,
    work: impl Fn(u32) -> T + Send + Sync + 'static,
    mut done: impl FnMut(u32, T),
) -> BTreeSet<u32> {
    let mut missing: BTreeSet<u32> = inums.into_iter().collect();
    let queue = Arc::new(Mutex::new(missing.clone()));
    let work = Arc::new(work);
    let (sender, results) = mpsc::channel();
    for _ in 0..threads.min(missing.len()) {
        let (queue, work, sender) = (Arc::clone(&queue), Arc::clone(&work), sender.clone());
        thread::spawn(move || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            while let Some(inum) = next() {
                if sender.send((inum, work(inum))).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    while let Ok((inum, result)) = results.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        missing.remove(&inum);
        done(inum, result);
    }
    missing
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_is_worked_on_once_and_none_is_missing() {
        let mut squares = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let late =
            for_each(1..=100, 4, deadline, |inum| inum * inum, |inum, square| squares.push((inum, square)));
        squares.sort_unstable();
        assert_eq!(squares, (1..=100).map(|inum| (inum, inum * inum)).collect::<Vec<_>>());
        assert!(late.is_empty() && for_each([], 4, deadline, |_| (), |_, ()| ()).is_empty());
    }

    #[test]
    fn one_that_never_ends_is_late_and_is_not_waited_for() {
        let mut done = Vec::new();
        let never = |inum| {
            if inum == 2 {
                loop {
                    thread::park();
                }
            }
        };
        let deadline = Instant::now() + Duration::from_millis(200);
        let late = for_each([1, 2, 3], 2, deadline, never, |inum, ()| done.push(inum));
        assert_eq!((done, late), (vec![1, 3], BTreeSet::from([2])));
    }

    #[test]
    fn a_thread_that_dies_leaves_its_own_and_no_other_undone() {
        let mut done = Vec::new();
        let dies = |inum| assert_ne!(inum, 2, "as the test wants it");
        let deadline = Instant::now() + Duration::from_secs(60);
        let late = for_each([1, 2, 3], 2, deadline, dies, |inum, ()| done.push(inum));
        assert!(late.contains(&2) && done.contains(&1) && done.len() + late.len() == 3);
    }
}
