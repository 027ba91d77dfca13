//! SELECT: the columns that come out, and which of them are the key.

use super::{Item, KeyPart, Planner, Stage};
use crate::error::Result;
use crate::ksql::names::typed;
use crate::ksql::run::Select;
use crate::ksql::schema::{Column, ROWKEY, Schema, is_reserved};
use crate::ksql::syntax::{Expr, ExprKind};

impl Planner<'_> {
    /// Plans SELECT; returns the columns that come out.
    pub(super) fn select(&mut self, stage: &mut Stage, items: Vec<Item>) -> Result<Schema> {
        let names = self.names(stage, &items)?;
        let keys = self.key_items(stage, &items, &names)?;
        let mut schema = Schema::default();
        for (part, item) in stage.keys.iter().zip(&keys) {
            let Some(item) = item else { continue };
            schema.key.push(Column {
                name: names[*item].clone(),
                of: part.of.clone(),
            });
        }
        let mut values = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if keys.contains(&Some(at)) {
                continue;
            }
            let node = self.node(&stage.scope, "SELECT", &item.expr)?;
            let of = node.type_or_string();
            schema.value.push(Column {
                name: names[at].clone(),
                of,
            });
            values.push(node);
        }
        self.check_names(&items, &names)?;
        if let Some(windowing) = &mut self.windowing {
            windowing.values = values.clone();
        }
        stage.place = self.after(stage.place, Select { values });
        if self.target.name.is_some() && schema.value.is_empty() {
            let message = "The projection contains no value columns.";
            return Err(crate::ksql::lexer::error(self.text, self.query.at, message)
                .hint("AS_VALUE(key) copies a key's column into the value"));
        }
        Ok(schema)
    }

    /// Returns the name of each item.
    fn names(&self, stage: &Stage, items: &[Item]) -> Result<Vec<String>> {
        let sources = || {
            self.inputs
                .iter()
                .flat_map(|(source, _)| source.schema.columns())
        };
        let is_taken = |name: &str| sources().any(|column| column.name == name);
        let mut next = 0;
        let mut generated = || {
            loop {
                let name = format!("KSQL_COL_{next}");
                next += 1;
                if !is_taken(&name) {
                    return name;
                }
            }
        };
        let mut names: Vec<String> = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let original = self.original(stage, item);
            let name = match (&item.alias, &item.name, &*original.kind) {
                (Some(alias), ..) => {
                    if is_reserved(&alias.text) && self.target.name.is_some() {
                        let message = match alias.text.starts_with("WINDOW") {
                            true => format!(
                                "Reserved column name in select: `{alias}`. Please remove or alias the column."
                            ),
                            false => format!(
                                "`{alias}` is a reserved column name. You cannot use it as an alias for a column."
                            ),
                        };
                        return Err(self.name_error(alias, &message));
                    }
                    alias.text.clone()
                }
                (None, Some(name), _) => name.clone(),
                (None, None, ExprKind::Column { source, name }) if !name.text.starts_with('#') => {
                    let of_sources = |column: &&crate::ksql::scope::Named| {
                        column.name == name.text && !column.source.is_empty()
                    };
                    let is_shared = self
                        .before_grouping(stage)
                        .columns
                        .iter()
                        .filter(of_sources)
                        .count()
                        > 1;
                    match source {
                        Some(source) if is_shared => format!("{}_{}", source.text, name.text),
                        _ if is_reserved(&name.text) && self.target.name.is_some() => {
                            let message = format!(
                                "Reserved column name in select: `{name}`. Please remove or alias the column."
                            );
                            return Err(self.error(&items[at].expr, &message));
                        }
                        _ => name.text.clone(),
                    }
                }
                (None, None, ExprKind::Field(_, field)) => {
                    let is_free =
                        |name: &str| !is_taken(name) && !names.iter().any(|known| known == name);
                    let numbered = (1..).map(|nth| format!("{}_{nth}", field.text));
                    let mut candidates = std::iter::once(field.text.clone()).chain(numbered);
                    candidates.find(|name| is_free(name)).unwrap_or_default()
                }
                _ => generated(),
            };
            names.push(name);
        }
        Ok(names)
    }

    /// Returns an item as it was before GROUP BY made columns of it.
    fn original(&self, stage: &Stage, item: &Item) -> Expr {
        if stage.key_word != "grouping expression" {
            return item.expr.clone();
        }
        let part = stage
            .keys
            .iter()
            .find(|part| part.viable.first() == Some(&item.expr));
        part.and_then(|part| part.viable.last())
            .unwrap_or(&item.expr)
            .clone()
    }

    /// Returns the columns of all sources.
    fn before_grouping(&self, stage: &Stage) -> crate::ksql::scope::Scope {
        let mut scope = stage.scope.clone();
        if stage.key_word == "grouping expression" {
            let relations = std::iter::once(&self.query.from)
                .chain(self.query.joins.iter().map(|join| &join.right));
            let scopes = self
                .inputs
                .iter()
                .zip(relations)
                .map(|((source, _), relation)| source.scope(&relation.alias.text));
            scope.columns = scopes.flat_map(|scope| scope.columns).collect();
        }
        scope
    }

    /// Returns for each part of the key the item that is it.
    fn key_items(
        &self,
        stage: &Stage,
        items: &[Item],
        names: &[String],
    ) -> Result<Vec<Option<usize>>> {
        let mut found = Vec::new();
        let mut missing: Vec<&KeyPart> = Vec::new();
        for part in &stage.keys {
            let of = |viable: &Expr| -> Vec<usize> {
                (0..items.len())
                    .filter(|at| items[*at].expr == *viable)
                    .collect()
            };
            let candidates = part
                .viable
                .iter()
                .map(of)
                .find(|candidates| !candidates.is_empty())
                .unwrap_or_default();
            match candidates[..] {
                [] => {
                    missing.push(part);
                    found.push(None);
                }
                [at] => found.push(Some(at)),
                _ => {
                    let aliases: Vec<&str> =
                        candidates.iter().map(|at| names[*at].as_str()).collect();
                    let shown = self.shown(stage, part).pop().unwrap_or_default();
                    let message = format!(
                        "The projection contains a key column (`{shown}`) more than once, aliased as: {}.\nEach key column must only be in the projection once. If you intended to copy the key into the value, then consider using the AS_VALUE function to indicate which key reference should be copied.",
                        aliases.join(" and ")
                    );
                    return Err(self.error(&items[candidates[1]].expr, &message));
                }
            }
        }
        match (self.target.name, missing.is_empty()) {
            (Some(target), false) => Err(self.missing_keys(stage, target, &missing)),
            _ => Ok(found),
        }
    }

    fn missing_keys(
        &self,
        stage: &Stage,
        target: &str,
        missing: &[&KeyPart],
    ) -> crate::error::Error {
        let word = stage.key_word;
        let (expressions, example, is_many) = match missing {
            [part] => {
                let shown = self.shown(stage, part);
                (shown.join(" or "), shown[0].clone(), shown.len() > 1)
            }
            _ => {
                let shown: Vec<String> = missing
                    .iter()
                    .map(|part| self.shown(stage, part).swap_remove(0))
                    .collect();
                (shown.join(" and "), shown.join(", "), true)
            }
        };
        let plural = if is_many { "s" } else { "" };
        let mut message = format!(
            "The query used to build `{target}` must include the {word}{plural} {expressions} in its projection (eg, SELECT {example}...)."
        );
        if missing.iter().any(|part| part.is_synthetic) {
            message.push_str(&format!(
                "\n{ROWKEY} was added as a synthetic key column because the join criteria did not match any source column. This expression must be included in the projection and may be aliased."
            ));
        }
        crate::ksql::lexer::error(self.text, self.query.at, &message)
    }

    /// Returns how a part of the key can be written, shortest first.
    fn shown(&self, stage: &Stage, part: &KeyPart) -> Vec<String> {
        let written = match stage.key_word {
            "grouping expression" => &part.viable[1..],
            _ => &part.viable[..],
        };
        let shown = written.iter().map(|expr| match &*expr.kind {
            ExprKind::Column { name, .. } if !stage.is_join => typed(&name.text),
            _ => expr.to_string(),
        });
        shown.collect()
    }

    fn check_names(&self, items: &[Item], names: &[String]) -> Result<()> {
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                let message = format!("Duplicate column name in the projection: `{name}`");
                return Err(self
                    .error(&items[at].expr, &message)
                    .hint("give one of them another name: AS …"));
            }
        }
        Ok(())
    }
}
