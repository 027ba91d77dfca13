//! Columns that are known by their names: those of the workshop's data and of results of `k window`.

use super::data_type::DataType;
use super::schema::{Field, Schema};

/// The column in which `-` takes an earlier record back, as a result of `k window` has it, beside
/// the bounds of its window.
pub(crate) const CHANGE: &str = "change";

/// The columns of `mono_signal.csv`: one line a call.
pub(crate) const MONO_SIGNAL: [&str; 8] = [
    "call_id",
    "start_timestamp",
    "end_timestamp",
    "start_timestring",
    "end_timestring",
    "caller",
    "callee",
    "disposition",
];
/// The columns of `tower.csv`: one line for a call's stay at one antenna.
pub(crate) const TOWER: [&str; 4] = ["call_id", "tower", "start_timestamp", "end_timestamp"];

/// Returns the type of a column that the workshop's data has, whatever its values look like. Every
/// character of a `call_id` matters, so its use decides. In the result of a join times may be `l_…`
/// and `r_…`.
pub(crate) fn known_type(name: &str) -> Option<DataType> {
    let of_side = ["l_", "r_"].iter().find_map(|side| name.strip_prefix(side));
    match of_side
        .filter(|name| name.ends_with("_timestamp"))
        .unwrap_or(name)
    {
        "start_timestamp" | "end_timestamp" | "arrival_timestamp" | "event_time"
        | "window_start" | "window_end" => Some(DataType::Bigint),
        "caller" | "callee" | "tower" | "disposition" | "start_timestring" | "end_timestring" => {
            Some(DataType::Text)
        }
        _ => None,
    }
}

/// Returns the header of CSV values in a topic, which carry none: that of the workshop's file
/// with as many fields, without or with an arrival time.
pub(crate) fn known_header(fields: usize) -> Option<Vec<String>> {
    let known: &[&str] = match fields {
        8 | 9 => &MONO_SIGNAL,
        4 | 5 => &TOWER,
        _ => return None,
    };
    let arrival = (fields > known.len()).then_some("arrival_timestamp");
    let names = known.iter().copied().chain(arrival);
    Some(names.map(str::to_owned).collect())
}

/// Returns a column whose type is known by its name, or else inferred from its use.
pub fn field(name: impl Into<String>) -> Field {
    let name = name.into();
    Field {
        data_type: known_type(&name).unwrap_or(DataType::Any),
        name,
    }
}

/// Returns the schema of columns with these names.
pub fn of_names<'n>(names: impl IntoIterator<Item = &'n String>) -> Schema {
    let mut schema = Schema {
        fields: names.into_iter().map(field).collect(),
        ..Schema::default()
    };
    let bounds = ["window_start", "window_end"].map(|name| schema.index_of(name));
    let change = schema.index_of(CHANGE);
    schema.change = change.filter(|_| bounds.iter().all(Option::is_some));
    schema
}
