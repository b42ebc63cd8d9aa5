//! The queue's statements as typed functions. The only file that runs SQL.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::batches::{Touch, Touched};
use crate::completion::Completion;
use crate::config::{CleanupConfig, Config};
use crate::frontier::{Lane, Mark, Walk};
use crate::job::{Claim, JobRow, Lease, Moment, Ticket, Token};
use crate::outcome::{Failure, NextAttempt};
use crate::pauses::{PauseBoard, Pauses};
use crate::pool::Demand;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::sql::Statement;
use crate::postgres::values::array_literal;
use crate::queue_selector::QueueSelector;

/// See the module's documentation.
pub(crate) struct Store {
    process_id: Uuid,
    config: Arc<Config>,
    /// The batches of the jobs that were ended.
    touched: Arc<Touched>,
    pauses: Arc<PauseBoard>,
}

/// A batch that was looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looked {
    pub(crate) id: Uuid,
    /// Whether it is to be advanced.
    pub(crate) ripe: bool,
    /// A job of it that has not ended.
    pub(crate) witness: Option<Uuid>,
}

/// What one step of a cleanup did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CleanedJobs {
    pub(crate) jobs: u64,
    pub(crate) executions: u64,
    /// Jobs looked at.
    pub(crate) seen: usize,
    /// Where the next step begins.
    pub(crate) reached: Option<Token>,
}

/// A claim that is given back, and what its row was before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Released {
    pub(crate) lease: Lease,
    pub(crate) performed_at: Option<Moment>,
    pub(crate) executions_count: i32,
    pub(crate) rescued: bool,
}

/// A claim that counts as started from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) lease: Lease,
    pub(crate) started_at: Moment,
    pub(crate) executions_count: i32,
}

/// Jobs whose runs were cut short.
#[derive(Debug, Default)]
pub(crate) struct Interrupted {
    /// They are due again.
    pub(crate) put_back: Vec<Uuid>,
    /// They had been cut short too often.
    pub(crate) discarded: Vec<Uuid>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// The database's.
    pub(crate) clock: Moment,
    /// How many have rows.
    pub(crate) processes: u32,
}

/// What will be due.
#[derive(Debug)]
pub(crate) struct Upcoming {
    /// Of the answer, by the database.
    pub(crate) clock: Moment,
    pub(crate) jobs: Vec<UpcomingJob>,
}

/// The first job of its priority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpcomingJob {
    pub(crate) priority: Option<i32>,
    pub(crate) at: Moment,
    /// Zero when it is due already.
    pub(crate) delay: Duration,
}

impl Store {
    pub(crate) fn new(process_id: Uuid, config: Arc<Config>, touched: Arc<Touched>, pauses: Arc<PauseBoard>) -> Self {
        Self { process_id, config, touched, pauses }
    }

