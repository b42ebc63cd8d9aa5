//! What makes an idle runtime look, and what it does when the database goes away and comes back.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use good_job_core::event::Event;
use good_job_core::outcome::{NextAttempt, Outcome};
use serde_json::json;
use support::queue::{finish, stop, succeeded, take, wait_for_event, worker, Queue};

fn listening(event: &Event) -> bool {
    matches!(event, Event::Listening { .. })
}

#[test]
fn a_notification_wakes_a_pool_of_that_queue() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("mice");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let waiting = worker(&runtime, 0, |_| succeeded());
    queue.job(&[("queue_name", "'mice'")]);
    queue.client.batch_execute(r#"NOTIFY good_job, '{"queue_name":"mice"}'"#).unwrap();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    stop(&runtime);
    waiting.join().unwrap();
}

#[test]
fn a_payload_that_says_nothing_wakes_every_pool() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("mice;elephants");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let workers = [worker(&runtime, 0, |_| succeeded()), worker(&runtime, 1, |_| succeeded())];
    queue.job(&[("queue_name", "'mice'")]);
    queue.job(&[("queue_name", "'elephants'")]);
    queue.client.batch_execute("NOTIFY good_job, 'hello'").unwrap();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    stop(&runtime);
    workers.into_iter().for_each(|worker| drop(worker.join().unwrap()));
}

#[test]
fn polling_finds_jobs_that_nobody_announced() {
    let mut queue = Queue::create();
    let runtime = queue.runtime_with("*", json!({"poll_interval_us": 50_000, "listen": false}));
    runtime.start().unwrap();
    wait_for_event(&runtime, |event| matches!(event, Event::Ready { .. }));
    let waiting = worker(&runtime, 0, |_| succeeded());
    queue.job(&[]);
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    stop(&runtime);
    waiting.join().unwrap();
}

#[test]
fn future_jobs_run_when_they_are_due_and_not_before() {
    let mut queue = Queue::create();
    // Known from the start; announced later, for an earlier time; and without a priority.
    queue.job(&[("scheduled_at", "now_utc + interval '900 milliseconds'")]);
    queue.job(&[("scheduled_at", "now_utc + interval '600 milliseconds'"), ("priority", "NULL")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let waiting = worker(&runtime, 0, |_| succeeded());
    wait_for_event(&runtime, listening);
    let sooner = queue.job(&[("scheduled_at", "now_utc + interval '300 milliseconds'")]);
    queue
        .client
        .execute(
            "SELECT pg_notify('good_job', json_build_object('queue_name', queue_name, 'scheduled_at', scheduled_at::text || 'Z')::text) \
             FROM good_jobs WHERE id = $1",
            &[&sooner],
        )
        .unwrap();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 3);
    stop(&runtime);
    waiting.join().unwrap();
    assert_eq!(queue.count("good_jobs WHERE performed_at < scheduled_at"), 0);
    assert_eq!(queue.count("good_jobs WHERE performed_at > scheduled_at + interval '500 milliseconds'"), 0);
}

#[test]
fn a_future_job_that_was_announced_while_nobody_listened_is_not_missed() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let waiting = worker(&runtime, 0, |_| succeeded());
    // The connection that listens is lost, and cannot be replaced until the job has been announced.
    queue.database.admit(false);
    queue.rows("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()", &[]);
    queue.job(&[("scheduled_at", "now_utc + interval '1 second'")]);
    queue.client.batch_execute("NOTIFY good_job, ''").unwrap();
    queue.database.admit(true);
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    stop(&runtime);
    waiting.join().unwrap();
}

#[test]
fn a_job_without_a_priority_runs_in_time_though_another_has_just_become_due() {
    let mut queue = Queue::create();
    for delay in ["300 milliseconds", "500 milliseconds", "700 milliseconds"] {
        queue.job(&[("scheduled_at", &format!("now_utc + interval '{delay}'")), ("priority", "NULL")]);
    }
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let waiting = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 3);
    stop(&runtime);
    waiting.join().unwrap();
    assert_eq!(queue.count("good_jobs WHERE performed_at > scheduled_at + interval '500 milliseconds'"), 0);
}

