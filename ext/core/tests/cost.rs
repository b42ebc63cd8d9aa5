//! What statements read, where there is much that they should not read.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use good_job_core::outcome::Outcome;
use good_job_core::postgres::sql::{self, Tables};
use good_job_core::runtime::Taken;
use postgres::types::ToSql;
use serde_json::Value;
use support::queue::{stop, succeeded, worker, Queue};
use uuid::Uuid;

/// How long a short run lasts.
const SHORT_RUN: Duration = Duration::from_micros(50);

/// Jobs that a claim asks for.
const LIMIT: i32 = 100;

fn tables() -> Tables {
    serde_json::from_value(serde_json::json!({
        "jobs": "good_jobs", "executions": "good_job_executions", "processes": "good_job_processes",
        "batches": "good_job_batches", "settings": "good_job_settings"
    }))
    .unwrap()
}

/// Runs a statement and takes it back; gives the rows it had and the pages it touched.
fn cost(queue: &mut Queue, name: &str, params: &[&(dyn ToSql + Sync)]) -> (i64, i64) {
    let text = tables().fill(&sql::template(name).unwrap());
    let mut transaction = queue.client.transaction().unwrap();
    let row = transaction.query_one(&format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}"), params).unwrap();
    let plan: Value = row.get(0);
    transaction.rollback().unwrap();
    let top = &plan[0]["Plan"];
    let pages = top["Shared Hit Blocks"].as_i64().unwrap() + top["Shared Read Blocks"].as_i64().unwrap();
    (top["Actual Rows"].as_f64().unwrap() as i64, pages)
}

/// A million ready jobs of one queue before a few of another, and as many that are due in the future.
fn full() -> Queue {
    let mut queue = Queue::create();
    queue.jobs(1_000_000, &[("queue_name", "'elephants'"), ("scheduled_at", "now_utc - random() * interval '1 day'")]);
    queue.jobs(500_000, &[("queue_name", "'mice'"), ("scheduled_at", "now_utc + random() * interval '1 day'")]);
    queue.jobs(1_000, &[("queue_name", "'mice'"), ("scheduled_at", "now_utc - random() * interval '1 hour'"), ("priority", "7")]);
    queue.client.batch_execute("VACUUM ANALYZE good_jobs").unwrap();
    queue.client.batch_execute(sql::SESSION_SETTINGS).unwrap();
    queue
}

#[test]
fn claims_and_the_timer_read_no_more_behind_a_million_jobs_than_they_claim() {
    let mut queue = full();
    let process = Uuid::new_v4();
    let none: Option<Vec<String>> = None;
    let mice = vec!["mice".to_owned()];
    let both = vec!["mice".to_owned(), "elephants".to_owned()];
    let now: time::OffsetDateTime = queue.rows("SELECT now()", &[])[0].get(0);
    let (ascending, of_both) = (vec![0, 7], vec![7, 0]);
    let (at, ids) = (vec![now - time::Duration::hours(12); 2], vec![Uuid::nil(); 2]);

    // A claim of a hundred touches each job's page, the index, and, for the new versions, the indexes again.
    let pages_max = 60 * i64::from(LIMIT);
    let claims: [(&str, &[&(dyn ToSql + Sync)]); 5] = [
        ("claim_jobs", &[&process, &LIMIT, &0, &none, &none]),
        ("claim_jobs_by_queue", &[&process, &LIMIT, &0, &mice]),
        ("claim_jobs_by_queue", &[&process, &LIMIT, &0, &both]),
        ("claim_jobs_onward", &[&process, &LIMIT, &0, &none, &none, &ascending, &at, &ids]),
        ("claim_jobs_by_queue_onward", &[&process, &LIMIT, &0, &both, &of_both, &at, &ids]),
    ];
    for (name, params) in claims {
        let (rows, pages) = cost(&mut queue, name, params);
        assert_eq!(rows, i64::from(LIMIT), "{name}");
        assert!(pages <= pages_max, "{name} touched {pages} pages");
    }

    let since = now - time::Duration::seconds(1);
    let (_rows, pages) = cost(&mut queue, "next_due", &[&since]);
    assert!(pages <= 100, "next_due touched {pages} pages");
}

