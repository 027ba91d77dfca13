//! SELECT … FROM ….

use super::Parser;
use crate::error::Result;
use crate::ksql::lexer::Kind;
use crate::ksql::names;
use crate::ksql::syntax::{
    Emit, Grouping, Join, JoinKind, Query, Relation, SelectItem, Window, WindowKind, Within,
};

/// Words that end a relation: none of them is an alias.
const AFTER_RELATION: [&str; 5] = ["PARTITION", "EMIT", "LIMIT", "GRACE", "AT"];

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        let at = self.here();
        self.word("SELECT")?;
        let select = self.list(Self::select_item)?;
        self.word("FROM")?;
        let from = self.relation()?;
        let mut joins = Vec::new();
        while let Some(join) = self.join()? {
            joins.push(join);
        }
        let window = if self.take_word("WINDOW") {
            Some(self.window()?)
        } else {
            None
        };
        let filter = if self.take_word("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        let mut partition_by = None;
        let mut group_by = None;
        if self.take_words(&["PARTITION", "BY"]) {
            partition_by = Some(self.grouping()?);
        }
        if self.take_words(&["GROUP", "BY"]) {
            group_by = Some(self.grouping()?);
        }
        let having = if self.take_word("HAVING") {
            Some(self.expression()?)
        } else {
            None
        };
        let emit = match self.take_word("EMIT") {
            true if self.take_word("CHANGES") => Some(Emit::Changes),
            true if self.take_word("FINAL") => Some(Emit::Final),
            true => return Err(self.unexpected("CHANGES or FINAL")),
            false => None,
        };
        let limit = match self.take_word("LIMIT") {
            true => Some(self.whole_number("a number of rows")?),
            false => None,
        };
        Ok(Query {
            select,
            from,
            joins,
            window,
            filter,
            partition_by,
            group_by,
            having,
            emit,
            limit,
            at,
        })
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let at = self.here();
        if self.take_symbol("*") {
            return Ok(SelectItem::Star { source: None, at });
        }
        let is_name = matches!(self.ahead(0).kind, Kind::Word(_) | Kind::Quoted(_));
        if is_name && self.is_symbol_ahead(1, ".") && self.is_symbol_ahead(2, "*") {
            let source = Some(self.name("a source")?);
            self.next();
            let at = at.to(self.next().at);
            return Ok(SelectItem::Star { source, at });
        }
        let expr = self.expression()?;
        if self.is_symbol("->") && self.is_symbol_ahead(1, "*") {
            self.next();
            self.next();
            return Ok(SelectItem::StructStar(expr));
        }
        let is_alias = self.take_word("AS")
            || matches!(self.ahead(0).kind, Kind::Quoted(_))
            || !(self.peeked_word().is_empty() || names::is_reserved(self.peeked_word()));
        let alias = if is_alias {
            Some(self.name("an alias")?)
        } else {
            None
        };
        Ok(SelectItem::Single { expr, alias })
    }

    fn relation(&mut self) -> Result<Relation> {
        let name = self.name("a stream or table")?;
        if self.is_symbol("(") {
            return Err(self.error(
                name.at,
                &format!("`{name}(…)` is a function; FROM takes a stream or a table"),
            ));
        }
        let next = self.peeked_word().to_owned();
        let is_alias = self.take_word("AS")
            || matches!(self.ahead(0).kind, Kind::Quoted(_))
            || !(next.is_empty()
                || names::is_reserved(&next)
                || AFTER_RELATION.contains(&next.as_str()));
        let alias = if is_alias {
            self.name("an alias")?
        } else {
            name.clone()
        };
        Ok(Relation { name, alias })
    }

    fn join(&mut self) -> Result<Option<Join>> {
        let at = self.here();
        let kind = match self.peeked_word() {
            "JOIN" => JoinKind::Inner,
            "INNER" => JoinKind::Inner,
            "LEFT" => JoinKind::Left,
            "RIGHT" => JoinKind::Right,
            "FULL" | "OUTER" => JoinKind::Outer,
            _ => return Ok(None),
        };
        if !self.is_word("JOIN") {
            self.next();
            if kind != JoinKind::Inner {
                self.take_word("OUTER");
            }
        }
        self.word("JOIN")?;
        let right = self.relation()?;
        let within = if self.take_word("WITHIN") {
            Some(self.within()?)
        } else {
            None
        };
        self.word("ON")?;
        let on = self.expression()?;
        Ok(Some(Join {
            kind,
            right,
            within,
            on,
            at,
        }))
    }

    fn within(&mut self) -> Result<Within> {
        let (before_ms, after_ms) = if self.take_symbol("(") {
            let before_ms = self.duration()?;
            self.symbol(",")?;
            let after_ms = self.duration()?;
            self.symbol(")")?;
            (before_ms, after_ms)
        } else {
            let ms = self.duration()?;
            (ms, ms)
        };
        // The reference writes a comma before GRACE PERIOD, its examples do not.
        self.take_symbol(",");
        let grace_ms = self.grace()?;
        Ok(Within {
            before_ms,
            after_ms,
            grace_ms,
        })
    }

    fn grace(&mut self) -> Result<Option<i64>> {
        match self.take_words(&["GRACE", "PERIOD"]) {
            true => self.duration().map(Some),
            false => Ok(None),
        }
    }

    /// Reads `10 SECONDS`, in ms.
    pub(super) fn duration(&mut self) -> Result<i64> {
        let at = self.here();
        let count = self.whole_number("a duration: 10 SECONDS")?;
        let unit_ms = match self.peeked_word().trim_end_matches('S') {
            "DAY" => 86_400_000,
            "HOUR" => 3_600_000,
            "MINUTE" => 60_000,
            "SECOND" => 1_000,
            "MILLISECOND" => 1,
            _ => return Err(self.unexpected("DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS")),
        };
        self.next();
        let ms = i64::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(unit_ms));
        ms.ok_or_else(|| self.error(at.to(self.before()), "the duration is too long"))
    }

    fn window(&mut self) -> Result<Window> {
        let at = self.before();
        if !matches!(self.peeked_word(), "TUMBLING" | "HOPPING" | "SESSION") {
            return Err(self.unexpected("TUMBLING, HOPPING or SESSION"));
        }
        let Kind::Word(word) = self.next().kind else {
            return Err(self.unexpected("TUMBLING, HOPPING or SESSION"));
        };
        self.symbol("(")?;
        let kind = match word.as_str() {
            "SESSION" => WindowKind::Session {
                gap_ms: self.duration()?,
            },
            _ => {
                self.word("SIZE")?;
                let size_ms = self.duration()?;
                if word == "TUMBLING" {
                    WindowKind::Tumbling { size_ms }
                } else {
                    self.symbol(",")?;
                    self.word("ADVANCE")?;
                    self.word("BY")?;
                    WindowKind::Hopping {
                        size_ms,
                        advance_ms: self.duration()?,
                    }
                }
            }
        };
        let (mut retention_ms, mut grace_ms) = (None, None);
        while self.take_symbol(",") {
            if self.take_word("RETENTION") {
                retention_ms = Some(self.duration()?);
            } else {
                grace_ms = self.grace()?;
                if grace_ms.is_none() {
                    return Err(self.unexpected("RETENTION or GRACE PERIOD"));
                }
            }
        }
        self.symbol(")")?;
        let at = at.to(self.before());
        Ok(Window {
            kind,
            retention_ms,
            grace_ms,
            at,
        })
    }

    /// Reads `a, b` or `(a, b)` or `()`.
    fn grouping(&mut self) -> Result<Grouping> {
        let (from, at) = (self.at, self.here());
        if self.take_symbol("(") {
            if self.take_symbol(")") {
                return Ok(Grouping {
                    by: Vec::new(),
                    at: at.to(self.before()),
                });
            }
            let by = self.list(Self::expression)?;
            // A bracket may be the whole grouping, or only its beginning: `(a + b) * c, d`.
            let is_whole = self.take_symbol(")")
                && (matches!(self.ahead(0).kind, Kind::End)
                    || self.is_symbol(")")
                    || matches!(self.peeked_word(), "HAVING" | "EMIT" | "LIMIT" | "GROUP"));
            if is_whole {
                return Ok(Grouping {
                    by,
                    at: at.to(self.before()),
                });
            }
            self.at = from;
        }
        let by = self.list(Self::expression)?;
        Ok(Grouping {
            by,
            at: at.to(self.before()),
        })
    }
}
