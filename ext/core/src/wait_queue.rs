//! A queue between the runtime's thread and Ruby's threads: whoever waits on it can be woken without an item.
//!
//! Mutex and Condvar rather than a channel, because both sides must see the queue's head (a claim that waits too long is given
//! back), the number of waiting threads, and their wake-up under one lock. A wake-up that did not take the lock could fall between
//! the waiter's check and its wait, and be lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a wait ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// The oldest item.
    Item(T),
    /// The queue is closed and empty.
    Closed,
    /// [`WaitQueue::wake`] was called for this wait.
    Woken,
    /// The deadline passed.
    TimedOut,
}

/// Identifies one wait to whoever interrupts it.
#[derive(Debug, Default)]
pub struct Wake(AtomicBool);

/// See the module's documentation.
#[derive(Debug)]
pub struct WaitQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    waiting: usize,
    closed: bool,
}

/// How many wait for an item and how many items wait for a taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Threads in [`WaitQueue::pop`].
    pub waiting: usize,
    /// Items.
    pub buffered: usize,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        let state = State { items: VecDeque::new(), waiting: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> WaitQueue<T> {
    /// Adds an item at the end; gives it back if the queue is closed.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds an item if fewer than `limit` wait; gives it back otherwise.
    pub fn push_below(&self, item: T, limit: usize) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.items.len() >= limit {
            return Err(item);
        }
        state.items.push_back(item);
        self.changed.notify_one();
        Ok(())
    }

    /// The oldest item, without waiting, and how many are left. `Err` tells that none will come any more.
    pub fn try_pop(&self) -> Result<Option<(T, usize)>, QueueClosed> {
        let mut state = self.lock();
        match state.items.pop_front() {
            Some(item) => Ok(Some((item, state.items.len()))),
            None if state.closed => Err(QueueClosed),
            None => Ok(None),
        }
    }

    /// Waits for an item. `on_wait` runs once this thread counts as waiting. An item in hand wins over a wake-up, a close and the
    /// deadline: it is never left behind by a wait that ends for another reason.
    pub fn pop(&self, wake: &Wake, deadline: Option<Instant>, on_wait: impl FnOnce()) -> Waited<T> {
        let mut state = self.lock();
        state.waiting += 1;
        on_wait();
        let waited = loop {
            if let Some(item) = state.items.pop_front() {
                break Waited::Item(item);
            }
            if state.closed {
                break Waited::Closed;
            }
            if wake.0.swap(false, Ordering::Relaxed) {
                break Waited::Woken;
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else { break Waited::TimedOut };
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.waiting -= 1;
        waited
    }

    /// Ends the wait that holds `wake`, from any thread, as often as wanted, also before it has begun.
    pub fn wake(&self, wake: &Wake) {
        let _state = self.lock();
        wake.0.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// No more items; waits end once the queue is empty.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes the oldest item if `take` says so.
    pub fn pop_if(&self, take: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        if state.items.front().is_some_and(take) {
            state.items.pop_front()
        } else {
            None
        }
    }

    /// Looks at the oldest item.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().items.front().map(look)
    }

    /// Takes up to `limit` of the oldest items.
    pub fn drain(&self, limit: usize) -> Vec<T> {
        let mut state = self.lock();
        let count = state.items.len().min(limit);
        state.items.drain(..count).collect()
    }

    /// How full the queue is, and how wanted.
    pub fn level(&self) -> Level {
        let state = self.lock();
        Level { waiting: state.waiting, buffered: state.items.len() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue is closed and empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueClosed;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn an_item_in_hand_wins_over_a_wake_up_and_a_close() {
        let queue = WaitQueue::default();
        let wake = Wake::default();
        queue.push(1).unwrap();
        queue.wake(&wake);
        queue.close();
        assert_eq!(queue.pop(&wake, None, || ()), Waited::Item(1));
        assert_eq!(queue.pop(&wake, None, || ()), Waited::Closed);
        assert_eq!(queue.push(2), Err(2));
    }

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost() {
        let queue = WaitQueue::<()>::default();
        let wake = Wake::default();
        queue.wake(&wake);
        assert_eq!(queue.pop(&wake, None, || ()), Waited::Woken);
    }

    #[test]
    fn wakes_only_the_wait_that_is_meant() {
        let queue = Arc::new(WaitQueue::<u32>::default());
        let wakes = [Arc::new(Wake::default()), Arc::new(Wake::default())];
        let waits: Vec<_> = wakes
            .iter()
            .map(|wake| {
                let (queue, wake) = (Arc::clone(&queue), Arc::clone(wake));
                thread::spawn(move || queue.pop(&wake, None, || ()))
            })
            .collect();
        while queue.level().waiting < 2 {
            thread::yield_now();
        }
        queue.wake(&wakes[0]);
        while queue.level().waiting > 1 {
            thread::yield_now();
        }
        queue.push(7).unwrap();
        let ended: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert_eq!(ended, [Waited::Woken, Waited::Item(7)]);
    }

    #[test]
    fn loses_no_item_between_many_takers() {
        let queue = Arc::new(WaitQueue::default());
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut sum = 0_u64;
                    while let Waited::Item(item) = queue.pop(&Wake::default(), None, || ()) {
                        sum += item;
                    }
                    sum
                })
            })
            .collect();
        for item in 1..=10_000 {
            queue.push(item).unwrap();
        }
        queue.close();
        let total: u64 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(total, 10_000 * 10_001 / 2);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let queue = WaitQueue::<()>::default();
        let deadline = Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(queue.pop(&Wake::default(), deadline, || ()), Waited::TimedOut);
    }

    #[test]
    fn holds_no_more_than_its_limit() {
        let queue = WaitQueue::default();
        assert_eq!(queue.push_below(1, 1), Ok(()));
        assert_eq!(queue.push_below(2, 1), Err(2));
    }
}
