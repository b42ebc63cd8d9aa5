//! Stores how runs ended: group commit without a timer. One flush is in flight; what arrives meanwhile goes into the next.
//!
//! An outcome is kept until Postgres has stored it. A lost connection delays it; a row that Postgres rejects is stored as a failure
//! of its own and never holds up the others; a lease that is lost is told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::completion::{Completion, Stamp, Unsaved};
use crate::event::{Event, Events};
use crate::in_flight::InFlight;
use crate::job::{Lease, Moment};
use crate::ledger::Ledger;
use crate::outcome::{ErrorEvent, Failure, NextAttempt};
use crate::phase::{reached, Phase, PhaseWatch};
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{Interrupted, Released, Started, Store};
use crate::transition::Transition;

/// Most runs in one flush.
const FLUSH_MAX: usize = 500;
/// A flush of so many runs is one under load: what ends next is gathered for a moment. Below, nothing waits.
const BUSY_FLUSH: usize = 4;
/// How long.
const GATHERING_TIME: Duration = Duration::from_millis(2);
/// So many runs are worth a flush at once.
const FULL_FLUSH: usize = 100;
/// A run that lasts this long is recorded as started; a shorter one is by its completion.
const LASTING: Duration = Duration::from_millis(10);
/// How often to look for such runs when nothing else is to be stored.
const LASTING_TICK: Duration = Duration::from_millis(50);

/// Pause before a run whose row was locked is tried again, with whatever else has ended by then.
const ASIDE_DELAY: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(crate) struct Completer {
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) unsaved: Arc<Unsaved>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) events: Arc<Events>,
    /// Runs of the flush under way whose rows somebody else has locked.
    pub(crate) aside: Mutex<Vec<Completion>>,
}

/// Runs of one transition: they share a statement.
#[derive(Default)]
struct Batches {
    finish: Vec<Completion>,
    delete: Vec<Completion>,
    retry: Vec<Completion>,
    interrupt: Vec<Completion>,
    release: Vec<Completion>,
    park: Vec<Completion>,
}

#[derive(Clone, Copy)]
enum Kind {
    Finish,
    Delete,
    Retry,
    Interrupt,
    Release,
    Park,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Delete => "delete",
            Self::Retry => "retry",
            Self::Interrupt => "interrupt",
            Self::Release => "release",
            Self::Park => "park",
        }
    }
}

