//! A model of the queue, held against the queue: whatever happens to jobs and processes, in whatever order, no job is lost, nobody's
//! work is overwritten, and every attempt is on record once.
//!
//! proptest makes up what happens ([`Step`]) to three processes and the jobs between them. After each step the tables are compared
//! with what the model knows; at the end one process that is left must find every job there is, by announcements alone: nobody polls.
//! A process here is a runtime; it dies by being abandoned, which ends its thread and its sessions and stores nothing.
//!
//! `PROPTEST_CASES` sets how many stories are made up.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use good_job_core::event::Event;
use good_job_core::outcome::{NextAttempt, Outcome};
use good_job_core::postgres::sql;
use good_job_core::runtime::Taken;
use good_job_core::wait_queue::{Waited, Wake};
use good_job_core::Runtime;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use serde_json::json;
use support::queue::{self, failed, succeeded, Queue, PATIENCE};
use time::PrimitiveDateTime;
use uuid::Uuid;

const PROCESSES: usize = 3;
const QUEUES: [&str; 2] = ["mice", "elephants"];
/// One pool for each way to claim: of one queue, of queues in turn, of whatever there is.
const POOLS: &str = "mice:2;+elephants,mice:2;*:2";
const EVERYTHING: usize = 2;

/// Longest that a take waits for a claim: there may be nothing to claim.
const TAKE_PATIENCE: Duration = Duration::from_millis(40);
/// Longest that the last process takes for each job that is left, announced as they all are.
const FIND_PATIENCE: Duration = Duration::from_secs(8);
/// The same where the answer of a claim may have been lost with its connection: such claims are looked for when they are 20 s old.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(40);

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    /// Jobs are committed together, due some time ago or soon.
    Enqueue { count: usize, queue: usize, priority: Option<i32>, delay_ms: i64, announcement: Announcement },
    /// A thread of a process asks for a job.
    Take { process: usize, pool: usize },
    /// A run asks for its start to be on record.
    Start { run: Index },
    /// A run ends.
    End { run: Index, end: End },
    /// A process dies, and another is started in its place.
    Crash { process: usize },
    /// A process is taken for dead, and its jobs are put back, though it lives.
    Freeze { process: usize },
    /// Somebody looks after the dead.
    Rescue,
    /// A process loses its sessions.
    Cut { process: usize },
    /// A process is shut down in order, its runs cut short, and another is started in its place.
    Restart { process: usize },
    /// Time goes by: claims grow old in buffers, jobs become due, runs last.
    Pause { ms: u64 },
}

#[derive(Debug, Clone, Copy)]
enum Announcement {
    Ours,
    /// Says no priority.
    Upstreams,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Succeeded,
    Failed,
    Deleted,
    Retried { queue: usize, priority: Option<i32>, delay_ms: i64 },
    RetriedAsItWas,
    Interrupted,
    Unstarted,
}

fn step() -> impl Strategy<Value = Step> {
    let enqueue = (1..5_usize, 0..QUEUES.len(), priority(), delay_ms(), announcement())
        .prop_map(|(count, queue, priority, delay_ms, announcement)| Step::Enqueue { count, queue, priority, delay_ms, announcement });
    let process = 0..PROCESSES;
    prop_oneof![
        6 => enqueue,
        14 => (process.clone(), 0..=EVERYTHING).prop_map(|(process, pool)| Step::Take { process, pool }),
        2 => any::<Index>().prop_map(|run| Step::Start { run }),
        12 => (any::<Index>(), end()).prop_map(|(run, end)| Step::End { run, end }),
        2 => process.clone().prop_map(|process| Step::Crash { process }),
        2 => process.clone().prop_map(|process| Step::Freeze { process }),
        2 => Just(Step::Rescue),
        1 => process.clone().prop_map(|process| Step::Cut { process }),
        1 => process.prop_map(|process| Step::Restart { process }),
        2 => prop_oneof![3 => 1..60_u64, 1 => 500..600_u64].prop_map(|ms| Step::Pause { ms }),
    ]
}

fn priority() -> impl Strategy<Value = Option<i32>> {
    proptest::option::weighted(0.8, -2..3_i32)
}

