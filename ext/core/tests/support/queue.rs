//! A queue in a database of its own, and a runtime on it whose jobs run here, in Rust.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use good_job_core::event::Event;
use good_job_core::outcome::{ErrorEvent, Failure, Outcome};
use good_job_core::runtime::Taken;
use good_job_core::wait_queue::{Waited, Wake};
use good_job_core::Runtime;
use postgres::types::ToSql;
use postgres::{Client, Row};
use serde_json::json;
use uuid::Uuid;

use super::Database;

/// Longest that a test waits for something that should take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Queue {
    pub database: Database,
    pub client: Client,
}

impl Queue {
    pub fn create() -> Self {
        let database = Database::create();
        let client = database.client();
        Self { database, client }
    }

    /// A runtime on this queue: not started.
    pub fn runtime(&self, queues: &str) -> Arc<Runtime> {
        self.runtime_with(queues, json!({}))
    }

    pub fn runtime_with(&self, queues: &str, changes: serde_json::Value) -> Arc<Runtime> {
        let mut options = json!({
            "connection": self.database.settings(),
            "session": {"timezone": "UTC", "schema_search_path": null, "variables": {}, "application_name": "good_job_core tests"},
            "tables": {"jobs": "good_jobs", "executions": "good_job_executions", "processes": "good_job_processes",
                       "batches": "good_job_batches", "settings": "good_job_settings"},
            "queues": queues, "max_threads": 1, "prefetch": true, "poll_interval_us": null, "listen": true, "tell_notifications": true,
            "lock_strategy": "skiplocked", "max_interruptions": null, "process_state": "{}", "cleanup": null, "pauses": false
        });
        for (key, value) in changes.as_object().expect("changes are an object") {
            options[key] = value.clone();
        }
        let options = serde_json::from_value(options).expect("options have the right keys");
        Arc::new(Runtime::new(options).expect("options are valid"))
    }

    /// A due job in the queue "default"; columns given as `name = SQL`.
    pub fn job(&mut self, columns: &[(&str, &str)]) -> Uuid {
        self.jobs(1, columns)[0]
    }

    pub fn jobs(&mut self, count: i64, columns: &[(&str, &str)]) -> Vec<Uuid> {
        let mut row = vec![
            ("queue_name", "'default'"),
            ("priority", "0"),
            ("serialized_params", r#"'{"job_class": "TestJob", "arguments": [1]}'"#),
            ("scheduled_at", "now_utc - interval '1 minute'"),
            ("job_class", "'TestJob'"),
        ];
        for (name, value) in columns {
            row.retain(|(known, _)| known != name);
            row.push((name, value));
        }
        let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = row.iter().map(|(_, value)| *value).collect();
        let insert = format!(
            "INSERT INTO good_jobs (id, active_job_id, created_at, updated_at, {}) \
             SELECT id, id, now_utc, now_utc, {} \
             FROM (SELECT gen_random_uuid() AS id, now() AT TIME ZONE 'UTC' AS now_utc FROM generate_series(1, $1::int8)) AS job \
             RETURNING id",
            names.join(", "),
            values.join(", ")
        );
        let rows = self.client.query(&insert, &[&count]).expect("the jobs are inserted");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// One value of one job, as text.
    pub fn column(&mut self, id: Uuid, expression: &str) -> Option<String> {
        let row = self.client.query_one(&format!("SELECT ({expression})::text FROM good_jobs WHERE id = $1"), &[&id]);
        row.expect("the job is there").get(0)
    }

    pub fn count(&mut self, what: &str) -> i64 {
        self.client.query_one(&format!("SELECT count(*) FROM {what}"), &[]).expect("the count").get(0)
    }

    pub fn rows(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.client.query(sql, params).expect("the query")
    }

    /// Waits until a count is what it should be.
    pub fn wait_for_count(&mut self, what: &str, count: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.count(what);
            if now == count {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {now} after {PATIENCE:?}, not {count}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Takes the next job of a pool, in time or not at all.
pub fn take(runtime: &Arc<Runtime>, pool: usize) -> Option<Taken> {
    take_within(runtime, pool, PATIENCE)
}

pub fn take_within(runtime: &Arc<Runtime>, pool: usize, patience: Duration) -> Option<Taken> {
    let wake = Arc::new(Wake::default());
    let alarm = {
        let (runtime, wake) = (Arc::clone(runtime), Arc::clone(&wake));
        let (cancel, cancelled) = std::sync::mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            if cancelled.recv_timeout(patience).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
                runtime.interrupt_take(pool, &wake);
            }
        });
        (cancel, thread)
    };
    let waited = runtime.take(pool, &wake);
    drop(alarm.0);
    alarm.1.join().expect("the alarm");
    match waited {
        Waited::Item(taken) => Some(taken),
        _ => None,
    }
}

pub fn finish(runtime: &Runtime, taken: &Taken, outcome: Outcome) {
    let completion = runtime.end(taken.number, outcome).expect("the run is under way");
    runtime.save_regardless(completion);
}

pub fn succeeded() -> Outcome {
    Outcome::Finished { failure: None, preserve: true }
}

pub fn failed(message: &str) -> Outcome {
    let failure = Failure::new(message, ErrorEvent::Unhandled, vec!["a.rb:1".to_owned(), "b \"q\", {x}\\.rb:2".to_owned()]);
    Outcome::Finished { failure: Some(failure), preserve: true }
}

/// A thread that runs a pool's jobs until the runtime drains; gives what it ran.
pub fn worker(runtime: &Arc<Runtime>, pool: usize, perform: impl Fn(&Taken) -> Outcome + Send + 'static) -> JoinHandle<Vec<Uuid>> {
    let runtime = Arc::clone(runtime);
    thread::spawn(move || {
        let mut ran = Vec::new();
        while let Waited::Item(taken) = runtime.take(pool, &Wake::default()) {
            let outcome = perform(&taken);
            ran.push(taken.job_id);
            finish(&runtime, &taken, outcome);
        }
        ran
    })
}

/// Ends a runtime whose outcomes can all be stored.
pub fn stop(runtime: &Runtime) {
    runtime.close();
    let stopped = runtime.wait_until_stopped(&Wake::default(), Some(Instant::now() + PATIENCE));
    assert_eq!(stopped, Waited::Closed, "the runtime stops in time");
    runtime.join();
}

/// Reads events until one fits.
pub fn wait_for_event(runtime: &Arc<Runtime>, fits: impl Fn(&Event) -> bool) -> Event {
    let wake = Arc::new(Wake::default());
    let (cancel, cancelled) = std::sync::mpsc::channel::<()>();
    let alarm = {
        let (runtime, wake) = (Arc::clone(runtime), Arc::clone(&wake));
        thread::spawn(move || {
            if cancelled.recv_timeout(PATIENCE).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
                runtime.interrupt_next_event(&wake);
            }
        })
    };
    let mut others = Vec::new();
    let found = loop {
        match runtime.next_event(&wake) {
            Waited::Item(event) if fits(&event) => break event,
            Waited::Item(event) => others.push(event),
            ended => panic!("no such event ({ended:?}); there were {others:?}"),
        }
    };
    drop(cancel);
    alarm.join().expect("the alarm");
    found
}