impl Completer {
    /// Stores until nothing more comes and nothing is left.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        loop {
            let flushing = *phase.borrow() >= Phase::Flushing;
            // Asked before the drain: what comes in between is seen by it.
            let last = flushing && !self.unsaved.any_expected() && self.unsaved.is_empty();
            let stored = self.run_once().await;
            if stored >= BUSY_FLUSH && !flushing {
                tokio::select! {
                    () = self.gather() => {}
                    () = reached(&mut phase, Phase::Flushing) => {}
                }
            }
            if stored > 0 {
                continue;
            }
            if last {
                return;
            }
            let tick = async {
                if self.in_flight.any_unstamped() {
                    tokio::time::sleep(LASTING_TICK).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.unsaved.arrived() => {}
                () = tick => {}
                () = reached(&mut phase, Phase::Flushing), if !flushing => {}
            }
        }
    }

    /// Under load a flush that begins at once stores what ended during the one before, a dozen runs, and costs Postgres nearly as much
    /// as one with a hundred.
    async fn gather(&self) {
        if self.unsaved.len() < FULL_FLUSH {
            tokio::time::sleep(GATHERING_TIME).await;
        }
    }

    /// One flush; gives the number of runs, and of starts that somebody waits for, that there were to store.
    pub(crate) async fn run_once(&self) -> usize {
        let (completions, stamps) = self.unsaved.drain(FLUSH_MAX);
        let count = completions.len() + stamps.len();
        if count == 0 && !self.in_flight.any_unstamped() {
            return 0;
        }
        let leases: Vec<Lease> = completions.iter().map(|run| run.ticket.lease).collect();
        let batches = Batches::from(completions);
        tokio::join!(
            self.stamp_awaited(stamps),
            self.stamp_lasting(),
            self.store(Kind::Finish, batches.finish),
            self.delete(batches.delete),
            self.store(Kind::Retry, batches.retry),
            self.store(Kind::Interrupt, batches.interrupt),
            self.store(Kind::Release, batches.release),
            self.store(Kind::Park, batches.park),
        );
        let aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
        self.unsaved.stored(leases.len() - aside.len());
        let kept: HashSet<Lease> = aside.iter().map(|run| run.ticket.lease).collect();
        leases.iter().filter(|lease| !kept.contains(lease)).for_each(|lease| self.ledger.strike(*lease));
        self.try_again_later(aside);
        count
    }

    /// Puts runs back that could not be stored because somebody else (a dashboard, an operator's open transaction) has locked their
    /// rows. Until then they count as being stored.
    fn try_again_later(&self, aside: Vec<Completion>) {
        if aside.is_empty() {
            return;
        }
        let unsaved = Arc::clone(&self.unsaved);
        tokio::spawn(async move {
            tokio::time::sleep(ASIDE_DELAY).await;
            for run in aside {
                unsaved.push_regardless(run);
                unsaved.stored(1);
            }
        });
    }

    /// Some jobs are never deleted (delete_jobs.sql); what the statement leaves is finished instead.
    async fn delete(&self, batch: Vec<Completion>) {
        if batch.is_empty() {
            return;
        }
        let kept = self.store_until_known(Kind::Delete, batch).await;
        self.store(Kind::Finish, kept).await;
    }

    async fn store(&self, kind: Kind, batch: Vec<Completion>) {
        if batch.is_empty() {
            return;
        }
        let missing = self.store_until_known(kind, batch).await;
        // A claim that nobody has started is nobody's loss.
        if matches!(kind, Kind::Release) {
            return;
        }
        for lost in self.not_stored_before(missing).await {
            let job_id = lost.ticket.lease.job_id.to_string();
            self.events.tell(Event::LostLease { job_id, action: kind.name().to_owned() });
        }
    }

    /// Writes a batch, however often that takes; gives the runs whose leases were no longer held.
    async fn store_until_known(&self, kind: Kind, mut batch: Vec<Completion>) -> Vec<Completion> {
        let mut backoff = Backoff::default();
        loop {
            match self.write(kind, &batch).await {
                Ok(written) => return without(batch, &written),
                Err(error) if error.is_row_locked() => return self.store_around_locks(kind, batch).await,
                Err(error) if error.is_value_refused() => return self.store_one_by_one(kind, batch, &error).await,
                Err(error) => {
                    let is_doubtful = error.is_connection_lost();
                    batch.iter_mut().for_each(|run| run.in_doubt |= is_doubtful);
                    self.pause(&mut backoff, &format!("storing {} outcomes", batch.len()), &error).await;
                }
            }
        }
    }

    /// One of the batch's rows is locked: each goes alone, and the locked ones are set aside.
    async fn store_around_locks(&self, kind: Kind, batch: Vec<Completion>) -> Vec<Completion> {
        if batch.len() == 1 {
            self.aside.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            return Vec::new();
        }
        let mut missing = Vec::new();
        for run in batch {
            missing.extend(Box::pin(self.store_until_known(kind, vec![run])).await);
        }
        missing
    }

    /// One of the batch is at fault: each goes alone, and the one that is refused again is stored as a failure that says why.
    async fn store_one_by_one(&self, kind: Kind, batch: Vec<Completion>, error: &QueryError) -> Vec<Completion> {
        if let [run] = batch.as_slice() {
            let job_id = run.ticket.lease.job_id;
            self.events.tell(Event::Error { message: format!("the outcome of job {job_id} could not be stored: {error}") });
            return match substitute(run, error) {
                Some((kind, run)) => Box::pin(self.store_until_known(kind, vec![run])).await,
                None => Vec::new(),
            };
        }
        let mut missing = Vec::new();
        for run in batch {
            missing.extend(Box::pin(self.store_until_known(kind, vec![run])).await);
        }
        missing
    }

    async fn write(&self, kind: Kind, batch: &[Completion]) -> Result<Vec<Uuid>, QueryError> {
        match kind {
            Kind::Finish => {
                let runs: Vec<_> = batch.iter().map(|run| (run, failure(run))).collect();
                self.store.finish(&self.link, &runs).await
            }
            Kind::Retry => {
                let runs: Vec<_> = batch.iter().map(|run| (run, failure(run))).collect();
                let next: Vec<_> = batch.iter().map(next_attempt).collect();
                self.store.retry(&self.link, &runs, &next).await
            }
            Kind::Interrupt => {
                let runs: Vec<_> = batch.iter().map(|run| (run, None)).collect();
                let Interrupted { mut put_back, discarded } = self.store.interrupt(&self.link, &runs).await?;
                self.events.tell_discarded(&discarded);
                put_back.extend(discarded);
                Ok(put_back)
            }
            Kind::Delete => {
                let runs: Vec<_> = batch.iter().map(|run| (run.ticket.lease, failure(run).is_some())).collect();
                self.store.delete(&self.link, &runs).await
            }
            Kind::Release => {
                let claims: Vec<_> = batch.iter().map(released).collect();
                self.store.release(&self.link, &claims).await
            }
            Kind::Park => {
                let claims: Vec<_> = batch.iter().map(released).collect();
                let until: Vec<_> = batch.iter().map(parked_until).collect();
                self.store.park(&self.link, &claims, &until).await
            }
        }
    }

    /// Of runs whose leases are gone, those that have really lost them: a flush whose answer was lost may have given them up itself.
    async fn not_stored_before(&self, missing: Vec<Completion>) -> Vec<Completion> {
        let (doubtful, mut lost): (Vec<_>, Vec<_>) = missing.into_iter().partition(|run| run.in_doubt);
        let mut backoff = Backoff::default();
        while !doubtful.is_empty() {
            match self.store.stored_executions(&self.link, &doubtful).await {
                Ok(stored) => {
                    let stored: HashSet<Uuid> = stored.into_iter().collect();
                    lost.extend(doubtful.into_iter().filter(|run| leaves_record(run) && !stored.contains(&run.execution_id)));
                    break;
                }
                Err(error) => self.pause(&mut backoff, "checking which outcomes are stored", &error).await,
            }
        }
        lost
    }

    /// Before another attempt; says why it is needed, once. A lost connection is told by its link.
    async fn pause(&self, backoff: &mut Backoff, doing: &str, error: &QueryError) {
        if backoff.is_fresh() && !error.is_connection_lost() {
            self.events.tell(Event::Error { message: format!("{doing}: {error}; trying again until it works") });
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }

    /// Records starts that somebody waits for.
    async fn stamp_awaited(&self, stamps: Vec<Stamp>) {
        if stamps.is_empty() {
            return;
        }
        let claims: Vec<Started> = stamps
            .iter()
            .map(|stamp| Started {
                lease: stamp.ticket.lease,
                started_at: stamp.started_at,
                executions_count: stamp.ticket.executions_count_started(),
            })
            .collect();
        let mut backoff = Backoff::default();
        let ours = loop {
            match self.store.stamp(&self.link, &claims).await {
                Ok(ours) => break ours,
                // Outcomes must not wait for it: it goes into the next flush.
                Err(error) if error.is_row_locked() => return stamps.into_iter().for_each(|stamp| self.unsaved.push_stamp(stamp)),
                Err(error) => self.pause(&mut backoff, "recording that jobs start", &error).await,
            }
        };
        for stamp in stamps {
            let _ = stamp.reply.push(ours.contains(&stamp.ticket.lease.job_id));
        }
    }

    /// Records starts of runs that last. Once is enough to try: the next flush or tick tries again.
    async fn stamp_lasting(&self) {
        let lasting = self.in_flight.unstamped(LASTING);
        if lasting.is_empty() {
            return;
        }
        let claims: Vec<Started> = lasting
            .iter()
            .map(|(_, run)| Started {
                lease: run.ticket.lease,
                started_at: run.started_at(),
                executions_count: run.ticket.executions_count_started(),
            })
            .collect();
        if self.store.stamp(&self.link, &claims).await.is_ok() {
            lasting.iter().for_each(|(number, _)| self.in_flight.mark_stamped(*number));
        }
    }
}

