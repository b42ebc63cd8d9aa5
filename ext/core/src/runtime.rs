//! The runtime: builds and wires the services, and is what a process's threads talk to.
//!
//! It owns one operating-system thread, on which everything runs, and at most three connections: `listen` (notifications, heartbeat,
//! advisory lock), `claim` (claims, timer, rescue) and `finish` (outcomes). A process whose pools do not listen has the three all
//! the same. Threads of the caller only touch memory: they take claims that lie ready and leave outcomes behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{watch, Notify};
use uuid::Uuid;

use crate::completion::{Completion, Stamp, Unsaved};
use crate::config::{Config, RawConfig};
use crate::due::Sooner;
use crate::error::Error;
use crate::event::{Event, Events};
use crate::in_flight::{InFlight, Run};
use crate::job::{Claim, JobRow, Lease, Moment, Ticket, Token};
use crate::ledger::Ledger;
use crate::operation;
use crate::outcome::Outcome;
use crate::phase::Phase;
use crate::pool::{Pool, BUFFER_AGE_MAX};
use crate::pulse::Pulse;
use crate::snapshot::{PoolSnapshot, Snapshot, Vitals};
use crate::transition::{decide, Transition};
use crate::wait_queue::{QueueClosed, WaitQueue, Waited, Wake};

/// See the module's documentation.
pub struct Runtime {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the caller's threads and the runtime's thread have in common.
pub(crate) struct Shared {
    pub(crate) process_id: Uuid,
    pub(crate) config: Arc<Config>,
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) unsaved: Arc<Unsaved>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) events: Arc<Events>,
    pub(crate) phase: watch::Sender<Phase>,
    /// Told when waiting for the database has taken too long at a stop.
    pub(crate) abandoned: Notify,
    pub(crate) connected: Arc<AtomicBool>,
    pub(crate) listening: Arc<AtomicBool>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) sooner: Arc<Sooner>,
    pub(crate) vitals: Vitals,
    /// Closed when the thread has ended.
    stopped: WaitQueue<()>,
}

/// A job in a caller's hands.
#[derive(Debug)]
pub struct Taken {
    /// The number by which the caller starts and finishes it.
    pub number: u64,
    /// `good_jobs.id`.
    pub job_id: Uuid,
    /// What `ActiveJob::Base#serialize` gave, as JSON text.
    pub serialized_params: Option<String>,
    /// `good_jobs.concurrency_key`.
    pub concurrency_key: Option<String>,
    /// `good_jobs.labels`.
    pub labels: Option<Vec<String>>,
    /// When an earlier attempt started that was cut short.
    pub interrupted_at: Option<Moment>,
    /// Whether the database knows that this run has started.
    pub stamped: bool,
    /// Whether the database must know before it does: see [`Runtime::request_stamp`].
    pub stamp_first: bool,
    /// Attempts begun before this one.
    pub executions_count: i32,
}

/// A job that the caller has claimed by itself, under this process's id: what has to be known here to end it. The payload stays there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// `good_jobs.id`.
    pub id: String,
    /// `good_jobs.locked_at`, in µs since 2000-01-01.
    pub token_us: i64,
    /// When that was, in µs since the Unix epoch.
    pub claimed_at: i64,
    /// Attempts begun before this one.
    pub executions_count: i32,
    /// When an earlier attempt started that was cut short.
    pub interrupted_at: Option<i64>,
    /// Whether it had been rescued before it was on record as started.
    pub rescued: bool,
    /// `good_jobs.queue_name`.
    pub queue_name: Option<String>,
    /// `good_jobs.priority`.
    pub priority: Option<i32>,
    /// `good_jobs.job_class`.
    pub job_class: Option<String>,
    /// `good_jobs.scheduled_at`.
    pub scheduled_at: Option<i64>,
    /// `good_jobs.created_at`.
    pub created_at: i64,
}

/// What else there is to know of a job in a caller's hands: [`Runtime::describe`].
#[derive(Debug, Serialize)]
pub struct Description {
    queue_name: Option<String>,
    priority: Option<i32>,
    job_class: Option<String>,
    executions_count: i32,
    scheduled_at: Option<i64>,
    created_at: i64,
}

