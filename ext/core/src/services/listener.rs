//! Hears that jobs were enqueued, and wakes the pools they are for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;
use tokio::sync::{mpsc, Mutex as AsyncMutex};
use uuid::Uuid;

use crate::batches::{Touch, Touched};
use crate::due::{DatabaseClock, Sooner};
use crate::event::{Event, Events};
use crate::job::Moment;
use crate::pauses::PauseBoard;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Heard, Link, QueryError};

/// The channel of GoodJob.
const CHANNEL: &str = "good_job";

/// Longest that the end waits for the server to hear that nobody listens any more.
const UNLISTEN_MAX: Duration = Duration::from_secs(1);

/// How far what is known here of the database's clock may be behind it: a job that seems to be due so soon may be due already.
const CLOCK_DOUBT: Duration = Duration::from_millis(50);

/// See the module's documentation.
pub(crate) struct Listener {
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) link: Arc<Link>,
    pub(crate) heard: AsyncMutex<mpsc::Receiver<Heard>>,
    pub(crate) sooner: Arc<Sooner>,
    pub(crate) clock: Arc<DatabaseClock>,
    pub(crate) touched: Arc<Touched>,
    pub(crate) pauses: Arc<PauseBoard>,
    pub(crate) events: Arc<Events>,
    /// Whether each notification is an event.
    pub(crate) tell_notifications: bool,
    /// Whether LISTEN is in force, for snapshots.
    pub(crate) listening: Arc<AtomicBool>,
}