    /// The tables that are missing.
    pub(crate) async fn missing_tables(&self, link: &Link) -> Result<Vec<String>, QueryError> {
        let rows = link.query(Statement::check_schema, &[&self.config.tables.quoted()]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Takes note of the columns that the tables have.
    pub(crate) async fn learn_columns(&self, link: &Link) -> Result<(), QueryError> {
        let rows = link.query(Statement::check_columns, &[&self.config.tables.quoted_jobs()]).await?;
        let present = rows.first().is_none_or(|row| row.get("lock_type"));
        self.config.lock_type_missing.store(!present, Ordering::Relaxed);
        Ok(())
    }

    /// Gives up the jobs' advisory locks.
    pub(crate) async fn unlock(&self, link: &Link, jobs: &[Uuid]) -> Result<(), QueryError> {
        link.query(Statement::unlock_jobs, &[&jobs, &self.config.tables.jobs_lock_prefix()]).await.map(|_| ())
    }

    /// Takes the jobs' advisory locks, unless the session has them. Tells whether it has all of them now.
    pub(crate) async fn relock(&self, link: &Link, jobs: &[Uuid]) -> Result<bool, QueryError> {
        let rows = link.query(Statement::relock_jobs, &[&jobs, &self.config.tables.jobs_lock_prefix()]).await?;
        Ok(rows.iter().all(|row| row.get::<_, i64>("missing") == 0))
    }

    /// Claims jobs for a pool, in the order in which they shall start.
    pub(crate) async fn claim(&self, link: &Link, pool: usize, demand: Demand, walk: &Walk) -> Result<Vec<Claim>, QueryError> {
        let queues = &self.config.pools[pool].queues;
        let limit = sql_int(demand.limit());
        let stamped = sql_int(demand.start);
        let (own, in_turn): ([&(dyn ToSql + Sync); 3], _) = ([&self.process_id, &limit, &stamped], queues.in_turn());
        let (include, exclude) = filters(queues);
        let rows = match (walk, in_turn) {
            (Walk::FromStart, None) => self.query_claim(link, Statement::claim_jobs, &[own[0], own[1], own[2], &include, &exclude]).await?,
            (Walk::FromStart, Some(names)) => {
                self.query_claim(link, Statement::claim_jobs_by_queue, &[own[0], own[1], own[2], &names]).await?
            }
            (Walk::Onward(marks), _) if marks.is_empty() => Vec::new(),
            (Walk::Onward(marks), None) => {
                let MarkColumns { priorities, at, ids, .. } = MarkColumns::from(marks.as_slice());
                let params = [own[0], own[1], own[2], &include, &exclude, &priorities, &at, &ids];
                self.query_claim(link, Statement::claim_jobs_onward, &params).await?
            }
            (Walk::Onward(marks), Some(names)) => {
                let MarkColumns { queues, priorities, at, ids } = MarkColumns::from(marks.as_slice());
                let queues: Vec<&str> = queues.into_iter().map(|place| names[place].as_str()).collect();
                self.query_claim(link, Statement::claim_jobs_by_queue_onward, &[own[0], own[1], own[2], &queues, &priorities, &at, &ids])
                    .await?
            }
        };
        Ok(claims(&rows, pool))
    }

    /// Has the session prepare and plan the statements by which jobs are claimed, without claiming any.
    pub(crate) async fn rehearse_claims(&self, link: &Link) -> Result<(), QueryError> {
        let nothing = Demand { start: 0, prefetch: 0 };
        let anywhere = (Lane { queue: 0, priority: 0 }, Mark { at: Moment(0), id: Uuid::nil() });
        for pool in 0..self.config.pools.len() {
            self.claim(link, pool, nothing, &Walk::FromStart).await?;
            self.claim(link, pool, nothing, &Walk::Onward(vec![anywhere])).await?;
        }
        Ok(())
    }

    /// The same for the statement by which most runs end.
    pub(crate) async fn rehearse_ends(&self, link: &Link) -> Result<(), QueryError> {
        self.finish(link, &[]).await.map(|_| ())
    }

    async fn query_claim(&self, link: &Link, claim: Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        let Some(pauses) = self.pauses.current() else { return link.query(claim, params).await };
        let Pauses { queues, job_classes, labels } = pauses.as_ref();
        let mut params = params.to_vec();
        let paused: [&(dyn ToSql + Sync); 3] = [queues, job_classes, labels];
        params.extend(paused);
        link.query(claim.unpaused(), &params).await
    }

    /// What is paused.
    pub(crate) async fn pauses(&self, link: &Link) -> Result<Pauses, QueryError> {
        let rows = link.query(Statement::read_pauses, &[]).await?;
        let setting: Option<&str> = rows.first().and_then(|row| row.get(0));
        Ok(setting.map(Pauses::parse).unwrap_or_default())
    }

    /// The first job of each priority that is due later than `after`, or than now.
    pub(crate) async fn next_due(&self, link: &Link, after: Option<Moment>) -> Result<Upcoming, QueryError> {
        let rows = link.query(Statement::next_due, &[&after]).await?;
        let clock = rows.first().ok_or(QueryError::Silent)?.get("clock");
        let jobs = rows.iter().filter_map(|row| {
            let at: Option<Moment> = row.get("scheduled_at");
            let delay_us: Option<i64> = row.get("delay_us");
            let delay = Duration::from_micros(u64::try_from(delay_us?).unwrap_or(0));
            Some(UpcomingJob { priority: row.get("priority"), at: at?, delay })
        });
        Ok(Upcoming { clock, jobs: jobs.collect() })
    }

    /// Ends runs; gives the jobs that were written.
    pub(crate) async fn finish(&self, link: &Link, runs: &[(&Completion, Option<&Failure>)]) -> Result<Vec<Uuid>, QueryError> {
        let run = RunColumns::from(runs);
        Ok(self.ended(&link.query(Statement::finish_jobs, &run.params(&self.process_id)).await?))
    }

    /// Puts jobs back for another attempt; gives the jobs that were written.
    pub(crate) async fn retry(
        &self,
        link: &Link,
        runs: &[(&Completion, Option<&Failure>)],
        next: &[Option<&NextAttempt>],
    ) -> Result<Vec<Uuid>, QueryError> {
        let run = RunColumns::from(runs);
        let params: Vec<Option<&str>> = next.iter().map(|next| next.map(|next| next.serialized_params.as_str())).collect();
        let scheduled_at: Vec<Option<Moment>> = next.iter().map(|next| next.and_then(|next| next.scheduled_at).map(Moment)).collect();
        let queues: Vec<Option<&str>> = next.iter().map(|next| next.map(|next| next.queue_name.as_str())).collect();
        let priorities: Vec<Option<i32>> = next.iter().map(|next| next.and_then(|next| next.priority)).collect();
        let labels: Vec<Option<String>> = next.iter().map(|next| next.and_then(|next| next.labels.as_deref()).map(array_literal)).collect();
        let rewritten: Vec<bool> = next.iter().map(Option::is_some).collect();
        let mut all = run.params(&self.process_id);
        let next: [&(dyn ToSql + Sync); 6] = [&params, &scheduled_at, &queues, &priorities, &labels, &rewritten];
        all.extend(next);
        job_ids(link.query(Statement::retry_jobs, &all).await?)
    }

    /// Gives back jobs whose runs were cut short, or discards them; gives the jobs that were written.
    pub(crate) async fn interrupt(&self, link: &Link, runs: &[(&Completion, Option<&Failure>)]) -> Result<Interrupted, QueryError> {
        let run = RunColumns::from(runs);
        let mut params = run.params(&self.process_id);
        params.truncate(8);
        params.push(&self.config.max_interruptions);
        Ok(self.interrupted(link.query(Statement::interrupt_jobs, &params).await?))
    }

    /// Deletes jobs whose rows are not kept; gives the jobs deleted.
    pub(crate) async fn delete(&self, link: &Link, runs: &[(Lease, bool)]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, tokens) = split(runs.iter().map(|(lease, _)| *lease));
        let failed: Vec<bool> = runs.iter().map(|(_, failed)| *failed).collect();
        Ok(self.ended(&link.query(Statement::delete_jobs, &[&self.process_id, &ids, &tokens, &failed]).await?))
    }

    /// The jobs that a statement says it has given back or discarded; takes note of the batches of the latter.
    fn interrupted(&self, rows: Vec<Row>) -> Interrupted {
        let (discarded, put_back): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.get(3));
        Interrupted { put_back: put_back.iter().map(|row| row.get(0)).collect(), discarded: self.ended(&discarded) }
    }