#[test]
fn terminated_connections_are_replaced_and_outcomes_survive_them() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    queue.job(&[]);
    queue.client.batch_execute("NOTIFY good_job, ''").unwrap();
    let held = take(&runtime, 0).unwrap();
    // Materialized: pushed down, pg_terminate_backend would be called for every session of the server.
    let terminated = queue
        .rows(
            "WITH ours AS MATERIALIZED (SELECT pid FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'good_job_core tests') \
             SELECT pg_terminate_backend(pid) FROM ours",
            &[],
        )
        .len();
    assert!((1..=3).contains(&terminated), "{terminated} connections");
    finish(&runtime, &held, succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    wait_for_event(&runtime, listening);
    queue.job(&[]);
    queue.client.batch_execute("NOTIFY good_job, ''").unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 2);
    assert_eq!(queue.count("good_job_executions"), 2);
}

#[test]
fn a_runtime_holds_three_connections_at_most_and_none_after_the_stop() {
    const OURS: &str = "pg_stat_activity WHERE datname = current_database() AND application_name = 'good_job_core tests'";
    let mut queue = Queue::create();
    queue.jobs(2_000, &[]);
    let runtime = queue.runtime_with("a;b;*:4", json!({}));
    runtime.start().unwrap();
    let workers: Vec<_> = (0..3).map(|pool| worker(&runtime, pool, |_| succeeded())).collect();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2_000);
    queue.wait_for_count(OURS, 3);
    stop(&runtime);
    workers.into_iter().for_each(|worker| drop(worker.join().unwrap()));
    queue.wait_for_count(OURS, 0);
}

#[test]
fn the_jobs_of_a_dead_process_are_put_back_with_a_record_of_the_interrupted_run() {
    let mut queue = Queue::create();
    let dead = uuid::Uuid::new_v4();
    queue
        .client
        .execute(
            "INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             VALUES ($1, now(), (now() AT TIME ZONE 'UTC') - interval '10 seconds', '{\"runtime\": \"good_job_rs\"}', 0)",
            &[&dead],
        )
        .unwrap();
    let owner = format!("'{dead}'");
    let locked = [("locked_by_id", owner.as_str()), ("locked_at", "now_utc - interval '11 seconds'"), ("lock_type", "1")];
    let started = queue.job(&[&locked[..], &[("performed_at", "now_utc - interval '11 seconds'"), ("executions_count", "1")]].concat());
    let unstarted = queue.job(&[&locked[..], &[("priority", "1")]].concat());
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let first = take(&runtime, 0).unwrap();
    assert_eq!(first.job_id, started);
    assert!(first.interrupted_at.is_some());
    finish(&runtime, &first, succeeded());
    let second = take(&runtime, 0).unwrap();
    assert_eq!((second.job_id, second.interrupted_at), (unstarted, None));
    finish(&runtime, &second, succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_job_executions WHERE error_event = 0"), 1);
    assert_eq!(queue.count("good_job_processes"), 0);
}

#[test]
fn a_claim_of_its_own_that_it_never_heard_of_is_given_back() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    let owner = format!("'{}'", runtime.process_id());
    let id = queue.job(&[
        ("locked_by_id", owner.as_str()),
        ("locked_at", "now_utc - interval '30 seconds'"),
        ("performed_at", "now_utc - interval '30 seconds'"),
        ("executions_count", "1"),
    ]);
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!((taken.job_id, taken.interrupted_at, taken.executions_count), (id, None, 0));
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("1"));
}

