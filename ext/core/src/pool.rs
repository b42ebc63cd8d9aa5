//! A pool: queues, a number of threads, and the hand-off between the claimer that fills it and the threads that empty it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::frontier::{Found, Frontier, Lane, Mark, Walk};
use crate::job::{Claim, Moment};
use crate::pace::Pace;
use crate::queue_selector::QueueSelector;
use crate::wait_queue::{QueueClosed, WaitQueue, Waited, Wake};

/// Longest that a claim may wait in the buffer for a thread; then it is given back, for a process that has one free.
pub const BUFFER_AGE_MAX: Duration = Duration::from_millis(500);

/// What a pool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// The queues as the user wrote them.
    pub name: String,
    /// The queues, understood.
    pub queues: QueueSelector,
    /// How many Ruby threads take from it.
    pub max_threads: usize,
    /// Whether to claim short jobs in advance.
    pub prefetch: bool,
}

/// What a claim statement should ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Jobs that start at once, on threads that wait now.
    pub start: usize,
    /// Jobs to hold in advance.
    pub prefetch: usize,
}

impl Demand {
    /// How many in all.
    pub fn limit(self) -> usize {
        self.start + self.prefetch
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Pool {
    /// What it is.
    pub config: PoolConfig,
    /// How its runs went.
    pub counters: Counters,
    claims: WaitQueue<Claim>,
    pace: Pace,
    frontier: Mutex<Frontier>,
    /// Whether the queue may hold work that this pool has not seen. Level, not edge: set by every wake, cleared by the claim that
    /// looks, set again if that claim came back full.
    pending: AtomicBool,
    /// Whether what is pending was announced, to all processes at the same time.
    announced: AtomicBool,
    /// Wakes the claimer: there is demand, or there may be work.
    changed: Notify,
}

/// Sums since the start, for process rows and snapshots.
#[derive(Debug, Default)]
pub struct Counters {
    /// Runs that ended without an error.
    pub succeeded: AtomicU64,
    /// Runs that ended with one.
    pub errored: AtomicU64,
    /// Claims that found nothing.
    pub empty: AtomicU64,
    /// Runs under way.
    pub active: AtomicU64,
    /// When a claim last looked, in µs since the Unix epoch; 0: never.
    looked_at: AtomicI64,
    /// How many runs had ended when somebody last asked, and when somebody first saw so many, as above. A run itself notes no time.
    seen: AtomicU64,
    seen_at: AtomicI64,
}

/// When a pool last did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// When a run was last seen to have ended.
    pub ran_at: Option<Moment>,
    /// When a claim last looked for jobs.
    pub looked_at: Option<Moment>,
}

impl Pool {
    /// A pool that assumes there is work.
    pub fn new(config: PoolConfig) -> Self {
        Self {
            config,
            counters: Counters::default(),
            claims: WaitQueue::default(),
            pace: Pace::default(),
            frontier: Mutex::default(),
            pending: AtomicBool::new(true),
            announced: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// There may be work anywhere: claim as soon as there is demand, and look from the start.
    pub fn wake(&self) {
        self.frontier().forget();
        self.expect_work();
    }

    /// It is time to look whether there is work that nobody told of.
    pub fn poll(&self) {
        self.frontier().look_back(Instant::now());
        self.expect_work();
    }

    /// There is work of this priority, due at this time; `queue` says where, if that is known. Nothing happens if it is not for this pool.
    pub fn tell(&self, queue: Option<&str>, priority: i32, at: Moment) {
        if queue.is_some() && !self.config.queues.matches(queue) {
            return;
        }
        let mut frontier = self.frontier();
        for queue in self.config.queues.places(queue) {
            frontier.tell(Lane { queue, priority }, at);
        }
        drop(frontier);
        self.expect_work();
    }

    /// What is told next, or is pending, was announced to all processes.
    pub fn note_announcement(&self) {
        self.announced.store(true, Ordering::SeqCst);
    }

    /// Whether there was an announcement since the last call, and a thread waits that could answer it.
    pub fn take_announcement(&self) -> bool {
        self.announced.swap(false, Ordering::SeqCst) && self.pending.load(Ordering::SeqCst) && self.demand().is_some()
    }

    fn expect_work(&self) {
        self.pending.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Waits until demand or work may have changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What to claim now, and where to look for it; `None` if nothing is wanted or nothing is to be expected. Clears the expectation.
    pub fn next_claim(&self) -> Option<(Demand, Walk)> {
        let demand = self.demand()?;
        self.pending.swap(false, Ordering::SeqCst).then(|| (demand, self.frontier().next_walk(Instant::now())))
    }

    /// Takes note of what a claim statement found.
    pub fn claimed(&self, walk: &Walk, claims: &[Claim], demand: Demand, took: Duration) {
        self.counters.looked_at.store(Moment::here().0, Ordering::Relaxed);
        if claims.is_empty() {
            self.counters.empty.fetch_add(1, Ordering::Relaxed);
        }
        let found: Vec<Found> = claims.iter().map(|claim| self.found(claim)).collect();
        if self.frontier().found(walk, &found, demand.limit(), took) {
            self.expect_work();
        }
    }

    /// Takes note of a claim statement that failed.
    pub fn claim_failed(&self, walk: &Walk, took: Duration) {
        self.frontier().failed(walk, took);
        self.expect_work();
    }

    fn found(&self, claim: &Claim) -> Found {
        let at = claim.job.scheduled_at.unwrap_or(claim.ticket.claimed_at);
        let queue = self.config.queues.places(claim.job.queue_name.as_deref()).next();
        let lane = claim.job.priority.zip(queue).map(|(priority, queue)| Lane { queue, priority });
        (lane, Mark { at, id: claim.ticket.lease.job_id })
    }

    fn demand(&self) -> Option<Demand> {
        let level = self.claims.level();
        let start = level.waiting.saturating_sub(level.buffered);
        let spare = level.buffered.saturating_sub(level.waiting);
        let room = self.room();
        let prefetch = if spare * 2 <= room { room - spare } else { 0 };
        (start + prefetch > 0).then_some(Demand { start, prefetch })
    }

    /// Most claims to hold in advance.
    fn room(&self) -> usize {
        if self.config.prefetch {
            self.pace.prefetch(self.config.max_threads)
        } else {
            0
        }
    }

    /// Hands a claim to the threads; gives it back if the pool is closed.
    pub fn push(&self, claim: Claim) -> Result<(), Box<Claim>> {
        self.claims.push(claim).map_err(Box::new)
    }

    /// A claim, if one is there.
    pub fn try_take(&self) -> Result<Option<Claim>, QueueClosed> {
        let taken = self.claims.try_pop()?;
        Ok(taken.map(|(claim, left)| {
            // Only at the low-water mark: a wake-up of the runtime's thread per job would cost more than the job.
            if left * 2 <= self.room() {
                self.ask_for_more();
            }
            claim
        }))
    }

    /// Waits for a claim.
    pub fn take(&self, wake: &Wake) -> Waited<Claim> {
        self.claims.pop(wake, None, || self.ask_for_more())
    }

    /// Ends the wait that holds `wake`.
    pub fn interrupt(&self, wake: &Wake) {
        self.claims.wake(wake);
    }

    /// Tells the claimer of demand, unless nothing is to be expected: a thread that finds an empty queue does not ask again.
    fn ask_for_more(&self) {
        if self.pending.load(Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    /// When the oldest buffered claim will have waited too long.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.claims.peek(|claim| claim.ticket.received + BUFFER_AGE_MAX)
    }

    /// Takes out what has waited too long. The threads are busy with something that lasts, though no run has ended to say so: without
    /// that note the same claims would be taken and given back for as long.
    pub fn take_expired(&self, now: Instant) -> Vec<Claim> {
        let expired: Vec<Claim> =
            std::iter::from_fn(|| self.claims.pop_if(|claim| claim.ticket.received + BUFFER_AGE_MAX <= now)).collect();
        if !expired.is_empty() {
            self.pace.record(BUFFER_AGE_MAX);
        }
        expired
    }

    /// Closes the pool and takes out what nobody has started.
    pub fn close(&self) -> Vec<Claim> {
        let unstarted = self.claims.drain(usize::MAX);
        self.claims.close();
        unstarted.into_iter().chain(self.claims.drain(usize::MAX)).collect()
    }

    /// Takes note of a run that has begun.
    pub fn run_started(&self) {
        self.counters.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of a run that has ended.
    pub fn run_ended(&self, run: Duration, errored: bool) {
        self.pace.record(run);
        self.counters.active.fetch_sub(1, Ordering::Relaxed);
        let counter = if errored { &self.counters.errored } else { &self.counters.succeeded };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// When it last did something, as far as earlier calls could see. For one caller, who asks now and then.
    pub fn activity(&self, now: Moment) -> Activity {
        let Counters { succeeded, errored, looked_at, seen, seen_at, .. } = &self.counters;
        let ended = succeeded.load(Ordering::Relaxed) + errored.load(Ordering::Relaxed);
        if seen.swap(ended, Ordering::Relaxed) != ended {
            seen_at.store(now.0, Ordering::Relaxed);
        }
        let moment = |at: &AtomicI64| Some(Moment(at.load(Ordering::Relaxed))).filter(|at| at.0 != 0);
        Activity { ran_at: moment(seen_at), looked_at: moment(looked_at) }
    }

    /// Whether it has a thread that runs no job.
    pub fn has_free_thread(&self) -> bool {
        self.counters.active.load(Ordering::Relaxed) < self.config.max_threads as u64
    }

    /// Takes note of a claim that a thread took and did not run.
    pub fn run_parked(&self) {
        self.counters.active.fetch_sub(1, Ordering::Relaxed);
    }

    fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims in the buffer.
    pub fn buffered(&self) -> usize {
        self.claims.level().buffered
    }
}
