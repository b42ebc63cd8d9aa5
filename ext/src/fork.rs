//! What a forked child does with the parent's runtime: forget it, without a byte on the parent's connections.
//!
//! `Process._fork` does not see Process.daemon; `pthread_atfork` sees every fork there is. Its handler may only do what is
//! async-signal-safe: it counts, and puts /dev/null in the place of each of the parent's sockets, so that nothing the child drops
//! or polls by accident can reach them, and no session outlives the parent because a child still holds its socket.

#![allow(unsafe_code, reason = "pthread_atfork and dup2 have no safe form")]

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use good_job_core::postgres::sockets;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static DEV_NULL: AtomicI32 = AtomicI32::new(-1);

/// The process that made something: its pid and how many forks lie between it and the first process that loaded the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: u32,
    generation: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Self {
        Self { pid: std::process::id(), generation: GENERATION.load(Ordering::SeqCst) }
    }

    /// Whether this process is it.
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// Registers the handler. Once per process image: children inherit it.
///
/// # Errors
/// No descriptor for /dev/null, or no memory for the handler.
pub(crate) fn install() -> io::Result<()> {
    // SAFETY: a constant, NUL-terminated path; no pointers are kept.
    let dev_null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if dev_null < 0 {
        return Err(io::Error::last_os_error());
    }
    DEV_NULL.store(dev_null, Ordering::SeqCst);
    // SAFETY: the handler is async-signal-safe and lives as long as the process.
    match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    let dev_null = DEV_NULL.load(Ordering::SeqCst);
    sockets::take_each(|socket| {
        // SAFETY: both are async-signal-safe, and the descriptors are this process's. The number stays taken, because a leaked
        // stream of the parent's still owns it; but no program that is started has any use for it.
        unsafe {
            libc::dup2(dev_null, socket);
            libc::fcntl(socket, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    });
}
