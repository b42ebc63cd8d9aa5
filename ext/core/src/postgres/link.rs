//! One of the runtime's connections, kept up: whoever asks for it gets it connected, however long that takes.

use std::collections::{HashMap, HashSet};
use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, Mutex as AsyncMutex};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::config::Config;
use crate::event::{Event, Events};
use crate::job::Moment;
use crate::postgres::backoff::Backoff;
use crate::postgres::connection::{self, ConnectError, Driver};
use crate::postgres::sql::{succession, Form, Statement, SESSION_SETTINGS};

/// A statement that has not answered by then is given up together with its connection: a peer that went silent sends no error.
/// Above the session's own statement timeout, so that the server has given up first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait for a connection to say goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection that listens hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A notification's payload.
    Notification(String),
    /// The connection is gone; what was notified since is lost.
    Lost,
}

/// See the module's documentation.
pub(crate) struct Link {
    name: &'static str,
    config: Arc<Config>,
    complaints: Arc<Complaints>,
    ears: mpsc::Sender<Heard>,
    /// Whether there is a connection, as far as anybody who asked for it has found, for snapshots.
    up: Arc<AtomicBool>,
    current: AsyncMutex<Current>,
}

#[derive(Default)]
struct Current {
    live: Option<Arc<Live>>,
    driver: Option<Driving>,
    /// The advisory lock of the session that there is, or was last.
    key: Option<i64>,
    lost_at: Option<Instant>,
    reconnected_at: Option<Instant>,
}

/// The task that moves a connection's bytes. It ends with the connection, or at once when this is dropped: a peer that went silent
/// never ends it, and while an answer is outstanding, neither does the client.
struct Driving {
    task: JoinHandle<()>,
    _keep_on: oneshot::Sender<()>,
}

/// A connection that works, or did a moment ago.
pub(crate) struct Live {
    client: Client,
    config: Arc<Config>,
    prepared: Mutex<HashMap<Statement, tokio_postgres::Statement>>,
    server_up_since: Option<Instant>,
    set_up_at: Moment,
}

impl Link {
    /// A link that hands whatever is notified on it to `ears`.
    pub(crate) fn new(
        name: &'static str,
        config: Arc<Config>,
        complaints: Arc<Complaints>,
        ears: mpsc::Sender<Heard>,
        up: Arc<AtomicBool>,
    ) -> Self {
        Self { name, config, complaints, ears, up, current: AsyncMutex::default() }
    }

    /// Runs a statement and gives all its rows, connecting first if need be.
    pub(crate) async fn query(&self, statement: Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        let live = self.live().await;
        let result = live.query(statement, params).await;
        if result.as_ref().is_err_and(QueryError::is_connection_lost) {
            self.discard(&live).await;
        }
        result
    }

    /// Runs plain SQL without parameters, connecting first if need be.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), QueryError> {
        let live = self.live().await;
        let result = live.execute(sql).await;
        if result.as_ref().is_err_and(QueryError::is_connection_lost) {
            self.discard(&live).await;
        }
        result
    }

    /// The connection, established if need be; tries until it succeeds.
    pub(crate) async fn live(&self) -> Arc<Live> {
        let mut current = self.current.lock().await;
        if let Some(live) = &current.live {
            if !live.client.is_closed() {
                return Arc::clone(live);
            }
            current.lost_at.get_or_insert_with(Instant::now);
        }
        self.up.store(false, Ordering::Relaxed);
        let key = rand::random();
        let (live, driver) = self.connect(&succession(current.key, key), current.lost_at).await;
        self.up.store(true, Ordering::Relaxed);
        current.key = Some(key);
        current.driver = Some(Driving::start(driver, self.ears.clone()));
        current.live = Some(Arc::clone(&live));
        if current.lost_at.take().is_some() {
            current.reconnected_at = Some(Instant::now());
        }
        live
    }

    /// Whether the connection, established if need be, has replaced a lost one less than `age` ago, or the server was started then.
    pub(crate) async fn is_back_since_less_than(&self, age: Duration) -> bool {
        let server_up_since = self.live().await.server_up_since;
        let reconnected_at = self.current.lock().await.reconnected_at;
        [server_up_since, reconnected_at].into_iter().flatten().any(|at| at.elapsed() < age)
    }

    /// When the connection, established if need be, was made, by the database's clock.
    pub(crate) async fn set_up_at(&self) -> Moment {
        self.live().await.set_up_at
    }

    /// Says goodbye to the server, if there is a connection.
    pub(crate) async fn close(&self) {
        let mut current = self.current.lock().await;
        current.live = None;
        if let Some(mut driver) = current.driver.take() {
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, &mut driver.task).await;
        }
    }

    async fn connect(&self, succession: &str, lost_at: Option<Instant>) -> (Arc<Live>, Driver) {
        let mut backoff = Backoff::default();
        let statements = format!("{SESSION_SETTINGS}; {succession}");
        loop {
            let began = Instant::now();
            match Live::connect(&self.config, &statements).await {
                Ok(connected) => {
                    self.complaints.end();
                    if let Some(lost_at) = lost_at {
                        let away_us = u64::try_from(lost_at.elapsed().as_micros()).unwrap_or(u64::MAX);
                        self.complaints.events.tell(Event::Reconnected { connection: self.name.to_owned(), away_us });
                    }
                    return connected;
                }
                Err(error) => {
                    self.complaints.tell(&error);
                    tokio::time::sleep(backoff.next_delay_after(began.elapsed())).await;
                }
            }
        }
    }

    async fn discard(&self, broken: &Arc<Live>) {
        let mut current = self.current.lock().await;
        if current.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, broken)) {
            current.live = None;
            current.driver = None;
            current.lost_at = Some(Instant::now());
        }
    }
}

