//! Where a pool's next claim begins to look in the claim index.
//!
//! The head of that index is full of entries of jobs that have been claimed or have ended. Usually Postgres forgets them within
//! moments; behind a snapshot that somebody holds open it may not, and a claim that began at the head would step over all of them,
//! each time. So a pool remembers how far it has come, for each queue and priority, and goes on from there: a claim **onward**. What
//! may have appeared behind its back is either announced, with queue, priority and time, and moves the mark back to just there; or it
//! is found by the next claim **from the start**, which comes when nothing is known, when somebody asks for it, and now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::job::Moment;

/// How long a pool goes onward before it looks from the start again: what was enqueued in silence must be found some time.
const LOOK_BACK_INTERVAL: Duration = Duration::from_secs(10);
/// Looking back takes at most one part in so many of the time.
const LOOK_BACK_SHARE: u32 = 50;
/// Most marks that are kept; with more the pool looks from the start.
const MARKS_MAX: usize = 1_000;

/// Queue (its place in the pool's list, or 0) and priority: one range of the claim index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Place of the queue in the list of a pool that goes by queue; else 0.
    pub queue: usize,
    /// `good_jobs.priority`.
    pub priority: i32,
}

/// A place in a lane: everything up to here has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// `good_jobs.scheduled_at`.
    pub at: Moment,
    /// `good_jobs.id`.
    pub id: Uuid,
}

/// How the next claim looks for jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// At every job, from the head of the index on.
    FromStart,
    /// Behind these marks, in this order.
    Onward(Vec<(Lane, Mark)>),
}

/// A job that a claim has found: its lane, if it has a priority, and its place there.
pub type Found = (Option<Lane>, Mark);

/// See the module's documentation.
#[derive(Debug)]
pub struct Frontier {
    marks: BTreeMap<Lane, Mark>,
    /// What was announced since the claim under way began: it may or may not see it.
    told: BTreeMap<Lane, Mark>,
    known: Known,
    /// When a claim last began at the start, and how long it took.
    looked_back: Option<(Instant, Duration)>,
}

/// How much of what is due the marks cover, together with what was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    /// What lies in lanes up to this one.
    UpTo(Lane),
    Everything,
}

impl Default for Frontier {
    fn default() -> Self {
        Self { marks: BTreeMap::new(), told: BTreeMap::new(), known: Known::Nothing, looked_back: None }
    }
}

impl Frontier {
    /// A job lies in this lane at this time, perhaps behind its mark.
    pub fn tell(&mut self, lane: Lane, at: Moment) {
        lower(&mut self.told, lane, Mark { at, id: Uuid::nil() });
    }

    /// There may be jobs anywhere.
    pub fn forget(&mut self) {
        self.known = Known::Nothing;
    }

    /// Somebody polls: looks from the start, unless that takes too long to be done so often.
    pub fn look_back(&mut self, now: Instant) {
        self.look_back_after(Duration::ZERO, now);
    }

    /// How the claim that begins now shall look.
    pub fn next_walk(&mut self, now: Instant) -> Walk {
        self.look_back_after(LOOK_BACK_INTERVAL, now);
        let told = std::mem::take(&mut self.told);
        if self.known == Known::Nothing || self.marks.len() + told.len() > MARKS_MAX {
            self.looked_back = Some((now, Duration::ZERO));
            return Walk::FromStart;
        }
        for (lane, mark) in told {
            // What lies beyond the known lanes is found when these are empty; earlier, it would come out of turn.
            if !matches!(self.known, Known::UpTo(last) if lane > last) {
                lower(&mut self.marks, lane, mark);
            }
        }
        Walk::Onward(self.marks.iter().map(|(lane, mark)| (*lane, *mark)).collect())
    }

    /// What a claim found, in its order. Tells whether there may be more.
    pub fn found(&mut self, walk: &Walk, found: &[Found], asked_for: usize, took: Duration) -> bool {
        let full = found.len() >= asked_for;
        match walk {
            Walk::FromStart => self.found_from_start(found, full, took),
            Walk::Onward(_) => self.found_onward(found, full),
        }
        full || self.known == Known::Nothing
    }

    /// The claim failed: what it would have looked at has not been looked at, but the marks still hold. A look from the start is not
    /// tried again before its time, so that one which takes too long cannot keep the pool from going onward.
    pub fn failed(&mut self, walk: &Walk, took: Duration) {
        if *walk == Walk::FromStart {
            self.note_cost(took);
            if !self.marks.is_empty() {
                self.known = self.marks.keys().next_back().map_or(Known::Nothing, |lane| Known::UpTo(*lane));
            }
        }
    }

    fn found_from_start(&mut self, found: &[Found], full: bool, took: Duration) {
        self.note_cost(took);
        self.marks.clear();
        self.known = match found.last() {
            // What was due has been found, all of it.
            _ if !full => Known::Everything,
            Some((Some(lane), _)) => Known::UpTo(*lane),
            _ => Known::Nothing,
        };
        if full {
            self.advance(found);
        }
    }

    fn found_onward(&mut self, found: &[Found], full: bool) {
        if full {
            return self.advance(found);
        }
        // All lanes that are known are empty.
        self.marks.clear();
        if self.known != Known::Everything {
            self.known = Known::Nothing;
        }
    }

    fn advance(&mut self, found: &[Found]) {
        for (lane, mark) in found {
            if let Some(lane) = lane {
                self.marks.insert(*lane, *mark);
            }
        }
    }

    fn note_cost(&mut self, took: Duration) {
        if let Some((_, cost)) = &mut self.looked_back {
            *cost = took;
        }
    }

