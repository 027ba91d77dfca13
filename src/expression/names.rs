//! Names in expressions → what they stand for: columns, the virtual `duration`, functions; or
//! the nearest name that there is.

use super::convert::{
    converted, is_number, meet, null, read_decimal, settled, typed, use_together, used_as,
};
use super::functions::{self, Function, Parameter, Returns};
use super::reference::without_parts;
use super::scalar::Scalar;
use super::syntax::{Arithmetic, Span};
use super::tree::{Operation, Typed};
use super::types::Checker;
use crate::column::DataType;
use crate::column::derived::Derived;
use crate::column::name::nearest;
use crate::error::{Error, Result};
use crate::term::units;

/// Aggregates that people look for in expressions.
const AGGREGATES: [&str; 5] = ["count", "sum", "min", "max", "avg"];

impl Checker<'_> {
    /// Returns the column of a name, matched exactly, else in any case if that leaves one; and
    /// writes its own spelling into `name`.
    ///
    /// # Errors
    /// `usage`: there is none; names the nearest and all there are.
    pub fn column(&self, name: &mut String, quoted: bool, span: Span) -> Result<Typed> {
        let fields = &self.schema.fields;
        if let Some(index) = self.index_of(name) {
            name.clone_from(&fields[index].name);
            return Ok(typed(
                Operation::Column(index),
                fields[index].data_type,
                span,
            ));
        }
        if let Some(duration) = self.duration(name, span) {
            name.make_ascii_lowercase();
            return Ok(duration);
        }
        Err(self.unknown_column(name, quoted, span))
    }

    /// Returns the column of a path or of a part of the record.
    ///
    /// # Errors
    /// `usage`: there is none.
    pub fn derived(&self, derived: &Derived, span: Span) -> Result<Typed> {
        let schema = self.schema;
        if let Some(index) = schema.index_of_derived(derived) {
            let data_type = schema.fields[index].data_type;
            return Ok(typed(Operation::Column(index), data_type, span));
        }
        Err(match derived {
            Derived::Part(part) => {
                let error = self.error(format!("these records do not have `{part}`"), span);
                without_parts(error, part)
            }
            Derived::Path(path) => {
                let error = self.error(format!("unknown column `{path}`"), span);
                let error = match schema.index_of(&path.member) {
                    Some(_) => error.hint(format!(
                        "for a column of JSON text: `{}`",
                        path.extraction()
                    )),
                    None => error,
                };
                error.hint(format!("columns: {}", schema.names()))
            }
        })
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        let fields = &self.schema.fields;
        self.schema.index_of(name).or_else(|| {
            let same = |index: &usize| {
                fields[*index].name.to_lowercase() == name.to_lowercase()
                    && !self.schema.is_derived(*index)
            };
            let mut matching = (0..fields.len()).filter(same);
            matching.next().filter(|_| matching.next().is_none())
        })
    }

    /// Returns whether a name stands for something.
    pub fn knows(&self, name: &str) -> bool {
        let nowhere = Span { start: 0, end: 0 };
        self.index_of(name).is_some() || self.duration(name, nowhere).is_some()
    }

    fn unknown_column(&self, name: &str, quoted: bool, span: Span) -> Error {
        let error = self.error(format!("unknown column `{name}`"), span);
        let as_text = format!("'{}'", name.replace('\'', "''"));
        if quoted {
            return error.hint(format!(
                "double quotes name a column; text goes in single quotes: `{as_text}`"
            ));
        }
        let virtual_column = Some("duration").filter(|name| self.duration(name, span).is_some());
        let names = self.schema.fields.iter().map(|field| field.name.as_str());
        let error = match nearest(name, names.chain(virtual_column)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("text goes in single quotes: `{as_text}`")),
        };
        let and_virtual = virtual_column.map_or("", |_| ", duration");
        error.hint(format!("columns: {}{and_virtual}", self.schema.names()))
    }

    /// Returns the virtual column `duration`, end_timestamp − start_timestamp, where both are there; in
    /// the result of a join of two that have them also `l_duration` and `r_duration`, and `duration` is
    /// the left's.
    fn duration(&self, name: &str, span: Span) -> Option<Typed> {
        let prefixes: &[&str] = match name.to_ascii_lowercase().as_str() {
            "duration" => &["", "l_"],
            "l_duration" => &["l_"],
            "r_duration" => &["r_"],
            _ => return None,
        };
        let timestamp = |name: String| {
            let index = self.schema.index_of(&name)?;
            let data_type = self.schema.fields[index].data_type;
            (data_type == DataType::Bigint)
                .then(|| Box::new(typed(Operation::Column(index), data_type, span)))
        };
        prefixes.iter().find_map(|prefix| {
            let end = timestamp(format!("{prefix}end_timestamp"))?;
            let start = timestamp(format!("{prefix}start_timestamp"))?;
            let operation = Operation::Arithmetic(Arithmetic::Subtract, end, start);
            Some(typed(operation, DataType::Bigint, span))
        })
    }

    /// Returns a call whose arguments have the types of its parameters.
    ///
    /// # Errors
    /// `usage`: no such function, or not with these arguments.
    pub fn call(
        &self,
        name: &str,
        name_span: Span,
        mut arguments: Vec<Typed>,
        span: Span,
    ) -> Result<Typed> {
        let known: Vec<&'static Function> = functions::named(name).collect();
        if known.is_empty() {
            let error = self.error(format!("unknown function `{name}`"), name_span);
            if AGGREGATES.contains(&name) {
                return Err(error.hint(
                    "an aggregate cannot be used in an expression; `k window` takes it in `--agg`",
                ));
            }
            let names = functions::all().flat_map(Function::names);
            return Err(match nearest(name, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        let fits = |function: &&&Function| function.takes(arguments.len());
        let Some(&function) = known.iter().find(fits) else {
            let given = units::format_plural(arguments.len() as u64, "argument");
            let uses: Vec<String> = known
                .iter()
                .map(|function| format!("`{}`", function.usage()))
                .collect();
            return Err(self
                .error(format!("`{name}` does not take {given}"), span)
                .hint(format!("write {}", uses.join(" or "))));
        };
        if let Some(zone) = self.zone
            && function.reads_local_time(arguments.len())
        {
            let zone = Operation::Constant(Scalar::Text(zone.into()));
            arguments.push(typed(zone, DataType::Text, span));
        }
        self.use_shared(function, &mut arguments);
        let is_decimal =
            |argument: &Typed| matches!(argument.data_type, DataType::Decimal | DataType::Number);
        if arguments.iter().any(is_decimal) {
            let shared = |(at, _): &(usize, &mut Typed)| function.parameter(*at).is_shared();
            let shared = arguments.iter_mut().enumerate().filter(shared);
            shared.for_each(|(_, argument)| read_decimal(argument));
        }
        let common = self.common_of(function, &arguments)?;
        for (at, argument) in arguments.iter_mut().enumerate() {
            let data_type = match function.parameter(at) {
                Parameter::Text | Parameter::Unit => DataType::Text,
                Parameter::Time => {
                    self.read_time(argument)?;
                    DataType::Timestamp
                }
                Parameter::Bigint => DataType::Bigint,
                Parameter::Double => DataType::Double,
                Parameter::Number | Parameter::Fractional | Parameter::Any => common,
            };
            let taken = std::mem::replace(argument, null(data_type, span));
            let converted = converted(settled(taken, data_type), data_type);
            let what = format!("`{name}`");
            *argument = self.need(converted, data_type, &what, &data_type.to_string())?;
        }
        let constants: Vec<_> = arguments.iter().map(Typed::constant).collect();
        if let Err((at, wrong)) = function.check(&constants) {
            return Err(self.error(wrong, arguments[at].span));
        }
        let data_type = match function.returns {
            Returns::Text => DataType::Text,
            Returns::Bigint => DataType::Bigint,
            Returns::Double => DataType::Double,
            Returns::Boolean => DataType::Boolean,
            Returns::Time => DataType::Timestamp,
            Returns::Same => common,
        };
        let operation = Operation::Call {
            function,
            arguments,
        };
        Ok(typed(operation, data_type, span))
    }

    /// Reads undeclared arguments as their parameters, or the arguments beside them, ask.
    fn use_shared(&self, function: &Function, arguments: &mut [Typed]) {
        let numbers = |at| {
            matches!(
                function.parameter(at),
                Parameter::Number | Parameter::Fractional
            )
        };
        for (at, argument) in arguments.iter_mut().enumerate() {
            if numbers(at) {
                let taken = std::mem::replace(argument, null(DataType::Number, argument.span));
                *argument = used_as(taken, DataType::Number);
            }
        }
        let shared = arguments.iter_mut().enumerate();
        let shared = shared.filter(|(at, _)| function.parameter(*at).is_shared());
        use_together(shared.map(|(_, argument)| argument).collect());
    }

    /// Returns the one type of the arguments whose parameters share it.
    fn common_of(&self, function: &Function, arguments: &[Typed]) -> Result<DataType> {
        let mut shared = None;
        for (at, argument) in arguments.iter().enumerate() {
            let parameter = function.parameter(at);
            let is_number_wanted = matches!(parameter, Parameter::Number | Parameter::Fractional);
            if !parameter.is_shared() || matches!(argument.operation, Operation::Null) {
                continue;
            }
            if is_number_wanted && !is_number(argument.data_type) {
                let what = format!("`{}`", function.name);
                let message = format!("{what} needs a number, not {}", argument.data_type);
                return Err(self.error(message, argument.span));
            }
            let data_type = match (parameter, argument.data_type) {
                (Parameter::Fractional, DataType::Bigint) => DataType::Double,
                (_, data_type) => data_type,
            };
            shared = match shared {
                None => Some(data_type),
                Some(shared) => Some(meet(shared, data_type).ok_or_else(|| {
                    let message = format!(
                        "the arguments of `{}` must have one type, not {shared} and {data_type}",
                        function.name
                    );
                    self.error(message, argument.span)
                })?),
            };
        }
        let has = |wanted| (0..arguments.len()).any(|at| function.parameter(at) == wanted);
        Ok(shared.unwrap_or(match () {
            () if has(Parameter::Number) => DataType::Bigint,
            () if has(Parameter::Fractional) => DataType::Double,
            () => DataType::Text,
        }))
    }
}