impl Driving {
    fn start(driver: Driver, ears: mpsc::Sender<Heard>) -> Self {
        let (keep_on, given_up) = oneshot::channel();
        Self { task: tokio::spawn(drive(driver, given_up, ears)), _keep_on: keep_on }
    }
}

/// Moves a connection's bytes until it ends or is given up, and tells what it hears. A full ear is skipped: whoever listens sees that
/// it was full.
async fn drive(mut driver: Driver, given_up: oneshot::Receiver<()>, ears: mpsc::Sender<Heard>) {
    let hear = async {
        while let Some(payload) = driver.next_notification().await {
            let _ = ears.try_send(Heard::Notification(payload));
        }
    };
    tokio::select! {
        () = hear => {}
        _ = given_up => {}
    }
    drop(driver);
    let _ = ears.send(Heard::Lost).await;
}

/// What has been told of the outage under way: each cause once, whichever connection it keeps away, and however often.
pub(crate) struct Complaints {
    events: Arc<Events>,
    told: Mutex<HashSet<String>>,
}

impl Complaints {
    /// Most causes told of one outage: there may be something in the message that changes each time.
    const CAUSES_MAX: usize = 10;

    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self { events, told: Mutex::default() }
    }

    fn tell(&self, error: &ConnectError) {
        let message = error.to_string();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < Self::CAUSES_MAX && told.insert(message.clone()) {
            self.events.tell(Event::Unavailable { reason: error.reason().to_string(), message, hint: error.hint().to_string() });
        }
    }

    fn end(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Live {
    async fn connect(config: &Arc<Config>, statements: &str) -> Result<(Arc<Self>, Driver), ConnectError> {
        let connected = connection::connect(&config.conninfo, &config.session, statements).await?;
        let live = Self {
            client: connected.client,
            config: Arc::clone(config),
            prepared: Mutex::default(),
            server_up_since: Instant::now().checked_sub(connected.server.age),
            set_up_at: connected.server.clock,
        };
        Ok((Arc::new(live), connected.connection))
    }

    /// Runs a statement and gives all its rows.
    pub(crate) async fn query(&self, statement: Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        let answer = async {
            let prepared = self.prepare(statement).await?;
            self.client.query(&prepared, params).await
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                // "cached plan must not change result type": a migration changed a column. The next attempt prepares anew.
                if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
                    self.prepared.lock().unwrap_or_else(PoisonError::into_inner).remove(&statement);
                }
                Err(QueryError::Refused(error))
            }
            Err(_elapsed) => Err(QueryError::Silent),
        }
    }

    async fn execute(&self, sql: &str) -> Result<(), QueryError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.batch_execute(sql)).await {
            Ok(result) => result.map_err(QueryError::Refused),
            Err(_elapsed) => Err(QueryError::Silent),
        }
    }

    async fn prepare(&self, statement: Statement) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&statement).cloned();
        if let Some(prepared) = known {
            return Ok(prepared);
        }
        let form = Form { lock_strategy: self.config.effective_lock_strategy(), lock_type: self.config.has_lock_type() };
        let prepared = self.client.prepare(&self.config.tables.fill(&statement.text(form))).await?;
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(statement, prepared.clone());
        Ok(prepared)
    }
}

/// Why a statement gave no answer.
#[derive(Debug)]
pub(crate) enum QueryError {
    /// The server, or the lack of one.
    Refused(tokio_postgres::Error),
    /// No answer in time.
    Silent,
}

impl QueryError {
    /// Whether the connection is of no more use. What the statement did is then unknown.
    pub(crate) fn is_connection_lost(&self) -> bool {
        match self {
            Self::Refused(error) => connection::is_connection_lost(error),
            Self::Silent => true,
        }
    }

    /// Whether somebody else held a row's lock for longer than the session waits.
    pub(crate) fn is_row_locked(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether the values sent are at fault, so that the same statement would fail again: data exceptions, violated constraints,
    /// texts that are too long or not of the type.
    pub(crate) fn is_value_refused(&self) -> bool {
        match self {
            Self::Refused(error) => match error.code() {
                Some(code) => matches!(code.code().get(..2), Some("22" | "23" | "54")),
                // A value that could not be encoded never reached the server.
                None => !connection::is_connection_lost(error),
            },
            Self::Silent => false,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => match error.as_db_error() {
                Some(db) => write!(formatter, "{} ({})", db.message(), db.code().code()),
                None => match error.source() {
                    Some(cause) => write!(formatter, "{error}: {cause}"),
                    None => write!(formatter, "{error}"),
                },
            },
            Self::Silent => write!(formatter, "the database gave no answer within {} s", ANSWER_TIMEOUT.as_secs()),
        }
    }
}
