//! Who counts as dead, and what becomes of the jobs that the dead have held.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use good_job_core::event::Event;
use good_job_core::outcome::{ErrorEvent, Failure, NextAttempt, Outcome};
use good_job_core::runtime::Taken;
use good_job_core::wait_queue::{Waited, Wake};
use serde_json::json;
use support::queue::{failed, finish, stop, succeeded, take, wait_for_event, Queue, PATIENCE};
use uuid::Uuid;

/// A process's row: what it says of itself, its lock_type, how long ago it was heard of, and whether its session holds its lock.
struct Owner {
    state: &'static str,
    lock_type: &'static str,
    silent: &'static str,
    locked: bool,
}

const OURS: &str = r#"{"runtime": "good_job_rs"}"#;
const GOOD_JOBS: &str = r#"{"hostname": "host", "pid": 1}"#;

/// The process and a job that it runs. A session that holds the lock is `holder`.
fn owner_and_job(queue: &mut Queue, holder: &mut postgres::Client, owner: &Owner) -> (Uuid, Uuid) {
    let id = Uuid::new_v4();
    queue
        .client
        .batch_execute(&format!(
            "INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type) \
             SELECT '{id}', now_utc, now_utc - interval '{}', '{}', {} FROM timezone('UTC', now()) AS now_utc",
            owner.silent, owner.state, owner.lock_type
        ))
        .unwrap();
    if owner.locked {
        let key = format!("('x' || substr(md5('good_job_processes-{id}'), 1, 16))::bit(64)::int8");
        holder.batch_execute(&format!("SELECT pg_advisory_lock({key})")).unwrap();
    }
    (id, job_of(queue, id, "11 seconds"))
}

/// A job that a process claimed and started so long ago.
fn job_of(queue: &mut Queue, owner: Uuid, age: &str) -> Uuid {
    let (owner, at) = (format!("'{owner}'"), format!("now_utc - interval '{age}'"));
    queue.job(&[("locked_by_id", &owner), ("locked_at", &at), ("lock_type", "1"), ("performed_at", &at), ("executions_count", "1")])
}

#[test]
fn a_process_is_dead_by_the_rules_of_its_kind() {
    let owner = |state, lock_type, silent, locked| Owner { state, lock_type, silent, locked };
    let alive = [
        // Of this gem: it may be reconnecting, or is slow to beat.
        owner(OURS, "0", "3 seconds", false),
        owner(OURS, "0", "17 seconds", true),
        owner(OURS, "NULL", "17 seconds", false),
        // Of GoodJob: the lock says that it lives, and nothing else does; without one it has five minutes.
        owner(GOOD_JOBS, "0", "10 minutes", true),
        owner(GOOD_JOBS, "NULL", "4 minutes", false),
    ];
    let dead = [
        owner(OURS, "0", "6 seconds", false),
        owner(OURS, "0", "21 seconds", true),
        owner(OURS, "NULL", "21 seconds", false),
        owner(GOOD_JOBS, "0", "6 seconds", false),
        owner(GOOD_JOBS, "NULL", "6 minutes", false),
    ];
    let mut queue = Queue::create();
    let mut holder = queue.database.client();
    let runtime = queue.runtime("none");
    let alive = alive.map(|owner| owner_and_job(&mut queue, &mut holder, &owner));
    let dead = dead.map(|owner| owner_and_job(&mut queue, &mut holder, &owner));
    // However long a job lasts: as long as its owner has a row, that row alone tells.
    queue.client.batch_execute("UPDATE good_jobs SET locked_at = locked_at - interval '6 minutes'").unwrap();
    runtime.start().unwrap();
    let began = Instant::now();
    for (process, job) in dead {
        queue.wait_for_count(&format!("good_jobs WHERE id = '{job}' AND locked_by_id IS NULL AND error_event = 0"), 1);
        assert_eq!(queue.count(&format!("good_job_processes WHERE id = '{process}'")), 0);
        assert_eq!(queue.count(&format!("good_job_executions WHERE active_job_id = '{job}' AND process_id = '{process}'")), 1);
    }
    // The first round finds all of them; a second one would find the youngest of the living too old.
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    for (process, job) in alive {
        assert_eq!(queue.column(job, "locked_by_id").as_deref(), Some(process.to_string().as_str()));
        assert_eq!(queue.count(&format!("good_job_processes WHERE id = '{process}'")), 1);
    }
    stop(&runtime);
}