    /// The jobs that a statement says it has ended; takes note of their batches.
    fn ended(&self, rows: &[Row]) -> Vec<Uuid> {
        let jobs = rows.iter().map(|row| {
            let (batch, called_back): (Option<Uuid>, Option<Uuid>) = (row.get(1), row.get(2));
            if let Some(batch) = batch {
                self.touched.touch(batch, Touch { failed: row.get(3) });
            }
            if let Some(batch) = called_back {
                self.touched.touch(batch, Touch::default());
            }
            row.get(0)
        });
        jobs.collect()
    }

    /// Which of these batches are to be advanced.
    pub(crate) async fn look_at_batches(
        &self,
        link: &Link,
        touched: &[(Uuid, Touch)],
        witnesses: &[Option<Uuid>],
    ) -> Result<Vec<Looked>, QueryError> {
        let ids: Vec<Uuid> = touched.iter().map(|(batch, _)| *batch).collect();
        let failed: Vec<bool> = touched.iter().map(|(_, touch)| touch.failed).collect();
        let rows = link.query(Statement::ripe_batches, &[&ids, &witnesses, &failed]).await?;
        Ok(rows.iter().map(|row| Looked { id: row.get("id"), ripe: row.get("ripe"), witness: row.get("waiting") }).collect())
    }

