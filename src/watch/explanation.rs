//! Explains the record or window that a person has clicked on, as `k explain` does.

use super::tape::Taped;
use crate::error::Result;
use crate::explain::{Moment, Wanted, lives_in, stories_in, tell_life, tell_story};
use crate::journal::{Bounds, Event, Plan};
use crate::plot::cut::Near;

/// How many records and rows of a window are named.
const MOST: usize = 10;

/// What was clicked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The record of a number among all that were read.
    Record(u64),
    /// The record that is nearest to a place in the picture; if there is none, something else.
    Near(Near, Option<Box<Target>>),
    /// A window of a key.
    Window {
        /// Its bounds.
        window: Bounds,
        /// Its grouping values with commas between; `None` where nothing is grouped by.
        key: Option<String>,
    },
}

/// Tells of it in lines; what is not known any more, too.
///
/// # Errors
/// `bug` where events cannot be read back.
pub(super) fn tell(plan: &Plan, taped: &Taped, target: &Target) -> Result<Vec<String>> {
    let mut lines = match target {
        Target::Record(number) => record(plan, taped, *number)?,
        Target::Near(_, Some(other)) => return tell(plan, taped, other),
        Target::Near(_, None) => Vec::new(),
        Target::Window { window, key } => story(plan, taped, *window, key.as_deref())?,
    };
    match (lines.is_empty(), taped.is_cut) {
        (true, true) => {
            lines.push("It was too long ago: its events are no longer kept.".to_owned())
        }
        (true, false) => lines.push("Nothing is known of it.".to_owned()),
        (false, true) => {
            lines.push("(Earlier events are no longer kept.)".to_owned());
        }
        (false, false) => {}
    }
    Ok(lines)
}

fn record(plan: &Plan, taped: &Taped, number: u64) -> Result<Vec<String>> {
    let is_chosen = |event: &Event| match event {
        Event::Read(read) => read.record == number,
        Event::Malformed(record) | Event::Ahead(record) => record.record == number,
        _ => false,
    };
    let (lives, _) = lives_in(plan, 1, || Ok(taped.events()), is_chosen)?;
    let told = lives.lives.iter();
    Ok(told
        .flat_map(|life| tell_life(life, &lives.teller))
        .collect())
}

fn story(plan: &Plan, taped: &Taped, window: Bounds, key: Option<&str>) -> Result<Vec<String>> {
    let at = Moment::At(window.start.or(window.end).unwrap_or(0));
    let wanted = Wanted {
        key: key.map(|key| key.split(',').map(str::to_owned).collect()),
        most: MOST,
    };
    let (told, _) = stories_in(plan, taped.events(), at, &wanted, "it is at")?;
    let mut stories = told.stories.iter().collect::<Vec<_>>();
    // A session may have grown since it was drawn.
    if stories.iter().any(|(story, _)| story.window == window) {
        stories.retain(|(story, _)| story.window == window);
    }
    let lines = stories.into_iter();
    let lines = lines.flat_map(|(story, waits)| tell_story(story, waits.as_deref(), &told.teller));
    Ok(lines.collect())
}
