//! `--where` and `--select`: which records are kept, and which values they get.
//!
//! In: the records of one topic. Out: for each record, whether it is kept, and its new value.

use std::borrow::Cow;
use std::ops::Range;

use bumpalo::Bump;
use serde_json::value::RawValue;

use crate::column::derived::Step;
use crate::column::{Column, Columns, Misfit, Schema, ValueRef};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expression::{Expression, Item, Kind, open_up, parse_list};
use crate::format::json::find;
use crate::format::{Decoded, Decoder, Layout, Origins, Place, TimeFrom};
use crate::node::input::{Form, Given, Notation, topic_columns, warn_of_unseen};
use crate::notation::{member, push_json};
use crate::number::is_bare;
use crate::source::{Message, Records};

/// Which records are wanted, and what becomes of their values.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    /// Which records are taken: a condition over the columns of their values and their parts.
    pub filter: Option<String>,
    /// What becomes of values: columns or expressions, separated by commas.
    pub select: Option<String>,
    /// What a person says of the values.
    pub given: Given,
    /// Whether records with a malformed value are skipped and counted.
    pub skip_bad: bool,
}

/// Picks from the records of one topic.
pub(super) struct Picker {
    /// Its name for messages: `topic mono_signal`.
    source: String,
    /// Whether a column comes from the value.
    reads_values: bool,
    decoder: Decoder,
    filter: Option<Expression>,
    /// The new values; `None` leaves values as they are.
    selection: Option<Vec<Choice>>,
    skip_bad: bool,
    arena: Bump,
}

/// A column of new values.
struct Choice {
    item: Item,
    /// Its name as JSON, with a colon.
    member: Vec<u8>,
    /// If it is a plain JSON value, the paths to it: the first one that exists is taken.
    copied: Vec<Vec<Step>>,
}

/// The records that were picked from a batch.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// One per record.
    pub fates: Vec<Fate>,
    /// The new values, one after the other.
    pub bytes: Vec<u8>,
    /// The line about the first that was skipped.
    pub first_skipped: Option<String>,
}

/// What happens to a record.
#[derive(Debug)]
pub(super) enum Fate {
    /// The condition leaves it out.
    Left,
    /// It is taken as it is.
    Taken,
    /// It is taken with the value at this place in [`Picked::bytes`].
    Changed(Range<usize>),
    /// It is malformed, and is skipped.
    Skipped,
    /// It is malformed: the run ends here.
    Refused(Error),
}

impl Pick {
    /// Returns whether values need to be decoded.
    pub fn is_given(&self) -> bool {
        self.filter.is_some() || self.select.is_some()
    }

    /// Returns whether some records may be left out.
    pub fn filters(&self) -> bool {
        self.filter.is_some() || self.is_given() && self.skip_bad
    }

    /// Returns a picker for a topic that begins with some records.
    ///
    /// # Errors
    /// `usage` for expressions that do not fit the values, or for values whose columns have no names.
    pub(super) fn picker(
        &self,
        topic: &str,
        records: &Records<'_>,
        context: &Context,
    ) -> Result<Picker> {
        let mut parts = Schema {
            has_parts: true,
            ..Schema::default()
        };
        // If only parts of the record are used, any kind of value will do.
        if let Ok(checked) = self.check(&mut parts) {
            return Ok(self.picker_of(
                topic,
                checked,
                parts,
                &Given::default().form(Notation::Json),
                false,
            ));
        }
        let (form, mut schema) = topic_columns(topic, records, self.given.clone(), context)?;
        let known = schema.fields.len();
        let checked = self.check(&mut schema)?;
        warn_of_unseen(&schema, known, context);
        Ok(self.picker_of(topic, checked, schema, &form, true))
    }