#[test]
fn a_process_that_ends_leaves_no_claim_behind_that_it_never_heard_of() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, |event| matches!(event, Event::Ready { .. }));
    let owner = format!("'{}'", runtime.process_id());
    let id =
        queue.job(&[("locked_by_id", owner.as_str()), ("locked_at", "now_utc"), ("performed_at", "now_utc"), ("executions_count", "1")]);
    stop(&runtime);
    assert_eq!(queue.column(id, "locked_by_id"), None);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("0"));
    assert_eq!(queue.count("good_job_processes"), 0);
}

#[test]
fn missing_tables_are_told_with_the_cure_and_waited_for() {
    let mut queue = Queue::create();
    queue.client.batch_execute("ALTER TABLE good_jobs RENAME TO elsewhere").unwrap();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Unavailable { .. }));
    let Event::Unavailable { reason, message, hint } = event else { unreachable!() };
    assert_eq!(reason, "missing_tables");
    assert!(message.contains("good_jobs"), "{message}");
    assert!(hint.contains("good_job:install"), "{hint}");
    queue.client.batch_execute("ALTER TABLE elsewhere RENAME TO good_jobs").unwrap();
    wait_for_event(&runtime, |event| matches!(event, Event::Ready { .. }));
    stop(&runtime);
}

#[test]
fn a_runtime_that_cannot_connect_stops_at_once() {
    let queue = Queue::create();
    let runtime = queue.runtime_with("*", json!({"connection": {"host": "127.0.0.1", "port": "1", "dbname": "none", "user": "nobody"}}));
    runtime.start().unwrap();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Unavailable { .. }));
    assert!(matches!(&event, Event::Unavailable { reason, .. } if reason == "refused"), "{event:?}");
    stop(&runtime);
    assert!(runtime.start().is_err());
}

#[test]
fn a_process_that_has_just_reconnected_takes_nobody_for_dead() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    // An outage ends: this process is back, the other one not yet.
    let other = uuid::Uuid::new_v4();
    queue
        .client
        .batch_execute(&format!(
            "BEGIN; \
             INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             VALUES ('{other}', now(), (now() AT TIME ZONE 'UTC') - interval '30 seconds', '{{\"runtime\": \"good_job_rs\"}}', 0); \
             INSERT INTO good_jobs (scheduled_at, created_at, updated_at, locked_by_id, locked_at, lock_type) \
             SELECT now_utc, now_utc, now_utc, '{other}', now_utc - interval '40 seconds', 1 FROM timezone('UTC', now()) AS now_utc; \
             WITH ours AS MATERIALIZED (SELECT pid FROM pg_stat_activity \
               WHERE datname = current_database() AND application_name = 'good_job_core tests') \
             SELECT pg_terminate_backend(pid) FROM ours; \
             COMMIT"
        ))
        .unwrap();
    wait_for_event(&runtime, listening);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(queue.count(&format!("good_jobs WHERE locked_by_id = '{other}'")), 1);
    stop(&runtime);
}

#[test]
fn a_process_that_could_not_say_that_it_lives_takes_nobody_for_dead() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let beat = |queue: &mut Queue| queue.rows("SELECT updated_at::text FROM good_job_processes", &[])[0].get::<_, String>(0);
    let first = beat(&mut queue);
    // A disk is full: no process can write that it lives.
    queue
        .client
        .batch_execute(
            "CREATE SEQUENCE attempts; \
             CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('attempts'); RAISE disk_full; END $$; \
             CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON good_job_processes EXECUTE FUNCTION fill()",
        )
        .unwrap();
    queue.wait_for_count("attempts WHERE is_called", 1);
    // Then there is room again, and this process is the first to write.
    let other = uuid::Uuid::new_v4();
    queue
        .client
        .batch_execute(&format!(
            "DROP TRIGGER full_disk ON good_job_processes; \
             INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             VALUES ('{other}', now(), (now() AT TIME ZONE 'UTC') - interval '30 seconds', '{{\"runtime\": \"good_job_rs\"}}', 0); \
             INSERT INTO good_jobs (scheduled_at, created_at, updated_at, locked_by_id, locked_at, lock_type) \
             SELECT now_utc, now_utc, now_utc, '{other}', now_utc - interval '40 seconds', 1 FROM timezone('UTC', now()) AS now_utc"
        ))
        .unwrap();
    queue.wait_for_count(&format!("good_job_processes WHERE updated_at::text > '{first}'"), 1);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(queue.count(&format!("good_jobs WHERE locked_by_id = '{other}'")), 1);
    stop(&runtime);
}

