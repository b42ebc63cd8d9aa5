//! What the end of a run writes, and what it must not overwrite.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::time::{Duration, Instant};

use good_job_core::event::Event;
use good_job_core::outcome::{ErrorEvent, Failure, NextAttempt, Outcome};
use good_job_core::wait_queue::{Waited, Wake};
use support::queue::{failed, finish, stop, succeeded, take, take_within, wait_for_event, Queue};

fn next_attempt(params: &str) -> NextAttempt {
    NextAttempt {
        serialized_params: params.to_owned(),
        scheduled_at: Some(4_102_444_800_000_000),
        queue_name: "later".to_owned(),
        priority: Some(7),
        labels: Some(vec!["x \"y\"".to_owned()]),
    }
}

#[test]
fn a_success_finishes_the_job_and_leaves_one_execution() {
    let mut queue = Queue::create();
    let id = queue.job(&[("error", "'Old: error'"), ("error_event", "1")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), succeeded());
    stop(&runtime);
    assert_eq!(
        queue.count(
            "good_jobs WHERE finished_at >= performed_at AND error IS NULL AND error_event IS NULL AND executions_count = 1 \
                     AND locked_by_id IS NULL AND locked_at IS NULL AND lock_type IS NULL"
        ),
        1
    );
    let execution = &queue.rows(
        "SELECT active_job_id, job_class, queue_name, serialized_params ->> 'job_class', process_id, error, error_backtrace, \
                finished_at >= created_at, duration >= interval '0', scheduled_at IS NOT NULL FROM good_job_executions",
        &[],
    )[0];
    assert_eq!(execution.get::<_, uuid::Uuid>(0), id);
    assert_eq!(execution.get::<_, &str>(1), "TestJob");
    assert_eq!(execution.get::<_, &str>(2), "default");
    assert_eq!(execution.get::<_, &str>(3), "TestJob");
    assert_eq!(execution.get::<_, uuid::Uuid>(4), runtime.process_id());
    assert_eq!(execution.get::<_, Option<&str>>(5), None);
    assert_eq!(execution.get::<_, Option<Vec<String>>>(6), None);
    assert!((7..10).all(|column| execution.get::<_, bool>(column)));
}

#[test]
fn a_failure_stores_error_event_and_backtrace_on_both_rows() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), failed("RuntimeError: a\0b 'quoted'"));
    stop(&runtime);
    assert_eq!(queue.column(id, "error").as_deref(), Some("RuntimeError: a\u{2400}b 'quoted'"));
    assert_eq!(queue.column(id, "error_event").as_deref(), Some("1"));
    let rows = queue.rows("SELECT error, error_event, error_backtrace FROM good_job_executions", &[]);
    assert_eq!(rows[0].get::<_, &str>(0), "RuntimeError: a\u{2400}b 'quoted'");
    assert_eq!(rows[0].get::<_, i16>(1), 1);
    assert_eq!(rows[0].get::<_, Vec<String>>(2), ["a.rb:1", "b \"q\", {x}\\.rb:2"]);
}

