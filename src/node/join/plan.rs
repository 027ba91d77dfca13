//! The plan of a join, which flags build.
//!
//! Comes in: a [`Query`] as typed and the columns of both inputs. Goes out: a [`Plan`], checked:
//! the join column exists on both sides and is of one type there, every record has an event time,
//! and no two columns of the result share a name.

use crate::column::{DataType, Field, Schema};
use crate::engine::join::{Kind, Method, Settings, Side};
use crate::error::{Error, Result};
use crate::format::{Layout, TimeFrom, TimeUnit};

/// The result's column that has the later of the two event times.
pub const EVENT_TIME: &str = "event_time";

/// A join as typed.
#[derive(Debug, Clone)]
pub struct Query {
    /// The column of both inputs that must be equal.
    pub on: String,
    /// What else must hold.
    pub method: Method,
    /// Which records without a partner give a row.
    pub kind: Kind,
    /// What each input needs of its own.
    pub sides: [SideQuery; 2],
}

/// What one input of a join needs.
#[derive(Debug, Clone, Default)]
pub struct SideQuery {
    /// The event time's column, `@record` for the record's own timestamp, or `None` for the default.
    pub time: Option<String>,
    /// Whether the other input has the same `time`, given once for both.
    pub shared: bool,
    /// The unit of a time column of numbers.
    pub time_unit: TimeUnit,
    /// How far the watermark stays behind the highest event time.
    pub out_of_order_ms: i64,
}

/// One input as it is.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its columns.
    pub schema: Schema,
    /// Whether its records carry a timestamp of their own, as those of a topic do.
    pub record_times: bool,
}

/// A join of inputs of known schemas.
#[derive(Debug)]
pub struct Plan {
    /// The result's columns: the join column, the left's others, the right's others, `event_time`.
    pub columns: Vec<Field>,
    /// What becomes of each input.
    pub sides: [SidePlan; 2],
    query: Query,
}

/// What becomes of one input's records.
#[derive(Debug)]
pub struct SidePlan {
    /// Its columns.
    pub schema: Schema,
    /// The index of the join column.
    pub key: usize,
    /// Where the event time comes from; nowhere for a table that holds from the beginning on.
    pub time: TimeFrom,
    /// The indexes of the other columns, and their names in the result.
    pub carried: Vec<(usize, String)>,
}

impl Query {
    /// Checks the query against the columns of its inputs.
    ///
    /// # Errors
    /// `usage` for an unknown column, types that differ, or a missing event time.
    pub fn plan(self, mut given: [Given; 2]) -> Result<Plan> {
        let [left, right] = [Side::Left, Side::Right].map(|side| self.key(side, &given));
        let keys = [left?, right?];
        let mut types = Side::BOTH.map(|side| {
            let at = side.index();
            given[at].schema.fields[keys[at]].data_type
        });
        // What one side has declared holds for the other one, too.
        for (at, other) in [(0, 1), (1, 0)] {
            if types[at] == DataType::Any {
                types[at] = types[other];
                given[at].schema.fields[keys[at]].data_type = types[other];
            }
        }
        if types[0] != types[1] {
            return Err(Error::usage(format!(
                "column `{}` is a {} on the left and a {} on the right",
                self.on, types[0], types[1]
            ))
            .hint(format!(
                "make them one with `--schema '{} string'`",
                self.on
            )));
        }
        let [left, right] = Side::BOTH.map(|side| self.event_time(side, &given));
        let times = [left?, right?];
        let names = result_names(&self.on, &given);
        let mut columns = vec![Field {
            name: self.on.clone(),
            data_type: types[0],
        }];
        let mut sides = Vec::with_capacity(2);
        for (nth, (given, names)) in given.into_iter().zip(names).enumerate() {
            let others = given.schema.named().map(|(index, _)| index);
            let others = others.filter(|&index| index != keys[nth]);
            let carried: Vec<(usize, String)> = others.zip(names).collect();
            columns.extend(carried.iter().map(|(index, name)| Field {
                name: name.clone(),
                data_type: given.schema.fields[*index].data_type,
            }));
            sides.push(SidePlan {
                schema: given.schema,
                key: keys[nth],
                time: times[nth],
                carried,
            });
        }
        columns.push(Field {
            name: EVENT_TIME.to_owned(),
            data_type: DataType::Bigint,
        });
        let sides = sides.try_into();
        let sides = sides.map_err(|_| Error::bug("a join has two sides"))?;
        Ok(Plan {
            columns,
            sides,
            query: self,
        })
    }

