//! `GoodJob::Native::Runtime`: a handle to the queue's runtime that refuses to work in a forked child.

use std::time::Instant;

use good_job_core::config::RawConfig;
use good_job_core::job::Moment;
use good_job_core::outcome::{Outcome, RawOutcome};
use good_job_core::runtime::{Fetched, Taken};
use good_job_core::wait_queue::QueueClosed;
use good_job_core::Runtime as Core;
use magnus::{Error, RArray, RHash, Ruby, Value};

use crate::fork::Owner;
use crate::{convert, errors, gvl};

/// See the module's documentation.
#[magnus::wrap(class = "GoodJob::Native::Runtime", free_immediately, size)]
pub(crate) struct Runtime {
    /// `None` only while it is being dropped.
    core: Option<Core>,
    owner: Owner,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A child leaks the parent's runtime: its locks may be held for ever, and its connections are not the child's.
        if !self.owner.is_current() {
            std::mem::forget(self.core.take());
        }
    }
}

impl Runtime {
    pub(crate) fn new(ruby: &Ruby, options: Value) -> Result<Self, Error> {
        let options: RawConfig = convert::from_ruby(ruby, options, "Runtime.new")?;
        let core = Core::new(options).map_err(|error| errors::from_core(ruby, &error))?;
        Ok(Self { core: Some(core), owner: Owner::current() })
    }

    fn core(&self, ruby: &Ruby) -> Result<&Core, Error> {
        self.core.as_ref().filter(|_| self.owner.is_current()).ok_or_else(|| errors::forked(ruby))
    }

    pub(crate) fn start(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.core(ruby)?.start().map_err(|error| errors::from_core(ruby, &error))
    }

    pub(crate) fn process_id(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        Ok(this.core(ruby)?.process_id().to_string())
    }

    pub(crate) fn pools(ruby: &Ruby, this: &Self) -> Result<RArray, Error> {
        let pools = ruby.ary_new();
        for (name, max_threads) in this.core(ruby)?.pools() {
            let pool = ruby.hash_new();
            pool.aset(ruby.to_symbol("name"), name)?;
            pool.aset(ruby.to_symbol("max_threads"), max_threads)?;
            pools.push(pool)?;
        }
        Ok(pools)
    }

    pub(crate) fn try_take(ruby: &Ruby, this: &Self, pool: usize) -> Result<Option<RHash>, Error> {
        let core = this.core(ruby)?;
        check_pool(ruby, core, pool)?;
        // A closed pool is no error here: `take` tells.
        core.try_take(pool).unwrap_or(None).map(|taken| hand_over(ruby, core, &taken)).transpose()
    }

    pub(crate) fn take(ruby: &Ruby, this: &Self, pool: usize) -> Result<Option<RHash>, Error> {
        let core = this.core(ruby)?;
        check_pool(ruby, core, pool)?;
        // With the GVL first: giving it up and getting it back costs more than a short job, and starves under CPU-bound threads.
        let taken = match core.try_take(pool) {
            Ok(Some(taken)) => Some(taken),
            Ok(None) => gvl::wait(ruby, |wake| core.take(pool, wake), |wake| core.interrupt_take(pool, wake))?,
            Err(QueueClosed) => None,
        };
        taken.map(|taken| hand_over(ruby, core, &taken)).transpose()
    }

    pub(crate) fn adopt(ruby: &Ruby, this: &Self, pool: usize, job: Value) -> Result<u64, Error> {
        let core = this.core(ruby)?;
        let job: Fetched = convert::from_ruby(ruby, job, "adopt")?;
        core.adopt(pool, job).map_err(|error| errors::from_core(ruby, &error))
    }

    pub(crate) fn describe(ruby: &Ruby, this: &Self, lease: u64) -> Result<Value, Error> {
        let description = this.core(ruby)?.describe(lease).ok_or_else(|| no_such_run(ruby, lease))?;
        convert::to_ruby(ruby, &description)
    }

    pub(crate) fn started(ruby: &Ruby, this: &Self, lease: u64) -> Result<bool, Error> {
        let core = this.core(ruby)?;
        let Some(reply) = core.request_stamp(lease) else { return Err(no_such_run(ruby, lease)) };
        let ours = gvl::wait(ruby, |wake| reply.pop(wake, None, || ()), |wake| reply.wake(wake))?.unwrap_or(false);
        if ours {
            core.mark_stamped(lease);
        }
        Ok(ours)
    }

