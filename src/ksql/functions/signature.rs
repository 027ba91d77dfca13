//! Signatures: `ARRAY_CONTAINS(array ARRAY<T>, value T) BOOLEAN`, and which of them a call means.
//!
//! T, U, K, V, R stand for any type, the same wherever they stand; DECIMAL is one of any size; `…`
//! behind a type takes any number of arguments; `(T) => R` is a lambda; UNIT is DAYS, HOURS, …;
//! LITERAL behind a type wants a constant. A call means the signature that fits without widening a
//! number, else the one that fits with it; of several the one with the fewest letters.

use std::collections::BTreeMap;
use std::fmt;

use super::{Returns, Signed};
use crate::ksql::lexer::{self, Kind, Token};
use crate::ksql::types::{Field, Type};

/// Which types a parameter takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// This one.
    Is(Type),
    /// A decimal of any size.
    Decimal,
    /// Any type.
    Any,
    /// The type that this letter stands for.
    Generic(String),
    /// An array of such.
    Array(Box<Pattern>),
    /// A map of such.
    Map(Box<Pattern>, Box<Pattern>),
    /// A struct of such fields.
    Struct(Vec<(String, Pattern)>),
    /// A lambda with such parameters and such a result.
    Lambda(Vec<Pattern>, Box<Pattern>),
    /// A unit of time.
    Unit,
}

/// A parameter of a signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// What it is called.
    pub name: String,
    /// What it takes.
    pub pattern: Pattern,
    /// Whether it takes any number of arguments.
    pub is_variadic: bool,
    /// Whether it must be a constant.
    pub is_literal: bool,
}

/// A name, parameters and a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// In upper case.
    pub name: String,
    /// In order.
    pub parameters: Vec<Parameter>,
    /// The result.
    pub returns: Pattern,
}

/// An argument of a call, as far as a signature wants to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// NULL, which is of any type.
    Null,
    /// Of a type.
    Value(Type),
    /// A lambda of so many parameters.
    Lambda(usize),
    /// A unit of time.
    Unit,
}

/// What the letters of a signature stand for in a call.
#[derive(Debug, Clone, Default)]
pub struct Generics(BTreeMap<String, Type>);

impl Generics {
    /// Returns the type that a pattern is; `None` while a letter of it stands for nothing, and for
    /// DECIMAL, UNIT and lambdas.
    pub fn concrete(&self, pattern: &Pattern) -> Option<Type> {
        Some(match pattern {
            Pattern::Is(of) => of.clone(),
            Pattern::Generic(letter) => self.0.get(letter)?.clone(),
            Pattern::Array(element) => Type::array(self.concrete(element)?),
            Pattern::Map(key, value) => Type::map(self.concrete(key)?, self.concrete(value)?),
            Pattern::Struct(fields) => {
                let fields = fields.iter().map(|(name, of)| {
                    Some(Field {
                        name: name.clone(),
                        of: self.concrete(of)?,
                    })
                });
                Type::Struct(fields.collect::<Option<_>>()?)
            }
            Pattern::Decimal | Pattern::Any | Pattern::Lambda(..) | Pattern::Unit => return None,
        })
    }

    /// Takes a type for a pattern; returns whether it fits without widening.
    pub fn bind(&mut self, pattern: &Pattern, of: &Type) -> bool {
        self.fits(pattern, of, false)
    }