    fn key(&self, side: Side, given: &[Given; 2]) -> Result<usize> {
        let schema = &given[side.index()].schema;
        schema.index_of(&self.on).ok_or_else(|| {
            Error::usage(format!(
                "unknown column `{}` in `--on`: the {} side has none",
                self.on,
                name_of(side)
            ))
            .hint(format!("it has {}", schema.names()))
        })
    }

    /// Takes the named column, else `event_time` or `start_timestamp` if there, else the record's
    /// own timestamp; a table without any of these holds from the beginning on.
    fn event_time(&self, side: Side, given: &[Given; 2]) -> Result<TimeFrom> {
        let Given {
            schema,
            record_times,
        } = &given[side.index()];
        let SideQuery {
            time,
            shared,
            time_unit,
            ..
        } = &self.sides[side.index()];
        let wrong = |message: String| {
            Error::usage(message).hint(format!(
                "name a column with `--time`; the {} side has {}",
                name_of(side),
                schema.names()
            ))
        };
        let is_table = self.method == Method::Table && side == Side::Right;
        // Given once, a name may be that of the stream's column alone.
        let is_other = |name: &&str| {
            is_table && *shared && !name.starts_with('@') && schema.index_of(name).is_none()
        };
        let index = match time.as_deref().filter(|name| !is_other(name)) {
            Some("@record") if *record_times => return Ok(TimeFrom::Record),
            Some("@record") => {
                return Err(wrong(
                    "the records of a file or pipe carry no timestamp of their own".to_owned(),
                ));
            }
            Some(name) => schema.index_of(name).ok_or_else(|| {
                wrong(format!(
                    "unknown column `{name}` in `--time`: the {} side has none",
                    name_of(side)
                ))
            })?,
            None => {
                let mut defaults = [EVENT_TIME, "start_timestamp"].into_iter();
                match defaults.find_map(|name| schema.index_of(name)) {
                    Some(index) => index,
                    None if *record_times => return Ok(TimeFrom::Record),
                    None if is_table => return Ok(TimeFrom::Nowhere),
                    None => {
                        return Err(wrong(format!(
                            "no event time: the {} side has no column `start_timestamp`",
                            name_of(side)
                        )));
                    }
                }
            }
        };
        match schema.fields[index].data_type {
            DataType::Bigint | DataType::Text | DataType::Any => {
                Ok(TimeFrom::Column(index, *time_unit))
            }
            DataType::Timestamp => Ok(TimeFrom::Column(index, TimeUnit::Ms)),
            other => Err(Error::usage(format!(
                "column `{}` is a {other}; an event time is a bigint, a timestamp or ISO 8601 text",
                schema.fields[index].name
            ))),
        }
    }
}

impl Plan {
    /// Returns whether the right side is a table.
    pub fn has_table(&self) -> bool {
        self.query.method == Method::Table
    }

    /// Returns the engine's settings for inputs of so many partitions.
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
    /// Returns what of a record is decoded: the join column and the event time.
    pub fn layout(&self) -> Layout {
        let mut wanted = vec![self.key];
        if let TimeFrom::Column(index, _) = self.time {
            wanted.push(index);
        }
        wanted.sort_unstable();
        wanted.dedup();
        Layout {
            schema: self.schema.clone(),
            wanted,
            time: self.time,
        }
    }
}

/// Returns how a person calls a side.
pub fn name_of(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

/// Returns the names that the columns of both sides have in the result, without the join column:
/// their own, or with `l_` or `r_` before it where both sides, or the event time, have that name.
fn result_names(on: &str, given: &[Given; 2]) -> [Vec<String>; 2] {
    let own = |nth: usize| {
        let fields = given[nth].schema.named();
        fields
            .map(|(_, field)| &field.name)
            .filter(|name| *name != on)
    };
    let collides =
        |nth: usize, name: &str| name == EVENT_TIME || own(1 - nth).any(|other| other == name);
    let mut taken: Vec<String> = vec![on.to_owned(), EVENT_TIME.to_owned()];
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
        let query = Query {
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
