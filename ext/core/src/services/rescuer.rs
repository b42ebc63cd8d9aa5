//! Puts the jobs of dead processes back, and claims of this process that it never got to hear of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, Events};
use crate::fleet::Fleet;
use crate::job::Moment;
use crate::ledger::Ledger;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{Interrupted, Store};

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(3);
/// How old the heartbeat of a process must be whose session is gone: it may be about to reconnect.
const GRACE: Duration = Duration::from_secs(5);
/// How long a process may be silent whose session seems to live: its host may be cut off, or it may be stopped.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How old a claim must be that this process does not know of, if its session still stands. By then its statement has been answered or
/// given up: the link waits 15 s at most, the server 10 s.
const UNKNOWN_AGE: Duration = Duration::from_secs(20);
/// Longer than claims that the caller makes by itself wait to be adopted: they are none of the session's, and not lost with it.
const UNADOPTED_AGE: Duration = Duration::from_secs(10);
/// How long after a claim whose answer was lost to look for such claims in every round.
const DOUBT: Duration = Duration::from_secs(60);
/// How often to look for them when there is no reason to.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(30);

/// How long after an outage nobody is taken for dead: what this process could not reach, others could not either, and it takes them
/// up to two delays between attempts (3 s at most) and a greeting to say that they live. An outage is a lost connection, a server that
/// has just been started, and whatever kept this process itself from saying that it lives.
const SETTLING: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(crate) struct Rescuer {
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) events: Arc<Events>,
    pub(crate) fleet: Arc<Fleet>,
    /// When claims without an answer were last looked for.
    pub(crate) recovered_at: Mutex<Option<Instant>>,
}

impl Rescuer {
    /// Rescues until the runtime drains.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        let keep_rescuing = async {
            loop {
                // A failure is told by whoever else uses the connection; the next round comes soon.
                let _ = self.run_once().await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::select! {
            () = keep_rescuing => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
    }

    /// One look.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        let mut rescued = Vec::new();
        let mut discarded = Vec::new();
        if !self.link.is_back_since_less_than(SETTLING).await && !self.fleet.was_silent_since_less_than(SETTLING) {
            Interrupted { put_back: rescued, discarded } = self.store.rescue(&self.link, GRACE, SILENCE_MAX).await?;
        }
        if self.is_time_to_recover() {
            // The session first: by now, its predecessors' answers have arrived or never will. Then the ledger, and all of it: how old a
            // lease is by our clock says nothing of the database's.
            let session = self.link.set_up_at().await;
            let session = if self.ledger.has_adopted_since_less_than(UNADOPTED_AGE) { Moment(0) } else { session };
            let known = self.ledger.leases();
            rescued.extend(self.store.recover(&self.link, UNKNOWN_AGE, session, &known).await?);
            *self.recovered_at() = Some(Instant::now());
        }
        if !rescued.is_empty() {
            self.pools.iter().for_each(|pool| pool.wake());
            self.events.tell(Event::Rescued { job_ids: rescued.iter().map(ToString::to_string).collect() });
        }
        self.events.tell_discarded(&discarded);
        Ok(())
    }

    fn is_time_to_recover(&self) -> bool {
        let last = *self.recovered_at();
        self.ledger.is_in_doubt_since_less_than(DOUBT) || last.is_none_or(|at| at.elapsed() >= RECOVERY_INTERVAL)
    }

    fn recovered_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.recovered_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