fn delay_ms() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -60_000..0_i64, 3 => Just(0), 3 => 1..300_i64]
}

fn announcement() -> impl Strategy<Value = Announcement> {
    prop_oneof![4 => Just(Announcement::Ours), 1 => Just(Announcement::Upstreams)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Succeeded),
        1 => Just(End::Failed),
        1 => Just(End::Deleted),
        2 => (0..QUEUES.len(), priority(), delay_ms()).prop_map(|(queue, priority, delay_ms)| End::Retried { queue, priority, delay_ms }),
        1 => Just(End::RetriedAsItWas),
        1 => Just(End::Interrupted),
        1 => Just(End::Unstarted),
    ]
}

/// A runtime, and what it has told.
struct Process {
    runtime: Arc<Runtime>,
    application_name: String,
    events: Arc<Mutex<Vec<Event>>>,
    reader: JoinHandle<()>,
    /// Whether it was ever taken for dead: then claims in its buffer may be somebody else's by now.
    is_doubtful: bool,
}

impl Process {
    fn start(queue: &Queue, number: usize) -> Self {
        let application_name = format!("model {number}");
        let session = json!({"timezone": "UTC", "schema_search_path": null, "variables": {}, "application_name": application_name});
        let runtime = queue.runtime_with(POOLS, json!({ "session": session }));
        runtime.start().unwrap();
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let reader = thread::spawn({
            let (runtime, events) = (Arc::clone(&runtime), Arc::clone(&events));
            move || {
                while let Waited::Item(event) = runtime.next_event(&Wake::default()) {
                    events.lock().unwrap().push(event);
                }
            }
        });
        Self { runtime, application_name, events, reader, is_doubtful: false }
    }

    fn id(&self) -> Uuid {
        self.runtime.process_id()
    }

    /// How often it has said that it lost the lease of this job.
    fn losses(&self, job_id: Uuid) -> usize {
        let told = |event: &&Event| matches!(event, Event::LostLease { job_id: lost, .. } if *lost == job_id.to_string());
        self.events.lock().unwrap().iter().filter(told).count()
    }

