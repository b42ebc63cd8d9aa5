//! Where a runtime is in its life. Only ever forward.

use serde::Serialize;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Made, not started.
    New,
    /// Not connected yet.
    Starting,
    /// Claiming.
    Running,
    /// No new claims; runs under way may end.
    Draining,
    /// Nobody runs jobs any more.
    Closing,
    /// No more claims or outcomes come; what there is is being stored.
    Flushing,
    /// Ended.
    Stopped,
}

/// How the parts of a runtime learn of its phase.
pub type PhaseWatch = tokio::sync::watch::Receiver<Phase>;

/// Waits until the runtime is at least that far. A runtime whose sender is gone has ended.
pub async fn reached(watch: &mut PhaseWatch, phase: Phase) {
    let _ = watch.wait_for(|now| *now >= phase).await;
}
