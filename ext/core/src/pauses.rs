//! What operators have paused: jobs of some queues, of some classes, with some labels.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::Notify;

/// What is not to be claimed. Whatever cannot be read pauses nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pauses {
    /// Queues.
    pub queues: Vec<String>,
    /// Names of job classes.
    pub job_classes: Vec<String>,
    /// Labels, any one of which pauses a job.
    pub labels: Vec<String>,
}

impl Pauses {
    /// Reads the value of the setting.
    pub fn parse(setting: &str) -> Self {
        serde_json::from_str(setting).unwrap_or_default()
    }

    /// Whether nothing is paused.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.job_classes.is_empty() && self.labels.is_empty()
    }
}

/// What is paused now, for whoever claims.
#[derive(Debug, Default)]
pub struct PauseBoard {
    current: Mutex<Option<Arc<Pauses>>>,
    changed: Notify,
}

impl PauseBoard {
    /// `None`: nothing, which is nearly always.
    pub fn current(&self) -> Option<Arc<Pauses>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts up what is paused from now on; tells whether that is something else than before.
    pub fn put_up(&self, pauses: Pauses) -> bool {
        let pauses = (!pauses.is_empty()).then(|| Arc::new(pauses));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != pauses;
        *current = pauses;
        changed
    }

    /// Somebody has changed the setting.
    pub fn tell_changed(&self) {
        self.changed.notify_one();
    }

    /// Waits for that.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_setting_and_takes_what_it_cannot_read_for_nothing() {
        let pauses = Pauses::parse(r#"{"queues": ["a"], "labels": ["x", "y"], "more": 1}"#);
        assert_eq!(pauses, Pauses { queues: vec!["a".to_owned()], job_classes: vec![], labels: vec!["x".to_owned(), "y".to_owned()] });
        for setting in ["", "[]", "null", "{}", r#"{"queues": "a"}"#, r#"{"queues": [1]}"#] {
            assert!(Pauses::parse(setting).is_empty(), "{setting}");
        }
    }

    #[test]
    fn says_whether_something_has_changed() {
        let (board, pauses) = (PauseBoard::default(), Pauses { queues: vec!["a".to_owned()], ..Pauses::default() });
        assert!(!board.put_up(Pauses::default()));
        assert!(board.put_up(pauses.clone()));
        assert!(!board.put_up(pauses.clone()));
        assert_eq!(board.current().as_deref(), Some(&pauses));
        assert!(board.put_up(Pauses::default()));
        assert_eq!(board.current(), None);
    }
}
