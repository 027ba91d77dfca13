//! The functions, by ksqlDB's names: one table, a file a family.
//!
//! A function is a [`Scalar`], [`Aggregate`] or [`TableFunction`] in the table of its file: a
//! signature that says name, parameters and result, a sentence about it, and its body. Where a name
//! has several signatures the arguments choose (see [`signature`]). To add one, write a line in the
//! family's table; to add a family, write a file and name it in [`scalars`], [`table_functions`] or,
//! for aggregates, `FAMILIES`.
//!
//! ```text
//! strict("LEN(text STRING) INT", "How many characters a text has.", |call| …)
//! ```
//! `strict`: null if an argument is null. `lenient`: the body sees nulls.

mod aggregates;
mod choice;
mod collections;
mod encodings;
mod json;
mod math;
mod signature;
mod strings;
mod tables;
mod times;
mod url;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use signature::{Argument, Chosen, Pattern, Signature};

use super::properties::Settings;
use super::types::Type;
use super::value::Value;

/// What a body gives: a value, or why there is none, which makes the result null.
pub type Outcome = Result<Value, String>;
/// Says what type the result has, where the signature alone does not.
pub type Returns = fn(&[Type]) -> Result<Type, String>;

/// Changes an aggregate's state by a row's arguments.
pub type Change = fn(&Spec, Value, &[Value]) -> Outcome;

/// A function of a row's values.
#[derive(Debug)]
pub struct Scalar {
    /// `LEN(text STRING) INT`.
    pub signature: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Whether a null argument makes the result null.
    pub is_strict: bool,
    /// Computes it.
    pub body: fn(&Call) -> Outcome,
    returns: Option<Returns>,
}

impl Scalar {
    /// Takes the result's type from the arguments'.
    pub const fn returning(mut self, returns: Returns) -> Self {
        self.returns = Some(returns);
        self
    }
}

/// Returns a function whose result is null if an argument is.
pub const fn strict(
    signature: &'static str,
    about: &'static str,
    body: fn(&Call) -> Outcome,
) -> Scalar {
    Scalar {
        signature,
        about,
        is_strict: true,
        body,
        returns: None,
    }
}

/// Returns a function that sees nulls.
pub const fn lenient(
    signature: &'static str,
    about: &'static str,
    body: fn(&Call) -> Outcome,
) -> Scalar {
    Scalar {
        is_strict: false,
        ..strict(signature, about, body)
    }
}

/// The arguments of one call.
pub struct Call<'a> {
    /// Each of its parameter's type, or null.
    pub values: &'a [Value],
    /// The arguments' types; STRING of a NULL that is written out.
    pub types: &'a [Type],
    /// The result's type.
    pub returns: &'a Type,
    /// Calls the lambda that is an argument.
    pub apply: &'a dyn Fn(usize, &[Value]) -> Outcome,
}

