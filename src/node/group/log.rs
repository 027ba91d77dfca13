//! What a changelog adds up to: the last row of each key.

use hashbrown::HashMap;

use super::changelog::HEADER;
use super::plan::is_plan;

/// The last row of each key of a changelog partition, its header among them.
#[derive(Debug, Default)]
pub struct Log(HashMap<Bytes, Bytes>);

type Bytes = Box<[u8]>;

impl Log {
    /// Takes the next row; one without a value deletes its key.
    pub fn take_up(&mut self, key: &[u8], value: Option<&[u8]>) {
        match (key, value) {
            (key, _) if is_plan(key) => {}
            (key, Some(value)) => match self.0.get_mut(key) {
                Some(known) => *known = value.into(),
                None => drop(self.0.insert(key.into(), value.into())),
            },
            (key, None) => drop(self.0.remove(key)),
        }
    }

    /// Returns every row.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns how many rows of windows and keys there are.
    pub fn len(&self) -> usize {
        self.0.len() - usize::from(self.0.contains_key(HEADER))
    }

    /// Takes the header out.
    pub fn take_header(&mut self) -> Option<Bytes> {
        self.0.remove(HEADER)
    }

    /// Passes on every row, and keeps none.
    pub fn into_rows(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.0.into_iter()
    }
}
