//! Which indexes the statements walk, with the planner settings of the runtime's sessions and statistics that mislead: taken while
//! no job was claimed, of a table in which thousands have been since.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use good_job_core::postgres::sql::{self, Tables};
use support::queue::Queue;

fn tables() -> Tables {
    serde_json::from_value(serde_json::json!({
        "jobs": "good_jobs", "executions": "good_job_executions", "processes": "good_job_processes",
        "batches": "good_job_batches", "settings": "good_job_settings"
    }))
    .unwrap()
}

/// The plan of a statement by its file's name; every parameter is NULL, which a generic plan does not see.
fn plan(queue: &mut Queue, name: &str) -> String {
    let text = tables().fill(&sql::template(name).unwrap());
    let body: String = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let parameters = (1..).take_while(|number| body.contains(&format!("${number}::"))).count();
    let arguments = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    queue.client.batch_execute(&format!("PREPARE {name} AS {body}")).unwrap();
    let rows = queue.client.simple_query(&format!("EXPLAIN (COSTS OFF) EXECUTE {name}{arguments}")).unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn misled() -> Queue {
    let mut queue = Queue::create();
    queue.jobs(5_000, &[]);
    queue.client.batch_execute("VACUUM ANALYZE good_jobs").unwrap();
    queue.client.batch_execute("VACUUM ANALYZE good_job_executions").unwrap();
    queue.client.batch_execute(sql::SESSION_SETTINGS).unwrap();
    queue
}

#[test]
fn whatever_checks_a_lease_finds_the_job_by_its_primary_key() {
    let mut queue = misled();
    for name in ["finish_jobs", "retry_jobs", "interrupt_jobs", "release_jobs", "stamp_jobs", "delete_jobs"] {
        let plan = plan(&mut queue, name);
        assert!(plan.contains("good_jobs_pkey"), "{name}:\n{plan}");
        assert!(!plan.contains("index_good_jobs_on_locked_by_id"), "{name}:\n{plan}");
        assert!(!plan.contains("Seq Scan on good_jobs"), "{name}:\n{plan}");
    }
}

#[test]
fn claims_walk_the_index_of_their_kind_in_its_order() {
    let mut queue = misled();
    for (name, index) in [
        ("claim_jobs", "index_good_jobs_for_claim "),
        ("claim_jobs_by_queue", "index_good_jobs_for_claim_by_queue "),
        ("claim_jobs_onward", "index_good_jobs_for_claim "),
        ("claim_jobs_by_queue_onward", "index_good_jobs_for_claim_by_queue "),
        ("next_due", "index_good_jobs_for_claim "),
    ] {
        let plan = plan(&mut queue, name);
        assert!(plan.contains(&format!("using {index}")), "{name}:\n{plan}");
        assert!(!plan.contains("Sort"), "{name}:\n{plan}");
        assert!(!plan.contains("Seq Scan on good_jobs"), "{name}:\n{plan}");
    }
}