    fn fits(&mut self, pattern: &Pattern, of: &Type, may_widen: bool) -> bool {
        match (pattern, of) {
            (Pattern::Any, _) => true,
            (Pattern::Is(wanted), of) => wanted == of || (may_widen && of.widens_to(wanted)),
            (Pattern::Decimal, Type::Decimal { .. }) => true,
            (Pattern::Decimal, of) => may_widen && of.width() < Some(2) && of.is_number(),
            (Pattern::Generic(letter), of) => match self.0.get(letter) {
                None => {
                    self.0.insert(letter.clone(), of.clone());
                    true
                }
                Some(known) if known == of => true,
                Some(known) if may_widen && of.widens_to(known) => true,
                Some(known) if may_widen && known.widens_to(of) => {
                    self.0.insert(letter.clone(), of.clone());
                    true
                }
                Some(_) => false,
            },
            (Pattern::Array(element), Type::Array(of)) => self.fits(element, of, may_widen),
            (Pattern::Map(key, value), Type::Map(of_key, of_value)) => {
                self.fits(key, of_key, may_widen) && self.fits(value, of_value, may_widen)
            }
            (Pattern::Struct(wanted), Type::Struct(fields)) => {
                wanted.len() == fields.len()
                    && wanted.iter().zip(fields).all(|((name, pattern), field)| {
                        *name == field.name && self.fits(pattern, &field.of, may_widen)
                    })
            }
            _ => false,
        }
    }
}

/// A function that a call means, and with what.
#[derive(Debug)]
pub struct Chosen<T: 'static> {
    /// The function.
    pub function: &'static T,
    /// What each argument is taken as.
    pub parameters: Vec<Pattern>,
    /// How many of the arguments, the last ones, must be constants.
    pub literals: usize,
    /// What its letters stand for; complete once the lambdas are bound.
    pub generics: Generics,
    result: Pattern,
    custom: Option<Returns>,
}

impl<T: Signed> Chosen<T> {
    /// Returns the result's type.
    ///
    /// # Errors
    /// Where the arguments leave it open.
    pub fn returns(&self, types: &[Type]) -> Result<Type, String> {
        match self.custom {
            Some(custom) => custom(types),
            None => match (&self.result, self.generics.concrete(&self.result)) {
                (_, Some(of)) => Ok(of),
                // The same decimal as the argument.
                (Pattern::Decimal, None) => {
                    let decimal = types.iter().find(|of| matches!(of, Type::Decimal { .. }));
                    decimal.cloned().ok_or_else(|| {
                        format!(
                            "cannot tell the size of the result of {}",
                            self.function.signature()
                        )
                    })
                }
                _ => Err(format!(
                    "cannot tell the type of the result of {}",
                    self.function.signature()
                )),
            },
        }
    }
}

/// Returns the function that a call means.
pub(super) fn choose<T: Signed>(
    name: &str,
    overloads: &'static [(Signature, &'static T)],
    arguments: &[Argument],
) -> Result<Chosen<T>, String> {
    for may_widen in [false, true] {
        let mut fitting: Vec<(usize, Chosen<T>)> = overloads
            .iter()
            .filter_map(|(signature, function)| signature.fit(*function, arguments, may_widen))
            .collect();
        fitting.sort_by_key(|(rank, _)| *rank);
        let is_vague = fitting.len() > 1 && fitting[0].0 == fitting[1].0;
        if is_vague {
            return Err(format!(
                "Function '{name}' cannot be resolved due to ambiguous method parameters ({}).{}",
                shown(arguments),
                alternatives(overloads)
            ));
        }
        if let Some((_, chosen)) = fitting.into_iter().next() {
            return Ok(chosen);
        }
    }
    Err(format!(
        "Function '{name}' does not accept parameters ({}).{}",
        shown(arguments),
        alternatives(overloads)
    ))
}

