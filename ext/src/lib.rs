//! The Ruby extension of good_job_rs: `GoodJob::Native`. This file is the list of everything that Ruby can call; native.rb documents
//! it. Rust never calls Ruby: Ruby's threads pull claims and push outcomes, and only plain data crosses.

#![deny(unsafe_code)]
#![allow(missing_docs, reason = "nothing here is public but the entry point that #[magnus::init] generates")]

mod convert;
mod errors;
mod fork;
mod gvl;
mod runtime;

use std::borrow::Cow;

use good_job_core::postgres::sql;
use good_job_core::queue_selector;
use good_job_core::transition::{decide, FlatTransition};
use magnus::prelude::*;
use magnus::{function, method, Error, Ruby, Value};

use crate::runtime::Runtime;

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    fork::install().map_err(|error| Error::new(ruby.exception_load_error(), format!("good_job_rs: {error}")))?;
    let native = ruby.define_module("GoodJob")?.define_module("Native")?;
    native.define_singleton_method("statement", function!(statement, 1))?;
    native.define_singleton_method("parse_queues", function!(parse_queues, 1))?;
    native.define_singleton_method("transition", function!(transition, 1))?;

    let class = native.define_class("Runtime", ruby.class_object())?;
    class.define_singleton_method("new", function!(Runtime::new, 1))?;
    class.define_method("start", method!(Runtime::start, 0))?;
    class.define_method("process_id", method!(Runtime::process_id, 0))?;
    class.define_method("pools", method!(Runtime::pools, 0))?;
    class.define_method("try_take", method!(Runtime::try_take, 1))?;
    class.define_method("take", method!(Runtime::take, 1))?;
    class.define_method("adopt", method!(Runtime::adopt, 2))?;
    class.define_method("describe", method!(Runtime::describe, 1))?;
    class.define_method("started", method!(Runtime::started, 1))?;
    class.define_method("finish", method!(Runtime::finish, 2))?;
    class.define_method("drain", method!(Runtime::drain, 0))?;
    class.define_method("stop", method!(Runtime::stop, 1))?;
    class.define_method("look", method!(Runtime::look, 2))?;
    class.define_method("note_vitals", method!(Runtime::note_vitals, 1))?;
    class.define_method("snapshot", method!(Runtime::snapshot, 0))?;
    class.define_method("next_event", method!(Runtime::next_event, 0))?;
    class.define_method("answer_pulse", method!(Runtime::answer_pulse, 0))?;
    Ok(())
}

fn statement(ruby: &Ruby, name: String) -> Result<String, Error> {
    sql::template(&name).map(Cow::into_owned).ok_or_else(|| errors::invalid(ruby, format!("there is no statement named {name:?}")))
}

fn parse_queues(ruby: &Ruby, queues: String) -> Result<Value, Error> {
    let pools = queue_selector::parse(&queues).map_err(|error| errors::from_core(ruby, &error))?;
    convert::to_ruby(ruby, &pools)
}

fn transition(ruby: &Ruby, outcome: Value) -> Result<Value, Error> {
    let outcome = runtime::outcome_from(ruby, outcome)?;
    convert::to_ruby(ruby, &FlatTransition::from(decide(outcome)))
}