    fn look_back_after(&mut self, interval: Duration, now: Instant) {
        if self.looked_back.is_none_or(|(at, cost)| now.saturating_duration_since(at) >= interval.max(cost * LOOK_BACK_SHARE)) {
            self.forget();
        }
    }
}

fn lower(marks: &mut BTreeMap<Lane, Mark>, lane: Lane, mark: Mark) {
    marks.entry(lane).and_modify(|known| *known = mark.min(*known)).or_insert(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Lane = Lane { queue: 0, priority: 1 };
    const TWO: Lane = Lane { queue: 0, priority: 2 };
    const NO_TIME: Duration = Duration::ZERO;

    fn mark(at: i64) -> Mark {
        Mark { at: Moment(at), id: Uuid::from_u128(7) }
    }

    fn found(lanes: &[(Lane, i64)]) -> Vec<Found> {
        lanes.iter().map(|(lane, at)| (Some(*lane), mark(*at))).collect()
    }

    fn told(at: i64) -> Mark {
        Mark { at: Moment(at), id: Uuid::nil() }
    }

    /// A frontier after a claim from the start.
    fn after_claim_from_start(lanes: &[(Lane, i64)], asked_for: usize) -> Frontier {
        let mut frontier = Frontier::default();
        let walk = frontier.next_walk(Instant::now());
        assert_eq!(walk, Walk::FromStart);
        frontier.found(&walk, &found(lanes), asked_for, NO_TIME);
        frontier
    }

    fn next(frontier: &mut Frontier) -> Walk {
        frontier.next_walk(Instant::now())
    }

    #[test]
    fn goes_on_behind_the_last_job_of_each_lane() {
        let mut frontier = after_claim_from_start(&[(ONE, 10), (ONE, 20), (TWO, 5)], 3);
        let walk = next(&mut frontier);
        assert_eq!(walk, Walk::Onward(vec![(ONE, mark(20)), (TWO, mark(5))]));
        assert!(frontier.found(&walk, &found(&[(TWO, 6), (TWO, 7), (TWO, 8)]), 3, NO_TIME));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, mark(20)), (TWO, mark(8))]));
    }

    #[test]
    fn looks_for_further_lanes_once_those_it_knows_are_empty() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        let walk = next(&mut frontier);
        assert!(frontier.found(&walk, &[], 1, NO_TIME), "there may be more");
        assert_eq!(next(&mut frontier), Walk::FromStart);
    }

    #[test]
    fn looks_only_where_it_is_told_once_everything_has_been_found() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 2);
        assert_eq!(next(&mut frontier), Walk::Onward(vec![]));
        frontier.tell(TWO, Moment(30));
        frontier.tell(TWO, Moment(20));
        let walk = next(&mut frontier);
        assert_eq!(walk, Walk::Onward(vec![(TWO, told(20))]));
        assert!(!frontier.found(&walk, &found(&[(TWO, 30)]), 2, NO_TIME));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![]));
    }

    #[test]
    fn a_job_told_behind_a_mark_moves_it_back_and_one_before_it_does_not() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        frontier.tell(ONE, Moment(15));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, mark(10))]));
        frontier.tell(ONE, Moment(5));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, told(5))]));
    }

    #[test]
    fn what_is_told_during_a_claim_is_looked_for_by_the_next() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        let walk = next(&mut frontier);
        frontier.tell(ONE, Moment(4));
        frontier.found(&walk, &found(&[(ONE, 12)]), 1, NO_TIME);
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, told(4))]));
    }

    #[test]
    fn what_is_told_of_a_lane_not_yet_reached_does_not_jump_the_queue() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        frontier.tell(TWO, Moment(99));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, mark(10))]));
    }

    #[test]
    fn looks_from_the_start_again_when_asked_and_after_a_while() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        frontier.forget();
        assert_eq!(next(&mut frontier), Walk::FromStart);

        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        assert_eq!(frontier.next_walk(Instant::now() + LOOK_BACK_INTERVAL), Walk::FromStart);
    }

    #[test]
    fn looks_back_less_often_the_longer_that_takes() {
        let now = Instant::now();
        let mut frontier = Frontier::default();
        let walk = frontier.next_walk(now);
        frontier.found(&walk, &found(&[(ONE, 10)]), 1, Duration::from_secs(1));
        frontier.look_back(now + Duration::from_secs(49));
        assert_ne!(frontier.next_walk(now + Duration::from_secs(49)), Walk::FromStart);
        frontier.look_back(now + Duration::from_secs(50));
        assert_eq!(frontier.next_walk(now + Duration::from_secs(50)), Walk::FromStart);
    }

    #[test]
    fn a_look_back_that_fails_does_not_keep_it_from_going_on() {
        let mut frontier = after_claim_from_start(&[(ONE, 10)], 1);
        frontier.forget();
        let walk = next(&mut frontier);
        frontier.failed(&walk, Duration::from_secs(10));
        assert_eq!(next(&mut frontier), Walk::Onward(vec![(ONE, mark(10))]));
    }

    #[test]
    fn jobs_without_a_priority_have_no_lane_to_go_on_in() {
        let mut frontier = Frontier::default();
        let walk = next(&mut frontier);
        frontier.found(&walk, &[(None, mark(1))], 1, NO_TIME);
        assert_eq!(next(&mut frontier), Walk::FromStart);
    }

    #[test]
    fn the_number_of_marks_is_bounded() {
        let mut frontier = after_claim_from_start(&[], 1);
        (0..=i32::try_from(MARKS_MAX).unwrap()).for_each(|priority| frontier.tell(Lane { queue: 0, priority }, Moment(1)));
        assert_eq!(next(&mut frontier), Walk::FromStart);
    }
}