#[test]
fn a_retry_keeps_the_row_and_its_execution_keeps_the_old_payload() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let failure = Failure::new("E: m", ErrorEvent::Retried, vec![]);
    let outcome = Outcome::Retried { failure: Some(failure), next: Some(next_attempt(r#"{"executions": 1}"#)) };
    finish(&runtime, &take(&runtime, 0).unwrap(), outcome);
    stop(&runtime);
    assert_eq!(queue.column(id, "serialized_params").as_deref(), Some(r#"{"executions": 1}"#));
    assert_eq!(queue.column(id, "scheduled_at").as_deref(), Some("2100-01-01 00:00:00"));
    assert_eq!(queue.column(id, "queue_name || priority || labels[1]").as_deref(), Some("later7x \"y\""));
    assert_eq!(queue.count("good_jobs WHERE performed_at IS NULL AND finished_at IS NULL AND error_event = 3 AND executions_count = 1"), 1);
    let rows = queue.rows("SELECT queue_name, serialized_params ->> 'job_class', error FROM good_job_executions", &[]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>(0), "default");
    assert_eq!(rows[0].get::<_, &str>(1), "TestJob");
    assert_eq!(rows[0].get::<_, &str>(2), "E: m");
}

#[test]
fn a_retry_without_a_new_payload_runs_again_at_once_as_it_was() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let failure = Failure::new("E: m", ErrorEvent::Unhandled, vec![]);
    finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Retried { failure: Some(failure), next: None });
    let again = take(&runtime, 0).unwrap();
    assert_eq!((again.job_id, again.executions_count, again.interrupted_at), (id, 1, None));
    finish(&runtime, &again, succeeded());
    stop(&runtime);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("2"));
    assert_eq!(queue.count("good_job_executions"), 2);
}

#[test]
fn a_run_cut_short_is_told_to_the_next_attempt() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Interrupted);
    let again = take(&runtime, 0).unwrap();
    assert_eq!(again.job_id, id);
    assert!(again.interrupted_at.is_some());
    let error = queue.column(id, "error").unwrap();
    assert!(error.starts_with("GoodJob::InterruptedError: Interrupted after starting perform at '"), "{error}");
    finish(&runtime, &again, succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_job_executions WHERE error_event = 0"), 1);
    assert_eq!(queue.count("good_job_executions WHERE error IS NULL"), 1);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("2"));
}

#[test]
fn a_job_whose_runs_are_cut_short_again_and_again_waits_longer_each_time() {
    let mut queue = Queue::create();
    let id = queue.job(&[("error_event", "0"), ("executions_count", "6")]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Interrupted);
    stop(&runtime);
    assert_eq!(queue.column(id, "scheduled_at - updated_at").as_deref(), Some("00:00:07"));
}

#[test]
fn a_claim_that_is_parked_is_as_it_was_and_kept_apart_with_its_own_time() {
    let mut queue = Queue::create();
    let id = queue.job(&[("scheduled_at", "LOCALTIMESTAMP - interval '1 minute'")]);
    let own = queue.column(id, "scheduled_at::text");
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Parked { until: None });
    queue.wait_for_count("good_jobs WHERE locked_by_id IS NULL AND locked_at IS NOT NULL", 1);
    assert!(take_within(&runtime, 0, Duration::from_millis(300)).is_none(), "it was claimed again");
    stop(&runtime);
    assert_eq!(queue.column(id, "locked_at::text"), own);
    let as_before = "good_jobs WHERE performed_at IS NULL AND executions_count = 0 AND lock_type IS NULL \
                     AND scheduled_at BETWEEN LOCALTIMESTAMP + interval '8 minutes' AND LOCALTIMESTAMP + interval '9 minutes'";
    assert_eq!(queue.count(as_before), 1);
    assert_eq!(queue.count("good_job_executions"), 0);
}

#[test]
fn a_claim_that_is_parked_until_a_time_starts_then() {
    let mut queue = Queue::create();
    queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    let now: i64 = queue.rows("SELECT (extract(epoch FROM now()) * 1000000)::int8", &[])[0].get(0);
    finish(&runtime, &taken, Outcome::Parked { until: Some(now + 700_000) });
    assert!(take_within(&runtime, 0, Duration::from_millis(300)).is_none(), "it was claimed too early");
    let again = take(&runtime, 0).expect("nobody claimed it when its time had come");
    assert_eq!(again.job_id, taken.job_id);
    finish(&runtime, &again, succeeded());
    stop(&runtime);
}

