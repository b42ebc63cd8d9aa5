//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The longest first delay.
const DELAY_MIN: Duration = Duration::from_millis(50);

/// The longest delay of all. With a greeting and a claim behind it, work goes on within 5 s of the end of an outage.
const DELAY_MAX: Duration = Duration::from_secs(3);

/// Exponential and jittered: each delay is drawn from between half and all of a span that doubles from 50 ms to 3 s, so that a
/// hundred workers do not come back to a restarted server in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    span: Duration,
}

impl Backoff {
    /// Whether no delay has been asked for yet: nothing has failed.
    pub fn is_fresh(&self) -> bool {
        self.span == DELAY_MIN
    }

    /// The delay before the next attempt; each is about twice as long as the one before.
    pub fn next_delay(&mut self) -> Duration {
        let span = self.span;
        self.span = DELAY_MAX.min(span * 2);
        span.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// The delay before the next attempt where the last one took so long, which counts as waiting: an attempt that found nobody to
    /// answer is followed at once by another, lest the answer come back in between.
    pub fn next_delay_after(&mut self, attempt: Duration) -> Duration {
        let shortest = Self::default().next_delay();
        self.next_delay().saturating_sub(attempt).max(shortest)
    }
}

/// Begins with the shortest delay.
impl Default for Backoff {
    fn default() -> Self {
        Self { span: DELAY_MIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_limit() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_fresh());
        let mut span = DELAY_MIN;
        for _ in 0..20 {
            let delay = backoff.next_delay();
            assert!(delay >= span / 2 && delay <= span, "{delay:?} of {span:?}");
            span = DELAY_MAX.min(span * 2);
        }
        assert_eq!(span, DELAY_MAX);
        assert!(!backoff.is_fresh());
    }

    #[test]
    fn counts_what_the_attempt_took_as_waiting() {
        let mut backoff = Backoff { span: DELAY_MAX };
        assert!(backoff.next_delay_after(Duration::from_secs(10)) <= DELAY_MIN);
        assert!(backoff.next_delay_after(Duration::from_secs(1)) <= DELAY_MAX - Duration::from_secs(1));
        assert!(backoff.next_delay_after(Duration::ZERO) >= DELAY_MAX / 2);
    }

    #[test]
    fn delays_differ() {
        let delays: std::collections::HashSet<Duration> = (0..10).map(|_| Backoff::default().next_delay()).collect();
        assert!(delays.len() > 5);
    }
}
