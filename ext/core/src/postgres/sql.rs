//! The queue's statements, one file each under `ext/core/sql`, and the names of the tables that are filled into them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;

use crate::lock_strategy::LockStrategy;

/// What the runtime's sessions need beside the user's own settings, and in place of some. A timeout that a role or a database has for
/// everybody must not end them; older servers do not know all of those. Every statement of the queue walks an index in its order and
/// joins a handful of rows by primary key. A generic plan for that is right at any size of the table; it is also cheaper than
/// planning each time, and must be protected from estimates that a queue's ever-changing table makes meaningless.
pub const SESSION_SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; \
                       SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                       SET statement_timeout = '10s'; SET lock_timeout = '1s'; \
                       SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN \
                       ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'); \
                       SET client_encoding = 'UTF8'; SET default_transaction_isolation = 'read committed'";

/// Lets a session take the place of the one before it: ends that one, should the server still have it, and takes an advisory lock of its
/// own, by which its successor will know it. A session whose client has given it up may still hold locks, and do what the network
/// delivers late. The lock and not the process id tells who it is: behind a pooler, that process may serve somebody else by now.
pub(crate) fn succession(predecessor: Option<i64>, own: i64) -> String {
    let end = predecessor.map(|key| {
        format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_locks \
             WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::int8 << 32 | objid::int8) = {key} AND pid <> pg_catalog.pg_backend_pid() \
             AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()); "
        )
    });
    format!("{}SELECT pg_catalog.pg_advisory_lock({own})", end.unwrap_or_default())
}

/// The names of the queue's tables, as Active Record knows them: a dot separates schema and table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// `good_jobs`.
    pub jobs: String,
    /// `good_job_executions`.
    pub executions: String,
    /// `good_job_processes`.
    pub processes: String,
    /// `good_job_batches`.
    pub batches: String,
    /// `good_job_settings`.
    pub settings: String,
}

impl Tables {
    /// The statement's text with the tables' names filled in as quoted identifiers.
    pub fn fill(&self, template: &str) -> String {
        let text = template.replace("{jobs lock}", &format!("'{}'", self.jobs_lock_prefix().replace('\'', "''")));
        self.by_placeholder().iter().fold(text, |sql, (placeholder, table)| sql.replace(placeholder, &quote(table)))
    }

    /// The text that, with a job's id behind it, hashes to the key of the job's advisory lock (GoodJob's own rule).
    pub fn jobs_lock_prefix(&self) -> String {
        format!("{}-", self.jobs)
    }

    /// The jobs' table, quoted.
    pub fn quoted_jobs(&self) -> String {
        quote(&self.jobs)
    }

    /// Every table, quoted, for the check that they exist.
    pub fn quoted(&self) -> Vec<String> {
        self.by_placeholder().iter().map(|(_, table)| quote(table)).collect()
    }

    fn by_placeholder(&self) -> [(&'static str, &str); 5] {
        [
            ("{jobs}", &self.jobs),
            ("{executions}", &self.executions),
            ("{processes}", &self.processes),
            ("{batches}", &self.batches),
            ("{settings}", &self.settings),
        ]
    }
}

/// A table's name as a quoted identifier, schema and table each on its own.
fn quote(table: &str) -> String {
    let parts: Vec<String> = table.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

macro_rules! file {
    ($name:ident) => {
        include_str!(concat!("../../sql/", stringify!($name), ".sql"))
    };
}

/// Stands for a part that several statements share.
const INTERRUPTIONS_BEFORE: &str = "{interruptions before}";

/// A file's text, with what it shares with others in its place.
fn whole(text: &'static str) -> Cow<'static, str> {
    if !text.contains(INTERRUPTIONS_BEFORE) {
        return Cow::Borrowed(text);
    }
    let part: String = file!(interruptions_before).split_inclusive('\n').filter(|line| !line.starts_with("--")).collect();
    Cow::Owned(text.replace(INTERRUPTIONS_BEFORE, part.trim_end()))
}

macro_rules! statements {
    ($($name:ident $(+ $end:ident)?),* $(,)?; $($unpaused:ident but paused jobs of $base:ident),* $(,)?) => {
        /// Every statement that the runtime runs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "a statement is called what its file is called")]
        pub(crate) enum Statement { $($name,)* $($unpaused),* }

        impl Statement {
            /// The text, with placeholders for the tables.
            pub(crate) fn template(self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => whole(concat!(file!($name) $(, file!($end))?)),)*
                    $(Self::$unpaused => Self::$base.template()),*
                }
            }

            /// What is sent to the server, but for the names of the tables.
            pub(crate) fn text(self, form: Form) -> Cow<'static, str> {
                let text = match self {
                    $(Self::$unpaused => Cow::Owned(leave_out_paused(&Self::$base.template())),)*
                    other => other.template(),
                };
                form.apply(text)
            }

            /// The claim statement that leaves paused jobs where they are, in place of this one.
            pub(crate) fn unpaused(self) -> Self {
                match self { $(Self::$base => Self::$unpaused,)* other => other }
            }
        }

        const RUNTIME_STATEMENTS: &[(&str, Statement)] = &[$((stringify!($name), Statement::$name)),*];
    };
}

