//! Expressions as they are written → expressions with types.

use super::super::functions::{self, Argument, Pattern};
use super::super::lexer;
use super::super::schema::{ROWTIME, WINDOWEND, WINDOWSTART};
use super::super::scope::Scope;
use super::super::syntax::{Comparison, Expr, ExprKind, Name, Operator};
use super::super::time::parse_timestamp;
use super::super::types::{Field, Type};
use super::super::value::Value;
use super::unify::{coerce, common_of, decimal_of_literal};
use super::{Kind, Node, can_cast};
use crate::error::{Error, Result};

/// Compiles expressions of one clause of a statement.
#[derive(Debug, Clone, Copy)]
pub struct Compiler<'a> {
    /// The statement's text.
    pub text: &'a str,
    /// The columns there are.
    pub scope: &'a Scope,
    /// The clause, as messages name it: `SELECT`, `WHERE`.
    pub clause: &'static str,
}

/// The parameters of the lambdas around an expression, the innermost last.
type Lambdas<'l> = Vec<&'l [(String, Type)]>;

/// Compiles an expression.
///
/// # Errors
/// `usage` with line, column and the names at fault.
pub fn compile(text: &str, scope: &Scope, clause: &'static str, expr: &Expr) -> Result<Node> {
    Compiler {
        text,
        scope,
        clause,
    }
    .compile(expr)
}

