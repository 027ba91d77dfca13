//! The plan of a join.
//!
//! In: a [`JoinQuery`], as flags ask for it, and the columns of both inputs. Out: a [`JoinPlan`]:
//! what is joined on is of one type on both sides, every record has an event time, and no two
//! columns of the result share a name. A plan prints itself as the flags that ask for it ([`text`]).

mod text;

use std::sync::Arc;

use super::check_names;
use super::time::{self, Missing};
use crate::column::{DataType, Field, Schema};
use crate::engine::join::{Kind, Method, Settings, Side};
use crate::error::{Error, Result};
use crate::expression::{Equality, Expression, is_path, parse_equalities};
use crate::format::{Layout, Reading, TimeFrom};

/// The result's column that has the later of the two event times.
pub(crate) const EVENT_TIME: &str = "event_time";

/// A join as typed.
#[derive(Debug, Clone)]
pub(crate) struct JoinQuery {
    /// What must be equal: columns of both inputs, or `left = right`, separated by commas.
    pub on: String,
    /// What else must hold.
    pub(crate) method: Method,
    /// Which records without a partner give a row.
    pub kind: Kind,
    /// What each input needs of its own.
    pub(crate) sides: [SideQuery; 2],
}

/// What one input of a join needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct SideQuery {
    /// The event time's column or an expression, `@record` for the record's own timestamp, or `None` for
    /// the default.
    pub time: Option<String>,
    /// Whether the other input has the same `time`, given once for both.
    pub shared: bool,
    /// How times are read.
    pub(crate) reading: Reading,
    /// How far the watermark stays behind the highest event time.
    pub(crate) out_of_order_ms: i64,
}

/// One input as it is.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its columns.
    pub schema: Schema,
    /// Whether its records carry a timestamp of their own, as those of a topic do.
    pub(crate) record_times: bool,
}

/// A join of inputs of known schemas.
#[derive(Debug)]
pub(crate) struct JoinPlan {
    /// The result's columns: those that are joined on, the left's others, the right's others,
    /// `event_time`.
    pub columns: Vec<Field>,
    /// What happens to each input.
    pub(crate) sides: [SidePlan; 2],
    /// What is joined on, in canonical spelling.
    on: String,
    query: JoinQuery,
}

/// What happens to one input's records.
#[derive(Debug)]
pub(crate) struct SidePlan {
    /// Its columns.
    pub schema: Schema,
    /// What is joined on.
    pub keys: Vec<Key>,
    /// Where the event time comes from; nowhere for a table that holds from the beginning on.
    pub time: TimeFrom,
    /// The indexes of the other columns, and their names in the result.
    pub carried: Vec<(usize, String)>,
}

/// One of what is joined on, for one side.
#[derive(Debug)]
pub(crate) struct Key {
    /// The name of its column in the result.
    pub name: String,
    /// What must equal that of the other side.
    pub(crate) expression: Arc<Expression>,
}