impl From<Vec<Completion>> for Batches {
    fn from(completions: Vec<Completion>) -> Self {
        let mut batches = Self::default();
        for run in completions {
            match run.transition {
                Transition::Finish(_) => batches.finish.push(run),
                Transition::Delete(_) => batches.delete.push(run),
                Transition::Retry(..) => batches.retry.push(run),
                Transition::Interrupt => batches.interrupt.push(run),
                Transition::Release => batches.release.push(run),
                Transition::Park(_) => batches.park.push(run),
            }
        }
        batches
    }
}

/// What is stored in place of a run that Postgres refuses: a failure that says so; if that is refused too, the bare fact that the run
/// was cut short. `None` if nothing of the run's own is left to leave out: then the lease stays for the rescuer.
fn substitute(run: &Completion, error: &QueryError) -> Option<(Kind, Completion)> {
    let (kind, transition) = match &run.transition {
        Transition::Finish(Some(failure)) if failure.error.starts_with(UNSTORABLE) => (Kind::Interrupt, Transition::Interrupt),
        Transition::Finish(_) | Transition::Delete(_) | Transition::Retry(..) => {
            let message = format!("{UNSTORABLE}: The outcome of this run could not be stored: {error}");
            (Kind::Finish, Transition::Finish(Some(Failure::new(&message, ErrorEvent::Unhandled, Vec::new()))))
        }
        Transition::Interrupt | Transition::Release | Transition::Park(_) => return None,
    };
    Some((kind, Completion { transition, ..run.clone() }))
}

