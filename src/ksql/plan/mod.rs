//! SELECT … FROM … → operators, and the columns that come out.
//!
//! ```text
//! FROM, JOIN → WHERE → table functions → PARTITION BY | GROUP BY, WINDOW → HAVING → SELECT
//! ```
//! A clause sees the columns that the ones before it made, each under the alias of its source;
//! nothing is renamed before SELECT. The key is followed through the clauses, because SELECT must
//! say what it is called: a key's part is known by the expressions that have its value.

mod grouping;
mod join;
mod select;

use super::catalog::{Catalog, KeyWindows, Source};
use super::columns::Windowing;
use super::expr::{self, Node};
use super::format::Format;
use super::functions::{self, Limits};
use super::lexer;
use super::properties::Settings;
use super::run::{Convert, Event, Filter, Flatten, Operator, Place, Rekey, Table, Test, Topology};
use super::schema::{Column, ROWTIME, Schema, WINDOWEND, WINDOWSTART};
use super::scope::{Named, Scope};
use super::syntax::{
    Emit, Expr, ExprKind, Grouping, Name, Query, Relation, SelectItem, SourceKind,
};
use super::types::Type;
use crate::error::{Error, Result};

/// A query, ready to run.
pub struct Plan {
    /// Its operators.
    pub topology: Topology,
    /// The sources, in the order in which they are named, and where their rows go in.
    pub inputs: Vec<(Source, Place)>,
    /// Whether rows or changes come out.
    pub kind: SourceKind,
    /// The columns that come out.
    pub schema: Schema,
    /// The windows of the keys that come out.
    pub windows: Option<KeyWindows>,
    /// How the first source writes its keys.
    pub key_format: Format,
    /// How the first source writes its values.
    pub value_format: Format,
    /// The aggregates that DELIMITED could not hold while they are computed.
    pub has_nested_state: bool,
    /// What of it the window engine computes, if that has it.
    pub windowing: Option<Windowing>,
    /// The last operator.
    end: Place,
}

impl Plan {
    /// Makes the columns those of a schema whose types are the same or wider.
    fn convert_to(&mut self, schema: &Schema) {
        if self.schema == *schema {
            return;
        }
        let types = |from: &[Column], to: &[Column]| {
            let pairs = from.iter().zip(to);
            pairs
                .map(|(from, to)| (from.of.clone(), to.of.clone()))
                .collect()
        };
        let convert = self.topology.add(Convert {
            keys: types(&self.schema.key, &schema.key),
            values: types(&self.schema.value, &schema.value),
        });
        self.topology.lead(self.end, convert);
        self.end = convert;
        self.schema = schema.clone();
    }
}

/// All that a plan is made from, so that it can be made again: a plan that has run holds state.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The statement.
    pub text: String,
    /// Its query.
    pub query: Query,
    /// The streams and tables as they were when it was typed.
    pub catalog: Catalog,
    /// The name of what it fills.
    pub target: String,
    /// The columns that it fills, where they are wider than the query's.
    pub columns: Option<Schema>,
    /// How many values aggregates keep.
    pub limits: Limits,
}

impl Recipe {
    /// Returns the plan, without any state.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn plan(&self) -> Result<Plan> {
        let target = Target {
            name: Some(&self.target),
            limits: self.limits,
        };
        let mut plan = plan(&self.text, &self.query, &self.catalog, target)?;
        if let Some(columns) = &self.columns {
            plan.convert_to(columns);
        }
        Ok(plan)
    }
}

/// What a query is planned for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name of what is made; `None` of a SELECT alone.
    pub name: Option<&'a str>,
    /// How many values aggregates keep.
    pub limits: Limits,
}

impl Target<'_> {
    /// Returns that of a SELECT alone, in a session with these settings.
    pub fn screen(settings: &Settings) -> Self {
        Target {
            name: None,
            limits: Limits::of(settings),
        }
    }
}