    pub(crate) fn finish(ruby: &Ruby, this: &Self, lease: u64, outcome: Value) -> Result<(), Error> {
        let core = this.core(ruby)?;
        let outcome = outcome_from(ruby, outcome)?;
        let Some(mut completion) = core.end(lease, outcome) else { return Err(no_such_run(ruby, lease)) };
        while let Err(refused) = core.save(completion) {
            completion = *refused;
            let room = gvl::wait(ruby, |wake| core.wait_for_room(wake), |wake| core.interrupt_wait_for_room(wake));
            match room {
                Ok(Some(())) => {}
                Ok(None) => {
                    return Err(errors::stopped(ruby, "the runtime has ended; this run's outcome is lost, and the job will be rescued"))
                }
                Err(interrupt) => {
                    core.save_regardless(completion);
                    return Err(interrupt);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn drain(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.core(ruby)?.drain();
        Ok(())
    }

    pub(crate) fn stop(ruby: &Ruby, this: &Self, timeout_us: Value) -> Result<bool, Error> {
        let core = this.core(ruby)?;
        let timeout = convert::optional_micros(ruby, timeout_us, "timeout_us")?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        core.close();
        gvl::wait(ruby, |wake| core.wait_until_stopped(wake, deadline), |wake| core.interrupt_wait_until_stopped(wake))?;
        let unsaved = core.abandon();
        gvl::wait(ruby, |wake| core.wait_until_stopped(wake, None), |wake| core.interrupt_wait_until_stopped(wake))?;
        core.join();
        Ok(unsaved == 0)
    }

    pub(crate) fn look(ruby: &Ruby, this: &Self, queue: Option<String>, at_us: Option<i64>) -> Result<Option<bool>, Error> {
        Ok(this.core(ruby)?.look(queue.as_deref(), at_us.map(Moment)))
    }

    pub(crate) fn note_vitals(ruby: &Ruby, this: &Self, vitals: Value) -> Result<(), Error> {
        let core = this.core(ruby)?;
        core.note_vitals(convert::from_ruby(ruby, vitals, "note_vitals")?);
        Ok(())
    }

    pub(crate) fn snapshot(ruby: &Ruby, this: &Self) -> Result<Value, Error> {
        convert::to_ruby(ruby, &this.core(ruby)?.snapshot())
    }

    pub(crate) fn next_event(ruby: &Ruby, this: &Self) -> Result<Option<Value>, Error> {
        let core = this.core(ruby)?;
        let event = gvl::wait(ruby, |wake| core.next_event(wake), |wake| core.interrupt_next_event(wake))?;
        event.map(|event| convert::to_ruby(ruby, &event)).transpose()
    }

    pub(crate) fn answer_pulse(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        let core = this.core(ruby)?;
        let _attendance = Attendance(core);
        // The wait ends with the GVL in hand: that is the answer.
        while gvl::wait(ruby, |wake| core.next_pulse(wake), |wake| core.interrupt_next_pulse(wake))?.is_some() {
            core.answer_pulse();
        }
        Ok(())
    }
}

/// Says when it goes out of scope that nobody answers any more, whatever ended that.
struct Attendance<'a>(&'a Core);

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        self.0.leave_pulse();
    }
}

fn check_pool(ruby: &Ruby, core: &Core, pool: usize) -> Result<(), Error> {
    let pools = core.pools().len();
    if pool >= pools {
        return Err(errors::invalid(ruby, format!("there is no pool {pool}; the first is 0, the last {}", pools - 1)));
    }
    Ok(())
}

fn hand_over(ruby: &Ruby, core: &Core, taken: &Taken) -> Result<RHash, Error> {
    convert::claim(ruby, taken).inspect_err(|_| {
        // Ruby could not be told of the job: nobody else will finish it.
        if let Some(completion) = core.end(taken.number, Outcome::Unstarted) {
            core.save_regardless(completion);
        }
    })
}

/// Reads an outcome and checks it.
pub(crate) fn outcome_from(ruby: &Ruby, outcome: Value) -> Result<Outcome, Error> {
    if let Some(success) = convert::plain_success(ruby, outcome) {
        return Ok(success);
    }
    let raw: RawOutcome = convert::from_ruby(ruby, outcome, "outcome")?;
    Outcome::try_from(raw).map_err(|error| errors::from_core(ruby, &error))
}

fn no_such_run(ruby: &Ruby, lease: u64) -> Error {
    errors::invalid(ruby, format!("there is no run with the lease {lease}: it was finished before, or never taken"))
}
