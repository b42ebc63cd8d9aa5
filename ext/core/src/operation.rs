//! What happens on the runtime's thread, from the first connection to the last goodbye.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, Mutex as AsyncMutex};
use tokio::task::JoinHandle;

use crate::batches::Touched;
use crate::completion::Completion;
use crate::due::DatabaseClock;
use crate::event::{Event, Events};
use crate::job::Moment;
use crate::pauses::PauseBoard;
use crate::phase::{reached, Phase};
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Complaints, Link, QueryError};
use crate::postgres::store::Store;
use crate::runtime::Shared;
use crate::services::batches::BatchWatch;
use crate::services::claimer::Claimer;
use crate::services::cleaner::Cleaner;
use crate::services::completer::Completer;
use crate::services::heartbeat::Heartbeat;
use crate::services::listener::Listener;
use crate::services::locker::Locker;
use crate::services::pause_watch::PauseWatch;
use crate::services::rescuer::Rescuer;
use crate::services::scheduler::Scheduler;
use crate::services::watch::Watch;
use crate::transition::Transition;

/// Most notifications that wait to be heard; more would only say once again that there is work.
const EARS_MAX: usize = 1_000;
/// Pause before a service that panicked is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Longest that the end waits for the database to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often to look again for tables that are missing.
const MISSING_TABLES_DELAY: Duration = Duration::from_secs(2);

/// The services and what they work with.
struct Operation {
    shared: Arc<Shared>,
    store: Arc<Store>,
    listen: Arc<Link>,
    claim: Arc<Link>,
    finish: Arc<Link>,
    heartbeat: Arc<Heartbeat>,
    listener: Arc<Listener>,
    batches: Arc<BatchWatch>,
    /// `None`: nothing can be paused.
    pauses: Option<Arc<PauseWatch>>,
}