    /// Returns the condition and the selection over the columns of a schema, which is extended by
    /// columns that may come later.
    fn check(&self, schema: &mut Schema) -> Result<Checked> {
        for (text, kind) in [(&self.filter, Kind::One), (&self.select, Kind::List)] {
            let text = text.as_ref();
            text.map_or(Ok(()), |text| open_up(schema, text, kind))?;
        }
        let filter = self.filter.as_deref();
        let filter = filter.map(|text| Expression::parse_condition(text, schema));
        let items = self.select.as_deref().map(|text| parse_list(text, schema));
        Ok((filter.transpose()?, items.transpose()?))
    }

    fn picker_of(
        &self,
        topic: &str,
        (filter, items): Checked,
        schema: Schema,
        form: &Form,
        reads_values: bool,
    ) -> Picker {
        let chosen = items.iter().flatten().map(|item| &item.expression);
        let read = filter.iter().chain(chosen).flat_map(Expression::columns);
        let mut wanted: Vec<usize> = read.copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let is_json = form.notation == Notation::Json;
        let ways: Vec<Vec<Vec<Step>>> = (0..schema.fields.len())
            .map(|index| schema.ways(index))
            .collect();
        let choice = |item: Item| Choice {
            member: member(&item.name),
            copied: item
                .expression
                .column()
                .filter(|_| is_json)
                .map(|index| ways[index].clone())
                .unwrap_or_default(),
            item,
        };
        Picker {
            source: format!("topic {topic}"),
            reads_values,
            decoder: form.decoder(Layout {
                schema,
                wanted,
                time: TimeFrom::Nowhere,
            }),
            filter,
            selection: items.map(|items| items.into_iter().map(choice).collect()),
            skip_bad: self.skip_bad,
            arena: Bump::new(),
        }
    }
}

/// A condition and a selection.
type Checked = (Option<Expression>, Option<Vec<Item>>);

/// The results of the expressions over some values.
struct Evaluated<'b, 'a> {
    /// For each row, whether the condition holds; `None`: all are taken.
    selected: Option<Vec<bool>>,
    /// The columns of the new values, in their order.
    columns: Vec<Cow<'b, Column<'a>>>,
}

