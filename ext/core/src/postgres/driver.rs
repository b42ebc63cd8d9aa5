//! The half of a connection that moves its bytes.

use std::fmt;
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::task::{ready, Context, Poll};

use tokio_postgres::{AsyncMessage, Connection, Error};

use super::encryption::TlsStream;
use super::wire::Wire;

/// Moves a connection's bytes, and nothing moves unless it is polled: as a future, or by [`Driver::next_notification`] where
/// notifications are wanted. Dropping it closes the socket, which leaves the registry of [`super::sockets`] just before.
pub struct Driver {
    connection: Connection<Wire, TlsStream>,
    is_over: bool,
}

impl Driver {
    pub(crate) fn new(connection: Connection<Wire, TlsStream>) -> Self {
        Self { connection, is_over: false }
    }

    /// Moves bytes until the server notifies of something, and gives the payload; `None` when the connection has ended.
    pub async fn next_notification(&mut self) -> Option<String> {
        loop {
            match poll_fn(|cx| self.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => return Some(notification.payload().to_owned()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message that answers no statement; `None` when the connection has ended, and ever after.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let message = ready!(self.connection.poll_message(cx));
        self.is_over = !matches!(message, Some(Ok(_)));
        Poll::Ready(message)
    }

    /// Moves bytes until `work`, a statement on this connection, has its answer. Messages meanwhile are dropped.
    pub(crate) async fn drive<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut work = pin!(work);
        let mut broken = None;
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = Pin::new(&mut *self).poll(cx) {
                broken = Some(error);
            }
            match (work.as_mut().poll(cx), broken.take()) {
                // The statement only sees that the connection is gone; the connection knows why.
                (Poll::Ready(Err(error)), Some(broken)) if error.is_closed() => Poll::Ready(Err(broken)),
                (Poll::Pending, Some(broken)) => Poll::Ready(Err(broken)),
                (answer, _) => answer,
            }
        })
        .await
    }
}

/// Moves bytes until the connection ends.
impl Future for Driver {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(message) = ready!(self.poll_message(cx)) {
            message?;
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