impl JoinQuery {
    /// Checks the query against the columns of its inputs.
    ///
    /// # Errors
    /// `usage` for an unknown column, types that differ, or a missing event time.
    pub fn plan(self, mut given: [Given; 2]) -> Result<JoinPlan> {
        self.open_up_times(&mut given);
        let equalities = self.equalities(&mut given)?;
        for equality in &equalities {
            share_types(equality, &mut given)?;
        }
        let mut keys = [Vec::new(), Vec::new()];
        let mut on = Vec::with_capacity(equalities.len());
        for equality in &equalities {
            let [left, right] = sides_of(equality, &given)?;
            let [left, right] = as_one_type(left, right)?;
            let name = equality.name(&left, &given[0].schema);
            on.push(equality.text([&left, &right], &given[0].schema)?);
            for (keys, expression) in keys.iter_mut().zip([left, right]) {
                keys.push(Key {
                    name: name.clone(),
                    expression: Arc::new(expression),
                });
            }
        }
        let [left, right] = Side::BOTH.map(|side| self.event_time(side, &given));
        let times = [left?, right?];
        // A column that equals the other side's is in the result once.
        let pairs = keys[0].iter().zip(&keys[1]);
        let columns =
            pairs.map(|(left, right)| (left.expression.column(), right.expression.column()));
        let (lefts, rights): (Vec<usize>, Vec<usize>) =
            columns.filter_map(|(left, right)| left.zip(right)).unzip();
        let mut dropped = [lefts, rights];
        for (dropped, given) in dropped.iter_mut().zip(&given) {
            // A path has the value of the member that is called so, where a record has one.
            let namesakes: Vec<usize> = dropped
                .iter()
                .filter(|&&index| given.schema.is_derived(index))
                .filter_map(|&index| given.schema.index_of(&given.schema.fields[index].name))
                .collect();
            dropped.extend(namesakes);
        }
        let mut columns: Vec<Field> = keys[0].iter().map(Key::field).collect();
        let key_names: Vec<&str> = columns.iter().map(|field| field.name.as_str()).collect();
        check_names(key_names.iter().copied())?;
        let names = result_names(&key_names, &dropped, &given);
        let mut sides = Vec::with_capacity(2);
        for (nth, ((given, names), time)) in given.into_iter().zip(names).zip(times).enumerate() {
            let others = own_columns(&given.schema);
            let others = others.filter(|at| !dropped[nth].contains(at));
            let carried: Vec<(usize, String)> = others.zip(names).collect();
            columns.extend(carried.iter().map(|(index, name)| Field {
                name: name.clone(),
                data_type: given.schema.fields[*index].data_type,
            }));
            sides.push(SidePlan {
                schema: given.schema,
                keys: std::mem::take(&mut keys[nth]),
                time,
                carried,
            });
        }
        columns.push(Field {
            name: EVENT_TIME.to_owned(),
            data_type: DataType::Bigint,
        });
        let sides = sides.try_into();
        let sides = sides.map_err(|_| Error::bug("a join has two sides"))?;
        Ok(JoinPlan {
            columns,
            sides,
            on: on.join(", "),
            query: self,
        })
    }

    /// Returns what must be equal, each side over the columns of its input; those of an open schema
    /// that it has not are added.
    fn equalities(&self, given: &mut [Given; 2]) -> Result<Vec<Equality>> {
        // Such as a name with blanks, which needs quotes in an expression.
        let has = |input: &Given| input.schema.index_of(&self.on).is_some();
        let is_path = given.iter().any(|input| input.schema.open) && is_path(&self.on);
        if !is_path && given.iter().any(has) {
            let equality = Equality::of_column(&self.on);
            open_up(&equality, given);
            return Ok(vec![equality]);
        }
        let mut equalities = parse_equalities(&self.on)?;
        for equality in &mut equalities {
            if sides_of(equality, given).is_err() {
                equality.swap();
                if sides_of(equality, given).is_err() {
                    equality.swap();
                }
            }
            // Where the first records have a member that is called as a path, others have what is there.
            open_up(equality, given);
        }
        Ok(equalities)
    }

    /// Returns what `--time` says of a side; given once, it may be of the stream's columns alone.
    fn time_of(&self, side: Side, schema: &Schema) -> Option<&str> {
        let asked = &self.sides[side.index()];
        let time = asked.time.as_deref()?;
        let has_none = || TimeFrom::named(time, &asked.reading, schema).is_err();
        let is_other = self.is_table(side) && asked.shared && !time.starts_with('@') && has_none();
        (!is_other).then_some(time)
    }

    fn is_table(&self, side: Side) -> bool {
        self.method == Method::Table && side == Side::Right
    }

    /// Adds the columns that `--time` names and inputs have not, where they may have them.
    fn open_up_times(&self, given: &mut [Given; 2]) {
        for side in Side::BOTH {
            let asked = &self.sides[side.index()];
            // Given once, it may be of the stream's columns alone.
            let is_of_both = !(self.is_table(side) && asked.shared);
            let time = asked.time.as_deref().filter(|_| is_of_both);
            time::open_up(&mut given[side.index()].schema, time);
        }
    }