    fn wait_for_losses(&self, job_id: Uuid, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.losses(job_id) < count {
            assert!(Instant::now() < deadline, "nothing is stored of a run, and nothing is told of a lost lease");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn panics(&self) -> Vec<Event> {
        let panicked = |event: &&Event| matches!(event, Event::Error { message } if message.contains("panicked"));
        self.events.lock().unwrap().iter().filter(panicked).cloned().collect()
    }

    fn wait_until_saved(&self) {
        let deadline = Instant::now() + PATIENCE;
        while serde_json::to_value(self.runtime.snapshot()).unwrap()["unsaved_outcomes"] != 0 {
            assert!(Instant::now() < deadline, "outcomes are not stored within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn die(self) {
        self.runtime.abandon();
        self.runtime.join();
        self.reader.join().unwrap();
    }

    fn stop(self) {
        queue::stop(&self.runtime);
        self.reader.join().unwrap();
    }
}

/// A job in a thread's hands.
struct Run {
    process: usize,
    taken: Taken,
    /// `locked_at` when it was taken; `None` where the claim may have been somebody else's already.
    locked_at: Option<PrimitiveDateTime>,
}

/// What the model knows of a job.
#[derive(Debug, Default)]
struct Expected {
    finished: bool,
    /// Ends that were stored, but for those cut short.
    ended: i64,
}

struct World {
    queue: Queue,
    processes: Vec<Process>,
    started: usize,
    dead: Vec<Uuid>,
    runs: Vec<Run>,
    jobs: BTreeMap<Uuid, Expected>,
    was_cut: bool,
}

/// A row, as far as the model cares.
#[derive(Debug)]
struct Row {
    finished: bool,
    has_whole_lease: bool,
    leased: bool,
    counted: i32,
    running: bool,
    executions: i64,
    ended: i64,
}

impl World {
    fn create() -> Self {
        let mut queue = Queue::create();
        queue.client.batch_execute("SET TimeZone TO 'UTC'").unwrap();
        let processes = (0..PROCESSES).map(|number| Process::start(&queue, number)).collect();
        Self { queue, processes, started: PROCESSES, dead: vec![], runs: vec![], jobs: BTreeMap::new(), was_cut: false }
    }

    fn take_step(&mut self, step: &Step) {
        match step {
            Step::Enqueue { count, queue, priority, delay_ms, announcement } => {
                self.enqueue(*count, QUEUES[*queue], *priority, *delay_ms, *announcement);
            }
            Step::Take { process, pool } => drop(self.take(*process, *pool)),
            Step::Start { run } => self.start(*run),
            Step::End { run, end } => {
                if !self.runs.is_empty() {
                    let run = self.runs.remove(run.index(self.runs.len()));
                    self.end(&run, *end);
                }
            }
            Step::Crash { process } => self.crash(*process),
            Step::Freeze { process } => self.freeze(*process),
            Step::Rescue => self.rescue(),
            Step::Cut { process } => self.cut(*process),
            Step::Restart { process } => self.restart(*process),
            Step::Pause { ms } => thread::sleep(Duration::from_millis(*ms)),
        }
    }

    // --- Jobs

    fn enqueue(&mut self, count: usize, queue_name: &str, priority: Option<i32>, delay_ms: i64, announcement: Announcement) {
        let now: PrimitiveDateTime = self.queue.client.query_one("SELECT LOCALTIMESTAMP", &[]).unwrap().get(0);
        let mut transaction = self.queue.client.transaction().unwrap();
        let insert = transaction.prepare(&statement("insert_job")).unwrap();
        for _ in 0..count {
            let id = Uuid::new_v4();
            let at = Some(now + time::Duration::milliseconds(delay_ms)).filter(|_| delay_ms != 0);
            let none: Option<String> = None;
            let (never, nobody): (Option<PrimitiveDateTime>, Option<Uuid>) = (None, None);
            let is_ours = matches!(announcement, Announcement::Ours);
            transaction
                .query(
                    &insert,
                    &[
                        &id,
                        &queue_name,
                        &priority,
                        &"{}",
                        &at,
                        &now,
                        &"UTC",
                        &"TestJob",
                        &none,
                        &none,
                        &none,
                        &never,
                        &nobody,
                        &nobody,
                        &is_ours,
                        &nobody,
                    ],
                )
                .unwrap();
            if !is_ours {
                let text = "SELECT pg_notify('good_job', json_build_object('queue_name', $1::text, 'scheduled_at', $2::timestamptz)::text)";
                transaction.query(text, &[&queue_name, &at.unwrap_or(now).assume_utc()]).unwrap();
            }
            self.jobs.insert(id, Expected::default());
        }
        transaction.commit().unwrap();
    }

    /// Whether there was one.
    fn take(&mut self, process: usize, pool: usize) -> bool {
        let Some(taken) = queue::take_within(&self.processes[process].runtime, pool, TAKE_PATIENCE) else { return false };
        let owner = self.processes[process].id();
        let lease = self.lease(taken.job_id);
        let mut locked_at = lease.filter(|(holder, _)| *holder == owner).map(|(_, locked_at)| locked_at);
        if self.processes[process].is_doubtful {
            locked_at = None;
        } else {
            assert!(locked_at.is_some(), "a claim was handed out that the process does not hold: {lease:?}");
            let twice = |run: &&Run| run.taken.job_id == taken.job_id && run.process == process && run.locked_at == locked_at;
            assert!(self.runs.iter().find(twice).is_none(), "a claim was handed out twice");
        }
        self.runs.push(Run { process, taken, locked_at });
        true
    }

    fn start(&mut self, run: Index) {
        if self.runs.is_empty() {
            return;
        }
        let run = &self.runs[run.index(self.runs.len())];
        let (process, number, job_id, locked_at) = (run.process, run.taken.number, run.taken.job_id, run.locked_at);
        let runtime = Arc::clone(&self.processes[process].runtime);
        let held = self.holds(process, job_id, locked_at);
        let reply = runtime.request_stamp(number).unwrap();
        let Waited::Item(ours) = reply.pop(&Wake::default(), Some(Instant::now() + PATIENCE), || ()) else {
            panic!("no answer to the request to record a start")
        };
        if let Some(held) = held {
            assert_eq!(ours, held, "whether a run may start");
        }
        if ours {
            runtime.mark_stamped(number);
        }
    }

    fn end(&mut self, run: &Run, end: End) {
        let job_id = run.taken.job_id;
        let held = self.holds(run.process, job_id, run.locked_at);
        let (before, losses) = (self.executions(run.process, job_id), self.processes[run.process].losses(job_id));
        let was_there = self.jobs.contains_key(&job_id);
        queue::finish(&self.processes[run.process].runtime, &run.taken, self.outcome(end));
        self.processes[run.process].wait_until_saved();

        let stored = match end {
            // Another run may have deleted it before.
            End::Deleted => was_there && self.row(job_id).is_none(),
            // It leaves no trace but the lease, which somebody may have again by now.
            End::Unstarted => held.unwrap_or(true),
            _ => self.executions(run.process, job_id) > before,
        };
        if let Some(held) = held {
            assert_eq!(stored, held, "whether the end of a run is stored ({end:?})");
        }
        if stored {
            self.note_end(job_id, end);
        } else if !matches!(end, End::Unstarted) {
            // A claim that nobody has started is nobody's loss.
            self.processes[run.process].wait_for_losses(job_id, losses + 1);
        }
        let written = i64::from(stored && !matches!(end, End::Deleted | End::Unstarted));
        if self.jobs.contains_key(&job_id) {
            assert_eq!(self.executions(run.process, job_id), before + written, "what a run leaves on record ({end:?})");
        }
    }

    fn note_end(&mut self, job_id: Uuid, end: End) {
        let job = self.jobs.get_mut(&job_id).unwrap();
        match end {
            End::Succeeded | End::Failed => (job.finished, job.ended) = (true, job.ended + 1),
            End::Retried { .. } | End::RetriedAsItWas => job.ended += 1,
            End::Interrupted | End::Unstarted => {}
            End::Deleted => drop(self.jobs.remove(&job_id)),
        }
    }

    fn outcome(&self, end: End) -> Outcome {
        match end {
            End::Succeeded => succeeded(),
            End::Failed => failed("E: m"),
            End::Deleted => Outcome::Finished { failure: None, preserve: false },
            End::RetriedAsItWas => Outcome::Retried { failure: None, next: None },
            End::Interrupted => Outcome::Interrupted,
            End::Unstarted => Outcome::Unstarted,
            End::Retried { queue, priority, delay_ms } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let scheduled_at = i64::try_from(now.as_micros()).unwrap() + delay_ms * 1_000;
                let queue_name = QUEUES[queue].to_owned();
                let next = NextAttempt {
                    serialized_params: "{}".to_owned(),
                    scheduled_at: Some(scheduled_at),
                    queue_name,
                    priority,
                    labels: None,
                };
                Outcome::Retried { failure: None, next: Some(next) }
            }
        }
    }

    // --- Processes

    fn replace(&mut self, process: usize) -> Process {
        let new = Process::start(&self.queue, self.started);
        self.started += 1;
        std::mem::replace(&mut self.processes[process], new)
    }

    fn crash(&mut self, process: usize) {
        let dead = self.replace(process);
        self.dead.push(dead.id());
        assert!(dead.panics().is_empty(), "{:?}", dead.panics());
        dead.die();
        self.runs.retain(|run| run.process != process);
    }

    fn freeze(&mut self, process: usize) {
        self.processes[process].is_doubtful = true;
        let id = self.processes[process].id();
        self.rescue_jobs_of(&[id]);
        // Its row is gone, unless one of its jobs was being written just then; with the next beat it is there again, and up to date.
        self.queue.client.execute("DELETE FROM good_job_processes WHERE id = $1", &[&id]).unwrap();
    }

    fn rescue(&mut self) {
        self.rescue_jobs_of(&self.dead.clone());
    }

    /// As a process would that is none of the three, a minute later.
    fn rescue_jobs_of(&mut self, ids: &[Uuid]) {
        let mut transaction = self.queue.client.transaction().unwrap();
        for id in ids {
            // One that died before it said again that it lives has no row: then five minutes would have to go by.
            let silent = "INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
                          VALUES ($1, LOCALTIMESTAMP, LOCALTIMESTAMP - interval '1 minute', '{\"runtime\": \"good_job_rs\"}', 0) \
                          ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at";
            transaction.execute(silent, &[id]).unwrap();
        }
        let (grace_us, silence_us) = (5_000_000_i64, 20_000_000_i64);
        let rescue = statement("rescue_jobs");
        transaction.query(&rescue, &[&Uuid::nil(), &grace_us, &silence_us, &"good_job_processes-", &"good_jobs-", &None::<i32>]).unwrap();
        transaction.commit().unwrap();
    }

    fn cut(&mut self, process: usize) {
        self.was_cut = true;
        let sessions = "WITH sessions AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1) \
                        SELECT pg_terminate_backend(pid) FROM sessions";
        self.queue.client.query(sessions, &[&self.processes[process].application_name]).unwrap();
    }

    fn restart(&mut self, process: usize) {
        let (runs, others) = std::mem::take(&mut self.runs).into_iter().partition(|run| run.process == process);
        self.runs = others;
        let runs: Vec<Run> = runs;
        let held: Vec<_> = runs.iter().map(|run| self.holds(process, run.taken.job_id, run.locked_at)).collect();
        let before: Vec<_> = runs.iter().map(|run| self.executions(process, run.taken.job_id)).collect();
        let old = self.replace(process);
        let (id, panics) = (old.id(), old.panics());
        assert!(panics.is_empty(), "{panics:?}");
        old.stop();
        for ((run, held), before) in runs.iter().zip(held).zip(before) {
            let written = self.executions_of(id, run.taken.job_id) - before;
            if let Some(held) = held {
                assert_eq!(written, i64::from(held), "a run that a shutdown cuts short leaves one record, if it still holds its lease");
            }
        }
    }

    // --- The tables

    fn lease(&mut self, job_id: Uuid) -> Option<(Uuid, PrimitiveDateTime)> {
        let rows = self.queue.rows("SELECT locked_by_id, locked_at FROM good_jobs WHERE id = $1 AND locked_by_id IS NOT NULL", &[&job_id]);
        rows.first().map(|row| (row.get(0), row.get(1)))
    }

    /// `None`: nobody can tell.
    fn holds(&mut self, process: usize, job_id: Uuid, locked_at: Option<PrimitiveDateTime>) -> Option<bool> {
        let owner = self.processes[process].id();
        let lease = self.lease(job_id);
        match locked_at {
            Some(locked_at) => Some(lease == Some((owner, locked_at))),
            None => lease.is_none_or(|(holder, _)| holder != owner).then_some(false),
        }
    }

    fn executions(&mut self, process: usize, job_id: Uuid) -> i64 {
        self.executions_of(self.processes[process].id(), job_id)
    }

    fn executions_of(&mut self, process_id: Uuid, job_id: Uuid) -> i64 {
        let count = "SELECT count(*) FROM good_job_executions WHERE active_job_id = $1 AND process_id = $2";
        self.queue.client.query_one(count, &[&job_id, &process_id]).unwrap().get(0)
    }

    fn row(&mut self, job_id: Uuid) -> Option<Row> {
        self.table().remove(&job_id)
    }

    fn table(&mut self) -> BTreeMap<Uuid, Row> {
        // A job that was rescued before it was on record as started keeps a lock_type, and no more.
        let rows = self.queue.rows(
            "SELECT job.id, job.finished_at IS NOT NULL, \
                    num_nulls(job.locked_by_id, job.locked_at) IN (0, 2) AND (job.locked_by_id IS NULL OR job.lock_type IS NOT NULL), \
                    job.locked_by_id IS NOT NULL, COALESCE(job.executions_count, 0), COALESCE(job.performed_at >= job.locked_at, FALSE), \
                    count(execution.id), count(execution.id) FILTER (WHERE execution.error_event IS DISTINCT FROM 0) \
             FROM good_jobs AS job \
             LEFT JOIN good_job_executions AS execution ON execution.active_job_id = job.id \
             GROUP BY job.id",
            &[],
        );
        let row = |row: &postgres::Row| Row {
            finished: row.get(1),
            has_whole_lease: row.get(2),
            leased: row.get(3),
            counted: row.get(4),
            running: row.get(5),
            executions: row.get(6),
            ended: row.get(7),
        };
        rows.iter().map(|found| (found.get(0), row(found))).collect()
    }

    fn check(&mut self) {
        let table = self.table();
        assert!(table.keys().eq(self.jobs.keys()), "the table has other jobs than were enqueued and not deleted");
        for (id, row) in &table {
            let expected = &self.jobs[id];
            assert_eq!(row.finished, expected.finished, "whether it has finished: {row:?}");
            assert_eq!(row.ended, expected.ended, "attempts that were not cut short are on record once: {row:?}");
            assert!(row.has_whole_lease, "half a lease: {row:?}");
            assert!(!(row.finished && row.leased), "a finished job that somebody holds: {row:?}");
            assert_eq!(
                i64::from(row.counted),
                row.executions + i64::from(row.running),
                "attempts are counted once, the one under way too: {row:?}"
            );
        }
    }

    // --- The end

    /// Only one process is left; it finds everything that there is.
    fn settle(mut self, last: usize, ways: &[usize]) {
        for run in std::mem::take(&mut self.runs) {
            self.end(&run, End::Succeeded);
        }
        let processes = std::mem::take(&mut self.processes);
        for (number, process) in processes.into_iter().enumerate() {
            if number == last {
                self.processes = vec![process];
            } else {
                process.stop();
            }
        }
        let patience = if self.was_cut { RECOVERY_PATIENCE } else { FIND_PATIENCE };
        for way in ways {
            let queues: &[&str] = if *way == 0 { &QUEUES[..1] } else { &QUEUES };
            self.run_everything_in(queues, *way, patience);
        }
        let last = self.processes.pop().unwrap();
        assert!(last.panics().is_empty(), "{:?}", last.panics());
        last.stop();
        self.check();
        assert_eq!(self.queue.count("good_jobs WHERE locked_by_id IS NOT NULL"), 0);
    }

    fn run_everything_in(&mut self, queues: &[&str], pool: usize, patience: Duration) {
        let mut deadline = Instant::now() + patience;
        loop {
            self.rescue();
            while self.take(0, pool) {
                deadline = Instant::now() + patience;
                let run = self.runs.pop().unwrap();
                self.end(&run, End::Succeeded);
            }
            let left = self.unfinished(queues);
            if left.is_empty() {
                return self.check();
            }
            let (id, dead) = (self.processes[0].id(), &self.dead);
            assert!(Instant::now() < deadline, "the last process, {id}, does not find by pool {pool}: {left:#?}; dead are {dead:?}");
        }
    }

    fn unfinished(&mut self, queues: &[&str]) -> Vec<String> {
        let left = "SELECT to_json(job)::text FROM good_jobs AS job WHERE finished_at IS NULL AND queue_name = ANY ($1)";
        self.queue.rows(left, &[&queues]).iter().map(|row| row.get(0)).collect()
    }
}

/// A story that goes wrong leaves nobody behind who would still look for jobs in a database that is gone.
impl Drop for World {
    fn drop(&mut self) {
        for process in &self.processes {
            process.runtime.abandon();
            process.runtime.join();
        }
    }
}

fn statement(name: &str) -> String {
    let tables = json!({"jobs": "good_jobs", "executions": "good_job_executions", "processes": "good_job_processes",
                        "batches": "good_job_batches", "settings": "good_job_settings"});
    let tables: sql::Tables = serde_json::from_value(tables).unwrap();
    tables.fill(&sql::template(name).unwrap())
}

fn tell(steps: &[Step], last: usize, ways: &[usize]) -> Result<(), TestCaseError> {
    let mut world = World::create();
    for step in steps {
        world.take_step(step);
        world.check();
    }
    world.settle(last, ways);
    Ok(())
}

/// By which pools the last process empties the queues: each must be able to, alone.
const WAYS: &[&[usize]] = &[&[1], &[EVERYTHING], &[0, 1], &[0, EVERYTHING]];

fn stories() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: stories(), max_shrink_time: 180_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_no_job_is_lost_and_no_state_overwritten(steps in vec(step(), 10..70), last in 0..PROCESSES, ways in proptest::sample::select(WAYS)) {
        tell(&steps, last, ways)?;
    }
}