impl Compiler<'_> {
    /// Compiles an expression.
    ///
    /// # Errors
    /// `usage` with line, column and the names at fault.
    pub fn compile(&self, expr: &Expr) -> Result<Node> {
        self.node(expr, &Lambdas::new())
    }

    /// Compiles a condition.
    ///
    /// # Errors
    /// As [`Compiler::compile`]; for what is not BOOLEAN.
    pub fn condition(&self, expr: &Expr) -> Result<Node> {
        let node = self.compile(expr)?;
        match &node.of {
            Some(Type::Boolean) => Ok(node),
            of => {
                let of = of.as_ref().map_or("null".to_owned(), Type::to_string);
                let message = format!(
                    "Type error in {} expression: Should evaluate to boolean but is {expr} ({of}) instead.",
                    self.clause
                );
                Err(self.error(expr, &message))
            }
        }
    }

    fn error(&self, expr: &Expr, message: &str) -> Error {
        lexer::error(self.text, expr.at, message)
    }

    fn invalid(&self, expr: &Expr, reason: &str) -> Error {
        self.error(
            expr,
            &format!("Error in {} expression: {reason}", self.clause),
        )
    }

    fn node(&self, expr: &Expr, lambdas: &Lambdas) -> Result<Node> {
        let constant = |value: Value, of: Type| {
            Ok(Node {
                kind: Kind::Constant(value),
                of: Some(of),
            })
        };
        match &*expr.kind {
            ExprKind::Null => Ok(Node {
                kind: Kind::Constant(Value::Null),
                of: None,
            }),
            ExprKind::Boolean(value) => constant(Value::Boolean(*value), Type::Boolean),
            ExprKind::Int(value) => constant(Value::Int(*value), Type::Int),
            ExprKind::Bigint(value) => constant(Value::Bigint(*value), Type::Bigint),
            ExprKind::Double(value) => constant(Value::Double(*value), Type::Double),
            ExprKind::Decimal(value) => {
                constant(Value::Decimal(value.clone()), decimal_of_literal(value))
            }
            ExprKind::String(value) => constant(Value::from(value.as_str()), Type::String),
            ExprKind::Unit(unit) => constant(Value::from(unit.as_str()), Type::String),
            ExprKind::Column { source, name } => self.column(expr, source.as_ref(), name, lambdas),
            ExprKind::Negate(inner) => {
                let inner = self.node(inner, lambdas)?;
                match inner.of.clone() {
                    Some(of) if of.is_number() => Ok(Node {
                        kind: Kind::Negate(Box::new(inner)),
                        of: Some(of),
                    }),
                    of => Err(self.invalid(expr, &format!("cannot negate {}", shown(of.as_ref())))),
                }
            }
            ExprKind::Not(inner) => {
                let inner = self.boolean(inner, lambdas)?;
                Ok(boolean(Kind::Not(Box::new(inner))))
            }
            ExprKind::And(left, right) => {
                let (left, right) = (self.boolean(left, lambdas)?, self.boolean(right, lambdas)?);
                Ok(boolean(Kind::And(Box::new(left), Box::new(right))))
            }
            ExprKind::Or(left, right) => {
                let (left, right) = (self.boolean(left, lambdas)?, self.boolean(right, lambdas)?);
                Ok(boolean(Kind::Or(Box::new(left), Box::new(right))))
            }
            ExprKind::IsNull(inner) => {
                let inner = self.node(inner, lambdas)?;
                Ok(boolean(Kind::IsNull(Box::new(inner))))
            }
            ExprKind::Arithmetic(operator, left, right) => {
                self.arithmetic(expr, *operator, left, right, lambdas)
            }
            ExprKind::Comparison(comparison, left, right) => {
                self.comparison(expr, *comparison, left, right, lambdas)
            }
            ExprKind::Between(inner, low, high) => {
                let (inner_low, low) =
                    self.comparable(expr, Comparison::GreaterOrEqual, inner, low, lambdas)?;
                let (_, high) =
                    self.comparable(expr, Comparison::LessOrEqual, inner, high, lambdas)?;
                Ok(boolean(Kind::Between(
                    Box::new(inner_low),
                    Box::new(low),
                    Box::new(high),
                )))
            }
            ExprKind::In(inner, items) => self.in_list(expr, inner, items, lambdas),
            ExprKind::Like(inner, pattern, escape) => {
                let inner = self.of_type(inner, &Type::String, lambdas)?;
                let pattern = self.of_type(pattern, &Type::String, lambdas)?;
                Ok(boolean(Kind::Like(
                    Box::new(inner),
                    Box::new(pattern),
                    *escape,
                )))
            }
            ExprKind::Case {
                operand,
                whens,
                otherwise,
            } => self.case(expr, operand.as_ref(), whens, otherwise.as_ref(), lambdas),
            ExprKind::Call(name, arguments) => self.call(expr, name, arguments, lambdas),
            ExprKind::Cast(inner, to) => {
                let inner = self.node(inner, lambdas)?;
                match &inner.of {
                    Some(from) if !can_cast(from, to) => {
                        Err(self.invalid(expr, &format!("Cast of {from} to {to} is not supported")))
                    }
                    _ => Ok(inner.cast_to(to.clone())),
                }
            }
            ExprKind::Field(inner, name) => self.field(expr, inner, name, lambdas),
            ExprKind::Index(inner, index) => self.index(expr, inner, index, lambdas),
            ExprKind::Array(items) => {
                if items.is_empty() {
                    return Err(self.invalid(expr, "Array constructor cannot be empty. Please supply at least one element (see https://github.com/confluentinc/ksql/issues/4239)."));
                }
                let (nodes, element) = self.list(expr, items, lambdas)?;
                let Some(element) = element else {
                    return Err(self.invalid(expr, "Cannot construct an array with all NULL elements (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type."));
                };
                Ok(Node {
                    kind: Kind::Array(nodes),
                    of: Some(Type::array(element)),
                })
            }
            ExprKind::Map(entries) => self.map(expr, entries, lambdas),
            ExprKind::Struct(fields) => {
                if fields.is_empty() {
                    return Err(self.invalid(expr, "a STRUCT needs at least one field"));
                }
                let (mut nodes, mut types) = (Vec::new(), Vec::<Field>::new());
                for (name, value) in fields {
                    if types.iter().any(|field| field.name == name.text) {
                        let message = format!("Duplicate field names found in STRUCT: {name}");
                        return Err(lexer::error(self.text, name.at, &message));
                    }
                    let node = self.node(value, lambdas)?;
                    let of = node.type_or_string();
                    types.push(Field {
                        name: name.text.clone(),
                        of,
                    });
                    nodes.push(node);
                }
                Ok(Node {
                    kind: Kind::Struct(nodes),
                    of: Some(Type::Struct(types)),
                })
            }
            ExprKind::Lambda(..) => {
                Err(self.invalid(expr, "a lambda is only an argument of a function"))
            }
        }
    }

    fn column(
        &self,
        expr: &Expr,
        source: Option<&Name>,
        name: &Name,
        lambdas: &Lambdas,
    ) -> Result<Node> {
        if source.is_none() {
            for (up, parameters) in lambdas.iter().rev().enumerate() {
                if let Some(index) = parameters.iter().position(|(known, _)| *known == name.text) {
                    return Ok(Node {
                        kind: Kind::Parameter(up, index),
                        of: Some(parameters[index].1.clone()),
                    });
                }
            }
        }
        let index = self
            .scope
            .find(self.text, self.clause, expr.at, source, name)?;
        Ok(Node::column(index, self.scope.columns[index].of.clone()))
    }

    fn boolean(&self, expr: &Expr, lambdas: &Lambdas) -> Result<Node> {
        self.of_type(expr, &Type::Boolean, lambdas)
    }

    fn of_type(&self, expr: &Expr, of: &Type, lambdas: &Lambdas) -> Result<Node> {
        let node = self.node(expr, lambdas)?;
        match &node.of {
            Some(found) if found != of => {
                Err(self.invalid(expr, &format!("{expr} is {found} where {of} is wanted")))
            }
            _ => Ok(node.cast_to(of.clone())),
        }
    }

    fn arithmetic(
        &self,
        expr: &Expr,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        lambdas: &Lambdas,
    ) -> Result<Node> {
        let (left, right) = (self.node(left, lambdas)?, self.node(right, lambdas)?);
        let of = match (&left.of, &right.of) {
            (Some(left), Some(right)) => arithmetic_type(operator, left, right),
            _ => None,
        };
        let Some(of) = of else {
            let base = |of: &Option<Type>| of.as_ref().map_or("null", Type::base);
            let reason = format!(
                "Error processing expression: {expr}. Unsupported arithmetic types. {} {}",
                base(&left.of),
                base(&right.of)
            );
            return Err(self.invalid(expr, &reason));
        };
        Ok(Node {
            kind: Kind::Arithmetic(operator, Box::new(left), Box::new(right)),
            of: Some(of),
        })
    }

    fn comparison(
        &self,
        expr: &Expr,
        comparison: Comparison,
        left: &Expr,
        right: &Expr,
        lambdas: &Lambdas,
    ) -> Result<Node> {
        let (left, right) = self.comparable(expr, comparison, left, right, lambdas)?;
        Ok(boolean(Kind::Comparison(
            comparison,
            Box::new(left),
            Box::new(right),
        )))
    }

    /// Compiles both sides of a comparison; a text beside a time is read as one.
    fn comparable(
        &self,
        expr: &Expr,
        comparison: Comparison,
        left: &Expr,
        right: &Expr,
        lambdas: &Lambdas,
    ) -> Result<(Node, Node)> {
        let mut left_node = self.node(left, lambdas)?;
        let mut right_node = self.node(right, lambdas)?;
        if is_row_time(left) {
            right_node = self.moment(right, right_node)?;
        }
        if is_row_time(right) {
            left_node = self.moment(left, left_node)?;
        }
        let (Some(left_type), Some(right_type)) = (left_node.of.clone(), right_node.of.clone())
        else {
            let message = format!(
                "Comparison with NULL not supported: {} {} {}",
                upper_null(left),
                comparison.symbol(),
                upper_null(right)
            );
            return Err(self.error(
                expr,
                &format!(
                    "Error in {} expression: {message}. Use IS NULL or IS NOT NULL",
                    self.clause
                ),
            ));
        };
        let is_time = |of: &Type| matches!(of, Type::Date | Type::Time | Type::Timestamp);
        if left_type == right_type && !has_order_problem(comparison, &left_type) {
            return Ok((left_node, right_node));
        }
        if left_type.is_number() && right_type.is_number() {
            return Ok((left_node, right_node));
        }
        match (&left_type, &right_type) {
            (of, Type::String) if is_time(of) => {
                return Ok((left_node, self.time_of(right, right_node, of)?));
            }
            (Type::String, of) if is_time(of) => {
                return Ok((self.time_of(left, left_node, of)?, right_node));
            }
            (Type::Date, Type::Timestamp) => {
                return Ok((left_node.cast_to(Type::Timestamp), right_node));
            }
            (Type::Timestamp, Type::Date) => {
                return Ok((left_node, right_node.cast_to(Type::Timestamp)));
            }
            _ => {}
        }
        let message = format!(
            "Error in {} expression: Cannot compare {left} ({left_type}) to {right} ({right_type}) with {}.",
            self.clause,
            comparison.word()
        );
        Err(self.error(expr, &message))
    }

    /// Returns a text that is written out as a value of a time's type, checked here.
    fn time_of(&self, expr: &Expr, node: Node, of: &Type) -> Result<Node> {
        let Some(constant) = node.as_constant() else {
            return Ok(node.cast_to(of.clone()));
        };
        let value = super::cast(constant, &Type::String, of)
            .map_err(|reason| self.invalid(expr, &reason))?;
        Ok(Node {
            kind: Kind::Constant(value),
            of: Some(of.clone()),
        })
    }

    /// Returns a text beside ROWTIME as ms.
    fn moment(&self, expr: &Expr, node: Node) -> Result<Node> {
        let Some(Value::String(text)) = node.as_constant() else {
            return Ok(node);
        };
        match parse_timestamp(text) {
            Some(ms) => Ok(Node { kind: Kind::Constant(Value::Bigint(ms)), of: Some(Type::Bigint) }),
            None => Err(self.invalid(expr, &format!("Failed to parse timestamp '{text}': write 2020-01-31T12:00:00.000+0100, or the beginning of it"))),
        }
    }

    fn in_list(
        &self,
        expr: &Expr,
        inner: &Expr,
        items: &[Expr],
        lambdas: &Lambdas,
    ) -> Result<Node> {
        let mut all = vec![inner.clone()];
        all.extend(
            items
                .iter()
                .filter(|item| !matches!(*item.kind, ExprKind::Null))
                .cloned(),
        );
        let first = self.node(inner, lambdas)?;
        if first.of.is_none() {
            return Err(self.invalid(
                expr,
                &format!("Invalid Predicate: {inner} IN (…): NULL is in no list"),
            ));
        }
        let (mut nodes, _) = self.list(expr, &all, lambdas).map_err(|error| {
            Error::usage(error.to_string().replacen(
                &format!("Error in {} expression: ", self.clause),
                "Invalid Predicate: ",
                1,
            ))
            .at(self.text, expr.at.start, expr.at.end)
        })?;
        let inner = nodes.remove(0);
        Ok(boolean(Kind::In(Box::new(inner), nodes)))
    }

    /// Compiles items to values of the type that they have in common.
    fn list(
        &self,
        expr: &Expr,
        items: &[Expr],
        lambdas: &Lambdas,
    ) -> Result<(Vec<Node>, Option<Type>)> {
        let nodes: Vec<Node> = items
            .iter()
            .map(|item| self.node(item, lambdas))
            .collect::<Result<_>>()?;
        let pairs: Vec<(&Expr, &Node)> = items.iter().zip(&nodes).collect();
        let common = common_of(&pairs).map_err(|reason| self.invalid(expr, &reason))?;
        let Some(of) = common else {
            return Ok((nodes, None));
        };
        let coerced: Result<Vec<Node>> = items
            .iter()
            .zip(nodes)
            .map(|(item, node)| {
                coerce(item, node, &of).map_err(|reason| self.invalid(item, &reason))
            })
            .collect();
        Ok((coerced?, Some(of)))
    }

    fn case(
        &self,
        expr: &Expr,
        operand: Option<&Expr>,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        lambdas: &Lambdas,
    ) -> Result<Node> {
        let mut cases = Vec::new();
        let mut of: Option<Type> = None;
        let mut agree = |this: &Self, then: &Expr, node: &Node, what: &str| -> Result<()> {
            match (&of, &node.of) {
                (Some(known), Some(found)) if known != found => {
                    let reason = format!(
                        "Invalid Case expression. Type for {what} clauses should be the same. {what} expression '{then}' has type: {found}. Previous THEN expression(s) type: {known}."
                    );
                    Err(this.invalid(then, &reason))
                }
                (None, Some(found)) => {
                    of = Some(found.clone());
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        for (when, then) in whens {
            let condition = match operand {
                Some(operand) => {
                    let equal =
                        ExprKind::Comparison(Comparison::Equal, operand.clone(), when.clone());
                    self.node(&Expr::new(equal, when.at), lambdas)?
                }
                None => self.node(when, lambdas)?,
            };
            if condition.of != Some(Type::Boolean) {
                let reason = format!(
                    "WHEN operand type should be boolean. Type for '{when}' is {}",
                    shown(condition.of.as_ref())
                );
                return Err(self.invalid(when, &reason));
            }
            let result = self.node(then, lambdas)?;
            agree(self, then, &result, "THEN")?;
            cases.push((condition, result));
        }
        let default = match otherwise {
            Some(otherwise) => {
                let node = self.node(otherwise, lambdas)?;
                agree(self, otherwise, &node, "default")?;
                node
            }
            None => Node {
                kind: Kind::Constant(Value::Null),
                of: None,
            },
        };
        if of.is_none() {
            return Err(self.invalid(
                expr,
                "Invalid Case expression. All case branches have a NULL type",
            ));
        }
        Ok(Node {
            kind: Kind::Case(cases, Box::new(default)),
            of,
        })
    }

    fn map(&self, expr: &Expr, entries: &[(Expr, Expr)], lambdas: &Lambdas) -> Result<Node> {
        if entries.is_empty() {
            return Err(self.invalid(expr, "Map constructor cannot be empty. Please supply at least one key value pair (see https://github.com/confluentinc/ksql/issues/4239)."));
        }
        let keys: Vec<Expr> = entries.iter().map(|(key, _)| key.clone()).collect();
        let values: Vec<Expr> = entries.iter().map(|(_, value)| value.clone()).collect();
        let (keys, key) = self.list(expr, &keys, lambdas)?;
        let (values, value) = self.list(expr, &values, lambdas)?;
        let (Some(key), Some(value)) = (key, value) else {
            return Err(self.invalid(expr, "Cannot construct a map with all NULL keys or values (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type."));
        };
        let entries = keys.into_iter().zip(values).collect();
        Ok(Node {
            kind: Kind::Map(entries),
            of: Some(Type::map(key, value)),
        })
    }

    fn field(&self, expr: &Expr, inner: &Expr, name: &Name, lambdas: &Lambdas) -> Result<Node> {
        let inner_node = self.node(inner, lambdas)?;
        let Some(Type::Struct(fields)) = &inner_node.of else {
            let reason = format!(
                "Expected STRUCT type, got: {} ({inner}) before ->{name}",
                shown(inner_node.of.as_ref())
            );
            return Err(self.invalid(expr, &reason));
        };
        let Some(index) = fields.iter().position(|field| field.name == name.text) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            let reason = format!(
                "Could not find field '{name}' in {}; its fields are {}",
                self.written(inner),
                known.join(", ")
            );
            return Err(self.invalid(expr, &reason));
        };
        let of = Some(fields[index].of.clone());
        Ok(Node {
            kind: Kind::Field(Box::new(inner_node), index),
            of,
        })
    }

    /// Returns an expression as it is typed: an aggregate has another name by then.
    fn written(&self, expr: &Expr) -> &str {
        let range = expr.at.start..expr.at.end;
        self.text.get(range).unwrap_or_default().trim()
    }

    fn index(&self, expr: &Expr, inner: &Expr, index: &Expr, lambdas: &Lambdas) -> Result<Node> {
        let inner_node = self.node(inner, lambdas)?;
        match inner_node.of.clone() {
            Some(Type::Array(element)) => {
                let index = self.node(index, lambdas)?;
                if !matches!(index.of, Some(Type::Int | Type::Bigint)) {
                    return Err(self.invalid(
                        expr,
                        &format!("an array's index must be a whole number: {expr}"),
                    ));
                }
                Ok(Node {
                    kind: Kind::Element(Box::new(inner_node), Box::new(index)),
                    of: Some(*element),
                })
            }
            Some(Type::Map(key, value)) => {
                let index = self.of_type(index, &key, lambdas)?;
                Ok(Node {
                    kind: Kind::Entry(Box::new(inner_node), Box::new(index)),
                    of: Some(*value),
                })
            }
            of => Err(self.invalid(
                expr,
                &format!("{inner} is {}, which has no elements", shown(of.as_ref())),
            )),
        }
    }

    fn call(
        &self,
        expr: &Expr,
        name: &Name,
        arguments: &[Expr],
        lambdas: &Lambdas,
    ) -> Result<Node> {
        if let Some(reason) = functions::not_yet(&name.text, arguments.len()) {
            return Err(Error::not_yet(reason).at(self.text, expr.at.start, expr.at.end));
        }
        let mut nodes: Vec<Option<Node>> = Vec::new();
        let mut given = Vec::new();
        for argument in arguments {
            let (node, argument) = match &*argument.kind {
                ExprKind::Lambda(parameters, _) => (None, Argument::Lambda(parameters.len())),
                ExprKind::Unit(_) => (Some(self.node(argument, lambdas)?), Argument::Unit),
                _ => {
                    let node = self.node(argument, lambdas)?;
                    let of = node.of.clone().map_or(Argument::Null, Argument::Value);
                    (Some(node), of)
                }
            };
            nodes.push(node);
            given.push(argument);
        }
        let mut chosen = functions::choose_scalar(&name.text, &given)
            .map_err(|reason| self.error(expr, &reason))?;
        // The lambdas last: their parameters are what the other arguments are.
        let mut compiled = Vec::new();
        for (at, node) in nodes.into_iter().enumerate() {
            let node = match (&*arguments[at].kind, &chosen.parameters[at]) {
                (ExprKind::Lambda(parameters, body), Pattern::Lambda(takes, gives)) => {
                    self.check_parameters(parameters)?;
                    let (takes, gives) = (takes.clone(), gives.clone());
                    let parameters: Vec<(String, Type)> = parameters
                        .iter()
                        .zip(&takes)
                        .map(|(name, of)| {
                            (
                                name.text.clone(),
                                chosen.generics.concrete(of).unwrap_or(Type::String),
                            )
                        })
                        .collect();
                    let mut inner = lambdas.clone();
                    inner.push(&parameters);
                    let body = self.node(body, &inner)?;
                    let bound = body
                        .of
                        .as_ref()
                        .is_none_or(|of| chosen.generics.bind(&gives, of));
                    if !bound {
                        let reason = format!(
                            "the lambda gives {}, which {name} does not take here",
                            shown(body.of.as_ref())
                        );
                        return Err(self.invalid(&arguments[at], &reason));
                    }
                    let body = match (chosen.generics.concrete(&gives), &body.of) {
                        (Some(of), Some(found)) if *found != of => body.cast_to(of),
                        _ => body,
                    };
                    Node {
                        of: body.of.clone(),
                        kind: Kind::Lambda(Box::new(body)),
                    }
                }
                (_, pattern) => {
                    let node = node.ok_or_else(|| {
                        self.invalid(&arguments[at], "a lambda is not taken here")
                    })?;
                    match chosen.generics.concrete(pattern) {
                        Some(of)
                            if node.of.as_ref().is_none_or(|found| {
                                found.base() != of.base()
                                    || (!matches!(of, Type::Decimal { .. }) && *found != of)
                            }) =>
                        {
                            node.cast_to(of)
                        }
                        _ => node,
                    }
                }
            };
            compiled.push(node);
        }
        let types: Vec<Type> = compiled.iter().map(Node::type_or_string).collect();
        let returns = chosen
            .returns(&types)
            .map_err(|reason| self.error(expr, &reason))?;
        Ok(Node {
            kind: Kind::Call(chosen.function, compiled, types),
            of: Some(returns),
        })
    }
}

impl Compiler<'_> {
    /// Refuses a lambda's parameters that are called like columns, or alike.
    fn check_parameters(&self, parameters: &[Name]) -> Result<()> {
        for (at, name) in parameters.iter().enumerate() {
            if parameters[..at].iter().any(|other| other.text == name.text) {
                let message = format!("Lambda arguments have duplicates: {name}");
                return Err(lexer::error(self.text, name.at, &message));
            }
            let mut columns = self.scope.columns.iter();
            if columns.any(|column| !column.is_pseudo && column.name == name.text) {
                let message = format!("Lambda function argument can't be a column name: {name}");
                return Err(lexer::error(self.text, name.at, &message));
            }
        }
        Ok(())
    }
}