    /// Returns where the event times of a side come from; a table without any holds from the beginning on.
    fn event_time(&self, side: Side, given: &[Given; 2]) -> Result<TimeFrom> {
        let Given {
            schema,
            record_times,
        } = &given[side.index()];
        let named = self.time_of(side, schema);
        let reading = &self.sides[side.index()].reading;
        let time = time::event_time(named, reading, schema, *record_times)
            .map_err(|error| error.during(format!("reading the {} side", name_of(side))))?;
        match time {
            Err(Missing::Column) if self.is_table(side) => Ok(TimeFrom::Nowhere),
            time => time.map_err(|missing| missing.error(Some(name_of(side)), schema)),
        }
    }
}

impl JoinPlan {
    /// Returns whether the right side is a table.
    pub(crate) fn has_table(&self) -> bool {
        self.query.method == Method::Table
    }

    /// Returns the result's columns that are joined on.
    pub fn keys(&self) -> &[Field] {
        &self.columns[..self.sides[0].keys.len()]
    }

    /// Returns the engine's settings for inputs of this many partitions.
    pub fn settings(&self, partitions: [usize; 2]) -> Settings {
        Settings {
            method: self.query.method,
            kind: self.query.kind,
            out_of_order_ms: [0, 1].map(|nth: usize| self.query.sides[nth].out_of_order_ms),
            partitions,
        }
    }
}

impl SidePlan {
    /// Returns what of a record is decoded: what is joined on and the event time.
    pub fn layout(&self) -> Layout {
        let keys = self.keys.iter().flat_map(|key| key.expression.columns());
        let mut wanted: Vec<usize> = keys.copied().collect();
        wanted.extend(self.time.columns());
        wanted.sort_unstable();
        wanted.dedup();
        Layout {
            schema: self.schema.clone(),
            wanted,
            time: self.time.clone(),
        }
    }
}

/// Adds to the schemas of inputs that are open what is joined on and they have not.
fn open_up(equality: &Equality, given: &mut [Given; 2]) {
    for (nth, input) in given.iter_mut().enumerate() {
        equality.open_up(nth, &mut input.schema);
    }
}

/// Returns what must be equal, of both sides.
fn sides_of(equality: &Equality, given: &[Given; 2]) -> Result<[Expression; 2]> {
    let side = |side: Side| {
        let schema = &given[side.index()].schema;
        let checked = equality.side(side.index(), schema);
        checked.map_err(|error| match equality.column(side.index()) {
            Some(name) => Error::usage(format!(
                "unknown column `{name}` in `--on`: the {} side does not have it",
                name_of(side)
            ))
            .hint(format!("it has {}", schema.names())),
            None => error.during(format!("reading `--on` for the {} side", name_of(side))),
        })
    };
    Ok([side(Side::Left)?, side(Side::Right)?])
}

/// What one side has declared of a column holds for the other one's, too.
fn share_types(equality: &Equality, given: &mut [Given; 2]) -> Result<()> {
    let sides = sides_of(equality, given)?;
    for (at, other) in [(0, 1), (1, 0)] {
        if let (DataType::Any, Some(column)) = (sides[at].data_type(), sides[at].column()) {
            given[at].schema.fields[column].data_type = sides[other].data_type();
        }
    }
    Ok(())
}

