//! `ListGroups`: the groups that a broker coordinates.

use super::bytes::{Garbled, Input, Output};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What its members are to each other: `consumer`, `connect`, `share`; empty for offsets alone.
    pub protocol: String,
    /// `Stable`, `Empty`, …; empty before version 4.
    pub state: String,
    /// `classic`, `consumer`, `share`, `streams`; empty before version 5.
    pub kind: String,
}

/// Writes a request for all groups.
pub fn write(output: &mut Output, version: i16) {
    if version >= 4 {
        output.array(0); // in whichever state
    }
    if version >= 5 {
        output.array(0); // of whichever kind
    }
    output.tags();
}

/// Reads an answer: an error's code, and the groups.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<(i16, Vec<Group>), Garbled> {
    if version >= 1 {
        input.i32()?; // throttled for so long; it is asked for once
    }
    let error = input.i16()?;
    let groups = input.list(|input| {
        let (name, protocol) = (input.text()?, input.text()?);
        let mut from = |first| {
            if version >= first {
                input.text()
            } else {
                Ok(String::new())
            }
        };
        let (state, kind) = (from(4)?, from(5)?);
        input.skip_tags()?;
        Ok(Group {
            name,
            protocol,
            state,
            kind,
        })
    })?;
    input.skip_tags()?;
    Ok((error, groups))
}
