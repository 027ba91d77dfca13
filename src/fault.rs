//! Faults that a test plants in a node of a group, to see that the simulation finds them.
//!
//! Outside of tests none is there, and a question for one costs nothing.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Offsets are committed before rows and changes are sent.
    OffsetsBeforeRows,
    /// Offsets are committed beside the transaction, and not in it.
    OffsetsOutsideTransaction,
    /// A transaction is committed although the group has fenced its offsets.
    FenceIgnored,
    /// A transaction says nothing of the member that it is of.
    NoProof,
    /// What the group answers to a commit without a transaction is not looked at.
    AnswerIgnored,
    /// Partitions are released before their last work is committed, and it is committed later.
    ReleasedBeforeCommit,
    /// Offsets are committed before rows and changes have arrived.
    NotDelivered,
    /// A transaction is not given up when the work is.
    NotAborted,
    /// The state goes on as it is after a failed commit.
    NotRolledBack,
    /// A partition goes on where it was after a failed commit.
    NotSought,
    /// Rows that were held back for a failed commit are sent with the next one.
    PanesKept,
    /// The last offset of a changelog is not read.
    RestoreCutShort,
    /// A changelog is read to where transactions were open.
    RestoredToStable,
    /// The watermark begins again with each restoration.
    WatermarkGoesBack,
    /// The watermark of a task upstream begins again with each restoration.
    UpstreamGoesBack,
    /// A commit leaves the rows out of the changelog.
    RowsForgotten,
    /// A task upstream says how far it has come before it sends its parts.
    MarkBeforeParts,
    /// The end of the partition is taken for the position.
    PositionSkips,
    /// A task begins at the beginning, though its group has an offset.
    BeginsAgain,
    /// A group's first commit without a transaction must not have broken off.
    FirstCommitRefused,
    /// A commit says that one record more was read.
    CommittedTooFar,
    /// A run ends when this process has read everything, whatever others have.
    EndsEarly,
    /// A run ends although open windows of a process that was killed were not shown.
    EndsUnshown,
}

/// Returns whether a fault is planted.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn is_planted(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub(crate) use planted::{is_planted, plant};

#[cfg(test)]
mod planted {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Returns whether a fault is planted in what this thread runs.
    pub(crate) fn is_planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Plants a fault, in place of the one that was.
    pub(crate) fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }
}
