//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The longest first delay.
const DELAY_MIN: Duration = Duration::from_millis(50);

/// The longest delay of all.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// Exponential and jittered: each delay is drawn from between half and all of a span that doubles from 50 ms to 5 s, so that a
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
    fn delays_differ() {
        let delays: std::collections::HashSet<Duration> = (0..10).map(|_| Backoff::default().next_delay()).collect();
        assert!(delays.len() > 5);
    }
}
