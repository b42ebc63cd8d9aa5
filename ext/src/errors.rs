//! The one table from Rust's errors to Ruby's classes (lib/good_job/errors.rb declares those).

use std::any::Any;

use magnus::prelude::*;
use magnus::{Error, ExceptionClass, RModule, Ruby};

/// An error of the queue's as an exception.
pub(crate) fn from_core(ruby: &Ruby, error: &good_job_core::Error) -> Error {
    let message = error.to_string();
    if error.is_invalid_input() {
        Error::new(ruby.exception_arg_error(), message)
    } else if error.is_stopped() {
        Error::new(class(ruby, "StoppedError"), message)
    } else {
        Error::new(class(ruby, "Error"), message)
    }
}

/// The runtime has ended.
pub(crate) fn stopped(ruby: &Ruby, message: &'static str) -> Error {
    Error::new(class(ruby, "StoppedError"), message)
}

/// A bad argument.
pub(crate) fn invalid(ruby: &Ruby, message: impl Into<String>) -> Error {
    Error::new(ruby.exception_arg_error(), message.into())
}

/// The runtime belongs to a process that this one was forked from.
pub(crate) fn forked(ruby: &Ruby) -> Error {
    let message = "this runtime belongs to the process that this one was forked from; make a new one (GoodJob.restart does)";
    Error::new(class(ruby, "ForkedError"), message)
}

/// A panic in native code, as an exception that `rescue` catches: magnus would make it `fatal`, which ends the process.
pub(crate) fn panicked(ruby: &Ruby, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("the queue's native code panicked; please report this: {}", text.unwrap_or("no message"));
    Error::new(class(ruby, "NativePanicError"), message)
}

fn class(ruby: &Ruby, name: &str) -> ExceptionClass {
    let found = ruby.class_object().const_get::<_, RModule>("GoodJob").and_then(|good_job| good_job.const_get(name));
    found.unwrap_or_else(|_| ruby.exception_runtime_error())
}