fn boolean(kind: Kind) -> Node {
    Node {
        kind,
        of: Some(Type::Boolean),
    }
}

fn shown(of: Option<&Type>) -> String {
    of.map_or("null".to_owned(), Type::to_string)
}

fn upper_null(expr: &Expr) -> String {
    match *expr.kind {
        ExprKind::Null => "NULL".to_owned(),
        _ => expr.to_string(),
    }
}

fn is_row_time(expr: &Expr) -> bool {
    let ExprKind::Column { name, .. } = &*expr.kind else {
        return false;
    };
    [ROWTIME, WINDOWSTART, WINDOWEND].contains(&name.text.as_str())
}

fn has_order_problem(comparison: Comparison, of: &Type) -> bool {
    let needs_order = matches!(
        comparison,
        Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual
    );
    needs_order
        && matches!(
            of,
            Type::Boolean | Type::Array(_) | Type::Map(..) | Type::Struct(_)
        )
}

/// Returns the type of a sum, product …: that of the wider side, a decimal with room for the digits.
pub(super) fn arithmetic_type(operator: Operator, left: &Type, right: &Type) -> Option<Type> {
    if operator == Operator::Add && *left == Type::String && *right == Type::String {
        return Some(Type::String);
    }
    let (wide, narrow) = (left.width()?, right.width()?);
    if wide == 3 || narrow == 3 {
        return Some(Type::Double);
    }
    if wide < 2 && narrow < 2 {
        return Some(if wide.max(narrow) == 1 {
            Type::Bigint
        } else {
            Type::Int
        });
    }
    let ((p1, s1), (p2, s2)) = (left.as_decimal()?, right.as_decimal()?);
    let (precision, scale) = match operator {
        Operator::Add | Operator::Subtract => {
            let scale = s1.max(s2);
            (scale + (p1 - s1).max(p2 - s2) + 1, scale)
        }
        Operator::Multiply => (p1 + p2 + 1, s1 + s2),
        Operator::Divide => {
            let scale = (s1 + p2 + 1).max(6);
            (p1 - s1 + s2 + scale, scale)
        }
        Operator::Remainder => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    Some(Type::Decimal { precision, scale })
}
