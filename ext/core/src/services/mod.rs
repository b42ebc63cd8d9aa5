//! What the runtime does by itself, one thing a file. None knows another: they meet in `operation.rs`.

pub(crate) mod batches;
pub(crate) mod claimer;
pub(crate) mod cleaner;
pub(crate) mod completer;
pub(crate) mod heartbeat;
pub(crate) mod listener;
pub(crate) mod locker;
pub(crate) mod pause_watch;
pub(crate) mod rescuer;
pub(crate) mod scheduler;
pub(crate) mod watch;
