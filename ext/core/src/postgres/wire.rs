//! The byte stream to one server, by TCP or a Unix-domain socket.
//!
//! Two things set it apart from a plain stream: it is in the registry of sockets from before it connects until just before
//! it is closed, and it refuses at once an answer that cannot be PostgreSQL's. (tokio-postgres would take the `HTTP` of a web
//! server for the length of a message and wait for a gigabyte to follow.)

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use socket2::{SockAddr, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::conninfo::TcpSettings;
use super::sockets::{self, SocketGuard};

/// The longest first message of a server, libpq's limit for an error during start-up.
const GREETING_BYTES_MAX: u32 = 30_000;

/// The one place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    /// A path that begins with `@` is in Linux' abstract namespace.
    Unix(PathBuf),
}

/// The server's first bytes are not the beginning of a PostgreSQL message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignAnswer(Vec<u8>);

impl ForeignAnswer {
    /// How much of it is kept and shown.
    pub(crate) const BYTES_MAX: usize = 24;

    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes[..bytes.len().min(Self::BYTES_MAX)].to_vec())
    }
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is not PostgreSQL's; it begins with \"{}\"", self.0.escape_ascii())
    }
}

impl std::error::Error for ForeignAnswer {}

/// A connected stream.
#[derive(Debug)]
pub(crate) struct Wire {
    // Above the stream, so dropped before it: see SocketGuard.
    _guard: SocketGuard,
    stream: Stream,
    expects_greeting: bool,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    pub(crate) async fn connect(address: &Address, settings: &TcpSettings) -> io::Result<Self> {
        let target = address.to_sock_addr()?;
        let socket = Socket::new(target.domain(), Type::STREAM, None)?;
        let guard = sockets::register(&socket).map_err(io::Error::other)?;
        socket.set_nonblocking(true)?;
        if matches!(address, Address::Tcp(_)) {
            configure(&socket, settings)?;
        }
        let is_pending = match socket.connect(&target) {
            Ok(()) => false,
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
            Err(error) => return Err(error),
        };
        let stream = match address {
            Address::Tcp(_) => Stream::Tcp(TcpStream::from_std(socket.into())?),
            Address::Unix(_) => Stream::Unix(UnixStream::from_std(socket.into())?),
        };
        let wire = Self { _guard: guard, stream, expects_greeting: false };
        if is_pending {
            wire.stream.connected().await?;
        }
        Ok(wire)
    }

    /// The next bytes to arrive must be the beginning of a PostgreSQL message.
    pub(crate) fn expecting_greeting(self) -> Self {
        Self { expects_greeting: true, ..self }
    }
}

impl Address {
    fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Self::Tcp(address) => Ok((*address).into()),
            Self::Unix(path) => match path.to_str().and_then(|path| path.strip_prefix('@')) {
                Some(name) => SockAddr::unix(Path::new(&format!("\0{name}"))),
                None => SockAddr::unix(path),
            },
        }
    }
}

fn configure(socket: &Socket, settings: &TcpSettings) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if settings.keepalives {
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = settings.keepalives_idle {
            keepalive = keepalive.with_time(idle);
        }
        if let Some(interval) = settings.keepalives_interval {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(count) = settings.keepalives_count {
            keepalive = keepalive.with_retries(count);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if settings.user_timeout.is_some() {
        socket.set_tcp_user_timeout(settings.user_timeout)?;
    }
    Ok(())
}

impl Stream {
    /// Waits until the connection stands or has failed.
    async fn connected(&self) -> io::Result<()> {
        let error = match self {
            Self::Tcp(stream) => {
                stream.writable().await?;
                stream.take_error()?
            }
            Self::Unix(stream) => {
                stream.writable().await?;
                stream.take_error()?
            }
        };
        error.map_or(Ok(()), Err)
    }
}

/// Whether these can be the first bytes of a server: an authentication request, an error, a notice or a protocol negotiation,
/// and of a plausible length.
pub(crate) fn is_greeting(bytes: &[u8]) -> bool {
    let is_known = matches!(bytes.first(), Some(b'R' | b'E' | b'N' | b'v'));
    let length = bytes.get(1..5).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    is_known && length.is_none_or(|length| (4..=GREETING_BYTES_MAX).contains(&length))
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        })?;
        let received = &buf.filled()[before..];
        if self.expects_greeting && !received.is_empty() {
            self.expects_greeting = false;
            if !is_greeting(received) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, ForeignAnswer::new(received))));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    const SETTINGS: TcpSettings = TcpSettings {
        keepalives: true,
        keepalives_idle: Some(Duration::from_secs(61)),
        keepalives_interval: Some(Duration::from_secs(12)),
        keepalives_count: Some(4),
        user_timeout: Some(Duration::from_millis(3_500)),
    };

    #[tokio::test]
    async fn sets_the_options_of_the_socket_and_keeps_it_registered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire::connect(&Address::Tcp(listener.local_addr().unwrap()), &SETTINGS).await.unwrap();
        let Stream::Tcp(stream) = &wire.stream else { panic!("not TCP") };
        let socket = SockRef::from(stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(61));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(12));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(3_500)));

        let mut registered = Vec::new();
        sockets::take_each(|descriptor| registered.push(descriptor));
        assert!(registered.contains(&stream.as_raw_fd()));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connects_to_an_abstract_socket() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("good_job_rs-{}", uuid::Uuid::new_v4());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        Wire::connect(&Address::Unix(PathBuf::from(format!("@{name}"))), &SETTINGS).await.unwrap();
        drop(listener);
    }

    #[test]
    fn tells_a_greeting_from_other_protocols() {
        for greeting in [&b"R\0\0\0\x08\0\0\0\0"[..], b"E\0\0\0\x50S", b"R", b"N\0\0\0\x10", b"v\0\0\0\x0c"] {
            assert!(is_greeting(greeting), "{greeting:?}");
        }
        for foreign in [&b"HTTP/1.1 400"[..], b"ERROR\r\n", b"-ERR unknown command", b"J\0\0\0\x0a8.0.36", b"220 smtp", b"\x15\x03\x01"] {
            assert!(!is_greeting(foreign), "{foreign:?}");
        }
    }
}