/// The class named in the error of a run whose own outcome Postgres refused.
const UNSTORABLE: &str = "GoodJob::UnstorableOutcomeError";

fn failure(run: &Completion) -> Option<&Failure> {
    match &run.transition {
        Transition::Finish(failure) | Transition::Delete(failure) | Transition::Retry(failure, _) => failure.as_ref(),
        Transition::Interrupt | Transition::Release | Transition::Park(_) => None,
    }
}

fn next_attempt(run: &Completion) -> Option<&NextAttempt> {
    match &run.transition {
        Transition::Retry(_, next) => next.as_ref(),
        _ => None,
    }
}

fn released(run: &Completion) -> Released {
    let ticket = &run.ticket;
    Released {
        lease: ticket.lease,
        performed_at: ticket.interrupted_at,
        executions_count: ticket.executions_count_unstarted(),
        rescued: ticket.rescued,
    }
}

fn parked_until(run: &Completion) -> Option<Moment> {
    match run.transition {
        Transition::Park(until) => until.map(Moment),
        _ => None,
    }
}

/// Whether a stored run can be known afterwards, by its execution row or by the absence of its job.
fn leaves_record(run: &Completion) -> bool {
    !matches!(run.transition, Transition::Release | Transition::Park(_))
}

fn without(batch: Vec<Completion>, written: &[Uuid]) -> Vec<Completion> {
    if batch.len() == written.len() {
        return Vec::new();
    }
    let written: HashSet<&Uuid> = written.iter().collect();
    batch.into_iter().filter(|run| !written.contains(&run.ticket.lease.job_id)).collect()
}
