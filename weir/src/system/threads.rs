//! Work on many things at a time, for calls that block.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads of calls that wait for a disk: it does several at a time.
const WAITING: usize = 16;

/// Maps items on as many threads as there are processors; the results are in the order of the items. The first failure in
/// that order ends the work.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    map_on(std::thread::available_parallelism().map_or(1, NonZero::get), items, work)
}

/// Does something with each item that mostly waits for a disk.
pub(crate) fn for_each_on_disk<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    map_on(WAITING, items, work).map(drop)
}

fn map_on<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.min(items.len());
    let next = AtomicUsize::new(0);
    let of_one_thread = || {
        let mut results = Vec::new();
        while let Some((i, item)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?))) {
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            results.push((i, result));
        }
        results
    };
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(of_one_thread)).collect();
        let results =
            threads.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.flatten().collect()
    });
    results.sort_unstable_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(map(&items, |i| Ok::<_, ()>(i * 2)), Ok(items.iter().map(|i| i * 2).collect()));
        assert_eq!(map(&[0; 0], |i| Ok::<i32, ()>(*i)), Ok(vec![]));
    }

    #[test]
    fn the_first_failure_is_told() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(map(&items, |i| if *i >= 7 { Err(*i) } else { Ok(()) }), Err(7));
    }
}