#[test]
fn a_job_that_is_not_preserved_goes_with_its_executions_unless_it_is_crons() {
    let mut queue = Queue::create();
    let gone = queue.job(&[]);
    let cron = queue.job(&[("cron_key", "'nightly'"), ("cron_at", "now_utc"), ("priority", "1")]);
    queue
        .client
        .execute("INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, now(), now())", &[&gone])
        .unwrap();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    for _ in 0..2 {
        finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Finished { failure: None, preserve: false });
    }
    stop(&runtime);
    assert_eq!(queue.count("good_jobs"), 1);
    assert!(queue.column(cron, "finished_at").is_some());
    let left = queue.rows("SELECT active_job_id FROM good_job_executions", &[]);
    assert_eq!(left.iter().map(|row| row.get::<_, uuid::Uuid>(0)).collect::<Vec<_>>(), [cron]);
}

#[test]
fn a_run_that_lost_its_lease_changes_nothing_and_says_so() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    // The same process, a later claim: only the token tells the two apart.
    queue.client.execute("UPDATE good_jobs SET locked_at = locked_at + interval '1 second' WHERE id = $1", &[&id]).unwrap();
    finish(&runtime, &taken, failed("E: too late"));
    let event = wait_for_event(&runtime, |event| matches!(event, Event::LostLease { .. }));
    assert_eq!(event, Event::LostLease { job_id: id.to_string(), action: "finish".to_owned() });
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NULL AND error IS NULL AND locked_by_id IS NOT NULL"), 1);
    assert_eq!(queue.count("good_job_executions"), 0);
    stop(&runtime);
}

