//! Which columns an input has: names, types, and what is derived from them.

use std::fmt;

use rust_decimal::Decimal;

use super::data_type::DataType;
use super::derived::{Derived, Path, Step};

/// A column's name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As in the header of the CSV or the member's name in JSON.
    pub name: String,
    /// What its values are.
    pub(crate) data_type: DataType,
}

/// The columns of an input, in the order of its header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// In the order of the header; names are unique.
    pub fields: Vec<Field>,
    /// The index of the column `change` where it is beside a window's bounds, as in a result of `k
    /// window`: a record of `-` takes an earlier one back.
    pub change: Option<usize>,
    /// Whether records may have columns that are not here, as objects of JSON may: a column of any
    /// name is there, and null where a record has none.
    pub open: bool,
    /// The columns that are not fields or members themselves, by index.
    pub(crate) derived: Vec<(usize, Derived)>,
    /// Paths into members that the first records have, for messages.
    pub(crate) nested: Vec<Path>,
    /// Whether records have parts beside their value, such as a key, as those of a topic have.
    pub(crate) has_parts: bool,
    /// How many digits decimals may have that were declared with this many, by index.
    pub digits: Vec<(usize, Digits)>,
}

/// How many digits a decimal may have, as `decimal(10, 2)` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// In all.
    pub all: u32,
    /// Of them behind the point.
    pub fraction: u32,
}

impl Digits {
    /// Returns whether a number has no more digits, zeros before and behind them aside.
    pub(crate) fn hold(self, number: Decimal) -> bool {
        let number = number.normalize();
        let whole = number.trunc().abs();
        let most = 10_u128.checked_pow(self.all.saturating_sub(self.fraction));
        let fits = most.is_none_or(|most| whole.mantissa().unsigned_abs() < most);
        fits && number.scale() <= self.fraction
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decimal({}, {})", self.all, self.fraction)
    }
}

impl Schema {
    /// Returns the index of the field or member `name`, matched exactly.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let mut fields = self.fields.iter().enumerate();
        let found = fields.find(|(index, field)| field.name == name && !self.is_derived(*index));
        found.map(|(index, _)| index)
    }

    /// Returns how many digits the decimals of a column may have; `None` for any number.
    pub(crate) fn digits_of(&self, index: usize) -> Option<Digits> {
        let mut digits = self.digits.iter();
        digits
            .find(|(of, _)| *of == index)
            .map(|(_, digits)| *digits)
    }

    /// Returns whether a column is not itself a field or member.
    pub(crate) fn is_derived(&self, index: usize) -> bool {
        self.derived.iter().any(|(derived, _)| *derived == index)
    }

    /// Returns the index of a path or a part of the record; where records have none, of a field that is
    /// called so.
    pub(crate) fn index_of_derived(&self, wanted: &Derived) -> Option<usize> {
        let mut all = self.derived.iter();
        let derived = all.find(|(_, derived)| derived == wanted);
        match (derived, wanted) {
            (Some((index, _)), _) => Some(*index),
            (None, Derived::Part(_)) if self.has_parts => None,
            (None, wanted) => self.index_of(&wanted.to_string()),
        }
    }

    /// Adds a path or a part of the record that an expression names, where records may have it.
    pub(crate) fn add_derived(&mut self, derived: &Derived) {
        let may_have = match derived {
            Derived::Path(_) => self.open,
            Derived::Part(_) => self.has_parts,
        };
        if !may_have || self.derived.iter().any(|(_, known)| known == derived) {
            return;
        }
        let name = derived.to_string();
        // What is declared of the name holds for the path, too.
        let declared = match derived {
            Derived::Path(_) => self.index_of(&name),
            Derived::Part(_) => None,
        };
        let data_type = match declared {
            Some(index) => self.fields[index].data_type,
            None => derived.data_type(),
        };
        let digits = declared.and_then(|index| self.digits_of(index));
        let new = self.fields.len();
        self.digits.extend(digits.map(|digits| (new, digits)));
        self.derived.push((new, derived.clone()));
        self.fields.push(Field { name, data_type });
    }

    /// Returns whether a column that was added for a plan may well be in the first records.
    pub(crate) fn is_seen(&self, index: usize) -> bool {
        let mut derived = self.derived.iter();
        let derived = derived.find(|(derived, _)| *derived == index);
        match derived.map(|(_, derived)| derived) {
            None => false,
            Some(Derived::Part(_)) => true,
            Some(Derived::Path(path)) => {
                let mut nested = self.nested.iter();
                let is_known = match self.index_of(&path.member) {
                    // Nobody has looked into the member.
                    Some(_) if nested.all(|known| known.member != path.member) => true,
                    _ => self.nested.contains(&path.of_any_element()),
                };
                is_known || self.index_of(&path.to_string()).is_some()
            }
        }
    }

    /// Returns the ways through JSON to the value of a column, of which the first that leads somewhere
    /// counts; none to a part of the record.
    pub fn ways(&self, index: usize) -> Vec<Vec<Step>> {
        let derived = self.derived.iter().find(|(derived, _)| *derived == index);
        let own = vec![Step::Member(self.fields[index].name.clone())];
        match derived.map(|(_, derived)| derived) {
            None => vec![own],
            Some(Derived::Path(path)) => {
                let mut way = vec![Step::Member(path.member.clone())];
                way.extend(path.steps.iter().cloned());
                vec![own, way]
            }
            Some(Derived::Part(_)) => Vec::new(),
        }
    }

    /// Returns how many fields a record of CSV has: what is derived comes behind them.
    pub fn width(&self) -> usize {
        self.fields.len() - self.derived.len()
    }

    /// Returns the columns that have a name, with their indexes: others are never used.
    pub fn named(&self) -> impl Iterator<Item = (usize, &Field)> + Clone {
        let fields = self.fields.iter().enumerate();
        fields.filter(|(_, field)| !field.name.is_empty())
    }

    /// Returns the names as a list for an error message, those of nested values among them: `a, b, b.c`;
    /// the first of very many.
    pub fn names(&self) -> String {
        self.names_before(self.fields.len())
    }

    /// As [`Schema::names`], of the columns before `end` alone.
    pub(crate) fn names_before(&self, end: usize) -> String {
        const MAX_NAMES: usize = 100;
        let named = self.named().filter(|(index, _)| *index < end);
        let names = named.map(|(_, field)| field.name.clone());
        let nested = self.nested.iter().map(Path::to_string);
        let all = names.clone().count() + self.nested.len();
        let names: Vec<String> = names.chain(nested).take(MAX_NAMES).collect();
        match all - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}
