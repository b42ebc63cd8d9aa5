//! Deletes jobs and batches that ended long ago: now and then, in steps so small that nothing waits for them.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::CleanupConfig;
use crate::event::{Event, Events};
use crate::job::Token;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{CleanedJobs, Store};

/// How often to see whether it is time.
const TICK: Duration = Duration::from_secs(3);
/// What a step may take: whoever else uses the connection waits for so long. The next step is made larger or smaller accordingly.
const STEP_TIME: Duration = Duration::from_millis(20);
/// Rows of a step: of the first, of the smallest, of the largest.
const STEP_ROWS: (usize, usize, usize) = (100, 20, 1_000);
/// Pause after a step, in times of what it took.
const STEP_REST: u32 = 4;
/// Shortest pause.
const STEP_REST_MIN: Duration = Duration::from_millis(5);
/// Longest time for one cleaning; what is left then waits for the next tick.
const CLEANING_TIME: Duration = Duration::from_secs(30);

/// See the module's documentation.
pub(crate) struct Cleaner {
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) events: Arc<Events>,
    pub(crate) config: CleanupConfig,
}

/// What one cleaning deleted.
#[derive(Debug, Default)]
struct Cleaned {
    jobs: u64,
    executions: u64,
    batches: u64,
}

/// Whether there is more to do.
enum Progress {
    Done,
    OutOfTime,
}

impl Cleaner {
    /// Cleans until the runtime drains.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        tokio::select! {
            () = self.keep_cleaning() => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
    }

    async fn keep_cleaning(&self) {
        let (mut runs, mut cleaned_at) = (self.runs(), Instant::now());
        loop {
            tokio::time::sleep(TICK).await;
            let now = self.runs();
            if !self.config.is_due(now.saturating_sub(runs), cleaned_at.elapsed()) {
                continue;
            }
            // A failure is told by whoever else uses the connection; so is what takes longer than the session allows.
            match self.run_once().await {
                Ok(Progress::OutOfTime) => {}
                Ok(Progress::Done) | Err(_) => (runs, cleaned_at) = (now, Instant::now()),
            }
        }
    }

    /// Runs that ended in this process.
    fn runs(&self) -> u64 {
        self.pools.iter().map(|pool| pool.counters.succeeded.load(Ordering::Relaxed) + pool.counters.errored.load(Ordering::Relaxed)).sum()
    }

    /// One cleaning.
    async fn run_once(&self) -> Result<Progress, QueryError> {
        let deadline = Instant::now() + CLEANING_TIME;
        let mut cleaned = Cleaned::default();
        let result = self.clean(&mut cleaned, deadline).await;
        let Cleaned { jobs, executions, batches } = cleaned;
        if jobs + executions + batches > 0 {
            self.events.tell(Event::Cleaned { jobs, executions, batches });
        }
        result
    }

    /// What is deleted is out of the way; what stays must be passed, also if a whole step ended at one time.
    fn next_start(&self, start: Option<Token>, step: &CleanedJobs) -> Option<Token> {
        if self.config.discarded {
            return None;
        }
        if step.jobs == 0 && step.reached == start {
            return start.map(|Token(us)| Token(us + 1));
        }
        step.reached
    }

    async fn clean(&self, cleaned: &mut Cleaned, deadline: Instant) -> Result<Progress, QueryError> {
        let (mut rows, mut reached) = (STEP_ROWS.0, None);
        loop {
            let begun = Instant::now();
            let step = self.store.clean_jobs(&self.link, &self.config, rows, reached).await?;
            cleaned.jobs += step.jobs;
            cleaned.executions += step.executions;
            if step.seen < rows {
                break;
            }
            reached = self.next_start(reached, &step);
            rows = next_rows(rows, begun.elapsed());
            rest(begun.elapsed()).await;
            if Instant::now() > deadline {
                return Ok(Progress::OutOfTime);
            }
        }
        loop {
            let begun = Instant::now();
            let batches = self.store.clean_batches(&self.link, &self.config, STEP_ROWS.0).await?;
            cleaned.batches += batches as u64;
            if batches < STEP_ROWS.0 {
                return Ok(Progress::Done);
            }
            rest(begun.elapsed()).await;
            if Instant::now() > deadline {
                return Ok(Progress::OutOfTime);
            }
        }
    }
}

fn next_rows(rows: usize, took: Duration) -> usize {
    let (_, least, most) = STEP_ROWS;
    if took > STEP_TIME {
        (rows / 2).max(least)
    } else if took < STEP_TIME / 3 {
        (rows * 2).min(most)
    } else {
        rows
    }
}

async fn rest(took: Duration) {
    tokio::time::sleep((took * STEP_REST).max(STEP_REST_MIN)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_while_they_are_short_and_shrink_when_they_are_long() {
        assert_eq!(next_rows(100, Duration::from_millis(1)), 200);
        assert_eq!(next_rows(800, Duration::from_millis(1)), 1_000);
        assert_eq!(next_rows(100, Duration::from_millis(10)), 100);
        assert_eq!(next_rows(100, Duration::from_millis(50)), 50);
        assert_eq!(next_rows(20, Duration::from_secs(1)), 20);
    }
}