statements!(
    check_columns,
    check_schema,
    claim_jobs + lease_candidates,
    claim_jobs_by_queue + lease_candidates,
    claim_jobs_by_queue_onward + lease_candidates,
    claim_jobs_onward + lease_candidates,
    clean_batches,
    clean_jobs,
    delete_jobs,
    deregister_process,
    finish_jobs,
    interrupt_jobs,
    next_due,
    overdue_batches,
    park_jobs,
    read_pauses,
    recover_claims,
    register_process,
    release_jobs,
    relock_jobs,
    rescue_jobs,
    retry_jobs,
    ripe_batches,
    stamp_jobs,
    stored_executions,
    unlock_jobs;
    claim_jobs_unpaused but paused jobs of claim_jobs,
    claim_jobs_by_queue_unpaused but paused jobs of claim_jobs_by_queue,
    claim_jobs_by_queue_onward_unpaused but paused jobs of claim_jobs_by_queue_onward,
    claim_jobs_onward_unpaused but paused jobs of claim_jobs_onward,
);

/// What the statements are made for, where that is not what they say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) lock_strategy: LockStrategy,
    /// Whether the jobs' table has this column.
    pub(crate) lock_type: bool,
}

/// Where the search for what is due begins and ends, and what says how the lease is held. Between the two each job is looked at once, and
/// no further ones than are taken: one whose lock somebody else has is in nobody's way. In the condition of the update that follows, the
/// lock would be taken as often as the plan looks at a candidate.
const DUE: &str = "due AS (\n";
const DUE_END: &str = "  LIMIT $2::int4\n),\ncandidates AS";
const LOCK_TYPE: &str = "    lock_type        = 1,\n";
/// How the candidates' searches end what they read of a row.
const LOCK_TYPE_READ: &str = ", lock_type\n";

impl Form {
    /// Only what differs is made anew.
    fn apply(self, text: Cow<'static, str>) -> Cow<'static, str> {
        let text = if self.lock_strategy.locks_jobs() && text.contains(DUE_END) {
            let lock = "pg_try_advisory_lock(('x' || substr(md5({jobs lock} || found.id::text), 1, 16))::bit(64)::int8)";
            let locked = text
                .replace(DUE, &format!("{DUE}  SELECT * FROM (\n"))
                .replace(DUE_END, &format!("  ) AS found\n  WHERE {lock}\n{DUE_END}"));
            Cow::Owned(locked.replace(LOCK_TYPE, &format!("    lock_type = {},\n", self.lock_strategy.lock_type())))
        } else {
            text
        };
        if self.lock_type || !text.contains("lock_type") {
            return text;
        }
        let text: String = text.split_inclusive('\n').filter(|line| !is_lock_type_set(line)).collect();
        Cow::Owned(text.replace(LOCK_TYPE_READ, ", NULL::int2 AS lock_type\n"))
    }
}

/// Every statement sets it on a line of its own, and the first table with that column is the jobs'.
fn is_lock_type_set(line: &str) -> bool {
    line.trim_start().strip_prefix("lock_type").is_some_and(|rest| rest.trim_start().starts_with("= ") && rest.trim_end().ends_with(','))
}

/// What every search for candidates ends with.
const CANDIDATES_END: &str = "FOR NO KEY UPDATE SKIP LOCKED";

/// A claim statement with one more condition on its candidates, whose parameters follow those it has: queues, job classes and labels that
/// are paused. Made from the statement, and not a file beside it: while nothing is paused, nothing of this is planned or evaluated, and
/// there is one text to keep right.
fn leave_out_paused(template: &str) -> String {
    let first = 1 + parameters(template).last().copied().unwrap_or_default();
    let condition = format!(
        "AND (queue_name IS NULL OR queue_name <> ALL (${first}::text[])) \
         AND (job_class IS NULL OR job_class <> ALL (${}::text[])) \
         AND (labels IS NULL OR NOT labels && ${}::text[])\n    ",
        first + 1,
        first + 2
    );
    let mut searches: Vec<String> = template.split(CANDIDATES_END).map(str::to_owned).collect();
    let rest = searches.pop().unwrap_or_default();
    for search in &mut searches {
        if let Some(end) = search.rfind("ORDER BY") {
            search.insert_str(end, &condition);
        }
    }
    searches.push(rest);
    searches.join(CANDIDATES_END)
}

/// The numbers of a statement's parameters.
fn parameters(template: &str) -> BTreeSet<u32> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    template.split('$').skip(1).filter_map(digits).collect()
}

