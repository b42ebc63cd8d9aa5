//! Watches whether the caller's threads run. Where they do not, the heartbeat goes on: this is what says so.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Events};
use crate::in_flight::InFlight;
use crate::pulse::{Finding, Pulse, SILENCE_MAX};

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(2);
/// Most runs that are named.
const RUNS_MAX: usize = 20;

/// See the module's documentation.
pub(crate) struct Watch {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) events: Arc<Events>,
}

/// What was said of the silence under way.
struct Alarm {
    next_at: Duration,
    /// The runs under way when it was last looked: those that end it are gone when it is over.
    runs: Vec<String>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { next_at: SILENCE_MAX, runs: Vec::new() }
    }
}

impl Watch {
    /// Watches until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut seen = Instant::now();
        let mut alarm = Alarm::default();
        loop {
            tokio::time::sleep(INTERVAL).await;
            // While the whole process was stopped nobody was blocked.
            let elapsed = seen.elapsed().min(2 * INTERVAL);
            seen = Instant::now();
            self.run_once(elapsed, &mut alarm);
        }
    }

    /// One look.
    fn run_once(&self, elapsed: Duration, alarm: &mut Alarm) {
        match self.pulse.check(elapsed) {
            Finding::Alive => {}
            Finding::Blocked(silence) => {
                alarm.runs = self.in_flight.describe(RUNS_MAX);
                if silence >= alarm.next_at {
                    alarm.next_at = 2 * silence;
                    cry(silence, &alarm.runs);
                }
            }
            Finding::Unblocked(silence) => {
                let blocked_us = u64::try_from(silence.as_micros()).unwrap_or(u64::MAX);
                let Alarm { runs, .. } = std::mem::take(alarm);
                self.events.tell(Event::Unblocked { blocked_us, runs });
            }
        }
    }
}

/// Events would be read by one of the threads that cannot run, so this goes to the standard error, and from a thread of its own: a pipe
/// that nobody reads must not stop the heartbeat.
fn cry(silence: Duration, runs: &[String]) {
    let line = format!(
        "GoodJob: Ruby has not run for {} s in process {}: something holds its global lock and does not give it up. Under way: {}. \
         The process keeps its jobs and runs no other; if this does not end, kill it with SIGKILL and they run elsewhere.\n",
        silence.as_secs(),
        std::process::id(),
        if runs.is_empty() { "no job".to_owned() } else { runs.join(", ") },
    );
    let _ = std::thread::Builder::new().name("good_job alarm".to_owned()).spawn(move || std::io::stderr().write_all(line.as_bytes()));
}
