//! Answers on stdout: in sentences, or as JSON, one object a line.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::explain::{Lives, Standing, Story, Told, tell_life, tell_story};

/// A story as JSON.
#[derive(Serialize)]
struct StoryLine<'s> {
    #[serde(flatten)]
    story: &'s Story,
    waits: Option<&'s str>,
}

pub(super) fn lives(answered: &Lives, is_json: bool) -> Result<()> {
    let texts = answered.lives.iter().map(|life| {
        if is_json {
            json(life)
        } else {
            Ok(tell_life(life, &answered.teller).join("\n"))
        }
    });
    print(texts.collect::<Result<Vec<_>>>()?)
}

pub(super) fn stories(answered: &Told, is_json: bool) -> Result<()> {
    let texts = answered.stories.iter().map(|(story, waits)| {
        if is_json {
            json(&StoryLine {
                story,
                waits: waits.as_deref(),
            })
        } else {
            Ok(tell_story(story, waits.as_deref(), &answered.teller).join("\n"))
        }
    });
    print(texts.collect::<Result<Vec<_>>>()?)
}

pub(super) fn standing(standing: &Standing, idle_ms: i64, is_json: bool) -> Result<()> {
    print(vec![if is_json {
        json(standing)?
    } else {
        standing.lines(idle_ms).join("\n")
    }])
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::bug(format!("an answer is not JSON: {error}")))
}

fn print(texts: Vec<String>) -> Result<()> {
    let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
    crate::cli::print(text.as_bytes())
}