#[test]
fn a_process_that_says_that_it_lives_while_it_is_looked_for_is_not_taken_for_dead() {
    const LOCK: i32 = 42;
    let mut queue = Queue::create();
    let mut holder = queue.database.client();
    let path = "slow, public, pg_catalog";
    let session = json!({"timezone": "UTC", "schema_search_path": path, "variables": {}, "application_name": "good_job_core tests"});
    let runtime = queue.runtime_with("none", json!({ "session": session }));
    // The look stands still where it has read how old the other's beat is, and asks for its lock.
    queue
        .client
        .batch_execute(&format!(
            "CREATE SCHEMA slow; \
             CREATE FUNCTION slow.md5(said text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
               IF said LIKE 'good_job_processes-%' AND said NOT LIKE '%-{}' THEN \
                 PERFORM pg_advisory_lock_shared({LOCK}); \
                 PERFORM pg_advisory_unlock_shared({LOCK}); \
               END IF; \
               RETURN pg_catalog.md5(said); \
             END $$",
            runtime.process_id()
        ))
        .unwrap();
    let other = Owner { state: OURS, lock_type: "0", silent: "10 seconds", locked: false };
    let (process, job) = owner_and_job(&mut queue, &mut holder, &other);
    holder.execute("SELECT pg_advisory_lock($1::int4)", &[&LOCK]).unwrap();
    runtime.start().unwrap();
    let waiting = format!(
        "pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    queue.wait_for_count(&waiting, 1);
    let pid: i32 = queue.rows(&format!("SELECT pid FROM {waiting}"), &[])[0].get(0);
    queue.client.batch_execute("UPDATE good_job_processes SET updated_at = now() AT TIME ZONE 'UTC'").unwrap();
    holder.execute("SELECT pg_advisory_unlock($1::int4)", &[&LOCK]).unwrap();
    queue.wait_for_count(&format!("pg_stat_activity WHERE pid = {pid} AND state = 'idle'"), 1);
    assert_eq!(queue.column(job, "locked_by_id").as_deref(), Some(process.to_string().as_str()));
    stop(&runtime);
}

#[test]
fn a_claim_whose_owner_has_no_row_is_put_back_after_five_minutes() {
    let mut queue = Queue::create();
    let abandoned = job_of(&mut queue, Uuid::new_v4(), "301 seconds");
    let recent = job_of(&mut queue, Uuid::new_v4(), "270 seconds");
    let runtime = queue.runtime("none");
    runtime.start().unwrap();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Rescued { .. }));
    assert_eq!(event, Event::Rescued { job_ids: vec![abandoned.to_string()] });
    assert!(queue.column(recent, "locked_by_id").is_some());
    let error = queue.column(abandoned, "error").unwrap();
    let performed_at = queue.column(abandoned, "performed_at").unwrap();
    assert_eq!(error, format!("GoodJob::InterruptedError: Interrupted after starting perform at '{performed_at}'"));
    stop(&runtime);
}

#[test]
fn a_process_never_takes_itself_for_dead_whatever_its_row_says_or_if_it_has_none() {
    for row in ["RETURN NULL", "NEW.updated_at := NEW.updated_at - interval '10 minutes'; RETURN NEW"] {
        let mut queue = Queue::create();
        queue
            .client
            .batch_execute(&format!(
                "CREATE FUNCTION claim() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN NEW.locked_at := NEW.locked_at - interval '10 minutes'; RETURN NEW; END $$; \
                 CREATE TRIGGER claim BEFORE UPDATE ON good_jobs FOR EACH ROW \
                 WHEN (OLD.locked_by_id IS NULL AND NEW.locked_by_id IS NOT NULL) EXECUTE FUNCTION claim(); \
                 CREATE FUNCTION beat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {row}; END $$; \
                 CREATE TRIGGER beat BEFORE INSERT OR UPDATE ON good_job_processes FOR EACH ROW EXECUTE FUNCTION beat()"
            ))
            .unwrap();
        let own = queue.job(&[]);
        let runtime = queue.runtime("*");
        runtime.start().unwrap();
        let taken = take(&runtime, 0).unwrap();
        // The round that finds this one would find the own job too.
        let abandoned = job_of(&mut queue, Uuid::new_v4(), "301 seconds");
        let event = wait_for_event(&runtime, |event| matches!(event, Event::Rescued { .. }));
        assert_eq!(event, Event::Rescued { job_ids: vec![abandoned.to_string()] }, "{row}");
        assert!(queue.column(own, "locked_by_id").is_some(), "{row}");
        finish(&runtime, &taken, succeeded());
        stop(&runtime);
        assert_eq!(queue.column(own, "finished_at IS NOT NULL").as_deref(), Some("true"), "{row}");
    }
}