/// Runs until the runtime is stopped or abandoned.
pub(crate) fn run(shared: &Arc<Shared>) {
    match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => {
            runtime.block_on(async {
                tokio::select! {
                    () = Operation::new(shared).run() => {}
                    () = shared.abandoned.notified() => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        Err(error) => shared.events.tell(Event::Error { message: format!("the queue could not start: {error}") }),
    }
    shared.advance_to(Phase::Stopped);
    shared.finish();
}

impl Operation {
    fn new(shared: &Arc<Shared>) -> Self {
        let (touched, board) = (Arc::new(Touched::default()), Arc::new(PauseBoard::default()));
        let store = Arc::new(Store::new(shared.process_id, Arc::clone(&shared.config), Arc::clone(&touched), Arc::clone(&board)));
        let (ears, heard) = mpsc::channel(EARS_MAX);
        let (deaf, _) = mpsc::channel(1);
        let complaints = Arc::new(Complaints::new(Arc::clone(&shared.events)));
        let link = |name, ears, up| Arc::new(Link::new(name, Arc::clone(&shared.config), Arc::clone(&complaints), ears, up));
        // On which the process says that it lives, again and again.
        let listen = link("listen", ears, Arc::clone(&shared.connected));
        let clock = Arc::new(DatabaseClock::default());
        let heartbeat = Arc::new(Heartbeat {
            store: Arc::clone(&store),
            link: Arc::clone(&listen),
            clock: Arc::clone(&clock),
            fleet: Arc::default(),
            state: Arc::new({
                let shared = Arc::clone(shared);
                move || shared.process_state()
            }),
            begun: AtomicBool::default(),
        });
        let listener = Arc::new(Listener {
            pools: shared.pools.clone(),
            link: Arc::clone(&listen),
            heard: AsyncMutex::new(heard),
            sooner: Arc::clone(&shared.sooner),
            clock,
            touched: Arc::clone(&touched),
            pauses: Arc::clone(&board),
            events: Arc::clone(&shared.events),
            tell_notifications: shared.config.tell_notifications,
            listening: Arc::clone(&shared.listening),
        });
        let (claim, finish) = (link("claim", deaf.clone(), Arc::default()), link("finish", deaf, Arc::default()));
        let batches = Arc::new(BatchWatch {
            store: Arc::clone(&store),
            link: Arc::clone(&finish),
            round_link: Arc::clone(&listen),
            touched,
            events: Arc::clone(&shared.events),
            witnesses: Mutex::default(),
        });
        let pauses = shared
            .config
            .pauses
            .then(|| Arc::new(PauseWatch { pools: shared.pools.clone(), store: Arc::clone(&store), link: Arc::clone(&claim), board }));
        Self { shared: Arc::clone(shared), store, listen, claim, finish, heartbeat, listener, batches, pauses }
    }

    async fn run(self) {
        let mut phase = self.shared.phase.subscribe();
        let ready = tokio::select! {
            () = self.get_ready() => true,
            () = reached(&mut phase, Phase::Draining) => false,
        };
        if ready {
            self.shared.advance(Phase::Starting, Phase::Running);
            self.operate().await;
        } else {
            self.withdraw().await;
        }
    }

    /// A shutdown may come when the process's row has been written, and before there was anything to claim. The connection is that of
    /// the beat, which may still be under way.
    async fn withdraw(&self) {
        if self.heartbeat.has_begun() {
            let _ = tokio::time::timeout(FAREWELL, self.store.deregister(&self.heartbeat.link)).await;
        }
    }

    /// Connects, checks that the tables are there and writes the process's row: before the first claim, since a claim whose owner
    /// has no row looks abandoned.
    async fn get_ready(&self) {
        let mut told = None;
        let mut backoff = Backoff::default();
        loop {
            match self.try_to_get_ready().await {
                Ok(missing) if missing.is_empty() => break,
                Ok(missing) => {
                    tell_missing_tables(&self.shared.events, &missing, &mut told);
                    tokio::time::sleep(MISSING_TABLES_DELAY).await;
                }
                Err(error) => {
                    if backoff.is_fresh() {
                        self.shared.events.tell(Event::Error { message: format!("preparing to claim jobs: {error}; trying again") });
                    }
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
        self.shared.events.tell(Event::Ready { process_id: self.shared.process_id.to_string() });
    }

    async fn try_to_get_ready(&self) -> Result<Vec<String>, QueryError> {
        let missing = self.store.missing_tables(&self.claim).await?;
        if missing.is_empty() {
            self.store.learn_columns(&self.claim).await?;
            if let Some(pauses) = &self.pauses {
                pauses.run_once().await?;
            }
            // Together, since each waits for the server, which starts a backend or plans. The first job waits for none of it again.
            tokio::try_join!(self.heartbeat.run_once(), self.store.rehearse_claims(&self.claim), self.store.rehearse_ends(&self.finish))?;
        }
        Ok(missing)
    }

    /// From the first claim to the last outcome. The order of the end matters: first no more claims, then no more runs, then every
    /// outcome stored, and only then does the process stop saying that it lives.
    async fn operate(&self) {
        let mut phase = self.shared.phase.subscribe();
        if self.shared.config.effective_lock_strategy().locks_jobs() {
            self.shared.ledger.remember();
        }
        let claimers = self.start_claimers();
        let completer = self.start_completer();
        let others = self.start_others();
        let listener = self.shared.config.listen.then(|| self.start_listener());

        reached(&mut phase, Phase::Draining).await;
        for claimer in claimers {
            let _ = claimer.await;
        }
        reached(&mut phase, Phase::Closing).await;
        self.end_unfinished_runs();
        self.shared.advance_to(Phase::Flushing);
        let _ = completer.await;
        if let Some(mut listener) = listener {
            let _ = tokio::time::timeout(FAREWELL, &mut listener).await;
            listener.abort();
        }

        others.iter().for_each(JoinHandle::abort);
        let _ = tokio::time::timeout(Duration::from_secs(1), self.batches.run_once()).await;
        let _ = tokio::time::timeout(FAREWELL, self.take_leave()).await;
        for link in [&self.listen, &self.claim, &self.finish] {
            link.close().await;
        }
    }

    /// Whatever this process still holds was claimed by a statement whose answer was lost. Nobody would miss these claims for minutes once
    /// its row is gone.
    async fn take_leave(&self) -> Result<(), QueryError> {
        self.store.recover(&self.finish, Duration::ZERO, Moment(0), &[]).await?;
        self.store.deregister(&self.finish).await
    }

    fn start_claimers(&self) -> Vec<JoinHandle<()>> {
        let claimers = self.shared.pools.iter().enumerate().map(|(index, pool)| {
            let claimer = Arc::new(Claimer {
                index,
                pool: Arc::clone(pool),
                store: Arc::clone(&self.store),
                link: Arc::clone(&self.claim),
                unsaved: Arc::clone(&self.shared.unsaved),
                ledger: Arc::clone(&self.shared.ledger),
                events: Arc::clone(&self.shared.events),
                fleet: Arc::clone(&self.heartbeat.fleet),
                poll_interval: self.shared.config.poll_interval,
            });
            let phase = self.shared.phase.subscribe();
            self.supervise("claimer", move || Arc::clone(&claimer).run(phase.clone()))
        });
        claimers.collect()
    }

    fn start_completer(&self) -> JoinHandle<()> {
        let completer = Arc::new(Completer {
            store: Arc::clone(&self.store),
            link: Arc::clone(&self.finish),
            unsaved: Arc::clone(&self.shared.unsaved),
            in_flight: Arc::clone(&self.shared.in_flight),
            ledger: Arc::clone(&self.shared.ledger),
            events: Arc::clone(&self.shared.events),
            aside: Mutex::default(),
        });
        let phase = self.shared.phase.subscribe();
        self.supervise("completer", move || Arc::clone(&completer).run(phase.clone()))
    }

    fn start_others(&self) -> Vec<JoinHandle<()>> {
        let scheduler = Arc::new(Scheduler {
            pools: self.shared.pools.clone(),
            store: Arc::clone(&self.store),
            link: Arc::clone(&self.claim),
            sooner: Arc::clone(&self.shared.sooner),
            refresh: self.shared.config.poll_interval,
        });
        let rescuer = Arc::new(Rescuer {
            pools: self.shared.pools.clone(),
            store: Arc::clone(&self.store),
            link: Arc::clone(&self.claim),
            ledger: Arc::clone(&self.shared.ledger),
            events: Arc::clone(&self.shared.events),
            fleet: Arc::clone(&self.heartbeat.fleet),
            recovered_at: Mutex::default(),
        });
        let watch = Arc::new(Watch {
            pulse: Arc::clone(&self.shared.pulse),
            in_flight: Arc::clone(&self.shared.in_flight),
            events: Arc::clone(&self.shared.events),
        });
        let (heartbeat, batches) = (Arc::clone(&self.heartbeat), Arc::clone(&self.batches));
        let phase = || self.shared.phase.subscribe();
        let (scheduler_phase, rescuer_phase, batches_phase) = (phase(), phase(), phase());
        let mut others = vec![
            self.supervise("heartbeat", move || Arc::clone(&heartbeat).run()),
            self.supervise("scheduler", move || Arc::clone(&scheduler).run(scheduler_phase.clone())),
            self.supervise("rescuer", move || Arc::clone(&rescuer).run(rescuer_phase.clone())),
            self.supervise("watch", move || Arc::clone(&watch).run()),
            self.supervise("batch watch", move || Arc::clone(&batches).run(batches_phase.clone())),
        ];
        if let Some(config) = self.shared.config.cleanup {
            let cleaner = Arc::new(Cleaner {
                pools: self.shared.pools.clone(),
                store: Arc::clone(&self.store),
                link: Arc::clone(&self.finish),
                events: Arc::clone(&self.shared.events),
                config,
            });
            let phase = phase();
            others.push(self.supervise("cleaner", move || Arc::clone(&cleaner).run(phase.clone())));
        }
        if self.shared.config.effective_lock_strategy().locks_jobs() {
            let locker =
                Arc::new(Locker { store: Arc::clone(&self.store), link: Arc::clone(&self.claim), ledger: Arc::clone(&self.shared.ledger) });
            others.push(self.supervise("locker", move || Arc::clone(&locker).run()));
        }
        if let Some(pauses) = self.pauses.clone() {
            let phase = phase();
            others.push(self.supervise("pause watch", move || Arc::clone(&pauses).run(phase.clone())));
        }
        others
    }

    fn start_listener(&self) -> JoinHandle<()> {
        let listener = Arc::clone(&self.listener);
        let phase = self.shared.phase.subscribe();
        self.supervise("listener", move || Arc::clone(&listener).run(phase.clone()))
    }

    /// A run that nobody has finished by now was cut short.
    fn end_unfinished_runs(&self) {
        for run in self.shared.in_flight.end_all() {
            let (started_at, duration) = (run.started_at(), run.started.elapsed());
            self.shared.unsaved.push_regardless(Completion::new(run.ticket, Transition::Interrupt, started_at, duration));
        }
    }

    /// Runs a service and, should it panic, says so and runs it again: a panic ends one task, not the queue.
    fn supervise<F, S>(&self, name: &'static str, service: S) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn() -> F + Send + 'static,
    {
        let (events, ledger) = (Arc::clone(&self.shared.events), Arc::clone(&self.shared.ledger));
        tokio::spawn(async move {
            let mut running = AbortOnDrop(tokio::spawn(service()));
            while let Err(failed) = (&mut running.0).await {
                if !failed.is_panic() {
                    return;
                }
                ledger.doubt();
                events.tell(Event::Error { message: format!("the {name} panicked and is started again; please report this: {failed}") });
                tokio::time::sleep(RESTART_DELAY).await;
                running = AbortOnDrop(tokio::spawn(service()));
            }
        })
    }
}

/// Ends the task with its supervisor.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell_missing_tables(events: &Events, missing: &[String], told: &mut Option<Vec<String>>) {
    if told.as_deref() == Some(missing) {
        return;
    }
    *told = Some(missing.to_vec());
    events.tell(Event::Unavailable {
        reason: "missing_tables".to_owned(),
        message: format!("the database has no table {}", missing.join(", ")),
        hint: "run `bin/rails generate good_job:install` and `bin/rails db:migrate`, or check which database and schema the queue uses"
            .to_owned(),
    });
}