/// Statements that only Ruby runs, on the application's connection.
const APPLICATION_STATEMENTS: &[(&str, &str)] = &[
    ("announce_batch", include_str!("../../sql/announce_batch.sql")),
    ("announce_job", include_str!("../../sql/announce_job.sql")),
    ("announce_pauses", include_str!("../../sql/announce_pauses.sql")),
    ("claim_inline", include_str!("../../sql/claim_inline.sql")),
    ("claim_job", include_str!("../../sql/claim_job.sql")),
    ("fetch_parked", include_str!("../../sql/fetch_parked.sql")),
    ("fetch_parked_by_key", include_str!("../../sql/fetch_parked_by_key.sql")),
    ("finish_inline", include_str!("../../sql/finish_inline.sql")),
    ("give_slot_back", include_str!("../../sql/give_slot_back.sql")),
    ("grant_start", include_str!("../../sql/grant_start.sql")),
    ("hold_job", include_str!("../../sql/hold_job.sql")),
    ("hold_until_commit", include_str!("../../sql/hold_until_commit.sql")),
    ("insert_job", include_str!("../../sql/insert_job.sql")),
    ("insert_jobs", include_str!("../../sql/insert_jobs.sql")),
    ("let_go_of_job", include_str!("../../sql/let_go_of_job.sql")),
    ("park_waiting", include_str!("../../sql/park_waiting.sql")),
    ("take_slot", include_str!("../../sql/take_slot.sql")),
    ("take_slots_over", include_str!("../../sql/take_slots_over.sql")),
    ("unpark_jobs", include_str!("../../sql/unpark_jobs.sql")),
    ("unpark_jobs_by_key", include_str!("../../sql/unpark_jobs_by_key.sql")),
];

/// A statement's text by its file's name, with placeholders for the tables; `None` if there is no such file.
pub fn template(name: &str) -> Option<Cow<'static, str>> {
    let runtime = RUNTIME_STATEMENTS.iter().find(|(known, _)| *known == name).map(|(_, statement)| statement.template());
    runtime.or_else(|| APPLICATION_STATEMENTS.iter().find(|(known, _)| *known == name).map(|(_, text)| whole(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Form = Form { lock_strategy: LockStrategy::Skiplocked, lock_type: true };

    fn tables() -> Tables {
        let name = |table: &str| format!("weird \"schema\".{table}");
        Tables {
            jobs: name("jobs"),
            executions: name("executions"),
            processes: name("processes"),
            batches: name("batches"),
            settings: name("settings"),
        }
    }

    #[test]
    fn quotes_schema_and_table_each_on_its_own() {
        assert_eq!(tables().fill("SELECT FROM {jobs}"), "SELECT FROM \"weird \"\"schema\"\"\".\"jobs\"");
    }

    #[test]
    fn no_statement_is_left_with_a_placeholder() {
        for (name, statement) in RUNTIME_STATEMENTS {
            let filled = tables().fill(&statement.template());
            let body: String = filled.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(!body.contains('{'), "{name}");
        }
    }

    #[test]
    fn every_search_for_candidates_can_leave_out_what_is_paused() {
        for (name, statement) in RUNTIME_STATEMENTS.iter().filter(|(name, _)| name.starts_with("claim_jobs")) {
            let (plain, unpaused) = (statement.template(), statement.unpaused().text(PLAIN));
            let searches = plain.matches(CANDIDATES_END).count();
            assert!(searches > 0, "{name}");
            assert_eq!(unpaused.matches("labels &&").count(), searches, "{name}");
            assert_eq!(parameters(&unpaused).len(), parameters(&plain).len() + 3, "{name}");
        }
    }

    #[test]
    fn only_claims_take_the_jobs_locks_and_say_so() {
        let hybrid = Form { lock_strategy: LockStrategy::Hybrid, ..PLAIN };
        for (name, statement) in RUNTIME_STATEMENTS {
            let (plain, text) = (statement.text(PLAIN), statement.text(hybrid));
            assert_eq!(plain, statement.template());
            assert_eq!(text.contains("pg_try_advisory_lock(('x' || substr(md5({jobs lock}"), name.starts_with("claim_jobs"), "{name}");
            assert_eq!(text.contains("lock_type = 2,"), name.starts_with("claim_jobs"), "{name}");
        }
    }

    #[test]
    fn without_the_column_no_statement_names_it() {
        let old = Form { lock_strategy: LockStrategy::Advisory, lock_type: false };
        for (name, statement) in RUNTIME_STATEMENTS.iter().filter(|(name, _)| !matches!(*name, "register_process" | "check_columns")) {
            let text = statement.text(old);
            let body: Vec<&str> = text.lines().filter(|line| !line.starts_with("--") && line.contains("lock_type")).collect();
            // Claims hand on what stands for it; the other statement names that of a process.
            let handed_on =
                |line: &str| [".lock_type", "NULL::int2 AS lock_type", "lock_type, row_number()"].iter().any(|form| line.contains(form));
            if name.starts_with("claim_jobs") {
                assert!(body.iter().all(|line| handed_on(line)), "{name}: {body:?}");
                assert!(body.iter().any(|line| line.contains("NULL::int2 AS lock_type")), "{name}: {body:?}");
            } else {
                assert_eq!(body.len(), if *name == "rescue_jobs" { 3 } else { 0 }, "{name}: {body:?}");
            }
        }
    }

    #[test]
    fn every_file_is_reachable_by_its_name() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql")).unwrap();
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_part = ["lease_candidates", "interruptions_before"].contains(&name);
            assert!(is_part || template(name).is_some(), "sql/{name}.sql is not listed in postgres/sql.rs");
        }
    }
}
