//! How far event time has come on both sides, and together.
//!
//! In: event times, which partitions are idle, which side has ended. Out: the combined watermark,
//! which never goes back, and the side to read next.

use serde::{Deserialize, Serialize};

use super::Side;
use crate::engine::codec::{self, Corrupt};
use crate::engine::watermark::{BEGINNING, Bound, END, Watermarks};
use crate::error::Result;

/// The event time of a join.
#[derive(Debug)]
pub(super) struct Clock {
    sides: [SideClock; 2],
    combined: i64,
    /// The side that is read first of two at one watermark.
    first: Side,
}

#[derive(Debug)]
struct SideClock {
    watermarks: Watermarks,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Holds the other side back.
    Active,
    /// Every partition is at its end, and nothing has come for a while.
    Idle,
    /// Nothing will ever come.
    Ended,
}

impl SideClock {
    /// Returns the time that the other side need not wait for this one to reach: all there is of
    /// a side that is idle or has ended.
    #[inline]
    fn reach(&self) -> i64 {
        match self.state {
            State::Active => self.watermarks.combined(),
            State::Idle | State::Ended => END,
        }
    }
}

impl Clock {
    pub fn new(partitions: [usize; 2], out_of_order_ms: [i64; 2], first: Side) -> Self {
        let side = |side: Side| {
            let bound = Bound::Fixed(out_of_order_ms[side.index()]);
            SideClock {
                watermarks: Watermarks::new(partitions[side.index()], bound),
                state: State::Active,
            }
        };
        Clock {
            sides: Side::BOTH.map(side),
            combined: BEGINNING,
            first,
        }
    }

    /// Returns the combined watermark: nothing below it is expected on either side.
    #[inline]
    pub fn combined(&self) -> i64 {
        self.combined
    }

    /// Returns the time below which nothing is waited for on a side: its watermark, or the end of
    /// time when it is idle or has ended.
    #[inline]
    pub fn reach(&self, side: Side) -> i64 {
        self.sides[side.index()].reach()
    }

    /// Returns whether nothing is expected on either side.
    pub fn has_ended(&self) -> bool {
        self.sides.iter().all(|side| side.state == State::Ended)
    }

    /// Returns the side to read next.
    #[inline]
    pub fn furthest_behind(&self) -> Side {
        let other = self.first.other();
        if self.reach(other) < self.reach(self.first) {
            other
        } else {
            self.first
        }
    }

    /// Returns the partition that holds a side's watermark back, if one does.
    pub fn partition_behind(&self, side: Side) -> Option<usize> {
        self.sides[side.index()].watermarks.furthest_behind()
    }

    /// Notes an event time; returns whether the side's watermark has moved.
    #[inline]
    pub fn observe(&mut self, side: Side, partition: usize, time: i64) -> bool {
        let clock = &mut self.sides[side.index()];
        let moved = clock.watermarks.observe(partition, time);
        if clock.state == State::Idle {
            clock.state = State::Active;
        }
        if moved {
            self.combine();
        }
        moved
    }

    /// Moves a partition's watermark to `watermark` if that is ahead of it; returns whether the side's has
    /// moved.
    pub fn advance(&mut self, side: Side, partition: usize, watermark: i64) -> bool {
        let clock = &mut self.sides[side.index()];
        let moved = clock.watermarks.advance(partition, watermark);
        if clock.state == State::Idle {
            clock.state = State::Active;
        }
        if moved {
            self.combine();
        }
        moved
    }

    /// Returns whether a partition does not hold the others back.
    pub fn is_idle(&self, side: Side, partition: usize) -> bool {
        self.sides[side.index()].watermarks.is_idle(partition)
    }

    /// Appends how far event time has come.
    ///
    /// # Errors
    /// As [`codec::put`].
    pub fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        for side in &self.sides {
            codec::put(bytes, &side.watermarks.saved())?;
            codec::put(bytes, &side.state)?;
        }
        codec::put(bytes, &self.combined)
    }

    /// Takes up what was saved.
    ///
    /// # Errors
    /// [`Corrupt`] where it is of other numbers of partitions.
    pub fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Corrupt> {
        for side in &mut self.sides {
            side.watermarks.load(bytes)?;
            side.state = codec::take(bytes)?;
        }
        self.combined = codec::take(bytes)?;
        Ok(())
    }

    /// Marks a partition as idle or not; returns whether that changes anything.
    pub fn set_idle(&mut self, side: Side, partition: usize, idle: bool) -> bool {
        let clock = &mut self.sides[side.index()];
        if clock.state == State::Ended || clock.watermarks.is_idle(partition) == idle {
            return false;
        }
        clock.watermarks.set_idle(partition, idle);
        clock.state = match clock.watermarks.furthest_behind() {
            Some(_) => State::Active,
            None => State::Idle,
        };
        self.combine();
        true
    }

    /// Ends a side.
    pub fn end(&mut self, side: Side) {
        self.sides[side.index()].state = State::Ended;
        self.combine();
    }

    /// The watermark of the active side that is furthest behind counts; where there is none, that
    /// of the idle one furthest ahead; where both have ended, the end of time.
    fn combine(&mut self) {
        let of = |state: State| {
            let sides = self.sides.iter().filter(move |side| side.state == state);
            sides.map(|side| side.watermarks.combined())
        };
        let reached = of(State::Active)
            .min()
            .or_else(|| of(State::Idle).max())
            .unwrap_or(END);
        self.combined = self.combined.max(reached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new([1, 2], [0, 0], Side::Left)
    }

    #[test]
    fn the_side_behind_is_read_first_and_the_first_of_equals() {
        let mut clock = clock();
        assert_eq!(clock.furthest_behind(), Side::Left);
        clock.observe(Side::Left, 0, 5);
        assert_eq!(clock.furthest_behind(), Side::Right);
        clock.observe(Side::Right, 0, 5);
        assert_eq!(
            clock.furthest_behind(),
            Side::Right,
            "one of two partitions"
        );
        clock.observe(Side::Right, 1, 5);
        assert_eq!((clock.furthest_behind(), clock.combined()), (Side::Left, 5));
    }

    #[test]
    fn an_idle_side_holds_nobody_back_and_an_ended_one_does_not_end_the_other() {
        let mut clock = clock();
        clock.observe(Side::Left, 0, 5);
        clock.observe(Side::Right, 0, 9);
        assert_eq!(clock.combined(), BEGINNING);
        clock.set_idle(Side::Right, 1, true);
        assert_eq!(clock.combined(), 5);
        clock.end(Side::Left);
        assert_eq!(
            (clock.combined(), clock.furthest_behind()),
            (9, Side::Right)
        );
        clock.set_idle(Side::Right, 0, true);
        assert_eq!(clock.combined(), 9, "it may speak again");
        clock.observe(Side::Right, 0, 11);
        clock.end(Side::Right);
        assert_eq!(clock.combined(), END);
    }
}
