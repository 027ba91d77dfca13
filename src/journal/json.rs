//! A value as the journal writes it.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::column::ValueRef;
use crate::notation::push_json;

/// A value as JSON: a number keeps all its digits. Equal where the text is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Returns a value of a column or an aggregate.
    pub fn of(value: ValueRef<'_>) -> Self {
        let mut text = Vec::new();
        push_json(&mut text, value);
        let text = String::from_utf8(text).unwrap_or_default();
        // What is written there is JSON; null stands for what could not be.
        Json(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Returns the JSON.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Returns whether it is null.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// Returns it as a number, if it is one; a large one may lose its last digits.
    pub fn as_f64(&self) -> Option<f64> {
        self.text().parse().ok()
    }

    /// Returns it for people: a text without its quotes.
    pub fn plain(&self) -> String {
        match serde_json::from_str::<String>(self.text()) {
            Ok(text) => text,
            Err(_) => self.text().to_owned(),
        }
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl Hash for Json {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl PartialOrd for Json {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Json {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(other.text())
    }
}