    /// Deletes jobs that ended long ago, of the next `rows` behind `reached`.
    pub(crate) async fn clean_jobs(
        &self,
        link: &Link,
        config: &CleanupConfig,
        rows: usize,
        reached: Option<Token>,
    ) -> Result<CleanedJobs, QueryError> {
        let (none, age, rows) = (None::<Token>, micros(config.age), sql_int(rows));
        let answer = link.query(Statement::clean_jobs, &[&none, &age, &rows, &config.discarded, &reached]).await?;
        let row = answer.first().ok_or(QueryError::Silent)?;
        let count = |name| u64::try_from(row.get::<_, i64>(name)).unwrap_or(0);
        let seen = usize::try_from(count("seen")).unwrap_or(usize::MAX);
        Ok(CleanedJobs { jobs: count("jobs"), executions: count("executions"), seen, reached: row.get("reached") })
    }

    /// Deletes batches that ended long ago, `rows` at most; gives how many.
    pub(crate) async fn clean_batches(&self, link: &Link, config: &CleanupConfig, rows: usize) -> Result<usize, QueryError> {
        let (none, age, rows) = (None::<Token>, micros(config.age), sql_int(rows));
        let deleted = link.query(Statement::clean_batches, &[&none, &age, &rows, &config.discarded]).await?;
        Ok(deleted.len())
    }

    /// Batches behind `after` that somebody ought to have advanced.
    pub(crate) async fn overdue_batches(&self, link: &Link, after: Option<Uuid>, limit: usize) -> Result<Vec<Uuid>, QueryError> {
        job_ids(link.query(Statement::overdue_batches, &[&after, &sql_int(limit)]).await?)
    }