#[test]
fn a_process_whose_host_has_slept_takes_nobody_for_dead() {
    let mut queue = Queue::create();
    // The database's clock leaps, as seen by a host whose own has stood still.
    queue
        .client
        .batch_execute(
            "CREATE SCHEMA clock; \
             CREATE TABLE clock.leap (seconds float8); \
             INSERT INTO clock.leap VALUES (0); \
             CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
             $$ SELECT pg_catalog.clock_timestamp() + seconds * interval '1 second' FROM clock.leap $$",
        )
        .unwrap();
    let path = "clock, public, pg_catalog";
    let session = json!({"timezone": "UTC", "schema_search_path": path, "variables": {}, "application_name": "good_job_core tests"});
    let runtime = queue.runtime_with("none", json!({"session": session}));
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let other = uuid::Uuid::new_v4();
    queue
        .client
        .batch_execute(&format!(
            "BEGIN; \
             UPDATE clock.leap SET seconds = 60; \
             INSERT INTO good_jobs (scheduled_at, created_at, updated_at, locked_by_id, locked_at, lock_type) \
             SELECT now_utc, now_utc, now_utc, '{other}', now_utc - interval '40 seconds', 1 FROM timezone('UTC', now()) AS now_utc; \
             COMMIT"
        ))
        .unwrap();
    // The first beat after the leap is what tells; only then is there somebody who may seem dead.
    let beat = queue.rows("SELECT updated_at::text FROM good_job_processes", &[])[0].get::<_, String>(0);
    queue.wait_for_count(&format!("good_job_processes WHERE updated_at::text > '{beat}'"), 1);
    queue
        .client
        .batch_execute(&format!(
            "INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             VALUES ('{other}', now(), (now() AT TIME ZONE 'UTC') - interval '30 seconds', '{{\"runtime\": \"good_job_rs\"}}', 0)"
        ))
        .unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(queue.count(&format!("good_jobs WHERE locked_by_id = '{other}'")), 1);
    stop(&runtime);
}

#[test]
fn a_service_that_panics_is_started_again_and_says_so() {
    let mut queue = Queue::create();
    queue
        .client
        .batch_execute(
            "CREATE SCHEMA clock; \
             CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() $$",
        )
        .unwrap();
    let path = "clock, public, pg_catalog";
    let session = json!({"timezone": "UTC", "schema_search_path": path, "variables": {}, "application_name": "good_job_core tests"});
    let runtime = queue.runtime_with("*", json!({"session": session}));
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    // A beat is answered with what no clock says.
    let replace = "DROP FUNCTION clock.clock_timestamp(); CREATE FUNCTION clock.clock_timestamp() RETURNS";
    queue.client.batch_execute(&format!("{replace} text LANGUAGE sql AS $$ SELECT 'noon' $$")).unwrap();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Error { message } if message.contains("panicked")));
    let Event::Error { message } = event else { unreachable!() };
    assert!(message.starts_with("the heartbeat panicked and is started again; please report this"), "{message}");
    queue.job(&[]);
    queue.client.batch_execute("NOTIFY good_job, ''").unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    queue.client.batch_execute(&format!("{replace} timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() $$")).unwrap();
    let beat = queue.rows("SELECT updated_at::text FROM good_job_processes", &[])[0].get::<_, String>(0);
    queue.wait_for_count(&format!("good_job_processes WHERE updated_at::text > '{beat}'"), 1);
    stop(&runtime);
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 1);
}

