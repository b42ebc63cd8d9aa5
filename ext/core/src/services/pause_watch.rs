//! Keeps up with what is paused.

use std::sync::Arc;
use std::time::Duration;

use crate::pauses::PauseBoard;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::Store;

/// How often to read without being told: GoodJob's own dashboard tells nobody.
const INTERVAL: Duration = Duration::from_secs(3);

/// See the module's documentation.
pub(crate) struct PauseWatch {
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) board: Arc<PauseBoard>,
}

impl PauseWatch {
    /// Reads until the runtime drains.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        let keep_reading = async {
            loop {
                tokio::select! {
                    () = self.board.changed() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                }
                // A failure is told by whoever else uses the connection; what was paused stays so meanwhile.
                let _ = self.run_once().await;
            }
        };
        tokio::select! {
            () = keep_reading => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
    }

    /// One look at the setting. What is no longer paused lies where the pools have looked before.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        if self.board.put_up(self.store.pauses(&self.link).await?) {
            self.pools.iter().for_each(|pool| pool.wake());
        }
        Ok(())
    }
}
