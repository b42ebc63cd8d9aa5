//! How fast the runtime drains jobs that do nothing, with handlers in Rust; beside the floor, which is the same claim and finish
//! statements run back to back on one connection. `bin/bench engine` runs it, each time in a process of its own.
//!
//! Usage: `cargo bench --package good_job_core --bench engine -- --jobs N --threads N`. Prints one line of JSON.

#![allow(clippy::print_stdout, reason = "its answer is what it prints")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use good_job_core::completion::Completion;
use good_job_core::postgres::sql;
use good_job_core::wait_queue::{Waited, Wake};
use good_job_core::Runtime;
use postgres::{Client, Row, Statement};
use serde_json::json;
use support::queue::{succeeded, Queue};
use uuid::Uuid;

/// Jobs in one claim and in one finish of the floor.
const FLOOR_BATCH: i32 = 100;
/// Longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let jobs = argument("--jobs");
    let threads = argument("--threads");
    let mut queue = Queue::create();

    fill(&mut queue, jobs);
    let floor = run_floor(&mut queue);
    check(&mut queue, jobs);

    fill(&mut queue, jobs);
    let runtime = run_runtime(&queue, jobs, threads);
    check(&mut queue, jobs);

    let per_second = |time: Duration| jobs as f64 / time.as_secs_f64();
    println!("{}", json!({"jobs_per_second": per_second(runtime), "floor_per_second": per_second(floor)}));
}

fn argument(name: &str) -> usize {
    let value = std::env::args().skip_while(|argument| argument != name).nth(1);
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} needs a whole number"))
}

/// Ready jobs and nothing else, in the order in which they were enqueued.
fn fill(queue: &mut Queue, jobs: usize) {
    queue.database.run("TRUNCATE good_jobs, good_job_executions, good_job_processes");
    queue.jobs(jobs as i64, &[("scheduled_at", "(clock_timestamp() AT TIME ZONE 'UTC') - interval '1 minute'")]);
    queue.database.run("VACUUM (ANALYZE) good_jobs");
}

/// Every job ran once, and left one execution row.
fn check(queue: &mut Queue, jobs: usize) {
    let ended = "good_jobs WHERE finished_at IS NOT NULL AND error IS NULL AND locked_by_id IS NULL AND executions_count = 1";
    assert_eq!(queue.count(ended), jobs as i64, "jobs that ended");
    assert_eq!(queue.count("good_job_executions"), jobs as i64, "executions");
    assert_eq!(queue.count("(SELECT DISTINCT active_job_id FROM good_job_executions) AS job"), jobs as i64, "jobs that were executed");
}

/// From the start of the runtime to its end, when all is stored.
fn run_runtime(queue: &Queue, jobs: usize, threads: usize) -> Duration {
    let runtime = queue.runtime_with("*", json!({"max_threads": threads}));
    let (all_ran, wait) = mpsc::channel();
    let ran_count = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    runtime.start().expect("the runtime starts");
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (runtime, ran_count, all_ran) = (Arc::clone(&runtime), Arc::clone(&ran_count), all_ran.clone());
            thread::spawn(move || {
                work(&runtime, || {
                    if ran_count.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                        let _ = all_ran.send(());
                    }
                })
            })
        })
        .collect();
    wait.recv_timeout(PATIENCE).expect("all jobs run in time");
    runtime.close();
    assert_eq!(runtime.wait_until_stopped(&Wake::default(), Some(Instant::now() + PATIENCE)), Waited::Closed, "the runtime stops in time");
    let time = started.elapsed();
    runtime.join();

    let ran: Vec<Uuid> = workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect();
    assert_eq!((ran.len(), ran.iter().collect::<HashSet<_>>().len()), (jobs, jobs), "runs, and jobs that ran");
    time
}

/// Runs jobs until the runtime drains; gives what it ran.
fn work(runtime: &Runtime, saved: impl Fn()) -> Vec<Uuid> {
    let mut ran = Vec::new();
    while let Waited::Item(taken) = runtime.take(0, &Wake::default()) {
        ran.push(taken.job_id);
        save(runtime, runtime.end(taken.number, succeeded()).expect("the run is under way"));
        saved();
    }
    ran
}

fn save(runtime: &Runtime, completion: Completion) {
    let mut completion = completion;
    while let Err(refused) = runtime.save(completion) {
        completion = *refused;
        runtime.wait_for_room(&Wake::default());
    }
}

/// From the first claim to the last finish, each in a transaction of its own.
fn run_floor(queue: &mut Queue) -> Duration {
    let mut floor = Floor::prepare(queue.database.client());
    let started = Instant::now();
    while floor.run_batch() > 0 {}
    started.elapsed()
}

/// The two statements on one connection, set up as the runtime's are. What their parameters are, their files say.
struct Floor {
    client: Client,
    claim: Statement,
    finish: Statement,
    process_id: Uuid,
}

impl Floor {
    fn prepare(mut client: Client) -> Self {
        client.batch_execute(sql::SESSION_SETTINGS).expect("the settings");
        client.batch_execute("SET TimeZone TO 'UTC'").expect("the time zone");
        let mut prepare = |name| {
            let template = sql::template(name).expect("there is such a statement");
            let text = template.replace("{jobs}", "good_jobs").replace("{executions}", "good_job_executions");
            client.prepare(&text).expect("the statement is prepared")
        };
        let (claim, finish) = (prepare("claim_jobs"), prepare("finish_jobs"));
        Self { client, claim, finish, process_id: Uuid::new_v4() }
    }

    /// Claims and finishes jobs; gives how many there were.
    fn run_batch(&mut self) -> usize {
        let no_queues: Option<Vec<String>> = None;
        let claim = self.client.query(&self.claim, &[&self.process_id, &FLOOR_BATCH, &FLOOR_BATCH, &no_queues, &no_queues]);
        let claimed = claim.expect("the claim");
        if claimed.is_empty() {
            return 0;
        }
        let finished = self.finish(&claimed);
        assert_eq!(finished, claimed.len(), "jobs finished");
        finished
    }

    fn finish(&mut self, claimed: &[Row]) -> usize {
        let ids: Vec<Uuid> = claimed.iter().map(|row| row.get("id")).collect();
        let tokens: Vec<SystemTime> = claimed.iter().map(|row| row.get("locked_at")).collect();
        let execution_ids: Vec<Uuid> = claimed.iter().map(|_| Uuid::new_v4()).collect();
        let now = vec![SystemTime::now(); claimed.len()];
        let durations_us = vec![1_i64; claimed.len()];
        let executions_counts: Vec<i32> = claimed.iter().map(|row| row.get("executions_count")).collect();
        let no_text: Vec<Option<String>> = vec![None; claimed.len()];
        let no_event: Vec<Option<i16>> = vec![None; claimed.len()];
        let rows = self.client.query(
            &self.finish,
            &[
                &self.process_id,
                &ids,
                &tokens,
                &execution_ids,
                &now,
                &now,
                &durations_us,
                &executions_counts,
                &no_text,
                &no_event,
                &no_text,
            ],
        );
        rows.expect("the finish").len()
    }
}