    /// Gives claims back; gives the jobs that were still ours.
    pub(crate) async fn release(&self, link: &Link, claims: &[Released]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, tokens) = split(claims.iter().map(|claim| claim.lease));
        let performed_at: Vec<Option<Moment>> = claims.iter().map(|claim| claim.performed_at).collect();
        let counts: Vec<i32> = claims.iter().map(|claim| claim.executions_count).collect();
        let rescued: Vec<bool> = claims.iter().map(|claim| claim.rescued).collect();
        job_ids(link.query(Statement::release_jobs, &[&self.process_id, &ids, &tokens, &performed_at, &counts, &rescued]).await?)
    }

    /// Gives claims back and keeps them apart; gives the jobs that were still ours.
    pub(crate) async fn park(&self, link: &Link, claims: &[Released], until: &[Option<Moment>]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, tokens) = split(claims.iter().map(|claim| claim.lease));
        let performed_at: Vec<Option<Moment>> = claims.iter().map(|claim| claim.performed_at).collect();
        let counts: Vec<i32> = claims.iter().map(|claim| claim.executions_count).collect();
        let rescued: Vec<bool> = claims.iter().map(|claim| claim.rescued).collect();
        let params: [&(dyn ToSql + Sync); 7] = [&self.process_id, &ids, &tokens, &performed_at, &counts, &rescued, &until];
        job_ids(link.query(Statement::park_jobs, &params).await?)
    }

    /// Marks claims as started; gives the jobs that were still ours.
    pub(crate) async fn stamp(&self, link: &Link, claims: &[Started]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, tokens) = split(claims.iter().map(|claim| claim.lease));
        let started_at: Vec<Moment> = claims.iter().map(|claim| claim.started_at).collect();
        let counts: Vec<i32> = claims.iter().map(|claim| claim.executions_count).collect();
        job_ids(link.query(Statement::stamp_jobs, &[&self.process_id, &ids, &tokens, &started_at, &counts]).await?)
    }

    /// Which of these runs are stored, by the ids of their execution rows.
    pub(crate) async fn stored_executions(&self, link: &Link, runs: &[Completion]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, jobs): (Vec<Uuid>, Vec<Uuid>) = runs.iter().map(|run| (run.execution_id, run.ticket.lease.job_id)).unzip();
        let rows = link.query(Statement::stored_executions, &[&ids, &jobs]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Writes or refreshes the process's row and takes its advisory lock on that connection.
    pub(crate) async fn beat(&self, link: &Link, state: &str) -> Result<Beat, QueryError> {
        let lock_text = format!("{}{}", self.lock_prefix(), self.process_id);
        let rows = link.query(Statement::register_process, &[&self.process_id, &state, &lock_text]).await?;
        let row = rows.first().ok_or(QueryError::Silent)?;
        let processes: i64 = row.get("processes");
        Ok(Beat { clock: row.get("clock"), processes: u32::try_from(processes).unwrap_or(u32::MAX) })
    }

    /// Removes the process's row.
    pub(crate) async fn deregister(&self, link: &Link) -> Result<(), QueryError> {
        link.query(Statement::deregister_process, &[&self.process_id]).await.map(|_| ())
    }

    /// Puts the jobs of dead processes back, or discards them; gives those jobs.
    pub(crate) async fn rescue(&self, link: &Link, grace: Duration, silence: Duration) -> Result<Interrupted, QueryError> {
        let jobs_prefix = self.config.tables.jobs_lock_prefix();
        let (grace, silence, limit) = (micros(grace), micros(silence), self.config.max_interruptions);
        let params: [&(dyn ToSql + Sync); 6] = [&self.process_id, &grace, &silence, &self.lock_prefix(), &jobs_prefix, &limit];
        Ok(self.interrupted(link.query(Statement::rescue_jobs, &params).await?))
    }

    /// Gives back claims of this process that are older than `age`, or than the session that claims, and not among `known`; gives those
    /// jobs.
    pub(crate) async fn recover(&self, link: &Link, age: Duration, session: Moment, known: &[Lease]) -> Result<Vec<Uuid>, QueryError> {
        let (ids, tokens) = split(known.iter().copied());
        job_ids(link.query(Statement::recover_claims, &[&self.process_id, &micros(age), &ids, &tokens, &session]).await?)
    }

    /// The text that, with a process's id behind it, hashes to the key of the process's advisory lock (GoodJob's own rule).
    fn lock_prefix(&self) -> String {
        format!("{}-", self.config.tables.processes)
    }
}

/// Runs as columns: the parameters that finish_jobs.sql and retry_jobs.sql have in common.
struct RunColumns<'a> {
    ids: Vec<Uuid>,
    tokens: Vec<Token>,
    execution_ids: Vec<Uuid>,
    started_at: Vec<Moment>,
    ended_at: Vec<Moment>,
    durations_us: Vec<i64>,
    executions_counts: Vec<i32>,
    errors: Vec<Option<&'a str>>,
    error_events: Vec<Option<i16>>,
    backtraces: Vec<Option<String>>,
}