#[test]
fn a_queue_whose_name_is_too_long_to_be_announced_is_given_back_like_any_other() {
    let mut queue = Queue::create();
    let id = queue.job(&[("queue_name", "repeat('q', 9000)")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    for outcome in [Outcome::Unstarted, Outcome::Interrupted, Outcome::Retried { failure: None, next: None }] {
        let taken = take(&runtime, 0).unwrap();
        assert_eq!(taken.job_id, id);
        finish(&runtime, &taken, outcome);
    }
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("3"));
}

#[test]
fn a_burst_of_notifications_hides_none_of_them() {
    let mut queue = Queue::create();
    let runtime = queue.runtime("mice;elephants");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let waiting = worker(&runtime, 1, |_| succeeded());
    std::thread::sleep(Duration::from_millis(100));
    queue.job(&[("queue_name", "'elephants'")]);
    queue
        .client
        .batch_execute(
            "BEGIN; SELECT pg_notify('good_job', json_build_object('queue_name', 'mice', 'count', n)::text) FROM generate_series(1, 5000) AS n; \
             SELECT pg_notify('good_job', json_build_object('queue_name', 'elephants')::text); COMMIT",
        )
        .unwrap();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    stop(&runtime);
    waiting.join().unwrap();
}

#[test]
fn a_retry_for_soon_is_not_forgotten_beside_one_for_now() {
    let mut queue = Queue::create();
    queue.jobs(2, &[]);
    let runtime = queue.runtime_with("*", json!({"max_threads": 2}));
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    let taken = [take(&runtime, 0).unwrap(), take(&runtime, 0).unwrap()];
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(1);
    let next = |scheduled_at| NextAttempt {
        serialized_params: "{}".to_owned(),
        scheduled_at,
        queue_name: "default".to_owned(),
        priority: Some(0),
        labels: None,
    };
    let retries = [next(Some(i64::try_from(soon.as_micros()).unwrap())), next(None)];
    // Handed over together, so that one flush has both.
    let completions: Vec<_> = taken
        .iter()
        .zip(retries)
        .map(|(run, next)| runtime.end(run.number, Outcome::Retried { failure: None, next: Some(next) }).unwrap())
        .collect();
    completions.into_iter().for_each(|completion| runtime.save_regardless(completion));
    let waiting = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    stop(&runtime);
    waiting.join().unwrap();
    assert_eq!(queue.count("good_jobs WHERE performed_at > scheduled_at + interval '1 second'"), 0);
}

#[test]
fn the_change_to_summer_time_ends_nobodys_life() {
    let mut queue = Queue::create();
    let zone = queue
        .database
        .value("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '8 seconds', '\"XST0XDT,J\"DDD\"/\"HH24:MI:SS\",J365/23:59:59\"')")
        .unwrap();
    let session = json!({"timezone": zone, "schema_search_path": null, "variables": {}, "application_name": "good_job_core tests"});
    let runtimes = [queue.runtime_with("*", json!({"session": session})), queue.runtime_with("*", json!({"session": session}))];
    queue.job(&[]);
    runtimes[0].start().unwrap();
    let held = take(&runtimes[0], 0).unwrap();
    runtimes[1].start().unwrap();
    std::thread::sleep(Duration::from_secs(13));
    assert_eq!(queue.column(held.job_id, "locked_by_id").unwrap(), runtimes[0].process_id().to_string());
    finish(&runtimes[0], &held, succeeded());
    runtimes.iter().for_each(|runtime| stop(runtime));
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 1);
}

#[test]
fn a_runtime_that_nobody_has_any_more_ends() {
    const OURS: &str = "pg_stat_activity WHERE datname = current_database() AND application_name = 'good_job_core tests'";
    let mut queue = Queue::create();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    wait_for_event(&runtime, listening);
    drop(runtime);
    queue.wait_for_count(OURS, 0);
    assert_eq!(queue.count("good_job_processes"), 0);
}

