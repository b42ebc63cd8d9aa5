//! Waiting without Ruby's global lock. All of the crate's `unsafe` is here, but for what fork.rs does to descriptors.
//!
//! `rb_nogvl` with INTR_FAIL, never `rb_thread_call_without_gvl`: that one handles interrupts itself and jumps over Rust's frames,
//! so that nothing on them is dropped and a claim in hand is lost (thread.h of Ruby: "data can be lost").

#![allow(unsafe_code, reason = "the one place that talks to rb_nogvl")]

use std::any::Any;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

use good_job_core::wait_queue::{Waited, Wake};
use magnus::{Error, Ruby};

use crate::errors;

struct Call<F, R> {
    body: Option<F>,
    result: Option<Result<R, Box<dyn Any + Send>>>,
}

/// Waits for an item with the GVL released. `None` when there will be none, or not in time.
///
/// Thread#kill, Thread#raise, Timeout, signals and exit end the wait: `interrupt` is how. An item in hand wins over them; they are
/// then raised at Ruby's next chance.
///
/// # Errors
/// What was raised in this thread, or a panic in `pop`.
pub(crate) fn wait<T>(ruby: &Ruby, pop: impl Fn(&Wake) -> Waited<T>, interrupt: impl Fn(&Wake) + Sync) -> Result<Option<T>, Error> {
    loop {
        let wake = Wake::default();
        match without_gvl(ruby, || pop(&wake), &|| interrupt(&wake))? {
            Some(Waited::Item(item)) => return Ok(Some(item)),
            Some(Waited::Closed | Waited::TimedOut) => return Ok(None),
            // Raises, or the wake-up was for something that this thread does not mind: wait on.
            Some(Waited::Woken) | None => ruby.thread_check_ints()?,
        }
    }
}

/// Runs `body` without the GVL. `Ok(None)`: an interrupt was pending and `body` did not run. Never raises by itself.
fn without_gvl<F, R, W>(ruby: &Ruby, body: F, unblock: &W) -> Result<Option<R>, Error>
where
    F: FnOnce() -> R,
    W: Fn() + Sync,
{
    let mut call = Call { body: Some(body), result: None };
    // SAFETY: both pointers are to values on this stack, which outlive the call; Ruby clears the unblock function, under the lock
    // that it is called with, before rb_nogvl returns. Neither function unwinds into C.
    unsafe {
        rb_sys::rb_nogvl(
            Some(run::<F, R>),
            ptr::from_mut(&mut call).cast(),
            Some(run_unblock::<W>),
            ptr::from_ref(unblock).cast_mut().cast(),
            rb_sys::RB_NOGVL_INTR_FAIL as _,
        );
    }
    match call.result {
        None => Ok(None),
        Some(Ok(result)) => Ok(Some(result)),
        Some(Err(panic)) => Err(errors::panicked(ruby, panic.as_ref())),
    }
}

unsafe extern "C" fn run<F: FnOnce() -> R, R>(data: *mut c_void) -> *mut c_void {
    // SAFETY: `data` is the Call that `without_gvl` lent.
    let call = unsafe { &mut *data.cast::<Call<F, R>>() };
    if let Some(body) = call.body.take() {
        call.result = Some(catch_unwind(AssertUnwindSafe(body)));
    }
    ptr::null_mut()
}

/// May run on another Ruby thread or on Ruby's timer thread, more than once, and before the body has begun: no Ruby API in it.
unsafe extern "C" fn run_unblock<W: Fn()>(data: *mut c_void) {
    // SAFETY: `data` is the closure that `without_gvl` lent.
    let unblock = unsafe { &*data.cast::<W>() };
    let _ = catch_unwind(AssertUnwindSafe(unblock));
}