impl<'a> From<&[(&'a Completion, Option<&'a Failure>)]> for RunColumns<'a> {
    fn from(runs: &[(&'a Completion, Option<&'a Failure>)]) -> Self {
        let (ids, tokens) = split(runs.iter().map(|(run, _)| run.ticket.lease));
        Self {
            ids,
            tokens,
            execution_ids: runs.iter().map(|(run, _)| run.execution_id).collect(),
            started_at: runs.iter().map(|(run, _)| run.started_at).collect(),
            ended_at: runs.iter().map(|(run, _)| run.ended_at()).collect(),
            durations_us: runs.iter().map(|(run, _)| micros(run.duration)).collect(),
            executions_counts: runs.iter().map(|(run, _)| run.ticket.executions_count_started()).collect(),
            errors: runs.iter().map(|(_, failure)| failure.map(|failure| failure.error.as_str())).collect(),
            error_events: runs.iter().map(|(_, failure)| failure.map(|failure| failure.event as i16)).collect(),
            backtraces: runs.iter().map(|(_, failure)| failure.map(|failure| array_literal(&failure.backtrace))).collect(),
        }
    }
}

impl<'a> RunColumns<'a> {
    fn params<'b>(&'b self, process_id: &'b Uuid) -> Vec<&'b (dyn ToSql + Sync)>
    where
        'a: 'b,
    {
        vec![
            process_id,
            &self.ids,
            &self.tokens,
            &self.execution_ids,
            &self.started_at,
            &self.ended_at,
            &self.durations_us,
            &self.executions_counts,
            &self.errors,
            &self.error_events,
            &self.backtraces,
        ]
    }
}

/// Marks as columns.
struct MarkColumns {
    queues: Vec<usize>,
    priorities: Vec<i32>,
    at: Vec<Moment>,
    ids: Vec<Uuid>,
}

impl From<&[(Lane, Mark)]> for MarkColumns {
    fn from(marks: &[(Lane, Mark)]) -> Self {
        Self {
            queues: marks.iter().map(|(lane, _)| lane.queue).collect(),
            priorities: marks.iter().map(|(lane, _)| lane.priority).collect(),
            at: marks.iter().map(|(_, mark)| mark.at).collect(),
            ids: marks.iter().map(|(_, mark)| mark.id).collect(),
        }
    }
}

/// Which queues, and which not; of a pool that takes from several at once.
fn filters(queues: &QueueSelector) -> (Option<&[String]>, Option<&[String]>) {
    match queues {
        QueueSelector::Include(names) | QueueSelector::Ordered(names) => (Some(names), None),
        QueueSelector::Exclude(names) => (None, Some(names)),
        QueueSelector::All => (None, None),
    }
}

fn claims(rows: &[Row], pool: usize) -> Vec<Claim> {
    let received = Instant::now();
    let mut claims: Vec<(i64, Claim)> = rows.iter().map(|row| (row.get("position"), claim(row, pool, received))).collect();
    // RETURNING promises no order.
    claims.sort_unstable_by_key(|(position, _)| *position);
    claims.into_iter().map(|(_, claim)| claim).collect()
}

fn claim(row: &Row, pool: usize, received: Instant) -> Claim {
    Claim {
        ticket: Ticket {
            lease: Lease { job_id: row.get("id"), token: row.get("locked_at") },
            pool,
            stamped: row.get("stamped"),
            executions_count: row.get("executions_count"),
            interrupted_at: row.get("interrupted_at"),
            rescued: row.get("rescued"),
            claimed_at: row.get("claimed_at"),
            received,
        },
        job: JobRow {
            serialized_params: row.get("serialized_params"),
            queue_name: row.get("queue_name"),
            priority: row.get("priority"),
            job_class: row.get("job_class"),
            concurrency_key: row.get("concurrency_key"),
            labels: labels(row),
            scheduled_at: row.get("scheduled_at"),
            created_at: row.get("created_at"),
        },
    }
}

/// A text[] column takes arrays of any number of dimensions. One that is no list has no labels: it must not stop the claim of others.
fn labels(row: &Row) -> Option<Vec<String>> {
    let list: Option<Vec<Option<String>>> = row.try_get("labels").ok()?;
    list.map(|labels| labels.into_iter().flatten().collect())
}

fn split(leases: impl Iterator<Item = Lease>) -> (Vec<Uuid>, Vec<Token>) {
    leases.map(|lease| (lease.job_id, lease.token)).unzip()
}

fn job_ids(rows: Vec<Row>) -> Result<Vec<Uuid>, QueryError> {
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn sql_int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