/// Returns both sides of an equality as values of one type.
fn as_one_type(left: Expression, right: Expression) -> Result<[Expression; 2]> {
    let is_number = |of: &Expression| {
        matches!(
            of.data_type(),
            DataType::Bigint | DataType::Decimal | DataType::Number
        )
    };
    let (left, right) = match (left.data_type(), right.data_type()) {
        (DataType::Any, _) if is_number(&right) => (left.into_number(), right),
        (_, DataType::Any) if is_number(&left) => (left, right.into_number()),
        (DataType::Any, DataType::Text) => (left, right.into_any()),
        (DataType::Text, DataType::Any) => (left.into_any(), right),
        _ => (left, right),
    };
    let types = [left.data_type(), right.data_type()];
    if types[0] == types[1] || is_number(&left) && is_number(&right) {
        return Ok([left, right]);
    }
    let text = left.text().to_owned();
    let what = match left.column() {
        Some(_) => format!("column `{text}`"),
        None => format!("`{text}`"),
    };
    let equals = if text == right.text() {
        String::new()
    } else {
        format!("`{right}` ")
    };
    let error = Error::usage(format!(
        "{what} is a {} on the left and {equals}a {} on the right",
        types[0], types[1]
    ));
    Err(match left.column() {
        Some(_) => error.hint(format!(
            "give them one type with `--schema '{text} string'`"
        )),
        None => error.hint("give them one type with `cast(… as string)`"),
    })
}

impl Key {
    fn field(&self) -> Field {
        Field {
            name: self.name.clone(),
            data_type: self.expression.data_type(),
        }
    }
}

/// Returns the name of a side in messages.
pub(crate) fn name_of(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

/// Returns the indexes of the columns that records have of their own; what lies in or beside them is not
/// carried.
fn own_columns(schema: &Schema) -> impl Iterator<Item = usize> {
    let named = schema.named().map(|(index, _)| index);
    named.filter(|&index| !schema.is_derived(index))
}

/// Returns the names that the columns of both sides have in the result, without those that are
/// `dropped`: their own, or with `l_` or `r_` before it where both sides, what is joined on, or the event
/// time, have that name.
fn result_names(keys: &[&str], dropped: &[Vec<usize>; 2], given: &[Given; 2]) -> [Vec<String>; 2] {
    let own = |nth: usize| {
        let schema = &given[nth].schema;
        let others = own_columns(schema).filter(move |index| !dropped[nth].contains(index));
        others.map(|index| &schema.fields[index].name)
    };
    let collides = |nth: usize, name: &str| {
        name == EVENT_TIME || keys.contains(&name) || own(1 - nth).any(|other| other == name)
    };
    let mut taken: Vec<String> = vec![EVENT_TIME.to_owned()];
    taken.extend(keys.iter().map(|&name| name.to_owned()));
    for nth in [0, 1] {
        taken.extend(own(nth).filter(|name| !collides(nth, name)).cloned());
    }
    [(0, "l_"), (1, "r_")].map(|(nth, prefix)| {
        let mut renamed = |name: &String| {
            if !collides(nth, name) {
                return name.clone();
            }
            let mut name = format!("{prefix}{name}");
            while taken.contains(&name) {
                name.insert_str(0, prefix);
            }
            taken.push(name.clone());
            name
        };
        own(nth).map(&mut renamed).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::schema::parse_declaration;

    fn given(columns: &str) -> Given {
        Given {
            schema: parse_declaration(columns).expect("columns"),
            record_times: false,
        }
    }

    fn names(left: &str, right: &str) -> Vec<String> {
        let query = JoinQuery {
            on: "id".to_owned(),
            method: Method::Within(10),
            kind: Kind::Inner,
            sides: Default::default(),
        };
        let plan = query.plan([given(left), given(right)]).expect("a plan");
        plan.columns.into_iter().map(|field| field.name).collect()
    }

    #[test]
    fn names_that_collide_get_a_prefix_and_no_name_stands_twice() {
        assert_eq!(
            names(
                "start_timestamp bigint, id bigint, caller string",
                "id bigint, tower string, start_timestamp bigint"
            ),
            [
                "id",
                "l_start_timestamp",
                "caller",
                "tower",
                "r_start_timestamp",
                "event_time"
            ]
        );
        // A result joined again, twice.
        assert_eq!(
            names(
                "id bigint, event_time bigint, l_event_time bigint, a string",
                "event_time bigint, id bigint, r_a string"
            ),
            [
                "id",
                "l_l_event_time",
                "l_event_time",
                "a",
                "r_event_time",
                "r_a",
                "event_time"
            ]
        );
    }
}