/// Plans a query.
///
/// # Errors
/// `usage` with line, column and the names at fault.
pub fn plan(text: &str, query: &Query, catalog: &Catalog, target: Target) -> Result<Plan> {
    let mut planner = Planner {
        text,
        query,
        catalog,
        target,
        topology: Topology::default(),
        inputs: Vec::new(),
        has_nested_state: false,
        filter: None,
        windowing: None,
    };
    planner.check_shape()?;
    let mut stage = planner.from()?;
    if let Some(filter) = &query.filter {
        planner.refuse_aggregates(filter, "WHERE")?;
        let condition = planner.condition(&stage.scope, "WHERE", filter)?;
        let of_table = stage.kind == SourceKind::Table;
        planner.filter = Some(condition.clone());
        stage.place = planner.after(
            stage.place,
            Filter {
                test: Test(condition),
                of_table,
            },
        );
    }
    let mut items = planner.items(&stage)?;
    planner.flatten(&mut stage, &mut items)?;
    if let Some(partition_by) = &query.partition_by {
        planner.partition(&mut stage, partition_by, &mut items)?;
    }
    let having = planner.group(&mut stage, &mut items)?;
    if let Some(having) = having {
        planner.note_having();
        let of_table = stage.kind == SourceKind::Table;
        stage.place = planner.after(
            stage.place,
            Filter {
                test: Test(having),
                of_table,
            },
        );
    }
    let schema = planner.select(&mut stage, items)?;
    let first = planner.inputs[0].0.clone();
    Ok(Plan {
        topology: planner.topology,
        inputs: planner.inputs,
        kind: stage.kind,
        schema,
        windows: stage.windows,
        key_format: first.key_format,
        value_format: first.value_format,
        has_nested_state: planner.has_nested_state,
        windowing: planner.windowing,
        end: stage.place,
    })
}

/// Lets every row pass: where a stream's rows go in.
struct Pass;

impl Operator for Pass {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        out.push(event);
    }
}

struct Planner<'a> {
    text: &'a str,
    query: &'a Query,
    catalog: &'a Catalog,
    target: Target<'a>,
    topology: Topology,
    inputs: Vec<(Source, Place)>,
    has_nested_state: bool,
    /// The condition of WHERE.
    filter: Option<Node>,
    windowing: Option<Windowing>,
}

/// What a clause has made: the columns of its rows, their key, and the operator they come from.
#[derive(Debug, Clone)]
struct Stage {
    place: Place,
    scope: Scope,
    kind: SourceKind,
    keys: Vec<KeyPart>,
    /// How the parts of the key came to be, for messages: "key column", "join expression".
    key_word: &'static str,
    windows: Option<KeyWindows>,
    /// The names of the sources whose windows are those of the key, for messages.
    is_join: bool,
}

/// A part of a key.
#[derive(Debug, Clone)]
struct KeyPart {
    /// The expressions that have its value, the preferred one first; all columns named with sources.
    viable: Vec<Expr>,
    of: Type,
    /// Whether no column of a source is it: ROWKEY of a join.
    is_synthetic: bool,
}

/// An item of SELECT: an expression whose columns are named with their sources, and its alias.
#[derive(Debug, Clone)]
struct Item {
    expr: Expr,
    alias: Option<Name>,
    /// Its name where `*` or `->*` made it.
    name: Option<String>,
}

