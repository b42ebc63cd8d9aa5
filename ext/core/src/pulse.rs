//! Whether the caller's threads run: the runtime asks now and then, and a thread of the caller's answers. A caller may have a lock
//! without which none of its threads gets on, as Ruby has; a job that never gives it up looks from here like one that takes its time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wait_queue::{WaitQueue, Waited, Wake};

/// How long a question may stay unanswered: a hundred threads that take turns of 100 ms are not blocked.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Pulse {
    questions: WaitQueue<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a thread is there to answer.
    attended: bool,
    asked: bool,
    silent: Duration,
}

/// What a look at the pulse finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// The caller's threads run, or did so a moment ago.
    Alive,
    /// They have not run for so long.
    Blocked(Duration),
    /// They run again, after so long.
    Unblocked(Duration),
}

impl Pulse {
    /// Waits for the next question; the thread that does must give an [`Self::answer`].
    pub fn next_question(&self, wake: &Wake) -> Waited<()> {
        self.lock().attended = true;
        self.questions.pop(wake, None, || ())
    }

    /// The caller's threads run.
    pub fn answer(&self) {
        self.lock().asked = false;
    }

    /// Nobody is there to answer any more.
    pub fn leave(&self) {
        self.lock().attended = false;
    }

    /// Ends the wait for a question that holds `wake`.
    pub fn interrupt(&self, wake: &Wake) {
        self.questions.wake(wake);
    }

    /// No more questions.
    pub fn close(&self) {
        self.questions.close();
    }

    /// Looks whether the last question was answered, and if so asks the next. `elapsed` is the time since the last look.
    pub fn check(&self, elapsed: Duration) -> Finding {
        let mut state = self.lock();
        if state.attended && state.asked {
            state.silent += elapsed;
            return if state.silent < SILENCE_MAX { Finding::Alive } else { Finding::Blocked(state.silent) };
        }
        let silent = std::mem::take(&mut state.silent);
        state.asked = state.attended && self.questions.push_below((), 1).is_ok();
        if silent < SILENCE_MAX {
            Finding::Alive
        } else {
            Finding::Unblocked(silent)
        }
    }

    /// For how long the caller's threads have not run.
    pub fn silence(&self) -> Duration {
        self.lock().silent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn question(pulse: &Pulse) {
        assert_eq!(pulse.next_question(&Wake::default()), Waited::Item(()));
    }

    #[test]
    fn a_caller_that_answers_is_alive() {
        let pulse = Pulse::default();
        pulse.lock().attended = true;
        for _ in 0..100 {
            assert_eq!(pulse.check(SECOND), Finding::Alive);
            question(&pulse);
            pulse.answer();
        }
        assert_eq!(pulse.silence(), Duration::ZERO);
    }

    #[test]
    fn a_caller_that_does_not_answer_is_blocked_until_it_does() {
        let pulse = Pulse::default();
        pulse.lock().attended = true;
        for _ in 0..10 {
            assert_eq!(pulse.check(SECOND), Finding::Alive);
        }
        assert_eq!(pulse.silence(), 9 * SECOND);
        assert_eq!(pulse.check(SECOND), Finding::Blocked(10 * SECOND));
        question(&pulse);
        assert_eq!(pulse.check(SECOND), Finding::Blocked(11 * SECOND));
        pulse.answer();
        assert_eq!(pulse.check(SECOND), Finding::Unblocked(11 * SECOND));
        assert_eq!(pulse.silence(), Duration::ZERO);
        assert_eq!(pulse.check(SECOND), Finding::Alive);
    }

    #[test]
    fn nobody_is_blocked_who_is_not_there_to_answer() {
        let pulse = Pulse::default();
        for _ in 0..20 {
            assert_eq!(pulse.check(SECOND), Finding::Alive);
        }
        pulse.lock().attended = true;
        pulse.check(SECOND);
        pulse.leave();
        for _ in 0..20 {
            assert_eq!(pulse.check(SECOND), Finding::Alive);
        }
    }
}