impl Listener {
    /// Listens until the runtime drains.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        tokio::select! {
            () = self.keep_listening() => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
        self.heard.lock().await.close();
        self.unlisten().await;
    }

    /// The connection stays, for the heartbeat. One that is lost just now listens no more anyway.
    async fn unlisten(&self) {
        if !self.listening.swap(false, Ordering::Relaxed) {
            return;
        }
        let unlisten = format!("UNLISTEN {CHANNEL}");
        if let Ok(Ok(())) = tokio::time::timeout(UNLISTEN_MAX, self.link.execute(&unlisten)).await {
            self.events.tell(Event::Unlistened { channel: CHANNEL.to_owned() });
        }
    }

    async fn keep_listening(&self) {
        let mut backoff = Backoff::default();
        loop {
            match self.run_once().await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    // A lost connection is told by its link.
                    if backoff.is_fresh() && !error.is_connection_lost() {
                        self.events.tell(Event::Error { message: format!("LISTEN {CHANNEL}: {error}; trying again") });
                    }
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// One connection's life: LISTEN, then look once for what was enqueued before, then hear until it is lost. The heartbeat, on
    /// the same connection, is what finds out that a connection has gone silent.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        self.link.execute(&format!("LISTEN {CHANNEL}")).await?;
        self.listening.store(true, Ordering::Relaxed);
        self.events.tell(Event::Listening { channel: CHANNEL.to_owned() });
        self.catch_up();
        let mut heard = self.heard.lock().await;
        while let Some(Heard::Notification(payload)) = heard.recv().await {
            if heard.len() + 1 >= heard.max_capacity() {
                self.catch_up();
            }
            self.hear(&payload);
        }
        self.listening.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Something may have gone unheard, before LISTEN or while the ears were full: whatever it was for, now or later, look.
    fn catch_up(&self) {
        self.sooner.tell(Duration::ZERO);
        self.pools.iter().for_each(|pool| pool.wake());
    }

    fn hear(&self, payload: &str) {
        let message = Message::parse(payload);
        if let Some(batch) = message.batch() {
            return self.touched.touch(batch, Touch::default());
        }
        if message.pauses {
            return self.pauses.tell_changed();
        }
        let delay = message.delay(self.clock.now());
        if let Some(delay) = delay {
            self.sooner.tell(delay);
        }
        if delay.unwrap_or_default() <= CLOCK_DOUBT {
            self.wake(&message);
        }
        if self.tell_notifications {
            self.events.tell(Event::Notified { payload: payload.to_owned() });
        }
    }

    fn wake(&self, message: &Message) {
        let queue = message.queue_name.as_deref();
        for pool in &self.pools {
            pool.note_announcement();
            match (message.priority, message.at()) {
                (Some(priority), Some(at)) => pool.tell(queue, priority, at),
                _ if queue.is_none() || pool.config.queues.matches(queue) => pool.wake(),
                _ => {}
            }
        }
    }
}

/// What a notification says. Whatever cannot be understood is taken for "something may be due".
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Message {
    #[serde(default)]
    queue_name: Option<String>,
    /// Ours; GoodJob says nothing of it.
    #[serde(default)]
    priority: Option<i32>,
    #[serde(default)]
    scheduled_at: Option<serde_json::Value>,
    /// Ours: nothing was enqueued, but a batch may have become complete by what was committed.
    #[serde(default)]
    batch_id: Option<String>,
    /// Ours: what is paused has changed.
    #[serde(default)]
    pauses: bool,
}

impl Message {
    fn parse(payload: &str) -> Self {
        serde_json::from_str(payload).unwrap_or_default()
    }

    /// The batch to look at, if that is what it is about.
    fn batch(&self) -> Option<Uuid> {
        Uuid::parse_str(self.batch_id.as_deref()?).ok()
    }

    /// When the job is due, if that is said.
    fn at(&self) -> Option<Moment> {
        let us = match self.scheduled_at.as_ref()? {
            serde_json::Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos().div_euclid(1_000),
            serde_json::Value::Number(seconds) => (seconds.as_f64()? * 1e6) as i128,
            _ => return None,
        };
        i64::try_from(us).ok().map(Moment)
    }

    /// How long until the job is due; `None` if it is, or if that is not said.
    fn delay(&self, now: Moment) -> Option<Duration> {
        self.at()?.delay_from(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_700_000_000_000_000);

    fn delay_of(payload: &str) -> Option<Duration> {
        Message::parse(payload).delay(NOW)
    }

    #[test]
    fn reads_the_time_as_text_or_as_a_number() {
        let ten_seconds = Some(Duration::from_secs(10));
        assert_eq!(delay_of(r#"{"queue_name":"mice","scheduled_at":"2023-11-14T22:13:30Z"}"#), ten_seconds);
        assert_eq!(delay_of(r#"{"scheduled_at":"2023-11-15T00:13:30.000+02:00"}"#), ten_seconds);
        assert_eq!(delay_of(r#"{"scheduled_at":1700000010.0,"count":3}"#), ten_seconds);
    }

    #[test]
    fn whatever_it_cannot_read_is_due_now_for_every_queue() {
        for payload in ["", "not json", "[]", "42", "null", r#"{"queue_name":5}"#, "{\"scheduled_at\":\"soon\"}", "{}"] {
            assert_eq!(Message::parse(payload).queue_name, None, "{payload}");
            assert_eq!(delay_of(payload), None, "{payload}");
        }
    }

    #[test]
    fn a_past_time_and_absurd_times_do_no_harm() {
        assert_eq!(delay_of(r#"{"scheduled_at":"1970-01-01T00:00:00Z"}"#), None);
        assert_eq!(delay_of(r#"{"scheduled_at":-1e300}"#), None);
        assert!(delay_of(r#"{"scheduled_at":1e12}"#).is_some());
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        /// Of the year 1 to the year 9999: what four digits can say, in µs since the Unix epoch.
        const SAYABLE_US: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

        fn json() -> impl Strategy<Value = serde_json::Value> {
            let leaf = prop_oneof![
                Just(serde_json::Value::Null),
                any::<bool>().prop_map(Into::into),
                any::<i64>().prop_map(Into::into),
                any::<f64>().prop_map(Into::into),
                ".*".prop_map(Into::into),
            ];
            leaf.prop_recursive(2, 16, 4, |inner| {
                prop_oneof![
                    proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                    proptest::collection::btree_map(key(), inner, 0..4)
                        .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
                ]
            })
        }

        fn key() -> impl Strategy<Value = String> {
            prop_oneof![Just("queue_name".to_owned()), Just("priority".to_owned()), Just("scheduled_at".to_owned()), "[a-z]{0,3}"]
        }

        /// Anything at all, anything that is JSON, and an announcement in which something was lost on the way.
        fn payload() -> impl Strategy<Value = String> {
            let torn = (json(), any::<proptest::sample::Index>()).prop_map(|(json, at)| {
                let text = json.to_string();
                text.chars().take(at.index(text.chars().count())).collect()
            });
            prop_oneof![".*", json().prop_map(|json| json.to_string()), torn]
        }

        /// As retry_jobs.sql and its like say it.
        fn in_utc(at_us: i64) -> String {
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1_000).unwrap();
            let (date, time) = (at.date(), at.time());
            let (hour, minute, second, micro) = time.as_hms_micro();
            format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z", date.year(), u8::from(date.month()), date.day())
        }

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn any_payload_is_heard(payload in payload(), now in any::<i64>()) {
                let message = Message::parse(&payload);
                let delay = message.delay(Moment(now));
                prop_assert!(delay.is_none_or(|delay| !delay.is_zero()));
                // A timer takes what comes of it.
                let sooner = Sooner::default();
                sooner.tell(delay.unwrap_or_default());
                prop_assert!(sooner.take().is_some());
            }

            #[test]
            fn what_is_said_is_what_is_heard(
                queue_name in proptest::option::of(".*"), priority in proptest::option::of(any::<i32>()), at_us in proptest::option::of(SAYABLE_US),
            ) {
                let scheduled_at = at_us.map(in_utc);
                let payload = serde_json::json!({"queue_name": queue_name, "priority": priority, "scheduled_at": scheduled_at, "count": 1});
                let message = Message::parse(&payload.to_string());
                prop_assert_eq!(message.at(), at_us.map(Moment));
                prop_assert_eq!(message.queue_name, queue_name);
                prop_assert_eq!(message.priority, priority);
            }

            #[test]
            fn the_delay_ends_when_the_job_is_due_whatever_zone_says_so(at_us in SAYABLE_US, early_us in 1..10_000_000_000_i64, east_min in -839..840_i64) {
                let local_us = at_us + east_min * 60_000_000;
                prop_assume!(SAYABLE_US.contains(&local_us));
                let zone = format!("{}{:02}:{:02}", if east_min < 0 { '-' } else { '+' }, east_min.abs() / 60, east_min.abs() % 60);
                let payload = serde_json::json!({"scheduled_at": in_utc(local_us).replace('Z', &zone)}).to_string();
                let message = Message::parse(&payload);
                prop_assert_eq!(message.delay(Moment(at_us - early_us)), Some(Duration::from_micros(early_us.unsigned_abs())));
                prop_assert_eq!(message.delay(Moment(at_us)), None);
                prop_assert_eq!(message.delay(Moment(at_us + early_us)), None);
            }
        }
    }
}