#[test]
fn a_process_whose_row_is_gone_writes_it_anew() {
    let mut queue = Queue::create();
    queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(queue.client.execute("DELETE FROM good_job_processes", &[]).unwrap(), 1);
    queue.wait_for_count(&format!("good_job_processes WHERE id = '{}' AND lock_type = 0", runtime.process_id()), 1);
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
    assert_eq!(queue.count("good_job_processes"), 0);
}

/// Claims several jobs in advance; gives one that is not on record as started.
fn take_prefetched(queue: &mut Queue, runtime: &Arc<good_job_core::Runtime>) -> Taken {
    queue.jobs(400, &[("priority", "-1")]);
    loop {
        let taken = take(runtime, 0).unwrap();
        if !taken.stamped {
            return taken;
        }
        finish(runtime, &taken, succeeded());
    }
}

#[test]
fn a_job_whose_claim_was_rescued_is_on_record_before_it_starts_the_next_time_however_often_it_goes_back() {
    let mut queue = Queue::create();
    let dead = Owner { state: OURS, lock_type: "0", silent: "10 seconds", locked: false };
    let mut holder = queue.database.client();
    let (_, job) = owner_and_job(&mut queue, &mut holder, &dead);
    queue.client.execute("UPDATE good_jobs SET performed_at = NULL, executions_count = 0 WHERE id = $1", &[&job]).unwrap();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    queue.wait_for_count("good_jobs WHERE locked_by_id IS NOT NULL AND lock_type = 1", 0);
    for _ in 0..2 {
        let mut taken = take_prefetched(&mut queue, &runtime);
        while taken.job_id != job {
            assert!(!taken.stamp_first);
            finish(&runtime, &taken, succeeded());
            taken = take(&runtime, 0).unwrap();
        }
        assert_eq!((taken.stamped, taken.stamp_first, taken.interrupted_at, taken.executions_count), (false, true, None, 0));
        finish(&runtime, &taken, Outcome::Unstarted);
        queue.wait_for_count(&format!("good_jobs WHERE id = '{job}' AND lock_type = 1 AND locked_by_id IS NULL"), 1);
    }
    stop(&runtime);
    assert_eq!(queue.count("good_job_executions WHERE error IS NOT NULL"), 0);
}

/// An execution of a job, so many minutes ago.
fn attempt(queue: &mut Queue, job: Uuid, minutes_ago: i32, error: &str) {
    queue
        .client
        .execute(
            "INSERT INTO good_job_executions (active_job_id, created_at, updated_at, error) \
             SELECT $1, now_utc - $2 * interval '1 minute', now_utc, NULLIF($3, '') FROM timezone('UTC', now()) AS now_utc",
            &[&job, &f64::from(minutes_ago), &error],
        )
        .unwrap();
}

const INTERRUPTED: &str = "GoodJob::InterruptedError: Interrupted after starting perform at '2026-11-25 01:00:00'";
const TOLD: &str = "GoodJob::InterruptError: Interrupted after starting perform at '2026-11-25 01:00:00 UTC'";
const DISCARDED: &str = "GoodJob::InterruptionLimitError: Interrupted after starting perform at '2026-11-25 01:00:00' (3 in a row, …)";
const FAILED: &str = "RuntimeError: wet";

/// Histories of a job with max_interruptions = 3, oldest attempt first, and whether one more interruption is one too many.
const HISTORIES: [(&[&str], bool); 8] = [
    (&[], false),
    (&[INTERRUPTED], false),
    (&[INTERRUPTED, INTERRUPTED], true),
    (&[INTERRUPTED, INTERRUPTED, INTERRUPTED, INTERRUPTED], true),
    (&[INTERRUPTED, INTERRUPTED, FAILED, INTERRUPTED], false),
    (&[INTERRUPTED, INTERRUPTED, "", INTERRUPTED], false),
    (&[FAILED, INTERRUPTED, TOLD, INTERRUPTED, TOLD], true),
    (&[INTERRUPTED, INTERRUPTED, DISCARDED], false),
];

fn expect_verdicts(queue: &mut Queue, jobs: &[Uuid]) {
    for (job, (history, discarded)) in jobs.iter().zip(HISTORIES) {
        let state = queue.column(*job, "finished_at IS NOT NULL").unwrap();
        assert_eq!(state, discarded.to_string(), "{history:?}");
        let error = queue.column(*job, "error").unwrap();
        let (class, event) = if discarded { ("GoodJob::InterruptionLimitError", "5") } else { ("GoodJob::InterruptedError", "0") };
        assert!(error.starts_with(&format!("{class}: Interrupted after starting perform at '20")), "{history:?}: {error}");
        assert_eq!(discarded, error.ends_with(" in a row, and max_interruptions is 3)"), "{history:?}: {error}");
        assert_eq!(queue.column(*job, "error_event").as_deref(), Some(event), "{history:?}");
        assert_eq!(queue.column(*job, "locked_by_id"), None);
        let recorded =
            queue.rows("SELECT error FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at DESC LIMIT 1", &[job]);
        assert_eq!(recorded[0].get::<_, &str>(0), error);
    }
}

