//! The descriptors of every socket to Postgres in this process, for the fork handler.
//!
//! A forked child inherits the sockets. As long as it holds them, the parent's sessions, and the locks in them, outlive the
//! parent, and one byte written to them breaks the parent's conversation. So the child puts /dev/null in their place, from a
//! `pthread_atfork` handler, where nothing may lock or allocate: hence a fixed array of atomics.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// How many sockets one process may have open at once. A runtime has three; the rest is room for many runtimes.
pub const SOCKETS_MAX: usize = 256;

const FREE: RawFd = -1;

static REGISTRY: Registry<SOCKETS_MAX> = Registry::new();

/// Every place of the registry is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryFull;

impl fmt::Display for RegistryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this process has {SOCKETS_MAX} connections of good_job_rs open, the limit; stop runtimes that are not needed")
    }
}

impl std::error::Error for RegistryFull {}

/// Keeps one descriptor in the registry until it is dropped.
///
/// Drop it *before* the descriptor is closed. The other way round, a descriptor that another thread opens in between gets the
/// same number, and a fork at that moment would take it away from the child. A struct drops its fields in the order of
/// their declaration, so: the guard first, the stream after it.
#[derive(Debug)]
pub struct SocketGuard {
    place: &'static AtomicI32,
    descriptor: RawFd,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        // In a forked child the place may have been emptied, and taken by another socket since.
        let _ = self.place.compare_exchange(self.descriptor, FREE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Puts a socket into the registry. Register it before connecting: a fork can come at any time.
pub fn register(socket: &impl AsRawFd) -> Result<SocketGuard, RegistryFull> {
    REGISTRY.register(socket.as_raw_fd())
}

/// Empties the registry, handing each descriptor to `neutralise`. For the fork handler in the child, so async-signal-safe as long
/// as `neutralise` is.
///
/// The child forgets the numbers because something else may close the descriptors (a daemon closes all of them) and the
/// numbers come to mean other files: a later fork must not touch those.
pub fn take_each(neutralise: impl FnMut(RawFd)) {
    REGISTRY.take_each(neutralise);
}

struct Registry<const PLACES: usize> {
    places: [AtomicI32; PLACES],
}

impl<const PLACES: usize> Registry<PLACES> {
    const fn new() -> Self {
        Self { places: [const { AtomicI32::new(FREE) }; PLACES] }
    }

    fn register(&'static self, descriptor: RawFd) -> Result<SocketGuard, RegistryFull> {
        let take = |place: &&AtomicI32| place.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let place = self.places.iter().find(take).ok_or(RegistryFull)?;
        Ok(SocketGuard { place, descriptor })
    }

    fn take_each(&self, mut neutralise: impl FnMut(RawFd)) {
        for place in &self.places {
            let descriptor = place.swap(FREE, Ordering::AcqRel);
            if descriptor != FREE {
                neutralise(descriptor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken<const PLACES: usize>(registry: &Registry<PLACES>) -> Vec<RawFd> {
        let mut descriptors = Vec::new();
        registry.take_each(|descriptor| descriptors.push(descriptor));
        descriptors
    }

    #[test]
    fn forgets_a_descriptor_with_its_guard() {
        static REGISTRY: Registry<4> = Registry::new();
        let first = REGISTRY.register(10).unwrap();
        let second = REGISTRY.register(11).unwrap();
        drop(first);
        assert_eq!(taken(&REGISTRY), [11]);
        drop(second);
        assert!(taken(&REGISTRY).is_empty());
    }

    #[test]
    fn refuses_when_every_place_is_taken() {
        static REGISTRY: Registry<2> = Registry::new();
        let guards = [REGISTRY.register(10).unwrap(), REGISTRY.register(11).unwrap()];
        let error = REGISTRY.register(12).unwrap_err();
        assert!(error.to_string().contains("256 connections"));
        drop(guards);
        assert!(REGISTRY.register(12).is_ok());
    }

    #[test]
    fn a_guard_left_from_before_a_fork_frees_no_one_elses_place() {
        static REGISTRY: Registry<1> = Registry::new();
        let of_the_parent = REGISTRY.register(10).unwrap();
        assert_eq!(taken(&REGISTRY), [10]);
        let of_the_child = REGISTRY.register(11).unwrap();
        drop(of_the_parent);
        assert_eq!(taken(&REGISTRY), [11]);
        drop(of_the_child);
    }

    #[test]
    fn survives_many_threads() {
        static REGISTRY: Registry<8> = Registry::new();
        std::thread::scope(|scope| {
            for descriptor in 0..8 {
                scope.spawn(move || (0..10_000).for_each(|_| drop(REGISTRY.register(descriptor).unwrap())));
            }
        });
        assert!(taken(&REGISTRY).is_empty());
    }
}
