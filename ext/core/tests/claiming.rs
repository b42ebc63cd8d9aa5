//! What is claimed, in which order, and what a claim that is not run leaves behind.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::queue::{self, stop, succeeded, take, take_within, worker, Queue};

#[test]
fn jobs_run_by_priority_then_time_and_without_a_priority_last() {
    let mut queue = Queue::create();
    let unprioritized = queue.job(&[("priority", "NULL"), ("scheduled_at", "now_utc - interval '1 day'")]);
    let late = queue.job(&[("priority", "1"), ("scheduled_at", "now_utc - interval '1 minute'")]);
    let early = queue.job(&[("priority", "1"), ("scheduled_at", "now_utc - interval '1 hour'")]);
    let urgent = queue.job(&[("priority", "-5"), ("scheduled_at", "now_utc - interval '1 second'")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let worker = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 4);
    stop(&runtime);
    assert_eq!(worker.join().unwrap(), [urgent, early, late, unprioritized]);
}

#[test]
fn an_ordered_pool_empties_its_first_queue_before_its_second() {
    let mut queue = Queue::create();
    let second = queue.job(&[("queue_name", "'second'"), ("priority", "-10")]);
    let first = queue.job(&[("queue_name", "'first'"), ("priority", "10")]);
    let other = queue.job(&[("queue_name", "'other'")]);
    let runtime = queue.runtime("+first,second");
    runtime.start().unwrap();
    let worker = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    stop(&runtime);
    assert_eq!(worker.join().unwrap(), [first, second]);
    assert_eq!(queue.column(other, "locked_by_id"), None);
}

#[test]
fn each_pool_takes_only_what_its_queues_say() {
    let mut queue = Queue::create();
    let mouse = queue.job(&[("queue_name", "'mice'")]);
    let cat = queue.job(&[("queue_name", "'cats'")]);
    let nowhere = queue.job(&[("queue_name", "NULL")]);
    let runtime = queue.runtime("mice;dogs,cats;-mice,cats");
    runtime.start().unwrap();
    let workers: Vec<_> = (0..3).map(|pool| worker(&runtime, pool, |_| succeeded())).collect();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 3);
    stop(&runtime);
    let ran: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    assert_eq!(ran, [vec![mouse], vec![cat], vec![nowhere]]);
}

#[test]
fn many_threads_of_two_processes_run_each_job_once() {
    let mut queue = Queue::create();
    queue.jobs(3_000, &[]);
    let runtimes = [queue.runtime("*"), queue.runtime("*")];
    let workers: Vec<_> = runtimes
        .iter()
        .flat_map(|runtime| {
            runtime.start().unwrap();
            (0..4).map(|_| worker(runtime, 0, |_| succeeded())).collect::<Vec<_>>()
        })
        .collect();
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 3_000);
    runtimes.iter().for_each(|runtime| stop(runtime));
    let mut ran: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    ran.sort_unstable();
    ran.dedup();
    assert_eq!(ran.len(), 3_000);
    assert_eq!(queue.count("good_job_executions"), 3_000);
    assert_eq!(queue.count("good_jobs WHERE executions_count = 1 AND locked_by_id IS NULL AND error IS NULL"), 3_000);
    assert_eq!(queue.count("good_job_processes"), 0);
}

#[test]
fn a_claim_for_a_waiting_thread_is_stamped_as_started() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert!(taken.stamped);
    assert_eq!(taken.executions_count, 0);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("1"));
    assert_eq!(queue.column(id, "performed_at = locked_at").as_deref(), Some("true"));
    assert_eq!(queue.column(id, "lock_type").as_deref(), Some("1"));
    assert_eq!(queue.column(id, "locked_by_id").unwrap(), runtime.process_id().to_string());
    queue::finish(&runtime, &taken, succeeded());
    stop(&runtime);
}

