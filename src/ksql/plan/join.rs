//! FROM … JOIN … ON ….

use super::{KeyPart, Planner, Stage, made};
use crate::error::{Error, Result};
use crate::ksql::catalog::KeyWindows;
use crate::ksql::expr::Node;
use crate::ksql::lexer;
use crate::ksql::run::{
    ForeignJoin, Operator, Place, Rekey, Resize, StreamJoin, StreamTableJoin, TableJoin,
};
use crate::ksql::schema::ROWKEY;
use crate::ksql::scope::Scope;
use crate::ksql::syntax::{Comparison, Expr, ExprKind, Join, JoinKind, Relation, SourceKind};
use crate::ksql::types::Type;

impl Planner<'_> {
    /// Plans FROM and all joins, from left to right.
    pub(super) fn from(&mut self) -> Result<Stage> {
        self.refuse_self_joins()?;
        let mut left = self.source(&self.query.from)?;
        for join in &self.query.joins {
            let right = self.source(&join.right)?;
            left = self.join(left, right, join)?;
        }
        Ok(left)
    }

    fn refuse_self_joins(&self) -> Result<()> {
        let relations: Vec<&Relation> = std::iter::once(&self.query.from)
            .chain(self.query.joins.iter().map(|join| &join.right))
            .collect();
        for (at, relation) in relations.iter().enumerate() {
            let name = &relation.name;
            if !relations[..at].iter().any(|other| other.name == *name) {
                continue;
            }
            let message = match relations.len() {
                2 => {
                    format!("Can not join '{name}' to '{name}': self joins are not yet supported.")
                }
                _ => format!(
                    "N-way joins do not support multiple occurrences of the same source. Source: '{name}'"
                ),
            };
            return Err(self.name_error(name, &message));
        }
        Ok(())
    }

    fn join(&mut self, left: Stage, right: Stage, join: &Join) -> Result<Stage> {
        let mut both = left.scope.clone();
        both.columns.extend(right.scope.columns.iter().cloned());
        let (left_expr, right_expr) = self.sides(&left, &right, &both, join)?;
        let left_node = self.node(&left.scope, "JOIN ON", &left_expr)?;
        let right_node = self.node(&right.scope, "JOIN ON", &right_expr)?;
        self.check_windows(&left, &right, join)?;
        let shown = |of: &Option<Type>| of.as_ref().map_or("null".to_owned(), Type::to_string);
        if left_node.of != right_node.of {
            let message = format!(
                "Invalid join condition: types don't match. Got {left_expr}{{{}}} = {right_expr}{{{}}}.",
                shown(&left_node.of),
                shown(&right_node.of)
            );
            return Err(self.error(&join.on, &message));
        }
        match (left.kind, right.kind) {
            (SourceKind::Table, SourceKind::Stream) => {
                let kind = match join.kind {
                    JoinKind::Inner => "INNER",
                    JoinKind::Left => "LEFT",
                    JoinKind::Right => "RIGHT",
                    JoinKind::Outer => "FULL",
                };
                let message = format!(
                    "Invalid join order: table-stream joins are not supported; only stream-table joins. Got {} [{kind}] JOIN {}.",
                    self.query.from.alias, join.right.alias
                );
                Err(lexer::error(self.text, join.at, &message))
            }
            (SourceKind::Stream, SourceKind::Stream) => {
                let Some(within) = join.within else {
                    let message = "Stream-Stream joins must have a WITHIN clause specified. None was provided.";
                    return Err(lexer::error(
                        self.text,
                        join.at,
                        &format!(
                            "{message} Sources: {} and {}",
                            self.query.from.name, join.right.name
                        ),
                    ));
                };
                let widths = widths(&left, &right);
                let appends = is_synthetic(join.kind, &left_expr, &right_expr);
                let operator = StreamJoin::new(join.kind, widths, appends, within);
                self.keyed(
                    left,
                    right,
                    join,
                    (left_expr, left_node),
                    (right_expr, right_node),
                    operator,
                )
            }
            (SourceKind::Stream, SourceKind::Table) => {
                self.refuse_within(join, "Stream-Table")?;
                if matches!(join.kind, JoinKind::Right | JoinKind::Outer) {
                    let kind = if join.kind == JoinKind::Right {
                        "Right outer"
                    } else {
                        "Full outer"
                    };
                    let message = format!(
                        "{kind} joins between streams and tables are not supported: {} and {}",
                        self.query.from.name, join.right.name
                    );
                    return Err(lexer::error(self.text, join.at, &message));
                }
                self.check_primary_key(
                    &right,
                    &left_expr,
                    &right_expr,
                    join,
                    "stream-table joins require to join on the table's primary key",
                )?;
                let widths = widths(&left, &right);
                let appends = is_synthetic(join.kind, &left_expr, &right_expr);
                let operator = StreamTableJoin::new(join.kind, widths, appends);
                self.keyed(
                    left,
                    right,
                    join,
                    (left_expr, left_node),
                    (right_expr, right_node),
                    operator,
                )
            }
            (SourceKind::Table, SourceKind::Table) => {
                self.refuse_within(join, "Table-Table")?;
                self.check_primary_key(
                    &right,
                    &left_expr,
                    &right_expr,
                    join,
                    "table-table joins require to join on the primary key of the right input table",
                )?;
                let is_primary = matches!(&left.keys[..], [key] if key.viable.contains(&left_expr));
                if !is_primary {
                    return self.foreign(left, right, join, left_node);
                }
                let widths = widths(&left, &right);
                let appends = is_synthetic(join.kind, &left_expr, &right_expr);
                let operator = TableJoin::new(join.kind, widths, appends);
                self.keyed(
                    left,
                    right,
                    join,
                    (left_expr, left_node),
                    (right_expr, right_node),
                    operator,
                )
            }
        }
    }

    /// Returns the expressions of both sides of ON, that of the left source first.
    fn sides(
        &self,
        left: &Stage,
        right: &Stage,
        both: &Scope,
        join: &Join,
    ) -> Result<(Expr, Expr)> {
        let (first, second) = match &*join.on.kind {
            ExprKind::Comparison(Comparison::Equal, first, second) => (first, second),
            ExprKind::And(..) | ExprKind::Or(..) => {
                let message = format!(
                    "Invalid join condition: joins on multiple conditions are not yet supported. Got {}.",
                    join.on
                );
                return Err(self.error(&join.on, &message));
            }
            _ => {
                let message = format!(
                    "Unsupported join expression: {}. Only an equality joins: left.a = right.b",
                    join.on
                );
                return Err(self.error(&join.on, &message));
            }
        };
        let first = self.qualified(both, "JOIN ON", first)?;
        let second = self.qualified(both, "JOIN ON", second)?;
        // 0 for the left side, 1 for the right, None for none or both.
        let side = |expr: &Expr| -> Result<usize> {
            let mut sources: Vec<&str> = Vec::new();
            expr.walk(&mut |part| {
                if let ExprKind::Column {
                    source: Some(source),
                    ..
                } = &*part.kind
                {
                    sources.push(&source.text);
                }
                true
            });
            let is_of = |scope: &Scope, source: &str| {
                scope.columns.iter().any(|column| column.source == source)
            };
            let all = |scope: &Scope| {
                !sources.is_empty() && sources.iter().all(|source| is_of(scope, source))
            };
            match (all(&left.scope), all(&right.scope)) {
                (true, _) => Ok(0),
                (_, true) => Ok(1),
                _ => {
                    let message = format!(
                        "Invalid comparison expression '{expr}' in join '{}'. Each side of the join comparision must contain references from exactly one source.",
                        join.on
                    );
                    Err(self.error(expr, &message))
                }
            }
        };
        match (side(&first)?, side(&second)?) {
            (0, 1) => Ok((first, second)),
            (1, 0) => Ok((second, first)),
            (at, _) => {
                let joined = if at == 0 {
                    &self.query.from.alias
                } else {
                    &join.right.alias
                };
                let message = format!(
                    "Each side of the join must reference exactly one source and not the same source. Both sides of '{}' reference '{joined}'.",
                    join.on
                );
                Err(self.error(&join.on, &message))
            }
        }
    }

    fn check_windows(&self, left: &Stage, right: &Stage, join: &Join) -> Result<()> {
        let is_session =
            |windows: Option<KeyWindows>| windows.map(|windows| windows == KeyWindows::Session);
        let shown = |windows: Option<KeyWindows>| windows.map_or("not windowed", KeyWindows::word);
        if is_session(left.windows) == is_session(right.windows) {
            return Ok(());
        }
        let message = format!(
            "Incompatible windowed sources.\nLeft source ({}): {}\nRight source ({}): {}\nWindowed sources can only be joined to windowed sources, SESSION only to SESSION.",
            self.query.from.name,
            shown(left.windows),
            join.right.name,
            shown(right.windows)
        );
        Err(lexer::error(self.text, join.at, &message))
    }

    fn refuse_within(&self, join: &Join, which: &str) -> Result<()> {
        if join.within.is_none() {
            return Ok(());
        }
        let message = format!(
            "A window definition was provided for a {which} join. These joins are not windowed. Please drop the window definition (i.e. the WITHIN clause) and try to execute your join again."
        );
        Err(lexer::error(self.text, join.at, &message))
    }

    fn check_primary_key(
        &self,
        right: &Stage,
        left_expr: &Expr,
        right_expr: &Expr,
        join: &Join,
        rule: &str,
    ) -> Result<()> {
        let is_primary = matches!(&right.keys[..], [key] if key.viable.contains(right_expr));
        if is_primary {
            return Ok(());
        }
        let message = format!("Invalid join condition: {rule}. Got {left_expr} = {right_expr}.");
        Err(self.error(&join.on, &message))
    }

    /// Adds a join by key; a side that has another key is keyed before.
    fn keyed(
        &mut self,
        left: Stage,
        right: Stage,
        join: &Join,
        (left_expr, left_node): (Expr, Node),
        (right_expr, right_node): (Expr, Node),
        operator: impl Operator + 'static,
    ) -> Result<Stage> {
        // Streams alone: a table's row has a key.
        let keeps_left = matches!(join.kind, JoinKind::Left | JoinKind::Outer);
        let keeps_right = matches!(join.kind, JoinKind::Right | JoinKind::Outer);
        let left_place = self.rekeyed(&left, &left_expr, &left_node, join, keeps_left)?;
        let right_place = self.rekeyed(&right, &right_expr, &right_node, join, keeps_right)?;
        // Kafka writes the start of a window alone: keys of windows that begin together are equal.
        let size = |stage: &Stage| stage.windows.and_then(KeyWindows::size_ms);
        let right_place = match (size(&left), size(&right)) {
            (Some(size_ms), Some(other_ms)) if size_ms != other_ms => {
                self.after(right_place, Resize { size_ms })
            }
            _ => right_place,
        };
        let place = self.topology.add(operator);
        self.topology.lead_to_port(left_place, place, 0);
        self.topology.lead_to_port(right_place, place, 1);
        let of = left_node.type_or_string();
        let mut scope = left.scope.clone();
        scope.columns.extend(right.scope.columns.iter().cloned());
        let key = if is_synthetic(join.kind, &left_expr, &right_expr) {
            // Other columns may be called like it.
            let is_taken = |name: &str| scope.columns.iter().any(|column| column.name == name);
            let numbered = (1..).map(|nth| format!("{ROWKEY}_{nth}"));
            let name = std::iter::once(ROWKEY.to_owned())
                .chain(numbered)
                .find(|name| !is_taken(name))
                .unwrap_or_default();
            let column = ExprKind::Column {
                source: Some(crate::ksql::syntax::Name {
                    text: String::new(),
                    at: join.on.at,
                }),
                name: crate::ksql::syntax::Name {
                    text: name.clone(),
                    at: join.on.at,
                },
            };
            scope.columns.push(made(&name, of.clone()));
            KeyPart {
                viable: vec![Expr::new(column, join.on.at)],
                of,
                is_synthetic: true,
            }
        } else {
            let mut viable = Vec::new();
            for (stage, expr) in [(&left, &left_expr), (&right, &right_expr)] {
                match &stage.keys[..] {
                    [key] if key.viable.contains(expr) => viable.extend(key.viable.iter().cloned()),
                    _ if matches!(*expr.kind, ExprKind::Column { .. }) => viable.push(expr.clone()),
                    _ => {}
                }
            }
            KeyPart {
                viable,
                of,
                is_synthetic: false,
            }
        };
        Ok(Stage {
            place,
            scope,
            kind: left.kind,
            keys: vec![key],
            key_word: "join expression",
            windows: left.windows,
            is_join: true,
        })
    }

    /// Returns a side keyed by its expression of ON.
    fn rekeyed(
        &mut self,
        stage: &Stage,
        expr: &Expr,
        node: &Node,
        join: &Join,
        keeps_null: bool,
    ) -> Result<Place> {
        let is_key = matches!(&stage.keys[..], [key] if key.viable.contains(expr));
        if is_key {
            return Ok(stage.place);
        }
        if stage.windows.is_some() {
            let message = format!(
                "Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385. Join on the key: {expr} is not it"
            );
            return Err(self.error(&join.on, &message));
        }
        let rekeyed = self.after(
            stage.place,
            Rekey {
                keys: vec![node.clone()],
                appends: false,
                keeps_null,
            },
        );
        self.topology.cut(rekeyed);
        Ok(rekeyed)
    }

    /// Adds a join of a table by a column that is the other table's key.
    fn foreign(
        &mut self,
        left: Stage,
        right: Stage,
        join: &Join,
        left_node: Node,
    ) -> Result<Stage> {
        let refuse = |message: &str| -> Error { lexer::error(self.text, join.at, message) };
        match join.kind {
            JoinKind::Right => {
                return Err(refuse(&format!(
                    "Invalid join type encountered: RIGHT OUTER JOIN on a foreign key is not supported: {}",
                    join.on
                )));
            }
            JoinKind::Outer => {
                return Err(refuse(&format!(
                    "Invalid join type encountered: FULL OUTER JOIN on a foreign key is not supported: {}",
                    join.on
                )));
            }
            _ => {}
        }
        if left.windows.is_some() || right.windows.is_some() {
            return Err(refuse(
                "Foreign key joins are not supported on windowed tables.",
            ));
        }
        let operator = ForeignJoin::new(join.kind, widths(&left, &right), left_node);
        let place = self.topology.add(operator);
        self.topology.lead_to_port(left.place, place, 0);
        self.topology.lead_to_port(right.place, place, 1);
        for side in [left.place, right.place] {
            self.topology.gather(side);
        }
        let mut scope = left.scope.clone();
        scope.columns.extend(right.scope.columns.iter().cloned());
        Ok(Stage {
            place,
            scope,
            key_word: "primary key column",
            is_join: true,
            ..left
        })
    }
}

fn widths(left: &Stage, right: &Stage) -> (usize, usize) {
    (left.scope.columns.len(), right.scope.columns.len())
}

/// Returns whether no column of a source is the key: of an outer join each side's may be null.
fn is_synthetic(kind: JoinKind, left: &Expr, right: &Expr) -> bool {
    let is_column = |expr: &Expr| matches!(*expr.kind, ExprKind::Column { .. });
    kind == JoinKind::Outer || !(is_column(left) || is_column(right))
}
