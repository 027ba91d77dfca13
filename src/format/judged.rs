//! What is judged over the columns of a batch, once they are decoded: times that are computed, and how
//! many digits a declared decimal has.

use std::sync::Arc;

use bumpalo::Bump;

use super::{Computed, Decoded, Layout, Origins, TimeFrom};
use crate::column::{Column, Digits, Misfit};
use crate::source::Records;

/// Decodes records that another decoder does not judge to the end.
#[derive(Debug, Clone)]
pub struct Decoder {
    values: Box<super::Decoder>,
    time: Option<Arc<Computed>>,
    /// By column, with its name.
    digits: Vec<(usize, String, Digits)>,
}

impl Decoder {
    /// Returns a decoder of records of a layout whose values `values` decodes.
    pub fn new(values: super::Decoder, layout: &Layout) -> Self {
        let schema = &layout.schema;
        let wanted = schema.digits.iter();
        let wanted = wanted.filter(|(index, _)| layout.wanted.contains(index));
        let digits = wanted.map(|(index, digits)| {
            let name = schema.fields[*index].name.clone();
            (*index, name, *digits)
        });
        Decoder {
            values: Box::new(values),
            time: match &layout.time {
                TimeFrom::Computed(time) => Some(time.clone()),
                _ => None,
            },
            digits: digits.collect(),
        }
    }

    /// Returns whether there is nothing to judge.
    pub fn is_idle(&self) -> bool {
        self.time.is_none() && self.digits.is_empty()
    }

    /// Returns the decoder of the values.
    pub fn values(&self) -> &super::Decoder {
        &self.values
    }

    /// Returns the decoder of the values alone.
    pub fn into_values(self) -> super::Decoder {
        *self.values
    }

    /// Decodes some records.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let mut decoded = self.values.decode(records, origins, arena);
        let mut misfits = self.beyond_digits(&decoded);
        if let Some(time) = &self.time {
            misfits.extend(time.compute(&mut decoded, arena));
        }
        if !misfits.is_empty() {
            let origins = match origins {
                Origins::Keep => decoded.origins.clone(),
                // Rare, so only now are the places of rows looked for.
                Origins::Forget => {
                    let placed = self.values.decode(records, Origins::Keep, arena);
                    placed.origins
                }
            };
            decoded.refuse(misfits, |row| origins[row]);
        }
        decoded
    }

    /// Returns the rows whose decimals have more digits than were declared, and which.
    fn beyond_digits(&self, decoded: &Decoded<'_>) -> Vec<(usize, Misfit)> {
        let mut misfits = Vec::new();
        for (index, name, digits) in &self.digits {
            let Column::Decimal(values) = &decoded.columns.columns[*index] else {
                continue;
            };
            for row in 0..values.len() {
                if let Some(value) = values.get(row).filter(|value| !digits.hold(*value)) {
                    let misfit = format!("column `{name}`: `{value}` is beyond {digits}");
                    let cure = "`decimal` without numbers in parentheses keeps every digit";
                    misfits.push((row, Misfit::from(misfit).or(cure)));
                }
            }
        }
        misfits
    }
}
