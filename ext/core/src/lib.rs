//! The queue of good_job_rs. It claims jobs in Postgres, hands them to whoever runs them, and stores how the runs ended. It knows no
//! Ruby: a job's payload is text that it never looks into.
//!
//! In reading order:
//!
//! - words: [`job`] (a claim and its lease), [`outcome`] (how a run ended), [`transition`] (what that changes), [`queue_selector`],
//!   [`pool`], [`pace`] and [`frontier`], [`batches`], [`pauses`], [`config`], [`event`], [`phase`], [`pulse`], [`snapshot`],
//!   [`error`];
//! - `postgres`: how to get to the database (`conninfo`, `passfile`, `tls`, `connection`, `link`) and what to say there (`sql`,
//!   `values`, `store`, the only file that runs SQL);
//! - `services`: one thing each that the runtime does by itself;
//! - [`runtime`] and `operation`: what the caller's threads talk to, and what happens on the runtime's own thread.
//!
//! Invariants:
//!
//! - a job's row is changed only by the holder of its lease (id, process, token), and every statement that ends a run checks it;
//! - an outcome is kept until Postgres has stored it;
//! - every queue, batch, buffer and wait has a limit with a name and a unit;
//! - what is due is decided by the database's clock.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

pub mod batches;
pub mod completion;
pub mod config;
pub mod due;
pub mod error;
pub mod event;
pub mod fleet;
pub mod frontier;
mod in_flight;
pub mod job;
mod ledger;
pub mod lock_strategy;
mod operation;
pub mod outcome;
pub mod pace;
pub mod pauses;
pub mod phase;
pub mod pool;
pub mod postgres;
pub mod pulse;
pub mod queue_selector;
pub mod runtime;
mod services;
pub mod snapshot;
pub mod transition;
pub mod wait_queue;

pub use error::Error;
pub use runtime::Runtime;