#[test]
fn a_job_that_runs_under_its_own_advisory_lock_is_not_taken_from_whoever_holds_that() {
    let mut queue = Queue::create();
    let owner = format!("'{}'", uuid::Uuid::new_v4());
    let orphan = [("locked_by_id", owner.as_str()), ("locked_at", "now_utc - interval '1 hour'"), ("lock_type", "0")];
    let running = queue.job(&orphan);
    let abandoned = queue.job(&orphan);
    queue
        .client
        .execute("SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-' || $1::uuid), 1, 16))::bit(64)::int8)", &[&running])
        .unwrap();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(taken.job_id, abandoned);
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
    assert!(queue.column(running, "locked_by_id").is_some());
}

#[test]
fn a_job_that_is_never_due_does_not_hide_one_that_is_due_soon() {
    let mut queue = Queue::create();
    queue.job(&[("scheduled_at", "'infinity'")]);
    queue.job(&[("scheduled_at", "now_utc + interval '500 milliseconds'")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let waiting = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    wait_for_event(&runtime, listening);
    std::thread::sleep(Duration::from_secs(1));
    let soon = queue.job(&[("scheduled_at", "now_utc + interval '500 milliseconds'")]);
    queue
        .client
        .execute(
            "SELECT pg_notify('good_job', json_build_object('scheduled_at', scheduled_at::text || 'Z')::text) FROM good_jobs WHERE id = $1",
            &[&soon],
        )
        .unwrap();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    stop(&runtime);
    waiting.join().unwrap();
}

#[test]
fn a_migration_that_changes_a_columns_type_stops_nothing() {
    let mut queue = Queue::create();
    queue.jobs(2, &[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 1);
    queue.client.batch_execute("ALTER TABLE good_jobs ALTER COLUMN job_class TYPE varchar").unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 2);
}

#[test]
fn a_claim_in_hand_is_not_given_back_however_old_the_databases_clock_finds_it() {
    let mut queue = Queue::create();
    queue
        .client
        .batch_execute(
            "CREATE FUNCTION age() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN NEW.locked_at := NEW.locked_at - interval '1 minute'; RETURN NEW; END $$; \
             CREATE TRIGGER age BEFORE UPDATE ON good_jobs FOR EACH ROW \
             WHEN (OLD.locked_by_id IS NULL AND NEW.locked_by_id IS NOT NULL) EXECUTE FUNCTION age()",
        )
        .unwrap();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(queue.column(id, "locked_by_id").is_some());
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
    assert_eq!(queue.column(id, "finished_at IS NOT NULL").as_deref(), Some("true"));
}

#[test]
fn a_dead_process_is_remembered_until_all_its_jobs_could_be_put_back() {
    let mut queue = Queue::create();
    let dead = uuid::Uuid::new_v4();
    let owner = format!("'{dead}'");
    let job = queue.job(&[("locked_by_id", owner.as_str()), ("locked_at", "now_utc - interval '11 seconds'"), ("lock_type", "1")]);
    queue
        .client
        .execute(
            "INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             VALUES ($1, now(), (now() AT TIME ZONE 'UTC') - interval '10 seconds', '{\"runtime\": \"good_job_rs\"}', 0)",
            &[&dead],
        )
        .unwrap();
    let mut operator = queue.database.client();
    operator.batch_execute("BEGIN").unwrap();
    operator.query("SELECT FROM good_jobs WHERE id = $1 FOR UPDATE", &[&job]).unwrap();
    let other = queue.job(&[("locked_by_id", owner.as_str()), ("locked_at", "now_utc - interval '11 seconds'"), ("lock_type", "1")]);

    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(taken.job_id, other);
    finish(&runtime, &taken, succeeded());
    assert_eq!(queue.count(&format!("good_job_processes WHERE id = {owner}")), 1);
    operator.batch_execute("COMMIT").unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(taken.job_id, job);
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_job_processes"), 0);
}
