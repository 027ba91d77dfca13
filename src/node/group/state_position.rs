//! Which records a state has taken in, and whether the group's offset is where the state goes on.
//!
//! The changelog records which topic a state belongs to, by the id that brokers give it, and up to
//! which offset. A broker forgets a group's offsets: with their topic, some days after the last
//! member has left, or because the user deletes or sets them. A state that went on at another
//! offset would count records twice or leave some out.

use serde::{Deserialize, Serialize};

use super::commit::Guarantee;
use super::commit_metadata::{CommitMetadata, Role};
use crate::engine::watermark::BEGINNING;
use crate::error::Error;
use crate::fault::{Fault, is_planted};
use crate::kafka::member::Place;
use crate::source::Committed;

/// What a state belongs to; a part of its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatePosition {
    /// The id of the group's input; `None` of a broker that has none.
    pub input: Option<String>,
    /// The next offset to read.
    pub position: i64,
    /// The offset of the previous commit: without a transaction a crash leaves it committed.
    pub base: i64,
}

impl StatePosition {
    /// Returns whether the group's input has another id now.
    pub fn is_of_another(&self, input: Option<&str>) -> bool {
        let was = self.input.as_deref();
        was.zip(input).is_some_and(|(was, is)| was != is)
    }
}

/// What the changelog has of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// A state that an earlier version has written, which did not say what it belongs to.
    Unsaid,
    /// A state.
    State(StatePosition),
}

/// Why a state and the group's offset do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The input was deleted and created again.
    MadeAgain,
    /// There is an offset, and no state.
    NoState { committed: i64 },
    /// There is a state, and no offset; where it is known, the state's own.
    NoOffset { position: Option<i64> },
    /// The offset differs from the state's, where that is known.
    Elsewhere {
        committed: i64,
        position: Option<i64>,
    },
}

/// Returns where a task continues without an offset of its group's: at that of its state. `first` is
/// where a group begins that has committed nothing.
///
/// # Errors
/// A misfit, where it would count records twice or leave some out.
pub(super) fn fit(
    kept: &Kept,
    committed: Option<&Committed>,
    input: Option<&str>,
    role: Role,
    (guarantee, first): (Guarantee, i64),
) -> Result<Option<i64>, Misfit> {
    // An offset that the user has set has no note.
    let note = committed.and_then(|committed| CommitMetadata::parse(&committed.metadata));
    let may_lose = guarantee == Guarantee::AtMostOnce;
    match (kept, committed) {
        (Kept::State(stand), _) if stand.is_of_another(input) => Err(Misfit::MadeAgain),
        (Kept::Nothing, None) | (Kept::Unsaid, Some(_)) => Ok(None),
        (Kept::Nothing, Some(committed)) => match note {
            Some(note) if note.watermark > BEGINNING && !may_lose => Err(Misfit::NoState {
                committed: committed.offset,
            }),
            _ => Ok(None),
        },
        (Kept::Unsaid, None) => Err(Misfit::NoOffset { position: None }),
        (Kept::State(stand), None) => {
            let is_known = stand.input.is_some() && input.is_some();
            // Without a transaction the group's first commit may have broken off before its offsets.
            let broke_off = guarantee == Guarantee::AtLeastOnce
                && stand.base <= first
                && !is_planted(Fault::FirstCommitRefused);
            let goes_on = (role == Role::Window || broke_off) && is_known && !may_lose;
            let position = Some(stand.position);
            if goes_on {
                Ok(position)
            } else {
                Err(Misfit::NoOffset { position })
            }
        }
        (Kept::State(stand), Some(committed)) => {
            let at = committed.offset;
            let is_left_behind = at == stand.base || may_lose && at > stand.position;
            if at == stand.position || note.is_some() && is_left_behind {
                Ok(None)
            } else {
                Err(Misfit::Elsewhere {
                    committed: at,
                    position: Some(stand.position),
                })
            }
        }
    }
}

/// Checks whether a group still has the offset of a task upstream, which those downstream have seen.
/// Without a transaction they may have seen it before its first offset was committed.
///
/// # Errors
/// A misfit, where it would read records again.
pub(super) fn fit_upstream(
    committed: Option<&Committed>,
    guarantee: Guarantee,
) -> Result<(), Misfit> {
    match committed {
        None if guarantee == Guarantee::AtLeastOnce => Ok(()),
        None => Err(Misfit::NoOffset { position: None }),
        Some(committed) if CommitMetadata::parse(&committed.metadata).is_some() => Ok(()),
        Some(committed) => Err(Misfit::Elsewhere {
            committed: committed.offset,
            position: None,
        }),
    }
}