#[test]
fn short_jobs_are_prefetched_unstamped_and_a_drain_gives_them_back_untouched() {
    const IMAGE: &str = "SELECT id, (to_jsonb(good_jobs) - 'updated_at')::text FROM good_jobs WHERE finished_at IS NULL ORDER BY id";
    let mut queue = Queue::create();
    queue.jobs(600, &[("executions_count", "0")]);
    let before: std::collections::HashMap<uuid::Uuid, String> = queue.rows(IMAGE, &[]).iter().map(|row| (row.get(0), row.get(1))).collect();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    // Short runs, until the pool holds claims in advance.
    let mut prefetched = take(&runtime, 0).unwrap();
    while prefetched.stamped {
        queue::finish(&runtime, &prefetched, succeeded());
        prefetched = take(&runtime, 0).unwrap();
    }
    assert_eq!(queue.column(prefetched.job_id, "executions_count").as_deref(), Some("0"));
    runtime.drain();
    queue::finish(&runtime, &prefetched, succeeded());
    assert!(take(&runtime, 0).is_none());
    stop(&runtime);
    let after = queue.rows(IMAGE, &[]);
    assert!(!after.is_empty());
    for row in after {
        assert_eq!(&row.get::<_, String>(1), &before[&row.get::<_, uuid::Uuid>(0)]);
    }
}

#[test]
fn without_prefetch_every_job_is_claimed_for_a_thread_that_waits() {
    let mut queue = Queue::create();
    queue.jobs(100, &[]);
    let runtime = queue.runtime_with("*", json!({"prefetch": false}));
    runtime.start().unwrap();
    for _ in 0..100 {
        let taken = take(&runtime, 0).unwrap();
        assert!(taken.stamped, "it was claimed in advance");
        queue::finish(&runtime, &taken, succeeded());
    }
    stop(&runtime);
}