fn discarded_ids(event: &Event) -> Vec<Uuid> {
    let Event::Discarded { job_ids } = event else { panic!("{event:?}") };
    let mut ids: Vec<Uuid> = job_ids.iter().map(|id| Uuid::parse_str(id).unwrap()).collect();
    ids.sort();
    ids
}

fn condemned(jobs: &[Uuid]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = jobs.iter().zip(HISTORIES).filter(|(_, (_, discarded))| *discarded).map(|(job, _)| *job).collect();
    ids.sort();
    ids
}

#[test]
fn a_job_whose_process_died_too_often_in_a_row_is_discarded() {
    let mut queue = Queue::create();
    let mut holder = queue.database.client();
    let dead = Owner { state: OURS, lock_type: "0", silent: "10 seconds", locked: false };
    let (process, first) = owner_and_job(&mut queue, &mut holder, &dead);
    let mut jobs = vec![first];
    jobs.extend((1..HISTORIES.len()).map(|_| job_of(&mut queue, process, "11 seconds")).collect::<Vec<_>>());
    for (job, (history, _)) in jobs.iter().zip(HISTORIES) {
        let ages = (1..=i32::try_from(history.len()).unwrap()).rev();
        history.iter().zip(ages).for_each(|(error, age)| attempt(&mut queue, *job, age, error));
    }
    let runtime = queue.runtime_with("none", json!({"max_interruptions": 3}));
    runtime.start().unwrap();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Discarded { .. }));
    assert_eq!(discarded_ids(&event), condemned(&jobs));
    expect_verdicts(&mut queue, &jobs);
    stop(&runtime);
}

#[test]
fn a_job_whose_runs_were_cut_short_too_often_in_a_row_in_a_living_process_is_discarded() {
    let mut queue = Queue::create();
    let jobs = queue.jobs(i64::try_from(HISTORIES.len()).unwrap(), &[("error_event", "0")]);
    for (job, (history, _)) in jobs.iter().zip(HISTORIES) {
        let ages = (1..=i32::try_from(history.len()).unwrap()).rev();
        history.iter().zip(ages).for_each(|(error, age)| attempt(&mut queue, *job, age, error));
    }
    let runtime = queue.runtime_with("*", json!({"max_interruptions": 3, "max_threads": HISTORIES.len()}));
    runtime.start().unwrap();
    let taken: Vec<Taken> = jobs.iter().map(|_| take(&runtime, 0).unwrap()).collect();
    taken.iter().for_each(|run| finish(&runtime, run, Outcome::Interrupted));
    let mut discarded = Vec::new();
    while discarded.len() < condemned(&jobs).len() {
        discarded.extend(discarded_ids(&wait_for_event(&runtime, |event| matches!(event, Event::Discarded { .. }))));
    }
    discarded.sort();
    assert_eq!(discarded, condemned(&jobs));
    expect_verdicts(&mut queue, &jobs);
    stop(&runtime);
}

#[test]
fn without_a_limit_no_job_is_discarded_for_its_interruptions() {
    let mut queue = Queue::create();
    let job = queue.job(&[("error_event", "0")]);
    (1..=20).for_each(|age| attempt(&mut queue, job, age, INTERRUPTED));
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    finish(&runtime, &take(&runtime, 0).unwrap(), Outcome::Interrupted);
    stop(&runtime);
    assert_eq!(queue.column(job, "finished_at IS NULL AND error_event = 0").as_deref(), Some("true"));
}

/// How a lease is lost: to another process, by a later claim or one of the same moment; to a later claim of this one.
const LOSSES: [&str; 3] = [
    "locked_by_id = gen_random_uuid(), locked_at = locked_at + interval '30 seconds'",
    "locked_by_id = gen_random_uuid()",
    "locked_at = locked_at + interval '30 seconds'",
];

#[test]
fn a_run_that_lost_its_lease_changes_nothing_however_it_ended() {
    LOSSES.iter().for_each(|loss| expect_no_change(loss));
}