impl Misfit {
    /// Returns the error to report.
    pub fn to_error(&self, group: &str, place: &Place, input: &str, changelog: &str) -> Error {
        let Place { topic, partition } = place;
        let put_back = |position: i64| {
            format!(
                "`kafka-consumer-groups.sh --reset-offsets --execute --group {group} --topic \
                 {topic}:{partition} --to-offset {position}` continues with the state"
            )
        };
        let afresh = "or start over with `--reset`, or use another group: what the topic holds is computed again";
        match *self {
            Misfit::MadeAgain => {
                made_again(input).during(format!("restoring the state of group `{group}`"))
            }
            Misfit::NoState { committed } => Error::refused(format!(
                "group `{group}` has read topic `{topic}`, partition {partition}, up to offset \
                 {committed}, but its state is gone from topic `{changelog}`"
            ))
            .hint(afresh.trim_start_matches("or ")),
            Misfit::NoOffset { position } => {
                let error = Error::refused(format!(
                    "group `{group}` has a state of topic `{topic}`, partition {partition}, but no \
                     offset any more: it expired or was deleted"
                ));
                match position {
                    Some(position) => error.hint(put_back(position)).hint(afresh),
                    None => error.hint(afresh.trim_start_matches("or ")),
                }
            }
            Misfit::Elsewhere {
                committed,
                position: Some(position),
            } => Error::refused(format!(
                "group `{group}` was set to offset {committed} of topic `{topic}`, partition \
                 {partition}, but its state is at {position}: records would {}",
                if committed < position {
                    "count twice"
                } else {
                    "be left out"
                }
            ))
            .hint(put_back(position))
            .hint(afresh),
            Misfit::Elsewhere { committed, .. } => Error::refused(format!(
                "group `{group}` was set to offset {committed} of topic `{topic}`, partition \
                 {partition}, but its state is at another offset"
            ))
            .hint(afresh.trim_start_matches("or ")),
        }
    }
}

/// Returns the error of a topic that was deleted and created again.
pub(super) fn made_again(topic: &str) -> Error {
    Error::refused(format!(
        "topic `{topic}` was deleted and created again: it holds other records"
    ))
    .hint("start over with `--reset`; with another `--group` and `--to`, earlier results are kept")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Guarantee::{AtLeastOnce, AtMostOnce, ExactlyOnce};

    fn state(input: Option<&str>) -> Kept {
        Kept::State(StatePosition {
            input: input.map(str::to_owned),
            position: 70,
            base: 60,
        })
    }

    fn at(offset: i64) -> Option<Committed> {
        let note = CommitMetadata::new(Role::Window, 5, (0, 0));
        Some(Committed {
            offset,
            metadata: note.to_string(),
        })
    }

    fn by_hand(offset: i64) -> Option<Committed> {
        Some(Committed {
            offset,
            metadata: String::new(),
        })
    }

    #[test]
    fn a_state_goes_on_only_where_it_stands() {
        let elsewhere = |committed| {
            Err(Misfit::Elsewhere {
                committed,
                position: Some(70),
            })
        };
        let no_offset = |position| Err(Misfit::NoOffset { position });
        let no_state = |committed| Err(Misfit::NoState { committed });
        let (a, b) = (Some("a"), Some("b"));
        for (kept, committed, input, guarantee, expected) in [
            // Nobody has begun, or the user has said where.
            (Kept::Nothing, None, a, ExactlyOnce, Ok(None)),
            (Kept::Nothing, by_hand(9), a, ExactlyOnce, Ok(None)),
            // A partition of the changelog was emptied.
            (Kept::Nothing, at(70), a, ExactlyOnce, no_state(70)),
            (Kept::Nothing, at(70), a, AtMostOnce, Ok(None)),
            // An earlier version has written it.
            (Kept::Unsaid, at(70), a, ExactlyOnce, Ok(None)),
            (Kept::Unsaid, None, a, ExactlyOnce, no_offset(None)),
            // As it should be, and after a crash between changelog and offset.
            (state(a), at(70), a, ExactlyOnce, Ok(None)),
            (state(a), at(60), a, AtLeastOnce, Ok(None)),
            (state(a), at(90), a, AtMostOnce, Ok(None)),
            // The offset is gone.
            (state(a), None, a, ExactlyOnce, Ok(Some(70))),
            (state(a), None, a, AtMostOnce, no_offset(Some(70))),
            (state(None), None, a, ExactlyOnce, no_offset(Some(70))),
            (state(a), None, None, ExactlyOnce, no_offset(Some(70))),
            // The user has set it.
            (state(a), by_hand(70), a, ExactlyOnce, Ok(None)),
            (state(a), by_hand(60), a, ExactlyOnce, elsewhere(60)),
            (state(a), by_hand(90), a, AtMostOnce, elsewhere(90)),
            (state(a), at(50), a, AtLeastOnce, elsewhere(50)),
            (state(a), at(90), a, ExactlyOnce, elsewhere(90)),
            // Another topic of the same name.
            (state(a), None, b, ExactlyOnce, Err(Misfit::MadeAgain)),
            (state(a), at(70), b, ExactlyOnce, Err(Misfit::MadeAgain)),
        ] {
            let begins = (guarantee, 0);
            let found = fit(&kept, committed.as_ref(), input, Role::Window, begins);
            assert_eq!(
                found, expected,
                "{kept:?} {committed:?} {input:?} {guarantee:?}"
            );
        }
        for (guarantee, first, expected) in [
            (ExactlyOnce, 0, no_offset(Some(70))),
            (ExactlyOnce, 60, no_offset(Some(70))),
            (AtLeastOnce, 0, no_offset(Some(70))),
            // The first commit has broken off between changelog and offset.
            (AtLeastOnce, 60, Ok(Some(70))),
            (AtMostOnce, 60, no_offset(Some(70))),
        ] {
            let begins = (guarantee, first);
            let handed_on = fit(&state(a), None, a, Role::Downstream, begins);
            assert_eq!(handed_on, expected, "{guarantee:?} from {first}");
        }
    }
}