#[test]
fn an_outcome_that_postgres_refuses_is_stored_as_a_failure_and_holds_up_nobody() {
    let mut queue = Queue::create();
    let ids = queue.jobs(3, &[]);
    let runtime = queue.runtime_with("*", serde_json::json!({"max_threads": 3}));
    runtime.start().unwrap();
    let taken: Vec<_> = (0..3).map(|_| take(&runtime, 0).unwrap()).collect();
    for (number, run) in taken.iter().enumerate() {
        // jsonb cannot hold the second payload's NUL character.
        let params = if number == 1 { r#"{"arguments": ["\u0000"]}"# } else { r#"{"arguments": []}"# };
        finish(&runtime, run, Outcome::Retried { failure: None, next: Some(next_attempt(params)) });
    }
    stop(&runtime);
    let refused = taken[1].job_id;
    assert!(ids.contains(&refused));
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NULL AND queue_name = 'later'"), 2);
    let error = queue.column(refused, "error").unwrap();
    assert!(error.starts_with("GoodJob::UnstorableOutcomeError: The outcome of this run could not be stored: "), "{error}");
    assert_eq!(queue.column(refused, "finished_at IS NOT NULL AND error_event = 1").as_deref(), Some("true"));
}

#[test]
fn a_row_that_somebody_has_locked_holds_up_no_other_outcome_and_is_stored_once_it_is_free() {
    let mut queue = Queue::create();
    queue.jobs(3, &[]);
    let runtime = queue.runtime_with("*", serde_json::json!({"max_threads": 3}));
    runtime.start().unwrap();
    let taken: Vec<_> = (0..3).map(|_| take(&runtime, 0).unwrap()).collect();
    let mut elsewhere = queue.database.client();
    let mut transaction = elsewhere.transaction().unwrap();
    transaction.execute("SELECT FROM good_jobs WHERE id = $1 FOR UPDATE", &[&taken[0].job_id]).unwrap();
    taken.iter().for_each(|run| finish(&runtime, run, succeeded()));
    queue.wait_for_count("good_jobs WHERE finished_at IS NOT NULL", 2);
    queue.wait_for_count("good_jobs WHERE locked_by_id IS NOT NULL", 1);
    transaction.rollback().unwrap();
    stop(&runtime);
    assert_eq!(queue.count("good_jobs WHERE finished_at IS NOT NULL"), 3);
    assert_eq!(queue.count("good_job_executions"), 3);
}

#[test]
fn a_start_that_must_be_on_record_first_is_committed_before_it_is_answered() {
    let mut queue = Queue::create();
    queue.jobs(400, &[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let mut prefetched = take(&runtime, 0).unwrap();
    while prefetched.stamped {
        finish(&runtime, &prefetched, succeeded());
        prefetched = take(&runtime, 0).unwrap();
    }
    let reply = runtime.request_stamp(prefetched.number).unwrap();
    let wake = good_job_core::wait_queue::Wake::default();
    assert_eq!(reply.pop(&wake, None, || ()), good_job_core::wait_queue::Waited::Item(true));
    let id = prefetched.job_id;
    assert_eq!(queue.column(id, "performed_at IS NOT NULL AND executions_count = 1").as_deref(), Some("true"));
    finish(&runtime, &prefetched, succeeded());
    stop(&runtime);
    assert_eq!(queue.column(id, "executions_count").as_deref(), Some("1"));
}

/// Makes every write to jobs wait until the transaction ends.
fn hold_all_jobs(queue: &Queue) -> postgres::Client {
    let mut client = queue.database.client();
    client.batch_execute("BEGIN; LOCK TABLE good_jobs IN SHARE MODE").unwrap();
    client
}

#[test]
fn a_stop_that_gives_up_counts_the_outcomes_of_the_flush_under_way() {
    let mut queue = Queue::create();
    queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    let _held = hold_all_jobs(&queue);
    finish(&runtime, &taken, succeeded());
    runtime.close();
    let wake = Wake::default();
    assert_eq!(runtime.wait_until_stopped(&wake, Some(Instant::now() + Duration::from_millis(500))), Waited::TimedOut);
    assert_eq!(runtime.abandon(), 1);
    assert_eq!(runtime.wait_until_stopped(&wake, Some(Instant::now() + Duration::from_secs(10))), Waited::Closed);
    runtime.join();
}

#[test]
fn nobody_waits_for_a_start_that_can_not_be_recorded_any_more() {
    let mut queue = Queue::create();
    queue.jobs(2, &[]);
    let runtime = queue.runtime_with("*", serde_json::json!({"max_threads": 2}));
    runtime.start().unwrap();
    let taken = [take(&runtime, 0).unwrap(), take(&runtime, 0).unwrap()];
    let _held = hold_all_jobs(&queue);
    // One is in the flush under way, one waits for the next.
    let replies = taken.map(|run| {
        let reply = runtime.request_stamp(run.number).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        reply
    });
    runtime.abandon();
    let soon = Some(Instant::now() + Duration::from_secs(10));
    for reply in replies {
        assert_eq!(reply.pop(&Wake::default(), soon, || ()), Waited::Closed);
    }
    runtime.join();
}

#[test]
fn nobody_waits_for_room_that_there_will_never_be() {
    let mut queue = Queue::create();
    queue.jobs(2, &[]);
    let runtime = queue.runtime_with("*", serde_json::json!({"max_threads": 2}));
    runtime.start().unwrap();
    let _held = take(&runtime, 0).unwrap();
    runtime.abandon();
    assert_eq!(runtime.wait_until_stopped(&Wake::default(), Some(Instant::now() + Duration::from_secs(10))), Waited::Closed);
    let wake = std::sync::Arc::new(Wake::default());
    let waiting = std::thread::spawn({
        let (runtime, wake) = (std::sync::Arc::clone(&runtime), std::sync::Arc::clone(&wake));
        move || runtime.wait_for_room(&wake)
    });
    std::thread::sleep(Duration::from_secs(1));
    runtime.interrupt_wait_for_room(&wake);
    assert_eq!(waiting.join().unwrap(), Waited::Closed);
}

#[test]
fn a_stop_waits_for_the_outcome_of_a_run_that_has_just_ended() {
    let mut queue = Queue::create();
    let id = queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    let completion = runtime.end(taken.number, succeeded()).unwrap();
    runtime.close();
    let soon = Some(Instant::now() + Duration::from_millis(500));
    assert_eq!(runtime.wait_until_stopped(&Wake::default(), soon), Waited::TimedOut);
    runtime.save(completion).unwrap();
    stop(&runtime);
    assert_eq!(queue.column(id, "finished_at IS NOT NULL").as_deref(), Some("true"));
}