impl Call<'_> {
    /// Returns how many arguments there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Returns an argument; null if there are fewer.
    pub fn value(&self, at: usize) -> &Value {
        self.values.get(at).unwrap_or(&Value::Null)
    }

    /// Returns a STRING; empty for null.
    pub fn text(&self, at: usize) -> &str {
        self.value(at).as_str().unwrap_or_default()
    }

    /// Returns a STRING; `None` for null.
    pub fn some_text(&self, at: usize) -> Option<&str> {
        self.value(at).as_str()
    }

    /// Returns a whole number; 0 for null.
    pub fn whole(&self, at: usize) -> i64 {
        self.value(at).as_i64().unwrap_or_default()
    }

    /// Returns a number as a double; NaN for null.
    pub fn double(&self, at: usize) -> f64 {
        self.value(at).as_f64().unwrap_or(f64::NAN)
    }

    /// Returns BYTES; empty for null.
    pub fn bytes(&self, at: usize) -> &[u8] {
        match self.value(at) {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// Returns an ARRAY's elements; none for null.
    pub fn elements(&self, at: usize) -> &[Value] {
        match self.value(at) {
            Value::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Returns a MAP's entries; none for null.
    pub fn entries(&self, at: usize) -> &[(Value, Value)] {
        match self.value(at) {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// What an aggregate was called with beside the values of rows.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The types of all arguments.
    pub types: Vec<Type>,
    /// The arguments that must be constants, which are the last ones.
    pub constants: Vec<Value>,
    /// The result's type.
    pub returns: Type,
    /// How many values it may keep.
    pub limits: Limits,
}

/// How many values aggregates keep of a group: ksqlDB's properties, all where none is set.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `ksql.functions.collect_list.limit`.
    pub collect_list: usize,
    /// `ksql.functions.collect_set.limit`.
    pub collect_set: usize,
}

impl Limits {
    /// Reads them from a session's settings; what is not above zero is no limit, as in ksqlDB.
    pub fn of(settings: &Settings) -> Self {
        let limit = |name: &str| {
            let written = settings.get(name).and_then(|text| text.trim().parse().ok());
            written.filter(|limit| *limit > 0).unwrap_or(usize::MAX)
        };
        Limits {
            collect_list: limit("ksql.functions.collect_list.limit"),
            collect_set: limit("ksql.functions.collect_set.limit"),
        }
    }
}

/// A function of many rows. Its state is a value, so that it can be kept anywhere.
#[derive(Debug)]
pub struct Aggregate {
    /// `SUM(value INT) INT`; a parameter that must be a constant has `LITERAL` behind its type.
    pub signature: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The state of no row.
    pub start: fn(&Spec) -> Value,
    /// The state with a row's arguments added.
    pub add: Change,
    /// The state with a row's arguments taken back; `None` where that cannot be done.
    pub undo: Option<Change>,
    /// The state of the rows of both; the first came earlier.
    pub merge: fn(&Spec, Value, Value) -> Outcome,
    /// The result.
    pub result: fn(&Spec, &Value) -> Outcome,
    /// Says what type the result has, where the signature alone does not.
    pub returns: Option<Returns>,
    /// Whether the state is an array, map or struct, which DELIMITED cannot hold.
    pub has_nested_state: bool,
}

/// A function that makes rows of a row: each element of the array it gives.
#[derive(Debug)]
pub struct TableFunction {
    /// Its signature says what a row holds.
    pub signature: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Computes the rows.
    pub body: fn(&Call) -> Result<Vec<Value>, String>,
}

/// Something with a signature.
pub trait Signed: 'static {
    /// Returns the signature.
    fn signature(&self) -> &'static str;
    /// Returns what says the result's type, where the signature does not.
    fn returns(&self) -> Option<Returns>;
    /// Returns what it does, in a sentence.
    fn about(&self) -> &'static str;
}

impl Signed for Scalar {
    fn signature(&self) -> &'static str {
        self.signature
    }
    fn returns(&self) -> Option<Returns> {
        self.returns
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

impl Signed for Aggregate {
    fn signature(&self) -> &'static str {
        self.signature
    }
    fn returns(&self) -> Option<Returns> {
        self.returns
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

impl Signed for TableFunction {
    fn signature(&self) -> &'static str {
        self.signature
    }
    fn returns(&self) -> Option<Returns> {
        None
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// The scalar functions, family by family.
fn scalars() -> impl Iterator<Item = &'static Scalar> {
    [
        strings::FUNCTIONS,
        math::FUNCTIONS,
        choice::FUNCTIONS,
        collections::FUNCTIONS,
        json::FUNCTIONS,
        url::FUNCTIONS,
        encodings::FUNCTIONS,
        times::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The aggregates, family by family.
fn aggregates() -> impl Iterator<Item = &'static Aggregate> {
    aggregates::FAMILIES.iter().copied().flatten()
}

/// The table functions.
fn table_functions() -> impl Iterator<Item = &'static TableFunction> {
    tables::FUNCTIONS.iter()
}

type Table<T> = BTreeMap<String, Vec<(Signature, &'static T)>>;

fn table<T: Signed>(functions: impl Iterator<Item = &'static T>) -> Table<T> {
    let mut table = Table::new();
    for function in functions {
        // That every signature can be read is what a test makes sure of.
        if let Ok(signature) = Signature::parse(function.signature()) {
            table
                .entry(signature.name.clone())
                .or_default()
                .push((signature, function));
        }
    }
    table
}

static SCALARS: LazyLock<Table<Scalar>> = LazyLock::new(|| table(scalars()));
static AGGREGATES: LazyLock<Table<Aggregate>> = LazyLock::new(|| table(aggregates()));
static TABLE_FUNCTIONS: LazyLock<Table<TableFunction>> = LazyLock::new(|| table(table_functions()));

/// Returns whether a function's first parameter is a unit of time.
pub fn takes_unit(name: &str) -> bool {
    let is_unit = |(signature, _): &(Signature, &Scalar)| {
        let first = signature.parameters.first();
        first.is_some_and(|parameter| parameter.pattern == Pattern::Unit)
    };
    SCALARS
        .get(name)
        .is_some_and(|overloads| overloads.iter().any(is_unit))
}

/// Returns whether a name is an aggregate's.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains_key(name)
}

/// Returns whether a name is a table function's.
pub fn is_table_function(name: &str) -> bool {
    TABLE_FUNCTIONS.contains_key(name)
}

/// Returns every function's signature, kind and sentence, by name.
pub fn all() -> Vec<(&'static Signature, &'static str, &'static str)> {
    fn of<T: Signed>(
        table: &'static Table<T>,
        kind: &'static str,
    ) -> impl Iterator<Item = (&'static Signature, &'static str, &'static str)> {
        let signatures = table.values().flatten();
        signatures.map(move |(signature, function)| (signature, kind, function.about()))
    }
    let mut all: Vec<_> = of(&SCALARS, "SCALAR")
        .chain(of(&AGGREGATES, "AGGREGATE"))
        .chain(of(&TABLE_FUNCTIONS, "TABLE"))
        .collect();
    all.sort_by(|left, right| left.0.name.cmp(&right.0.name));
    all
}

/// Returns the scalar function that a call means.
///
/// # Errors
/// That there is none, or more than one.
pub fn choose_scalar(name: &str, arguments: &[Argument]) -> Result<Chosen<Scalar>, String> {
    let Some(overloads) = SCALARS.get(name) else {
        return Err(unknown(name));
    };
    signature::choose(name, overloads, arguments)
}

/// Returns the aggregate that a call means.
///
/// # Errors
/// That there is none, or more than one.
pub fn choose_aggregate(name: &str, arguments: &[Argument]) -> Result<Chosen<Aggregate>, String> {
    let Some(overloads) = AGGREGATES.get(name) else {
        return Err(unknown(name));
    };
    signature::choose(name, overloads, arguments)
}

/// Returns the table function that a call means.
///
/// # Errors
/// That there is none, or more than one.
pub fn choose_table_function(
    name: &str,
    arguments: &[Argument],
) -> Result<Chosen<TableFunction>, String> {
    let Some(overloads) = TABLE_FUNCTIONS.get(name) else {
        return Err(unknown(name));
    };
    signature::choose(name, overloads, arguments)
}

/// Returns why a call of a function of ksqlDB's is not there yet.
pub fn not_yet(name: &str, arguments: usize) -> Option<String> {
    let reads_the_world = match name {
        "RANDOM" => true,
        "UUID" | "UNIX_TIMESTAMP" | "UNIX_DATE" => arguments == 0,
        _ => false,
    };
    reads_the_world.then(|| {
        format!("{name}() gives another value each time; here the same input gives the same output")
    })
}

fn unknown(name: &str) -> String {
    if is_aggregate(name) {
        return format!(
            "{name} is an aggregate function: it needs GROUP BY, and stands in SELECT or HAVING"
        );
    }
    if is_table_function(name) {
        return format!("{name} is a table function: it stands in SELECT alone");
    }
    let names = SCALARS
        .keys()
        .chain(AGGREGATES.keys())
        .chain(TABLE_FUNCTIONS.keys());
    let near = names.map(|known| (strsim::damerau_levenshtein(known, name), known));
    let similar = near.filter(|(distance, _)| *distance <= 2).min();
    let hint = similar.map_or(String::new(), |(_, known)| {
        format!("; did you mean {known}?")
    });
    format!("Can't find any functions with the name '{name}'{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_can_be_read() {
        let scalars = scalars().map(|function| function.signature);
        let aggregates = aggregates().map(|function| function.signature);
        let tables = table_functions().map(|function| function.signature);
        for text in scalars.chain(aggregates).chain(tables) {
            let signature =
                Signature::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(signature.to_string(), text);
        }
    }

    #[test]
    fn the_arguments_choose_the_signature() {
        let chosen = |name: &str, arguments: &[Argument]| {
            choose_scalar(name, arguments).map(|chosen| chosen.function.signature)
        };
        let (int, text) = (Argument::Value(Type::Int), Argument::Value(Type::String));
        assert!(chosen("LEN", std::slice::from_ref(&text)).is_ok());
        assert!(
            chosen("ABS", std::slice::from_ref(&int))
                .expect("ABS")
                .starts_with("ABS(value INT)")
        );
        let error = chosen("LEN", &[int.clone(), int]).expect_err("no such LEN");
        assert!(
            error.starts_with("Function 'LEN' does not accept parameters (INTEGER, INTEGER)."),
            "{error}"
        );
        let error = chosen("LEEN", &[text]).expect_err("no such function");
        assert!(error.ends_with("did you mean LEN?"), "{error}");
    }
}
