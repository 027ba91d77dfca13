//! `DescribeConfigs`: the settings of a topic.

use super::bytes::{Garbled, Input, Output};

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As Kafka calls it: `retention.ms`.
    pub name: String,
    /// `None` where the broker keeps it secret.
    pub value: Option<String>,
    /// Whether it is set for this topic.
    pub is_own: bool,
}

/// Writes a request for all settings of a topic.
pub fn write(output: &mut Output, version: i16, topic: &str) {
    const TOPIC: i8 = 2;
    output.array(1);
    output.i8(TOPIC);
    output.string(topic);
    output.null_array(); // all settings
    output.tags();
    output.i8(0); // without what would count in a setting's place
    if version >= 3 {
        output.i8(0); // without what they are for
    }
    output.tags();
}

/// An error's code, the same in words, and the settings.
pub type Answer = (i16, Option<String>, Vec<Setting>);

/// Reads an answer about one topic.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<Answer, Garbled> {
    input.i32()?; // throttled for so long; it is asked for once
    input.array()?;
    let error = input.i16()?;
    let reason = input.string()?.map(str::to_owned);
    input.i8()?; // that it is about a topic
    input.string()?; // which
    let settings = input.list(|input| read_setting(input, version))?;
    Ok((error, reason, settings))
}

fn read_setting(input: &mut Input<'_>, version: i16) -> Result<Setting, Garbled> {
    const OWN: i8 = 1;
    let (name, value) = (input.text()?, input.string()?.map(str::to_owned));
    input.bool()?; // read-only
    let is_own = input.i8()? == OWN;
    input.bool()?; // secret
    input.list(|input| {
        input.string()?;
        input.string()?;
        input.i8()?;
        input.skip_tags()
    })?;
    if version >= 3 {
        input.i8()?;
        input.string()?;
    }
    input.skip_tags()?;
    Ok(Setting {
        name,
        value,
        is_own,
    })
}