#[test]
fn claims_do_not_step_over_what_has_ended_behind_a_snapshot_that_is_held() {
    const JOBS: i64 = 6_000;
    let mut queue = Queue::create();
    queue.jobs(JOBS, &[]);
    let mut holder = queue.database.client();
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM good_jobs").unwrap();

    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let worker = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", JOBS);
    stop(&runtime);
    assert_eq!(worker.join().unwrap().len(), 6_000);
    holder.batch_execute("COMMIT").unwrap();

    // Claims of up to 200 at a time, each from the head of the index, would have read some 90,000 entries.
    let read = "(SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'index_good_jobs_for_claim')";
    queue.client.batch_execute("SELECT pg_stat_clear_snapshot()").unwrap();
    let entries: i64 = queue.rows(&format!("SELECT {read}"), &[])[0].get(0);
    assert!(entries >= JOBS, "{entries} entries read");
    assert!(entries < JOBS * 4, "{entries} entries read for {JOBS} jobs");
}

#[test]
fn the_timer_does_not_step_over_what_has_ended_behind_a_snapshot_that_is_held() {
    let mut queue = Queue::create();
    for priority in ["0", "1"] {
        queue.jobs(10_000, &[("priority", priority), ("scheduled_at", "now_utc - interval '1 hour'")]);
    }
    let mut holder = queue.database.client();
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM good_jobs").unwrap();
    queue.client.batch_execute("UPDATE good_jobs SET finished_at = now()").unwrap();
    for priority in ["0", "1", "NULL"] {
        queue.jobs(1, &[("priority", priority), ("scheduled_at", "now_utc + interval '1 hour'")]);
    }
    queue.client.batch_execute("VACUUM ANALYZE good_jobs").unwrap();
    queue.client.batch_execute(sql::SESSION_SETTINGS).unwrap();
    let now: time::OffsetDateTime = queue.rows("SELECT now()", &[])[0].get(0);

    let (rows, pages) = cost(&mut queue, "next_due", &[&(now - time::Duration::seconds(1))]);
    holder.batch_execute("COMMIT").unwrap();
    // The three jobs, and the clock.
    assert_eq!(rows, 4);
    assert!(pages <= 100, "next_due touched {pages} pages");
}

/// Runs that last as long as the shortest in Ruby.
fn counting(runs: &Arc<AtomicI64>) -> impl Fn(&Taken) -> Outcome + Send + 'static {
    let runs = Arc::clone(runs);
    move |_| {
        let end = Instant::now() + SHORT_RUN;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        runs.fetch_add(1, Ordering::Relaxed);
        succeeded()
    }
}

#[test]
fn a_short_job_costs_a_tenth_of_a_transaction_at_most_and_two_updates() {
    const JOBS: i64 = 5_000;
    let mut queue = Queue::create();
    queue.jobs(JOBS, &[]);
    let runtime = queue.runtime("*");
    // Counted by Postgres for all sessions of the database, once they have ended.
    let counts = "SELECT xact_commit, (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'good_jobs') FROM pg_stat_database \
                  WHERE datname = current_database()";
    runtime.start().unwrap();
    let runs = Arc::new(AtomicI64::new(0));
    let working = worker(&runtime, 0, counting(&runs));
    while runs.load(Ordering::Relaxed) < JOBS {
        std::thread::yield_now();
    }
    stop(&runtime);
    working.join().unwrap();
    queue.wait_for_count("pg_stat_activity WHERE datname = current_database() AND application_name = 'good_job_core tests'", 0);
    let row = &queue.rows(counts, &[])[0];
    let (commits, updates): (i64, i64) = (row.get(0), row.get(1));
    assert!(commits <= JOBS / 10, "{commits} transactions for {JOBS} jobs");
    // A claim, an end; on a busy machine some claims are given back in between.
    assert!(updates <= 2 * JOBS + JOBS / 20, "{updates} updates of {JOBS} jobs");
}
