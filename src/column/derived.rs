//! Columns that are not fields or members themselves: what lies in a member of JSON, and the parts
//! of a record beside its value.
//!
//! `user.id`, `user->id` and `items[0].name` are paths, `@key` and `@header('trace')` are parts. A
//! [`Schema`](crate::column::Schema) has those that a plan names behind its other columns.

use std::fmt;

use super::data_type::DataType;
use super::name::{in_quotes, is_word, quoted_name};

/// Where the values of such a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derived {
    /// From a member of JSON.
    Path(Path),
    /// From the record beside its value.
    Part(Part),
}

/// A way into JSON. A record with a member that is called as the whole path has that value instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    /// The member of the object that the way begins in.
    pub member: String,
    /// The way from there; not empty.
    pub steps: Vec<Step>,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into the member of an object.
    Member(String),
    /// Into the element of a list, from 0; there is none at a negative place.
    Element(i64),
}

/// A part of a record in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its timestamp.
    Timestamp,
    /// The number of its partition.
    Partition,
    /// Its place in the partition.
    Offset,
    /// The name of its topic.
    Topic,
    /// The value of the last header of a name.
    Header(String),
}

/// The parts, as they are written.
pub const PARTS: &str = "@key, @timestamp, @partition, @offset, @topic, @header('NAME')";

impl Derived {
    /// Returns the type of its values, unless the user declares another.
    pub fn data_type(&self) -> DataType {
        match self {
            Derived::Path(_) | Derived::Part(Part::Key | Part::Header(_)) => DataType::Any,
            Derived::Part(Part::Timestamp) => DataType::Timestamp,
            Derived::Part(Part::Partition | Part::Offset) => DataType::Bigint,
            Derived::Part(Part::Topic) => DataType::Text,
        }
    }
}

impl Part {
    /// Returns the part of a name such as `key`; a header has a name of its own besides.
    pub fn named(name: &str) -> Option<Part> {
        Some(match name {
            "key" => Part::Key,
            "timestamp" => Part::Timestamp,
            "partition" => Part::Partition,
            "offset" => Part::Offset,
            "topic" => Part::Topic,
            _ => return None,
        })
    }
}

impl Path {
    /// Returns the same path by the first element of each list.
    #[must_use]
    pub fn of_any_element(&self) -> Path {
        let mut path = self.clone();
        for step in &mut path.steps {
            if let Step::Element(nth @ 1..) = step {
                *nth = 0;
            }
        }
        path
    }

    /// Returns the call that finds the same in a column of text.
    pub fn extraction(&self) -> String {
        let mut way = "$".to_owned();
        for step in &self.steps {
            way += &match step {
                Step::Member(name) if is_word(name) => format!(".{name}"),
                Step::Member(name) => format!("[\"{name}\"]"),
                Step::Element(nth) => format!("[{nth}]"),
            };
        }
        let way = way.replace('\'', "''");
        format!("extractjsonfield({}, '{way}')", self.member)
    }
}

impl fmt::Display for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Derived::Path(path) => path.fmt(f),
            Derived::Part(part) => part.fmt(f),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted_name(&self.member))?;
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    // No word is reserved behind a point.
                    write!(
                        f,
                        ".{}",
                        if is_word(name) {
                            name.into()
                        } else {
                            in_quotes(name)
                        }
                    )?;
                }
                Step::Element(nth) => write!(f, "[{nth}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Key => "@key",
            Part::Timestamp => "@timestamp",
            Part::Partition => "@partition",
            Part::Offset => "@offset",
            Part::Topic => "@topic",
            Part::Header(name) => return write!(f, "@header('{}')", name.replace('\'', "''")),
        })
    }
}
