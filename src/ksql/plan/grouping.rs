//! GROUP BY, WINDOW, HAVING.

use super::{Item, KeyPart, Planner, Stage, made, made_column, row_time};
use crate::error::Result;
use crate::ksql::catalog::KeyWindows;
use crate::ksql::columns::Windowing;
use crate::ksql::expr::Node;
use crate::ksql::functions::{self, Argument, Spec};
use crate::ksql::lexer;
use crate::ksql::run::{Aggregated, Grouped, Rekey, RekeyTable, Sessions, Suppress, Windowed};
use crate::ksql::schema::{ROWTIME, WINDOWEND, WINDOWSTART};
use crate::ksql::scope::Scope;
use crate::ksql::syntax::{Emit, Expr, ExprKind, Grouping, SourceKind, WindowKind};
use crate::ksql::types::Type;
use crate::ksql::value::Value;
use crate::ksql::window::windows_of;

impl Planner<'_> {
    /// Plans GROUP BY if there is one; items and the condition of HAVING then name what it makes.
    pub(super) fn group(&mut self, stage: &mut Stage, items: &mut [Item]) -> Result<Option<Node>> {
        let Some(group_by) = &self.query.group_by else {
            for item in items.iter() {
                if let Some(call) = first_aggregate(&item.expr) {
                    let message = format!(
                        "Use of aggregate function {} requires a GROUP BY clause.",
                        called(&call)
                    );
                    return Err(self.error(&item.expr, &message));
                }
            }
            return Ok(None);
        };
        if stage.kind == SourceKind::Table && stage.windows.is_some() {
            let message = "GROUP BY is not supported on windowed tables.";
            return Err(lexer::error(self.text, group_by.at, message));
        }
        let keys = self.keys(stage, group_by)?;
        let mut calls: Vec<Expr> = Vec::new();
        let before = stage.scope.clone();
        for item in items.iter_mut() {
            item.expr = self.behind_grouping(&item.expr, &keys, &mut calls, "SELECT")?;
        }
        let having = match &self.query.having {
            Some(having) => {
                let having = self.qualified(&before, "HAVING", having)?;
                self.refuse_window_bounds(&having)?;
                Some(self.behind_grouping(&having, &keys, &mut calls, "HAVING")?)
            }
            None => None,
        };
        if calls.is_empty() {
            let message =
                "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.";
            return Err(lexer::error(self.text, group_by.at, message));
        }
        let aggregates = self.aggregates(&before, &calls, stage.kind)?;
        let nodes: Vec<Node> = keys
            .iter()
            .map(|key| self.node(&before, "GROUP BY", key))
            .collect::<Result<_>>()?;
        let mut columns = Vec::new();
        for (nth, node) in nodes.iter().enumerate() {
            columns.push(made(&format!("#K{nth}"), node.type_or_string()));
        }
        for (nth, aggregate) in aggregates.iter().enumerate() {
            columns.push(made(&format!("#A{nth}"), aggregate.spec.returns.clone()));
            self.has_nested_state |= aggregate.function.has_nested_state;
        }
        if self.query.window.is_some() {
            columns.extend([WINDOWSTART, WINDOWEND].map(|name| super::Named {
                is_pseudo: true,
                ..made(name, Type::Bigint)
            }));
        }
        columns.push(row_time());
        // Nothing but a stream, and WHERE.
        let is_direct = stage.kind == SourceKind::Stream
            && stage.windows.is_none()
            && self.query.joins.is_empty()
            && self.topology.len() == 1 + usize::from(self.filter.is_some());
        stage.place = match stage.kind {
            SourceKind::Stream => self.after(
                stage.place,
                Rekey {
                    keys: nodes.clone(),
                    appends: false,
                    keeps_null: false,
                },
            ),
            SourceKind::Table => self.after(
                stage.place,
                RekeyTable {
                    keys: nodes.clone(),
                },
            ),
        };
        let is_grouped = |(part, key): (&KeyPart, &Expr)| part.viable.contains(key);
        let keeps_key = stage.windows.is_none()
            && stage.keys.len() == keys.len()
            && stage.keys.iter().zip(&keys).all(is_grouped);
        if !keeps_key {
            self.topology.cut(stage.place);
        }
        let by = is_direct.then_some(&nodes[..]);
        self.aggregate(stage, aggregates, by)?;
        stage.keys = keys
            .iter()
            .zip(&nodes)
            .enumerate()
            .map(|(nth, (key, node))| KeyPart {
                viable: vec![made_column("K", nth, key.at), key.clone()],
                of: node.type_or_string(),
                is_synthetic: false,
            })
            .collect();
        stage.scope = Scope { columns };
        stage.key_word = "grouping expression";
        stage.kind = SourceKind::Table;
        let Some(having) = having else {
            return Ok(None);
        };
        let node = self.node(&stage.scope, "HAVING", &having)?;
        match (&node.of, &self.query.having) {
            (Some(Type::Boolean), _) => Ok(Some(node)),
            (of, typed) => {
                let of = of.as_ref().map_or("null".to_owned(), Type::to_string);
                let typed = typed.as_ref().unwrap_or(&having);
                let message = format!(
                    "Type error in HAVING expression: Should evaluate to boolean but is {typed} ({of}) instead."
                );
                Err(self.error(typed, &message))
            }
        }
    }

    /// Returns the grouping expressions.
    fn keys(&self, stage: &Stage, group_by: &Grouping) -> Result<Vec<Expr>> {
        if group_by.by.is_empty() {
            return Err(lexer::error(
                self.text,
                group_by.at,
                "GROUP BY requires at least one expression",
            ));
        }
        let mut keys: Vec<Expr> = Vec::new();
        for by in &group_by.by {
            self.refuse_aggregates(by, "GROUP BY")?;
            let key = self.qualified(&stage.scope, "GROUP BY", by)?;
            self.refuse_window_bounds(&key)?;
            if matches!(*key.kind, ExprKind::Null) {
                return Err(self.error(by, "GROUP BY NULL is not supported: no row has that key"));
            }
            if keys.contains(&key) {
                return Err(self.error(by, &format!("Duplicate GROUP BY expression: {by}")));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn refuse_window_bounds(&self, expr: &Expr) -> Result<()> {
        let mut found = None;
        expr.walk(&mut |part| {
            if let ExprKind::Column { source: None, name } = &*part.kind
                && [WINDOWSTART, WINDOWEND].contains(&name.text.as_str())
            {
                found = Some((part.clone(), name.text.clone()));
            }
            found.is_none()
        });
        let Some((part, name)) = found else {
            return Ok(());
        };
        let message = format!(
            "Window bounds column {name} can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate functions."
        );
        Err(self.error(&part, &message))
    }

    /// Replaces grouping expressions and calls of aggregates by the columns that they become.
    fn behind_grouping(
        &self,
        expr: &Expr,
        keys: &[Expr],
        calls: &mut Vec<Expr>,
        clause: &str,
    ) -> Result<Expr> {
        let mut wrong = None;
        let rewritten = expr.rewrite(&mut |part| {
            if let Some(nth) = keys.iter().position(|key| key == part) {
                return Some(made_column("K", nth, part.at));
            }
            let ExprKind::Call(name, arguments) = &*part.kind else {
                return None;
            };
            if !functions::is_aggregate(&name.text) {
                return None;
            }
            if let Some(nested) = arguments.iter().find_map(first_aggregate) {
                wrong = Some((nested, format!("Aggregate functions can not be nested: {part}")));
            }
            if let Some(argument) = arguments.iter().find(|argument| self.refuse_window_bounds(argument).is_err()) {
                wrong = Some((argument.clone(), format!("Window bounds column {argument} can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate functions.")));
            }
            let nth = calls.iter().position(|known| known == part).unwrap_or(calls.len());
            if nth == calls.len() {
                calls.push(part.clone());
            }
            Some(made_column("A", nth, part.at))
        });
        if let Some((part, message)) = wrong {
            return Err(self.error(&part, &message));
        }
        let mut left_over = None;
        rewritten.walk(&mut |part| {
            if let ExprKind::Column {
                source: Some(_), ..
            } = &*part.kind
            {
                left_over = Some(part.clone());
            }
            left_over.is_none()
        });
        match (left_over, clause) {
            (None, _) => Ok(rewritten),
            (Some(part), "HAVING") => {
                let message =
                    format!("Non-aggregate HAVING expression not part of GROUP BY: {part}");
                Err(self.error(&part, &message))
            }
            (Some(_), _) => {
                let message = format!(
                    "Non-aggregate SELECT expression(s) not part of GROUP BY: {expr}\nEither add the column(s) to the GROUP BY or remove them from the SELECT."
                );
                Err(self.error(expr, &message))
            }
        }
    }

    fn aggregates(
        &self,
        scope: &Scope,
        calls: &[Expr],
        kind: SourceKind,
    ) -> Result<Vec<Aggregated>> {
        let mut aggregates = Vec::new();
        for call in calls {
            let ExprKind::Call(name, arguments) = &*call.kind else {
                continue;
            };
            let row_time = [Expr::column(ROWTIME, call.at)];
            // ksqlDB reads SUM(*) and SUM() as SUM(ROWTIME).
            let arguments = match arguments.is_empty() && name.text != "COUNT" {
                true => &row_time[..],
                false => &arguments[..],
            };
            let nodes: Vec<Node> = arguments
                .iter()
                .map(|argument| self.node(scope, "SELECT", argument))
                .collect::<Result<_>>()?;
            let given: Vec<Argument> = nodes
                .iter()
                .map(|node| node.of.clone().map_or(Argument::Null, Argument::Value))
                .collect();
            let chosen = functions::choose_aggregate(&name.text, &given)
                .map_err(|reason| self.error(call, &reason))?;
            if kind == SourceKind::Table && chosen.function.undo.is_none() {
                let message = format!(
                    "The aggregation function(s) ({name}) cannot be applied to a table source, only to a stream source."
                );
                return Err(self.error(call, &message));
            }
            let nodes: Vec<Node> = nodes
                .into_iter()
                .zip(&chosen.parameters)
                .map(
                    |(node, pattern)| match (chosen.generics.concrete(pattern), &node.of) {
                        (Some(of), Some(found)) if *found != of => node.cast_to(of),
                        (Some(of), None) => node.cast_to(of),
                        _ => node,
                    },
                )
                .collect();
            let types: Vec<Type> = nodes.iter().map(Node::type_or_string).collect();
            let returns = chosen
                .returns(&types)
                .map_err(|reason| self.error(call, &reason))?;
            let (arguments, literals) = nodes.split_at(nodes.len() - chosen.literals);
            let constants: Option<Vec<_>> = literals
                .iter()
                .map(|node| node.as_constant().cloned())
                .collect();
            let Some(constants) = constants else {
                let message = format!(
                    "the last {} argument(s) of {name} must be constants",
                    chosen.literals
                );
                return Err(self.error(call, &message));
            };
            // Each whole number among the constants is how many values are kept.
            if let Some(n) = constants.iter().filter_map(Value::as_i64).find(|n| *n < 1) {
                let message = format!("{name} keeps 1 value or more, not {n}");
                return Err(self.error(call, &message));
            }
            let spec = Spec {
                types,
                constants,
                returns,
                limits: self.target.limits,
            };
            aggregates.push(Aggregated {
                function: chosen.function,
                arguments: arguments.to_vec(),
                spec,
            });
        }
        Ok(aggregates)
    }

    /// Notes that HAVING looks at the groups. Whether a group was there before is known to the row
    /// engine alone: with EMIT CHANGES it takes back one that no longer passes.
    pub(super) fn note_having(&mut self) {
        self.windowing = self.windowing.take().filter(|windowing| windowing.is_final);
        if let Some(windowing) = &mut self.windowing {
            windowing.is_filtered = true;
        }
    }

    /// Adds the operator that aggregates; `by` are the keys if nothing but a stream is grouped.
    fn aggregate(
        &mut self,
        stage: &mut Stage,
        aggregates: Vec<Aggregated>,
        by: Option<&[Node]>,
    ) -> Result<()> {
        let Some(clause) = &self.query.window else {
            stage.place = self.after(stage.place, Grouped::new(aggregates));
            stage.windows = None;
            return Ok(());
        };
        if stage.kind == SourceKind::Table {
            let message = "WINDOW clause is only supported for streams; the source is a table.";
            return Err(lexer::error(self.text, clause.at, message));
        }
        let (windows, grace_ms) = windows_of(clause)
            .map_err(|error| lexer::error(self.text, clause.at, &error.to_string()))?;
        let at_least = match clause.kind {
            WindowKind::Tumbling { size_ms } | WindowKind::Hopping { size_ms, .. } => size_ms,
            WindowKind::Session { gap_ms } => gap_ms,
        };
        if clause.retention_ms.is_some_and(|retention_ms| {
            retention_ms < at_least.saturating_add(clause.grace_ms.unwrap_or(0))
        }) {
            let message = "the RETENTION is shorter than the window and its GRACE PERIOD";
            return Err(lexer::error(self.text, clause.at, message));
        }
        let is_final = self.query.emit == Some(Emit::Final);
        let is_grid = !matches!(clause.kind, WindowKind::Session { .. });
        let (filter, grid) = (self.filter.clone(), (windows.clone(), grace_ms));
        let by = by.filter(|_| is_grid);
        let windowing = by.and_then(|by| Windowing::of(filter, by, &aggregates, grid));
        stage.place = match clause.kind {
            WindowKind::Session { gap_ms } => {
                self.after(stage.place, Sessions::new(aggregates, gap_ms, grace_ms))
            }
            _ => self.after(
                stage.place,
                Windowed::new(aggregates, windows.clone(), grace_ms),
            ),
        };
        stage.windows = Some(match clause.kind {
            WindowKind::Tumbling { size_ms } => KeyWindows::Tumbling(size_ms),
            WindowKind::Hopping { size_ms, .. } => KeyWindows::Hopping(size_ms),
            WindowKind::Session { .. } => KeyWindows::Session,
        });
        if is_final {
            stage.place = self.after(stage.place, Suppress::new(&windows, grace_ms));
        }
        self.windowing = windowing.map(|windowing| windowing.before(stage.place, is_final));
        Ok(())
    }
}

fn first_aggregate(expr: &Expr) -> Option<Expr> {
    let mut found = None;
    expr.walk(&mut |part| {
        if matches!(&*part.kind, ExprKind::Call(name, _) if functions::is_aggregate(&name.text)) {
            found = Some(part.clone());
        }
        found.is_none()
    });
    found
}

fn called(expr: &Expr) -> String {
    match &*expr.kind {
        ExprKind::Call(name, _) => name.text.clone(),
        _ => expr.to_string(),
    }
}