impl Runtime {
    /// Checks the options. Connects to nothing and starts nothing.
    ///
    /// # Errors
    /// An option whose value cannot be used, named.
    pub fn new(options: RawConfig) -> Result<Self, Error> {
        let config = Arc::new(Config::try_from(options)?);
        let pools = config.pools.iter().cloned().map(|pool| Arc::new(Pool::new(pool))).collect();
        let shared = Shared {
            process_id: Uuid::new_v4(),
            config,
            pools,
            in_flight: Arc::default(),
            unsaved: Arc::default(),
            ledger: Arc::default(),
            events: Arc::default(),
            phase: watch::Sender::new(Phase::New),
            abandoned: Notify::new(),
            connected: Arc::default(),
            listening: Arc::default(),
            pulse: Arc::default(),
            sooner: Arc::default(),
            vitals: Vitals::default(),
            stopped: WaitQueue::default(),
        };
        Ok(Self { shared: Arc::new(shared), thread: Mutex::default() })
    }

    /// Starts the runtime's thread, once in its life, and returns at once.
    ///
    /// # Errors
    /// It was started before, or the operating system gives no thread.
    pub fn start(&self) -> Result<(), Error> {
        if !self.shared.advance(Phase::New, Phase::Starting) {
            return Err(Error::stopped("this runtime was started before; make a new one"));
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("good_job".to_owned()).spawn(move || operation::run(&shared)).map_err(|error| {
            // Nobody must wait for the end of a thread that never was.
            self.shared.advance_to(Phase::Stopped);
            self.shared.finish();
            Error::internal(format!("the operating system gave no thread for the queue: {error}"))
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// `good_job_processes.id` of this process.
    pub fn process_id(&self) -> Uuid {
        self.shared.process_id
    }

    /// Each pool's queues, as written, and number of threads.
    pub fn pools(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.shared.config.pools.iter().map(|pool| (pool.name.as_str(), pool.max_threads))
    }

    /// A claim of this pool, if one lies ready.
    ///
    /// # Errors
    /// The pool is closed: there will be none any more.
    pub fn try_take(&self, pool: usize) -> Result<Option<Taken>, QueueClosed> {
        let pool = self.shared.pools.get(pool).ok_or(QueueClosed)?;
        Ok(pool.try_take()?.map(|claim| self.begin(pool, claim)))
    }

    /// Waits for a claim of this pool.
    pub fn take(&self, pool: usize, wake: &Wake) -> Waited<Taken> {
        let Some(pool) = self.shared.pools.get(pool) else { return Waited::Closed };
        match pool.take(wake) {
            Waited::Item(claim) => Waited::Item(self.begin(pool, claim)),
            Waited::Closed => Waited::Closed,
            Waited::Woken => Waited::Woken,
            Waited::TimedOut => Waited::TimedOut,
        }
    }

    /// Ends the wait in [`Self::take`] that holds `wake`.
    pub fn interrupt_take(&self, pool: usize, wake: &Wake) {
        if let Some(pool) = self.shared.pools.get(pool) {
            pool.interrupt(wake);
        }
    }

    fn begin(&self, pool: &Pool, claim: Claim) -> Taken {
        pool.run_started();
        let Claim { ticket, mut job } = claim;
        let now = Instant::now();
        Taken {
            job_id: ticket.lease.job_id,
            serialized_params: job.serialized_params.take(),
            concurrency_key: job.concurrency_key.take(),
            labels: job.labels.take(),
            interrupted_at: ticket.interrupted_at,
            stamped: ticket.stamped,
            stamp_first: is_to_be_stamped_first(&ticket, now),
            executions_count: ticket.executions_count_unstarted(),
            number: self.shared.in_flight.begin(ticket, job, now),
        }
    }

    /// Begins the run of a job that the caller has claimed by itself; gives its number, as in [`Taken`].
    ///
    /// # Errors
    /// There is no such pool, or the id is none.
    pub fn adopt(&self, pool: usize, job: Fetched) -> Result<u64, Error> {
        let known = self.shared.pools.get(pool).ok_or_else(|| Error::invalid_input(format!("there is no pool {pool}")))?;
        let job_id = Uuid::parse_str(&job.id).map_err(|error| Error::invalid_input(format!("{:?} is no job's id: {error}", job.id)))?;
        let now = Instant::now();
        let ticket = Ticket {
            lease: Lease { job_id, token: Token(job.token_us) },
            pool,
            stamped: false,
            executions_count: job.executions_count,
            interrupted_at: job.interrupted_at.map(Moment),
            rescued: job.rescued,
            claimed_at: Moment(job.claimed_at),
            received: now,
        };
        let row = JobRow {
            serialized_params: None,
            queue_name: job.queue_name,
            priority: job.priority,
            job_class: job.job_class,
            concurrency_key: None,
            labels: None,
            scheduled_at: job.scheduled_at.map(Moment),
            created_at: Moment(job.created_at),
        };
        self.shared.ledger.adopt(&ticket);
        known.run_started();
        Ok(self.shared.in_flight.begin(ticket, row, now))
    }

    /// What is seldom asked of a job, and so is not handed over with it. `None` if there is no such run.
    pub fn describe(&self, number: u64) -> Option<Description> {
        let Run { ticket, job, .. } = self.shared.in_flight.find(number)?;
        Some(Description {
            queue_name: job.queue_name.clone(),
            priority: job.priority,
            job_class: job.job_class.clone(),
            executions_count: ticket.executions_count_unstarted(),
            scheduled_at: job.scheduled_at.map(|at| at.0),
            created_at: job.created_at.0,
        })
    }

    /// Asks for the start of a run to be on record before it starts. The answer is whether the lease still holds; `None` if there is
    /// no such run.
    pub fn request_stamp(&self, number: u64) -> Option<Arc<WaitQueue<bool>>> {
        let run = self.shared.in_flight.find(number)?;
        let reply = Arc::new(WaitQueue::default());
        self.shared.unsaved.push_stamp(Stamp { started_at: run.started_at(), ticket: run.ticket, reply: Arc::clone(&reply) });
        Some(reply)
    }

    /// Takes note of a recorded start.
    pub fn mark_stamped(&self, number: u64) {
        self.shared.in_flight.mark_stamped(number);
    }

    /// Ends a run. The completion must then be saved: [`Self::save`]. `None` if there is no such run, or not any more.
    pub fn end(&self, number: u64, outcome: Outcome) -> Option<Completion> {
        // Before the run is out of sight: the completer must not go home in between.
        self.shared.unsaved.expect();
        let Some(run) = self.shared.in_flight.end(number) else {
            self.shared.unsaved.expect_less();
            return None;
        };
        let duration = run.started.elapsed();
        let transition = decide(outcome);
        let pool = &self.shared.pools[run.ticket.pool];
        match transition {
            Transition::Park(_) => pool.run_parked(),
            _ => pool.run_ended(duration, is_error(&transition)),
        }
        let started_at = run.started_at();
        Some(Completion::new(run.ticket, transition, started_at, duration))
    }

    /// Hands a completion to the completer; gives it back while too many wait.
    ///
    /// # Errors
    /// There is no room: wait in [`Self::wait_for_room`] and try again.
    pub fn save(&self, completion: Completion) -> Result<(), Box<Completion>> {
        self.shared.unsaved.push(completion)
    }

    /// Hands a completion to the completer though too many wait: for a caller that may not wait any longer, and is one thread.
    pub fn save_regardless(&self, completion: Completion) {
        self.shared.unsaved.push_expected(completion);
    }

    /// Waits until there is room for a completion.
    pub fn wait_for_room(&self, wake: &Wake) -> Waited<()> {
        self.shared.unsaved.wait_for_room(wake)
    }

    /// Ends the wait in [`Self::wait_for_room`] that holds `wake`.
    pub fn interrupt_wait_for_room(&self, wake: &Wake) {
        self.shared.unsaved.interrupt(wake);
    }

    /// Stops claiming, gives back what nobody has started, and lets takers go home. Runs under way go on.
    pub fn drain(&self) {
        self.shared.advance_to(Phase::Draining);
        self.shared.unsaved.expect();
        for pool in &self.shared.pools {
            pool.close().into_iter().for_each(|claim| self.shared.unsaved.push_regardless(Completion::unstarted(claim.ticket)));
        }
        self.shared.unsaved.expect_less();
    }

    /// Asks the runtime to store what there is and to end. Runs that were never finished count as cut short.
    pub fn close(&self) {
        self.drain();
        if self.shared.advance(Phase::New, Phase::Stopped) {
            self.shared.finish();
        }
        self.shared.advance_to(Phase::Closing);
    }

    /// Waits for the end.
    pub fn wait_until_stopped(&self, wake: &Wake, deadline: Option<Instant>) -> Waited<()> {
        self.shared.stopped.pop(wake, deadline, || ())
    }

    /// Ends the wait in [`Self::wait_until_stopped`] that holds `wake`.
    pub fn interrupt_wait_until_stopped(&self, wake: &Wake) {
        self.shared.stopped.wake(wake);
    }

    /// Ends at once, whatever is not stored. Gives the number of outcomes left behind.
    pub fn abandon(&self) -> usize {
        self.shared.abandoned.notify_one();
        self.shared.unsaved.len()
    }

    /// Waits for the thread, which has nothing left to do once [`Self::wait_until_stopped`] has ended with `Closed`.
    pub fn join(&self) {
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    /// Waits for the next event.
    pub fn next_event(&self, wake: &Wake) -> Waited<Event> {
        self.shared.events.next(wake)
    }

    /// Ends the wait in [`Self::next_event`] that holds `wake`.
    pub fn interrupt_next_event(&self, wake: &Wake) {
        self.shared.events.interrupt(wake);
    }

    /// Waits for the question whether the caller's threads run. Whoever waits answers: [`Self::answer_pulse`].
    pub fn next_pulse(&self, wake: &Wake) -> Waited<()> {
        self.shared.pulse.next_question(wake)
    }

    /// The caller's threads run.
    pub fn answer_pulse(&self) {
        self.shared.pulse.answer();
    }

    /// Nobody answers any more.
    pub fn leave_pulse(&self) {
        self.shared.pulse.leave();
    }

    /// Ends the wait in [`Self::next_pulse`] that holds `wake`.
    pub fn interrupt_next_pulse(&self, wake: &Wake) {
        self.shared.pulse.interrupt(wake);
    }

    /// Somebody says that there is a job: in this queue, or in any; due then, or now. Like an announcement, but for this process only.
    /// `Some(true)`: a thread is free for it, or will be called; `Some(false)`: no pool takes from the queue; `None`: none is free, or
    /// nothing is claimed.
    pub fn look(&self, queue: Option<&str>, at: Option<Moment>) -> Option<bool> {
        if !matches!(*self.shared.phase.borrow(), Phase::Starting | Phase::Running) {
            return None;
        }
        let pools: Vec<_> = self.shared.pools.iter().filter(|pool| queue.is_none() || pool.config.queues.matches(queue)).collect();
        if pools.is_empty() {
            return Some(false);
        }
        if let Some(delay) = at.and_then(|at| at.delay_from(Moment::here())) {
            self.shared.sooner.tell(delay);
            return Some(true);
        }
        let is_free = pools.iter().any(|pool| pool.has_free_thread());
        pools.iter().for_each(|pool| pool.wake());
        is_free.then_some(true)
    }

    /// Takes note of what the caller says of its process, for the process's row: [`Event::VitalsWanted`].
    pub fn note_vitals(&self, said: Map<String, Value>) {
        self.shared.vitals.note(said);
    }

    /// How things stand.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }
}

/// A runtime that nobody has any more stores what there is and ends.
impl Drop for Runtime {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Moves on from one phase to the next; tells whether it was in the first.
    pub(crate) fn advance(&self, from: Phase, to: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let here = *phase == from;
            if here {
                *phase = to;
            }
            here
        })
    }

    /// Moves on unless it is that far already.
    pub(crate) fn advance_to(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let behind = *phase < to && *phase != Phase::New;
            if behind {
                *phase = to;
            }
            behind
        });
    }

    /// The thread has ended: lets everybody who waits know.
    pub(crate) fn finish(&self) {
        self.unsaved.close();
        self.events.close();
        self.pulse.close();
        self.stopped.close();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = *self.phase.borrow();
        Snapshot {
            state,
            connected: state > Phase::Starting && state < Phase::Stopped && self.connected.load(Ordering::Relaxed),
            listening: self.listening.load(Ordering::Relaxed),
            pools: self.pools.iter().map(|pool| PoolSnapshot::from(pool.as_ref())).collect(),
            unsaved_outcomes: self.unsaved.len(),
            blocked_us: u64::try_from(self.pulse.silence().as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// The process row's state: what the caller said of the process, and how its pools are doing.
    pub(crate) fn process_state(&self) -> String {
        if self.vitals.is_time_to_ask(Instant::now()) {
            self.events.tell(Event::VitalsWanted);
        }
        let mut state = self.config.process_state.clone();
        self.vitals.add_to(&mut state);
        let now = Moment::here();
        let pools: Vec<PoolSnapshot> = self.pools.iter().map(|pool| PoolSnapshot::from(pool.as_ref())).collect();
        let schedulers: Vec<_> = pools.iter().zip(&self.pools).map(|(shown, pool)| shown.as_scheduler(pool.activity(now))).collect();
        state.insert("runtime".to_owned(), "good_job_rs".into());
        state.insert("schedulers".to_owned(), schedulers.into());
        state.insert("ruby_blocked_seconds".to_owned(), self.pulse.silence().as_secs().into());
        let sum = |count: fn(&PoolSnapshot) -> u64| pools.iter().map(count).sum::<u64>();
        state.insert("total_succeeded_executions_count".to_owned(), sum(|pool| pool.succeeded).into());
        state.insert("total_errored_executions_count".to_owned(), sum(|pool| pool.errored).into());
        Value::Object(state).to_string()
    }
}

/// Whether a run must be on record as started before it starts: it follows one that was cut short, or the claim has lain for so long that
/// this process must have stood still, and may have been taken for dead. The answer then tells whether the lease still holds.
fn is_to_be_stamped_first(ticket: &Ticket, now: Instant) -> bool {
    let is_stale = || now.saturating_duration_since(ticket.received) > 2 * BUFFER_AGE_MAX;
    !ticket.stamped && (ticket.interrupted_at.is_some() || ticket.rescued || is_stale())
}

fn is_error(transition: &Transition) -> bool {
    match transition {
        Transition::Finish(failure) | Transition::Delete(failure) | Transition::Retry(failure, _) => failure.is_some(),
        Transition::Interrupt => true,
        Transition::Release | Transition::Park(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Lease, Token};

    fn ticket(received: Instant) -> Ticket {
        let lease = Lease { job_id: Uuid::nil(), token: Token(0) };
        let (claimed_at, interrupted_at) = (Moment(0), None);
        Ticket { lease, pool: 0, stamped: false, executions_count: 0, interrupted_at, rescued: false, claimed_at, received }
    }

    #[test]
    fn a_run_is_on_record_first_when_it_follows_one_cut_short_or_the_process_may_have_been_taken_for_dead() {
        let now = Instant::now() + Duration::from_secs(60);
        let fresh = ticket(now - Duration::from_millis(400));
        let stale = ticket(now - Duration::from_secs(20));
        assert!(!is_to_be_stamped_first(&fresh, now));
        assert!(is_to_be_stamped_first(&stale, now));
        assert!(is_to_be_stamped_first(&Ticket { rescued: true, ..fresh.clone() }, now));
        assert!(is_to_be_stamped_first(&Ticket { interrupted_at: Some(Moment(0)), ..fresh.clone() }, now));
        assert!(!is_to_be_stamped_first(&Ticket { stamped: true, rescued: true, ..fresh }, now));
    }
}