fn shown(arguments: &[Argument]) -> String {
    let shown = arguments.iter().map(|argument| match argument {
        Argument::Null => "null".to_owned(),
        Argument::Value(of) => of.to_string(),
        Argument::Lambda(_) => "LAMBDA".to_owned(),
        Argument::Unit => "INTERVALUNIT".to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn alternatives<T>(overloads: &[(Signature, &'static T)]) -> String {
    let shown: Vec<String> = overloads
        .iter()
        .map(|(signature, _)| signature.to_string())
        .collect();
    format!("\nValid alternatives are: {}", shown.join("; "))
}

impl Signature {
    /// Returns how well arguments fit, the least being the best, and with what.
    fn fit<T: Signed>(
        &self,
        function: &'static T,
        arguments: &[Argument],
        may_widen: bool,
    ) -> Option<(usize, Chosen<T>)> {
        let parameters = self.expanded(arguments.len())?;
        let mut generics = Generics::default();
        let fits = parameters
            .iter()
            .zip(arguments)
            .all(
                |(parameter, argument)| match (&parameter.pattern, argument) {
                    (Pattern::Lambda(takes, _), Argument::Lambda(count)) => takes.len() == *count,
                    (Pattern::Lambda(..), _) | (_, Argument::Lambda(_)) => false,
                    (Pattern::Unit, Argument::Unit) => true,
                    (Pattern::Unit, _) | (_, Argument::Unit) => false,
                    (_, Argument::Null) => true,
                    (pattern, Argument::Value(of)) => generics.fits(pattern, of, may_widen),
                },
            );
        if !fits {
            return None;
        }
        let letters = self
            .parameters
            .iter()
            .map(|parameter| letters(&parameter.pattern))
            .sum::<usize>();
        let is_variadic = self
            .parameters
            .iter()
            .any(|parameter| parameter.is_variadic);
        let literals = parameters
            .iter()
            .filter(|parameter| parameter.is_literal)
            .count();
        let chosen = Chosen {
            function,
            parameters: parameters
                .into_iter()
                .map(|parameter| parameter.pattern.clone())
                .collect(),
            literals,
            generics,
            result: self.returns.clone(),
            custom: function.returns(),
        };
        Some((letters * 2 + usize::from(is_variadic), chosen))
    }

    /// Returns the parameter of each of so many arguments.
    fn expanded(&self, arguments: usize) -> Option<Vec<&Parameter>> {
        let Some(at) = self
            .parameters
            .iter()
            .position(|parameter| parameter.is_variadic)
        else {
            return (arguments == self.parameters.len()).then(|| self.parameters.iter().collect());
        };
        let repeated = (arguments + 1).checked_sub(self.parameters.len())?;
        let (before, after) = (&self.parameters[..at], &self.parameters[at + 1..]);
        let middle = std::iter::repeat_n(&self.parameters[at], repeated);
        Some(before.iter().chain(middle).chain(after).collect())
    }

    /// Reads a signature.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tokens = lexer::tokens(text).map_err(|error| error.to_string())?;
        let mut reader = Reader {
            text,
            tokens,
            at: 0,
        };
        let name = reader.word()?.to_uppercase();
        reader.symbol("(")?;
        let mut parameters = Vec::new();
        while !reader.take(")") {
            if !parameters.is_empty() {
                reader.symbol(",")?;
            }
            let name = reader.word()?;
            let pattern = reader.pattern()?;
            let is_variadic = reader.take(".");
            if is_variadic {
                reader.symbol(".")?;
                reader.symbol(".")?;
            }
            let is_literal = reader.take_word("LITERAL");
            parameters.push(Parameter {
                name,
                pattern,
                is_variadic,
                is_literal,
            });
        }
        let returns = reader.pattern()?;
        match reader.tokens[reader.at].kind {
            Kind::End => Ok(Signature {
                name,
                parameters,
                returns,
            }),
            _ => Err(reader.wrong("the end")),
        }
    }
}

fn letters(pattern: &Pattern) -> usize {
    match pattern {
        Pattern::Generic(_) | Pattern::Any => 1,
        Pattern::Array(element) => letters(element),
        Pattern::Map(key, value) => letters(key) + letters(value),
        Pattern::Struct(fields) => fields.iter().map(|(_, of)| letters(of)).sum(),
        Pattern::Lambda(takes, gives) => takes.iter().map(letters).sum::<usize>() + letters(gives),
        _ => 0,
    }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.tokens[self.at].kind, Kind::Symbol(found) if found == symbol);
        self.at += usize::from(is_next);
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(&self.tokens[self.at].kind, Kind::Word(found) if found == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.wrong(symbol))
        }
    }

    /// Takes a word, as it is written.
    fn word(&mut self) -> Result<String, String> {
        let token = &self.tokens[self.at];
        if !matches!(token.kind, Kind::Word(_)) {
            return Err(self.wrong("a word"));
        }
        let word = self.text[token.at.start..token.at.end].to_owned();
        self.at += 1;
        Ok(word)
    }

    fn wrong(&self, wanted: &str) -> String {
        format!(
            "expected {wanted} at byte {} of {}",
            self.tokens[self.at].at.start, self.text
        )
    }

    fn pattern(&mut self) -> Result<Pattern, String> {
        if self.take("(") {
            let mut takes = Vec::new();
            while !self.take(")") {
                if !takes.is_empty() {
                    self.symbol(",")?;
                }
                takes.push(self.pattern()?);
            }
            self.symbol("=>")?;
            return Ok(Pattern::Lambda(takes, Box::new(self.pattern()?)));
        }
        let word = self.word()?;
        Ok(match word.as_str() {
            "ARRAY" => {
                self.symbol("<")?;
                let element = self.pattern()?;
                self.symbol(">")?;
                Pattern::Array(Box::new(element))
            }
            "MAP" => {
                self.symbol("<")?;
                let key = self.pattern()?;
                self.symbol(",")?;
                let value = self.pattern()?;
                self.symbol(">")?;
                Pattern::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" => {
                self.symbol("<")?;
                let mut fields = Vec::new();
                while !self.take(">") {
                    if !fields.is_empty() {
                        self.symbol(",")?;
                    }
                    let name = self.word()?;
                    fields.push((name, self.pattern()?));
                }
                Pattern::Struct(fields)
            }
            "DECIMAL" => Pattern::Decimal,
            "ANY" => Pattern::Any,
            "UNIT" => Pattern::Unit,
            "BOOLEAN" => Pattern::Is(Type::Boolean),
            "INT" => Pattern::Is(Type::Int),
            "BIGINT" => Pattern::Is(Type::Bigint),
            "DOUBLE" => Pattern::Is(Type::Double),
            "STRING" => Pattern::Is(Type::String),
            "BYTES" => Pattern::Is(Type::Bytes),
            "DATE" => Pattern::Is(Type::Date),
            "TIME" => Pattern::Is(Type::Time),
            "TIMESTAMP" => Pattern::Is(Type::Timestamp),
            letter if letter.len() == 1 => Pattern::Generic(letter.to_owned()),
            _ => return Err(self.wrong("a type")),
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (nth, parameter) in self.parameters.iter().enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            let dots = if parameter.is_variadic { "..." } else { "" };
            let literal = if parameter.is_literal { " LITERAL" } else { "" };
            write!(
                f,
                "{comma}{} {}{dots}{literal}",
                parameter.name, parameter.pattern
            )?;
        }
        write!(f, ") {}", self.returns)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Is(Type::Int) => f.write_str("INT"),
            Pattern::Is(of) => write!(f, "{of}"),
            Pattern::Decimal => f.write_str("DECIMAL"),
            Pattern::Any => f.write_str("ANY"),
            Pattern::Unit => f.write_str("UNIT"),
            Pattern::Generic(letter) => f.write_str(letter),
            Pattern::Array(element) => write!(f, "ARRAY<{element}>"),
            Pattern::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Pattern::Struct(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, of)| format!("{name} {of}"))
                    .collect();
                write!(f, "STRUCT<{}>", fields.join(", "))
            }
            Pattern::Lambda(takes, gives) => {
                let takes: Vec<String> = takes.iter().map(Pattern::to_string).collect();
                write!(f, "({}) => {gives}", takes.join(", "))
            }
        }
    }
}