#[test]
fn a_prefetched_claim_that_finds_no_thread_is_given_back_for_others() {
    let mut queue = Queue::create();
    queue.jobs(400, &[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let mut held = take(&runtime, 0).unwrap();
    while held.stamped {
        queue::finish(&runtime, &held, succeeded());
        held = take(&runtime, 0).unwrap();
    }
    // The one thread is busy from here on: whatever else was claimed must not wait for it.
    queue.wait_for_count("good_jobs WHERE locked_by_id IS NOT NULL", 1);
    queue::finish(&runtime, &held, succeeded());
    let worker = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NULL", 0);
    stop(&runtime);
    worker.join().unwrap();
}

#[test]
fn a_prefetched_run_that_lasts_is_stamped_while_it_runs() {
    let mut queue = Queue::create();
    queue.jobs(400, &[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let mut lasting = take(&runtime, 0).unwrap();
    while lasting.stamped {
        queue::finish(&runtime, &lasting, succeeded());
        lasting = take(&runtime, 0).unwrap();
    }
    let stamped = format!("good_jobs WHERE id = '{}' AND performed_at >= locked_at AND executions_count = 1", lasting.job_id);
    queue.wait_for_count(&stamped, 1);
    queue::finish(&runtime, &lasting, succeeded());
    queue.wait_for_count(&format!("good_jobs WHERE id = '{}' AND finished_at IS NOT NULL AND executions_count = 1", lasting.job_id), 1);
    stop(&runtime);
}

#[test]
fn a_job_of_the_future_is_not_claimed_and_one_without_a_time_never() {
    let mut queue = Queue::create();
    queue.job(&[("scheduled_at", "now_utc + interval '1 hour'")]);
    queue.job(&[("scheduled_at", "NULL")]);
    let due = queue.job(&[("priority", "100")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(taken.job_id, due);
    queue::finish(&runtime, &taken, succeeded());
    assert!(take_within(&runtime, 0, Duration::from_millis(200)).is_none());
    stop(&runtime);
}

#[test]
fn labels_with_holes_and_odd_payloads_are_handed_over_as_they_are() {
    let mut queue = Queue::create();
    queue.job(&[("labels", "ARRAY['a', NULL, 'b']"), ("serialized_params", "'[1]'"), ("job_class", "NULL"), ("queue_name", "NULL")]);
    queue.job(&[("serialized_params", "NULL"), ("scheduled_at", "'-infinity'")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let without_params = take(&runtime, 0).unwrap();
    assert_eq!(without_params.serialized_params, None);
    queue::finish(&runtime, &without_params, succeeded());
    let odd = take(&runtime, 0).unwrap();
    assert_eq!(odd.labels, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(odd.serialized_params.as_deref(), Some("[1]"));
    queue::finish(&runtime, &odd, succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 2);
}

#[test]
fn claims_that_found_no_thread_are_not_claimed_again_while_all_threads_are_busy() {
    let mut queue = Queue::create();
    queue.jobs(400, &[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let mut held = take(&runtime, 0).unwrap();
    while held.stamped {
        queue::finish(&runtime, &held, succeeded());
        held = take(&runtime, 0).unwrap();
    }
    queue.wait_for_count("good_jobs WHERE locked_by_id IS NOT NULL", 1);
    let others = queue.count("good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL"), others);
    queue::finish(&runtime, &held, succeeded());
    stop(&runtime);
}

#[test]
fn a_row_whose_labels_are_no_list_is_claimed_without_them() {
    let mut queue = Queue::create();
    queue.job(&[("labels", "ARRAY[ARRAY['a'], ARRAY['b']]")]);
    queue.job(&[("priority", "1")]);
    let runtime = queue.runtime_with("*", serde_json::json!({"max_threads": 2}));
    runtime.start().unwrap();
    let odd = take_within(&runtime, 0, Duration::from_secs(5)).unwrap();
    assert_eq!(odd.labels, None);
    queue::finish(&runtime, &odd, succeeded());
    queue::finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
}

#[test]
fn a_drain_does_not_wait_for_the_next_attempt_of_a_claim_that_fails() {
    let mut queue = Queue::create();
    queue.job(&[]);
    let runtime = queue.runtime("*");
    queue.client.batch_execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$").unwrap();
    queue.client.batch_execute("CREATE TRIGGER refuse BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION refuse()").unwrap();
    runtime.start().unwrap();
    assert!(take_within(&runtime, 0, Duration::from_secs(3)).is_none());
    let began = std::time::Instant::now();
    stop(&runtime);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn settings_of_the_users_sessions_that_would_break_the_queues_do_not_reach_them() {
    let mut queue = Queue::create();
    queue.job(&[("job_class", "'Übung'")]);
    let variables = serde_json::json!({"client_encoding": "latin1", "default_transaction_isolation": "serializable"});
    let session = serde_json::json!({"timezone": "UTC", "schema_search_path": null, "variables": variables, "application_name": "good_job_core tests"});
    let runtime = queue.runtime_with("*", serde_json::json!({ "session": session }));
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    let description = serde_json::to_value(runtime.describe(taken.number).unwrap()).unwrap();
    assert_eq!(description["job_class"], "Übung");
    queue::finish(&runtime, &taken, succeeded());
    stop(&runtime);
}

#[test]
fn limits_of_time_in_the_users_sessions_do_not_reach_the_queues() {
    const LIMITS: [&str; 4] = ["statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"];
    let mut queue = Queue::create();
    let shown = LIMITS.map(|name| format!("current_setting('{name}')")).join(" || ' ' || ");
    queue
        .client
        .batch_execute(&format!(
            "CREATE TABLE seen (by text, limits text); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO seen SELECT TG_ARGV[0], {shown}; RETURN NULL; END $$; \
             CREATE TRIGGER beat AFTER INSERT OR UPDATE ON good_job_processes FOR EACH ROW EXECUTE FUNCTION see('listen'); \
             CREATE TRIGGER claim AFTER UPDATE ON good_jobs FOR EACH ROW WHEN (NEW.finished_at IS NULL) EXECUTE FUNCTION see('claim'); \
             CREATE TRIGGER finish AFTER UPDATE ON good_jobs FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION see('finish')"
        ))
        .unwrap();
    queue.job(&[]);
    let variables: serde_json::Map<_, _> = LIMITS.iter().map(|name| ((*name).to_owned(), "61s".into())).collect();
    let session = serde_json::json!({"timezone": "UTC", "schema_search_path": null, "variables": variables, "application_name": "good_job_core tests"});
    let runtime = queue.runtime_with("*", serde_json::json!({ "session": session }));
    runtime.start().unwrap();
    queue::finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
    let seen = queue.rows("SELECT DISTINCT by || ': ' || limits FROM seen ORDER BY 1", &[]);
    assert_eq!(seen.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["claim: 10s 1s 0 0", "finish: 10s 1s 0 0", "listen: 10s 1s 0 0"]);
}

#[test]
fn a_count_of_attempts_at_the_end_of_its_type_stops_no_claim() {
    let mut queue = Queue::create();
    let absurd = queue.job(&[("executions_count", "2147483647"), ("priority", "-1")]);
    let plain = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let worker = worker(&runtime, 0, |_| succeeded());
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    stop(&runtime);
    assert_eq!(worker.join().unwrap(), [absurd, plain]);
    assert_eq!(queue.column(absurd, "executions_count").as_deref(), Some("2147483647"));
}
