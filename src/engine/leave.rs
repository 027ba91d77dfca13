//! What to do with a window that leaves: show it, merge it, or hand it on.

use super::aggregate::Slot;
use super::combine::handoff::Combining;
use super::combine::merge::Partial;

/// What happens to the windows that leave an operator.
#[derive(Debug)]
pub enum Leave {
    /// Their rows are shown.
    Show,
    /// Their states are put together with those of other threads, which read other parts of the
    /// input; here they wait for that. For windows of a grid that fire once.
    Merge(Vec<Partial>),
    /// Their states are handed on to an operator that holds the whole of each key, which shows them.
    HandOn(HandOn),
}

/// What is handed on to an operator elsewhere.
#[derive(Debug)]
pub struct HandOn {
    pub combining: Combining,
    /// The slots of windows that have left, or of single records; taken with the next parts.
    pub left: Vec<Left>,
}

/// A slot that is not open any more.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    pub slot: Slot,
    /// The watermark by which it is judged downstream; `None` for one that was judged.
    pub judged_at: Option<i64>,
}

impl Leave {
    /// Returns what of the records is handed on; `None` where windows leave otherwise.
    #[inline]
    pub fn hands_on(&self) -> Option<Combining> {
        match self {
            Leave::Show | Leave::Merge(_) => None,
            Leave::HandOn(hand_on) => Some(hand_on.combining),
        }
    }

    /// Returns whether each record leaves as a part of its own.
    #[inline]
    pub fn keeps_apart(&self) -> bool {
        self.hands_on() == Some(Combining::ByRecord)
    }

    /// Leaves a slot to be handed on.
    pub fn hand_on(&mut self, slot: Slot, judged_at: Option<i64>) {
        if let Leave::HandOn(hand_on) = self {
            hand_on.left.push(Left { slot, judged_at });
        }
    }
}