impl Planner<'_> {
    fn error(&self, expr: &Expr, message: &str) -> Error {
        lexer::error(self.text, expr.at, message)
    }

    fn name_error(&self, name: &Name, message: &str) -> Error {
        lexer::error(self.text, name.at, message)
    }

    /// Adds an operator behind another.
    fn after(&mut self, place: Place, operator: impl Operator + 'static) -> Place {
        let added = self.topology.add(operator);
        self.topology.lead(place, added);
        added
    }

    fn node(&self, scope: &Scope, clause: &'static str, expr: &Expr) -> Result<Node> {
        expr::compile(self.text, scope, clause, expr)
    }

    fn condition(&self, scope: &Scope, clause: &'static str, expr: &Expr) -> Result<Node> {
        expr::Compiler {
            text: self.text,
            scope,
            clause,
        }
        .condition(expr)
    }

    /// Refuses what no order of clauses can mend.
    fn check_shape(&self) -> Result<()> {
        let query = self.query;
        if let Some(window) = query.window.filter(|_| query.group_by.is_none()) {
            return Err(lexer::error(
                self.text,
                window.at,
                "WINDOW clause requires a GROUP BY clause.",
            ));
        }
        if let (Some(partition_by), Some(_)) = (&query.partition_by, &query.group_by) {
            let message = "PARTITION BY and GROUP BY cannot stand in one query";
            return Err(lexer::error(self.text, partition_by.at, message));
        }
        if let (Some(having), None) = (&query.having, &query.group_by) {
            return Err(self.error(having, "HAVING requires a GROUP BY clause."));
        }
        if query.emit == Some(Emit::Final) && query.window.is_none() {
            return Err(lexer::error(
                self.text,
                query.at,
                "EMIT FINAL is only supported for windowed aggregations.",
            ));
        }
        Ok(())
    }

    /// Adds a source and returns its rows.
    fn source(&mut self, relation: &Relation) -> Result<Stage> {
        let source = self.catalog.named(self.text, &relation.name)?.clone();
        let place = match source.kind {
            SourceKind::Stream => self.topology.add(Pass),
            SourceKind::Table => self.topology.add(Table::default()),
        };
        let alias = &relation.alias.text;
        let column = |name: &str| {
            let at = relation.name.at;
            let source = Some(Name {
                text: alias.clone(),
                at,
            });
            Expr::new(
                ExprKind::Column {
                    source,
                    name: Name {
                        text: name.to_owned(),
                        at,
                    },
                },
                at,
            )
        };
        let part = |name: &str, of: &Type| KeyPart {
            viable: vec![column(name)],
            of: of.clone(),
            is_synthetic: false,
        };
        let keys = source
            .schema
            .key
            .iter()
            .map(|key| part(&key.name, &key.of))
            .collect();
        let stage = Stage {
            place,
            scope: source.scope(alias),
            kind: source.kind,
            keys,
            key_word: "key column",
            windows: source.windows,
            is_join: false,
        };
        self.inputs.push((source, place));
        Ok(stage)
    }

    /// Names every column with its source.
    fn qualified(&self, scope: &Scope, clause: &str, expr: &Expr) -> Result<Expr> {
        self.qualify(scope, clause, expr, &mut Vec::new())
    }

    fn qualify(
        &self,
        scope: &Scope,
        clause: &str,
        expr: &Expr,
        bound: &mut Vec<String>,
    ) -> Result<Expr> {
        let mut kind = (*expr.kind).clone();
        match &mut kind {
            ExprKind::Column { source, name } => {
                let is_bound = source.is_none() && bound.contains(&name.text);
                if !is_bound && !self.is_window_bound(scope, source.as_ref(), name) {
                    let index = scope.find(self.text, clause, expr.at, source.as_ref(), name)?;
                    *source = Some(Name {
                        text: scope.columns[index].source.clone(),
                        at: expr.at,
                    });
                }
            }
            ExprKind::Lambda(names, body) => {
                let before = bound.len();
                bound.extend(names.iter().map(|name| name.text.clone()));
                let qualified = self.qualify(scope, clause, body, bound);
                bound.truncate(before);
                *body = qualified?;
            }
            other => {
                let mut result = Ok(());
                other.for_each_mut(&mut |part: &mut Expr| {
                    if result.is_ok() {
                        match self.qualify(scope, clause, part, bound) {
                            Ok(qualified) => *part = qualified,
                            Err(error) => result = Err(error),
                        }
                    }
                });
                result?;
            }
        }
        Ok(Expr::new(kind, expr.at))
    }

    /// Returns whether a name is a bound of the windows that the query itself makes.
    fn is_window_bound(&self, scope: &Scope, source: Option<&Name>, name: &Name) -> bool {
        let is_bound = [WINDOWSTART, WINDOWEND].contains(&name.text.as_str());
        let is_known = scope.columns.iter().any(|column| column.name == name.text);
        is_bound
            && source.is_none()
            && !is_known
            && self.query.window.is_some()
            && self.query.joins.is_empty()
    }

    fn refuse_aggregates(&self, expr: &Expr, clause: &str) -> Result<()> {
        let mut found = None;
        expr.walk(&mut |part| {
            if let ExprKind::Call(name, _) = &*part.kind
                && functions::is_aggregate(&name.text)
            {
                found = Some((part, name));
            }
            found.is_none()
        });
        match found {
            Some((part, name)) => {
                let message = format!(
                    "{clause} does not support aggregate functions: {name} is an aggregate function."
                );
                Err(self.error(part, &message))
            }
            None => Ok(()),
        }
    }

    /// Returns the items of SELECT: `*` as columns, names with their sources.
    fn items(&self, stage: &Stage) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for item in &self.query.select {
            match item {
                SelectItem::Star { source, at } => {
                    items.extend(self.star(stage, source.as_ref(), *at)?)
                }
                SelectItem::Single { expr, alias } => {
                    let expr = self.qualified(&stage.scope, "SELECT", expr)?;
                    items.push(Item {
                        expr,
                        alias: alias.clone(),
                        name: None,
                    });
                }
                SelectItem::StructStar(inner) => {
                    let inner = self.qualified(&stage.scope, "SELECT", inner)?;
                    let node = self.node(&stage.scope, "SELECT", &inner)?;
                    let Some(Type::Struct(fields)) = node.of else {
                        return Err(
                            self.error(&inner, &format!("{inner}->*: {inner} is not a STRUCT"))
                        );
                    };
                    for field in fields {
                        let name = Name {
                            text: field.name.clone(),
                            at: inner.at,
                        };
                        let expr = Expr::new(ExprKind::Field(inner.clone(), name), inner.at);
                        items.push(Item {
                            expr,
                            alias: None,
                            name: Some(field.name),
                        });
                    }
                }
            }
        }
        Ok(items)
    }

    /// Returns the columns that `*` stands for.
    fn star(&self, stage: &Stage, source: Option<&Name>, at: lexer::Span) -> Result<Vec<Item>> {
        let is_known = |name: &str| {
            stage
                .scope
                .columns
                .iter()
                .any(|column| column.source == name)
        };
        if let Some(source) = source.filter(|source| !is_known(&source.text)) {
            let message = format!("'{source}' is not a valid stream/table name or alias.");
            return Err(self.name_error(source, &message));
        }
        // A join that is partitioned again has the columns that every row has as its own.
        let shows_pseudo = stage.is_join && self.query.partition_by.is_some();
        // What is asked of a windowed table is shown with its windows; what is kept has them in the key.
        let shows_bounds = !stage.is_join && stage.windows.is_some() && self.target.name.is_none();
        let is_key = |name: &str| {
            let is = |expr: &Expr| matches!(&*expr.kind, ExprKind::Column { name: known, .. } if known.text == name);
            stage.keys.iter().any(|key| key.viable.iter().any(is))
        };
        let is_shown = |column: &&Named| {
            let is_bound = [WINDOWSTART, WINDOWEND].contains(&column.name.as_str());
            // A join of windowed sources shows the bounds of both.
            let is_own = !column.is_pseudo
                || (stage.is_join || shows_bounds) && is_bound
                || shows_pseudo && !is_bound;
            // ROWKEY of a join that another join has keyed again is gone.
            let is_there = !column.source.is_empty() || is_key(&column.name);
            is_own && is_there && source.is_none_or(|source| column.source == source.text)
        };
        let item = |column: &Named| {
            let source = Some(Name {
                text: column.source.clone(),
                at,
            });
            let name = Name {
                text: column.name.clone(),
                at,
            };
            let prefix = if stage.is_join && !column.source.is_empty() {
                format!("{}_", column.source)
            } else {
                String::new()
            };
            Item {
                expr: Expr::new(ExprKind::Column { source, name }, at),
                alias: None,
                name: Some(format!("{prefix}{}", column.name)),
            }
        };
        let mut items: Vec<Item> = stage
            .scope
            .columns
            .iter()
            .filter(is_shown)
            .map(item)
            .collect();
        if shows_bounds {
            let is_value = |item: &Item| {
                let name = item.name.as_deref().unwrap_or_default();
                !is_key(name) && ![WINDOWSTART, WINDOWEND].contains(&name)
            };
            items.sort_by_key(is_value);
        }
        // What is keyed again has its old key behind the value's columns.
        if self.query.partition_by.is_some() && !stage.is_join {
            let is_key = |item: &Item| stage.keys.iter().any(|key| key.viable.contains(&item.expr));
            let (keys, values): (Vec<Item>, Vec<Item>) = items.into_iter().partition(is_key);
            items = values.into_iter().chain(keys).collect();
        }
        Ok(items)
    }

    /// Makes rows by the table functions of SELECT; what they give becomes columns.
    fn flatten(&mut self, stage: &mut Stage, items: &mut [Item]) -> Result<()> {
        let mut calls: Vec<Expr> = Vec::new();
        for item in items.iter_mut() {
            let mut nested = None;
            item.expr = item.expr.rewrite(&mut |part| {
                let ExprKind::Call(name, arguments) = &*part.kind else {
                    return None;
                };
                if !functions::is_table_function(&name.text) {
                    return None;
                }
                let mut is_table_function = |part: &Expr| {
                    matches!(&*part.kind, ExprKind::Call(name, _) if functions::is_table_function(&name.text))
                };
                if arguments.iter().any(|argument| argument.any(&mut is_table_function)) {
                    nested = Some(part.clone());
                }
                let nth = calls.iter().position(|known| known == part).unwrap_or(calls.len());
                if nth == calls.len() {
                    calls.push(part.clone());
                }
                Some(made_column("F", nth, part.at))
            });
            if let Some(part) = nested {
                return Err(self.error(&part, "Table functions cannot be nested"));
            }
        }
        let Some(first) = calls.first() else {
            return Ok(());
        };
        if stage.kind == SourceKind::Table {
            return Err(self.error(
                first,
                &format!("Table source is not supported with table functions: {first}"),
            ));
        }
        if self.query.group_by.is_some() {
            let message = format!("Table functions cannot be used with aggregations: {first}");
            return Err(self.error(first, &message));
        }
        let mut compiled = Vec::new();
        for (nth, call) in calls.iter().enumerate() {
            let ExprKind::Call(name, arguments) = &*call.kind else {
                continue;
            };
            let nodes: Vec<Node> = arguments
                .iter()
                .map(|argument| self.node(&stage.scope, "SELECT", argument))
                .collect::<Result<_>>()?;
            let given: Vec<functions::Argument> = nodes
                .iter()
                .map(|node| {
                    node.of
                        .clone()
                        .map_or(functions::Argument::Null, functions::Argument::Value)
                })
                .collect();
            let chosen = functions::choose_table_function(&name.text, &given)
                .map_err(|reason| self.error(call, &reason))?;
            let types: Vec<Type> = nodes.iter().map(Node::type_or_string).collect();
            let returns = chosen
                .returns(&types)
                .map_err(|reason| self.error(call, &reason))?;
            stage
                .scope
                .columns
                .push(made(&format!("#F{nth}"), returns.clone()));
            compiled.push((chosen.function, nodes, types, returns));
        }
        stage.place = self.after(
            stage.place,
            Flatten {
                functions: compiled,
            },
        );
        Ok(())
    }

    /// PARTITION BY.
    fn partition(
        &mut self,
        stage: &mut Stage,
        partition_by: &Grouping,
        items: &mut Vec<Item>,
    ) -> Result<()> {
        let at = partition_by.at;
        if stage.kind == SourceKind::Table {
            let message = "PARTITION BY is only supported for streams; the source is a table.";
            return Err(
                lexer::error(self.text, at, message).hint("GROUP BY makes a table of another key")
            );
        }
        if stage.windows.is_some() {
            return Err(lexer::error(
                self.text,
                at,
                "PARTITION BY is not supported on windowed sources",
            ));
        }
        if partition_by.by.is_empty() {
            return Err(lexer::error(
                self.text,
                at,
                "PARTITION BY requires at least one expression",
            ));
        }
        let is_null = |expr: &Expr| matches!(*expr.kind, ExprKind::Null);
        if partition_by.by.iter().any(is_null) {
            if partition_by.by.len() > 1 {
                return Err(lexer::error(
                    self.text,
                    at,
                    "Cannot PARTITION BY multiple columns including NULL",
                ));
            }
            stage.place = self.after(
                stage.place,
                Rekey {
                    keys: Vec::new(),
                    appends: false,
                    keeps_null: true,
                },
            );
            stage.keys = Vec::new();
            return Ok(());
        }
        let mut parts: Vec<KeyPart> = Vec::new();
        let mut nodes = Vec::new();
        for by in &partition_by.by {
            self.refuse_aggregates(by, "PARTITION BY")?;
            let expr = self.qualified(&stage.scope, "PARTITION BY", by)?;
            let node = self.node(&stage.scope, "PARTITION BY", &expr)?;
            let of = node.type_or_string();
            if parts.iter().any(|part| part.viable.contains(&expr)) {
                return Err(self.error(by, &format!("Duplicate PARTITION BY expression: {by}")));
            }
            // A column of the row's key may be called by any name that it has.
            parts.push(KeyPart {
                viable: vec![expr],
                of,
                is_synthetic: false,
            });
            nodes.push(node);
        }
        // What `*` does not name becomes the key's column all the same.
        let is_star = |item: &SelectItem| matches!(item, SelectItem::Star { source: None, .. });
        let has_star = self.query.select.iter().any(is_star);
        for part in &parts {
            let expr = &part.viable[0];
            if has_star && !items.iter().any(|item| item.expr == *expr) {
                let name = match &*expr.kind {
                    ExprKind::Column { name, .. } => Some(name.text.clone()),
                    _ => None,
                };
                items.push(Item {
                    expr: expr.clone(),
                    alias: None,
                    name,
                });
            }
        }
        stage.place = self.after(
            stage.place,
            Rekey {
                keys: nodes,
                appends: false,
                keeps_null: true,
            },
        );
        stage.keys = parts;
        stage.key_word = "partitioning expression";
        Ok(())
    }
}

/// Returns a column that the query itself makes.
fn made_column(letter: &str, nth: usize, at: lexer::Span) -> Expr {
    Expr::column(&format!("#{letter}{nth}"), at)
}

fn made(name: &str, of: Type) -> Named {
    Named {
        source: String::new(),
        name: name.to_owned(),
        of,
        is_pseudo: false,
    }
}

/// ROWTIME behind GROUP BY.
fn row_time() -> Named {
    Named {
        is_pseudo: true,
        ..made(ROWTIME, Type::Bigint)
    }
}
