//! The queue's statements, one file each under `ext/core/sql`, and the names of the tables that are filled into them.

use serde::Deserialize;

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
        self.by_placeholder().iter().fold(template.to_owned(), |sql, (placeholder, table)| sql.replace(placeholder, &quote(table)))
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

macro_rules! statements {
    ($($name:ident $(+ $end:ident)?),* $(,)?) => {
        /// Every statement that the runtime runs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "a statement is called what its file is called")]
        pub(crate) enum Statement { $($name),* }

        impl Statement {
            /// The text, with placeholders for the tables.
            pub(crate) fn template(self) -> &'static str {
                match self { $(Self::$name => concat!(file!($name) $(, file!($end))?)),* }
            }
        }

        const RUNTIME_STATEMENTS: &[(&str, Statement)] = &[$((stringify!($name), Statement::$name)),*];
    };
}

statements!(
    check_schema,
    claim_jobs + lease_candidates,
    claim_jobs_by_queue + lease_candidates,
    claim_jobs_by_queue_onward + lease_candidates,
    claim_jobs_onward + lease_candidates,
    delete_jobs,
    deregister_process,
    finish_jobs,
    interrupt_jobs,
    next_due,
    recover_claims,
    register_process,
    release_jobs,
    rescue_jobs,
    retry_jobs,
    stamp_jobs,
    stored_executions,
);

/// Statements that only Ruby runs, on the application's connection.
const APPLICATION_STATEMENTS: &[(&str, &str)] = &[
    ("claim_inline", include_str!("../../sql/claim_inline.sql")),
    ("finish_inline", include_str!("../../sql/finish_inline.sql")),
    ("hold_job", include_str!("../../sql/hold_job.sql")),
    ("insert_job", include_str!("../../sql/insert_job.sql")),
    ("insert_jobs", include_str!("../../sql/insert_jobs.sql")),
    ("let_go_of_job", include_str!("../../sql/let_go_of_job.sql")),
];

/// A statement's text by its file's name, with placeholders for the tables; `None` if there is no such file.
pub fn template(name: &str) -> Option<&'static str> {
    let runtime = RUNTIME_STATEMENTS.iter().find(|(known, _)| *known == name).map(|(_, statement)| statement.template());
    runtime.or_else(|| APPLICATION_STATEMENTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let filled = tables().fill(statement.template());
            let body: String = filled.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(!body.contains('{'), "{name}");
        }
    }

    #[test]
    fn every_file_is_reachable_by_its_name() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql")).unwrap();
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_part = name == "lease_candidates";
            assert!(is_part || template(name).is_some(), "sql/{name}.sql is not listed in postgres/sql.rs");
        }
    }
}
