//! Answers from events that were kept: those of a journal, or of a run that goes on.

use super::trial::Trials;
use super::{Ending, Life, Moment, Stories, Story, Teller, Wanted, Witness};
use crate::error::Result;
use crate::journal::{Event, Plan};
use crate::term::units::format_time;

/// The lives of some records.
#[derive(Debug)]
pub(crate) struct Lives {
    /// Says them in sentences.
    pub(crate) teller: Teller,
    /// In the order of their records.
    pub(crate) lives: Vec<Life>,
}

/// The stories of some windows.
#[derive(Debug)]
pub(crate) struct Told {
    /// Says them in sentences.
    pub(crate) teller: Teller,
    /// Each with what its next row waits for.
    pub(crate) stories: Vec<(Story, Option<String>)>,
}

/// How many records were heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Malformed or not.
    pub(crate) records: u64,
    /// Malformed ones.
    pub(crate) malformed: u64,
}

/// Returns the lives of at most so many records that are chosen, the first ones. `events` are asked for
/// twice where the engine has to be asked what would have kept a record.
///
/// # Errors
/// Those of the events.
pub(crate) fn lives_in<I>(
    plan: &Plan,
    most: usize,
    events: impl Fn() -> Result<I>,
    is_chosen: impl Fn(&Event) -> bool,
) -> Result<(Lives, Heard)>
where
    I: Iterator<Item = Result<Event>>,
{
    let mut witness = Witness::new(plan.clone());
    let mut heard = Heard::default();
    for event in events()? {
        let event = event?;
        let is_malformed = matches!(event, Event::Malformed(_));
        heard.records += u64::from(is_malformed || matches!(event, Event::Read(_)));
        heard.malformed += u64::from(is_malformed);
        let begun = witness.len();
        witness.hear(&event, |event| begun < most && is_chosen(event));
        if witness.len() >= most && witness.is_done() {
            break;
        }
    }
    witness.pause();
    witness.find_ways_out();
    if let Some(mut trials) = Trials::new(plan, witness.lives()) {
        for event in events()? {
            trials.hear(&event?)?;
            if trials.are_done() {
                break;
            }
        }
    }
    let lives = Lives {
        teller: Teller::new(plan.clone(), witness.clock.watermark),
        lives: witness.into_lives(),
    };
    Ok((lives, heard))
}

/// Returns the stories of the windows at a moment; `reached` says how far the watermark has come at the
/// end of the events, as `the journal ends at`.
///
/// # Errors
/// Those of the events.
pub(crate) fn stories_in(
    plan: &Plan,
    events: impl Iterator<Item = Result<Event>>,
    at: Moment,
    wanted: &Wanted,
    reached: &str,
) -> Result<(Told, Heard)> {
    let zone = plan.zone.as_deref();
    let zone = zone.and_then(|zone| jiff::tz::TimeZone::get(zone).ok());
    let mut stories: Option<Stories> = None;
    let mut heard = Heard::default();
    for event in events {
        let event = event?;
        if let Event::Read(record) = &event {
            heard.records += 1;
            stories.get_or_insert_with(|| {
                let at = at.after(record.at, zone.as_ref());
                Stories::new(plan.clone(), at, wanted.clone())
            });
        }
        if let Some(stories) = &mut stories {
            stories.hear(&event);
        }
    }
    let watermark = stories.as_ref().and_then(|stories| stories.clock.watermark);
    let waits = |story: &Story| {
        let due = if plan.trigger.contains("watermark") && !story.has_closed {
            story.closes_at
        } else {
            story.expires_at
        };
        match due {
            None => "Its next row waits for the end of the input.".to_owned(),
            Some(due) => format!(
                "Its next row waits for the watermark to reach {}; {reached} {}.",
                format_time(due),
                watermark.map_or_else(|| "none".to_owned(), format_time)
            ),
        }
    };
    let stories = stories.map_or(Vec::new(), Stories::take);
    let stories = stories.into_iter().map(|story| {
        let waits = (story.ending == Ending::Open).then(|| waits(&story));
        (story, waits)
    });
    let told = Told {
        teller: Teller::new(plan.clone(), watermark),
        stories: stories.collect(),
    };
    Ok((told, heard))
}