impl Picker {
    /// Picks from the wanted records of one partition, in its order. A record without a value has only its
    /// other parts: a condition on the value leaves it out; otherwise it is taken as it is.
    ///
    /// # Errors
    /// `bug` if values that were decoded before cannot be.
    pub fn pick(
        &mut self,
        messages: &[Message<'_>],
        is_wanted: impl Fn(&Message<'_>) -> bool,
    ) -> Result<Picked> {
        let mut arena = std::mem::take(&mut self.arena);
        let picked = self.pick_with(messages, is_wanted, &arena);
        arena.reset();
        self.arena = arena;
        picked
    }

    fn pick_with<'a>(
        &mut self,
        messages: &[Message<'a>],
        is_wanted: impl Fn(&Message<'_>) -> bool,
        arena: &'a Bump,
    ) -> Result<Picked> {
        // Without a value there is nothing to select from.
        let needs_value = self.reads_values || self.selection.is_some();
        let is_read = |message: &&Message<'a>| {
            (message.value.is_some() || !needs_value) && is_wanted(message)
        };
        let reads_values = self.reads_values;
        let read = |message: &Message<'a>| {
            if reads_values {
                *message
            } else {
                Message {
                    value: Some(b"{}"),
                    ..*message
                }
            }
        };
        let values = messages.iter().filter(is_read).map(read).collect();
        let records = Records::Messages(values);
        let mut decoded = self.decoder.decode(&records, Origins::Keep, arena);
        if let Err(misfits) = self.evaluate(&decoded.columns, arena) {
            let origins = decoded.origins.clone();
            decoded.refuse(misfits, |row| origins[row]);
        }
        let evaluated = self
            .evaluate(&decoded.columns, arena)
            .map_err(|_| Error::bug("values without the malformed ones failed again"))?;
        Ok(self.fates(messages, &decoded, &evaluated))
    }

    /// Evaluates the expressions; the rows in which one fails are returned.
    fn evaluate<'b, 'a>(
        &'b self,
        columns: &'b Columns<'a>,
        arena: &'a Bump,
    ) -> Result<Evaluated<'b, 'a>, Vec<(usize, Misfit)>> {
        let mut errors = Vec::new();
        let selected = self.filter.as_ref().map(|filter| {
            let selection = filter.select(columns, arena);
            errors.extend(selection.errors);
            selection.rows
        });
        let is_selected = |row: usize| selected.as_ref().is_none_or(|rows| rows[row]);
        let mut chosen = Vec::new();
        for choice in self.selection.iter().flatten() {
            let evaluated = choice.item.expression.evaluate(columns, arena);
            // The new value of a record that is left out does not matter.
            let failed = evaluated.errors.into_iter();
            errors.extend(failed.filter(|error| is_selected(error.row)));
            chosen.push(evaluated.column);
        }
        if errors.is_empty() {
            Ok(Evaluated {
                selected,
                columns: chosen,
            })
        } else {
            Err(errors
                .into_iter()
                .map(|error| (error.row, error.misfit))
                .collect())
        }
    }

    /// Returns what happens to each record. Records, rows and malformed ones come in the
    /// partition's order.
    fn fates(
        &self,
        messages: &[Message<'_>],
        decoded: &Decoded<'_>,
        evaluated: &Evaluated<'_, '_>,
    ) -> Picked {
        let mut picked = Picked::default();
        let mut rows = decoded.origins.iter().enumerate().peekable();
        let mut malformed = decoded.malformed.iter().peekable();
        let is_selected = |row: usize| {
            let selected = evaluated.selected.as_ref();
            selected.is_none_or(|selected| selected[row])
        };
        for message in messages {
            let place = Place::Offset(message.partition, message.offset);
            let fate = if let Some(misfit) = malformed.next_if(|misfit| misfit.place == place) {
                if self.skip_bad {
                    picked
                        .first_skipped
                        .get_or_insert_with(|| misfit.to_skipped().to_line(&self.source));
                    Fate::Skipped
                } else {
                    Fate::Refused(misfit.to_error(&self.source))
                }
            } else {
                let row = rows.next_if(|(_, (origin, _))| *origin == place);
                match (row, &self.selection) {
                    (Some((row, _)), _) if !is_selected(row) => Fate::Left,
                    (Some((row, _)), Some(selection)) => {
                        let object = decoded.origins[row].1;
                        Fate::Changed(picked.push_value(selection, &evaluated.columns, row, object))
                    }
                    (Some(_), None) => Fate::Taken,
                    (None, _) if self.filter.is_some() => Fate::Left,
                    (None, _) => Fate::Taken,
                }
            };
            picked.fates.push(fate);
        }
        picked
    }
}

impl Picked {
    /// Adds a row of the new columns as a JSON object; returns its place.
    fn push_value(
        &mut self,
        selection: &[Choice],
        columns: &[Cow<'_, Column<'_>>],
        row: usize,
        object: &[u8],
    ) -> Range<usize> {
        let start = self.bytes.len();
        for (nth, (choice, column)) in selection.iter().zip(columns).enumerate() {
            self.bytes.push(if nth > 0 { b',' } else { b'{' });
            self.bytes.extend_from_slice(&choice.member);
            let value = column.value_ref(row);
            let raw = || {
                let mut ways = choice.copied.iter();
                ways.find_map(|way| find(object, way)).map(RawValue::get)
            };
            match value {
                // A string of JSON that looks like a number stays a string.
                ValueRef::Any(text) if is_bare(text) && raw().is_some_and(|raw| raw != text) => {
                    push_json(&mut self.bytes, ValueRef::Text(text));
                }
                // An object stays an object, and a list a list.
                ValueRef::Any(text) if text.starts_with(['{', '[']) && raw() == Some(text) => {
                    self.bytes.extend_from_slice(text.as_bytes());
                }
                value => push_json(&mut self.bytes, value),
            }
        }
        self.bytes.push(b'}');
        start..self.bytes.len()
    }
}
