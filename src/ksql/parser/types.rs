//! Types: `INT`, `DECIMAL(4, 2)`, `STRUCT<a INT, b ARRAY<STRING>>`, and those of CREATE TYPE.

use super::Parser;
use crate::error::Result;
use crate::ksql::decimal::MAX_PRECISION;
use crate::ksql::lexer::Kind;
use crate::ksql::types::{Field, Type};

impl Parser<'_> {
    pub(super) fn of_type(&mut self) -> Result<Type> {
        self.nested(Self::nested_type)
    }

    fn nested_type(&mut self) -> Result<Type> {
        let name = self.name("a type")?;
        let of = match name.text.as_str() {
            "ARRAY" if self.is_symbol("<") => {
                self.symbol("<")?;
                let element = self.of_type()?;
                self.symbol(">")?;
                return Ok(Type::array(element));
            }
            "MAP" if self.is_symbol("<") => {
                self.symbol("<")?;
                let key = self.of_type()?;
                self.symbol(",")?;
                let value = self.of_type()?;
                self.symbol(">")?;
                return Ok(Type::map(key, value));
            }
            "STRUCT" if self.is_symbol("<>") || self.is_symbol("<") => return self.structure(),
            "DECIMAL" | "DEC" | "NUMERIC" => return self.decimal(),
            "BOOLEAN" => Type::Boolean,
            "INT" | "INTEGER" => Type::Int,
            "BIGINT" => Type::Bigint,
            "DOUBLE" => Type::Double,
            "STRING" | "VARCHAR" => Type::String,
            "BYTES" => Type::Bytes,
            "DATE" => Type::Date,
            "TIME" => Type::Time,
            "TIMESTAMP" => Type::Timestamp,
            other => match self.types.get(other) {
                Some(of) => return Ok(of.clone()),
                None => return Err(self.error(name.at, &format!("unknown type `{other}`"))),
            },
        };
        self.ignored_parameters()?;
        Ok(of)
    }

    /// VARCHAR(255), VARCHAR(STRING): ksqlDB reads the parameters and forgets them.
    fn ignored_parameters(&mut self) -> Result<()> {
        if !self.take_symbol("(") {
            return Ok(());
        }
        self.list(|parser| {
            if matches!(parser.ahead(0).kind, Kind::Integer(_)) {
                return parser.whole_number("a number").map(|_| ());
            }
            match parser.take_word("STRING") {
                true => Ok(()),
                false => Err(parser.unexpected("STRING or a whole number")),
            }
        })?;
        self.symbol(")")
    }

    fn structure(&mut self) -> Result<Type> {
        if self.take_symbol("<>") {
            return Ok(Type::Struct(Vec::new()));
        }
        self.symbol("<")?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.name("a field's name")?;
            if fields.iter().any(|field| field.name == name.text) {
                let message = format!("Duplicate field names found in STRUCT: {name}");
                return Err(self.error(name.at, &message));
            }
            let of = self.of_type()?;
            fields.push(Field {
                name: name.text,
                of,
            });
            if !self.take_symbol(",") {
                break;
            }
        }
        self.symbol(">")?;
        Ok(Type::Struct(fields))
    }

    fn decimal(&mut self) -> Result<Type> {
        let at = self.before();
        self.symbol("(")?;
        let precision = self.whole_number("a precision")?;
        self.symbol(",")?;
        let scale = self.whole_number("a scale")?;
        self.symbol(")")?;
        let at = at.to(self.before());
        if precision == 0 {
            return Err(self.error(
                at,
                &format!("DECIMAL precision must be >= 1: DECIMAL({precision},{scale})"),
            ));
        }
        if scale > precision {
            let message =
                format!("DECIMAL precision must be >= scale: DECIMAL({precision},{scale})");
            return Err(self.error(at, &message));
        }
        match (u32::try_from(precision), u32::try_from(scale)) {
            (Ok(precision), Ok(scale)) if precision <= MAX_PRECISION => {
                Ok(Type::Decimal { precision, scale })
            }
            _ => Err(self.error(at, &format!("a DECIMAL has at most {MAX_PRECISION} digits"))),
        }
    }
}