fn expect_no_change(loss: &str) {
    let next = NextAttempt {
        serialized_params: "{}".to_owned(),
        scheduled_at: None,
        queue_name: "later".to_owned(),
        priority: None,
        labels: None,
    };
    let retried = Failure::new("E: m", ErrorEvent::Retried, vec![]);
    let cases = [
        ("finish", succeeded()),
        ("finish", failed("E: m")),
        ("finish", Outcome::Finished { failure: None, preserve: false }),
        ("retry", Outcome::Retried { failure: Some(retried), next: Some(next) }),
        ("retry", Outcome::Retried { failure: None, next: None }),
        ("interrupt", Outcome::Interrupted),
        ("park", Outcome::Parked { until: None }),
    ];
    let mut queue = Queue::create();
    queue.jobs(i64::try_from(cases.len() + 1).unwrap(), &[]);
    let runtime = queue.runtime_with("*", json!({"max_threads": cases.len() + 1, "max_interruptions": 1}));
    runtime.start().unwrap();
    let taken: Vec<Taken> = (0..=cases.len()).map(|_| take(&runtime, 0).unwrap()).collect();
    queue.client.batch_execute(&format!("UPDATE good_jobs SET {loss}")).unwrap();
    let rows = "SELECT good_jobs::text FROM good_jobs ORDER BY id";
    let before: Vec<String> = queue.rows(rows, &[]).iter().map(|row| row.get(0)).collect();
    // Before its end, a run learns that it must not start.
    let reply = runtime.request_stamp(taken[0].number).unwrap();
    assert_eq!(reply.pop(&Wake::default(), Some(Instant::now() + PATIENCE), || ()), Waited::Item(false));
    for (run, (action, outcome)) in taken.iter().zip(&cases) {
        finish(&runtime, run, outcome.clone());
        let event = wait_for_event(&runtime, |event| matches!(event, Event::LostLease { .. }));
        assert_eq!(event, Event::LostLease { job_id: run.job_id.to_string(), action: (*action).to_owned() });
    }
    // A claim that goes back unstarted is no loss, and not told.
    finish(&runtime, &taken[cases.len()], Outcome::Unstarted);
    stop(&runtime);
    let mut untold = 0;
    while let Waited::Item(event) = runtime.next_event(&Wake::default()) {
        untold += i32::from(matches!(event, Event::LostLease { .. } | Event::Discarded { .. }));
    }
    assert_eq!(untold, 0);
    let after: Vec<String> = queue.rows(rows, &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(after, before);
    assert_eq!(queue.count("good_job_executions"), 0);
}

/// The next question, if it comes in time.
fn next_pulse(runtime: &Arc<good_job_core::Runtime>) -> Waited<()> {
    let wake = Arc::new(Wake::default());
    std::thread::spawn({
        let (runtime, wake) = (Arc::clone(runtime), Arc::clone(&wake));
        move || {
            std::thread::sleep(PATIENCE);
            runtime.interrupt_next_pulse(&wake);
        }
    });
    runtime.next_pulse(&wake)
}

#[test]
fn a_caller_whose_threads_do_not_run_is_noticed_and_so_is_that_they_run_again() {
    let mut queue = Queue::create();
    queue.job(&[]);
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    let taken = take(&runtime, 0).unwrap();
    assert_eq!(next_pulse(&runtime), Waited::Item(()));
    let blocked_us = || serde_json::to_value(runtime.snapshot()).unwrap()["blocked_us"].as_u64().unwrap();
    let blocked = "good_job_processes WHERE (state ->> 'ruby_blocked_seconds')::int >= 10";
    queue.wait_for_count(blocked, 1);
    assert!(blocked_us() >= 10_000_000);
    assert_eq!(queue.column(taken.job_id, "locked_by_id").unwrap(), runtime.process_id().to_string());
    runtime.answer_pulse();
    let event = wait_for_event(&runtime, |event| matches!(event, Event::Unblocked { .. }));
    let Event::Unblocked { blocked_us: told_us, runs } = event else { unreachable!() };
    assert!(told_us >= 10_000_000);
    assert_eq!(runs, [format!("TestJob {}", taken.job_id)]);
    assert_eq!(blocked_us(), 0);
    finish(&runtime, &taken, succeeded());
    stop(&runtime);
}

#[test]
fn a_process_that_is_shut_down_before_it_could_claim_anything_leaves_no_row() {
    let mut queue = Queue::create();
    let mut blocker = queue.database.client();
    let mut lock = blocker.transaction().unwrap();
    lock.batch_execute("LOCK TABLE good_jobs IN ACCESS EXCLUSIVE MODE").unwrap();
    let runtime = queue.runtime("*");
    runtime.start().unwrap();
    queue.wait_for_count("good_job_processes", 1);
    stop(&runtime);
    assert_eq!(queue.count("good_job_processes"), 0);
}
