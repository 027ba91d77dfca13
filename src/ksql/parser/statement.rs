//! Statements.

use super::Parser;
use crate::column::name::nearest;
use crate::error::{Error, Result};
use crate::ksql::lexer::{Kind, Token};
use crate::ksql::syntax::{
    Assertion, Create, CreateAs, Element, Expr, Literal, Name, Properties, Role, SourceKind,
    Statement,
};

/// What SHOW shows.
const SHOWN: [&str; 8] = [
    "STREAMS",
    "TABLES",
    "TOPICS",
    "QUERIES",
    "FUNCTIONS",
    "PROPERTIES",
    "TYPES",
    "VARIABLES",
];
/// What ksqlDB shows beside that.
const SHOWN_BY_KSQLDB: [&str; 3] = ["CONNECTOR", "CONNECTORS", "ASSIGNMENTS"];
const STATEMENTS: &str = "a statement: SELECT, CREATE, INSERT, DROP, ALTER, SHOW, DESCRIBE, EXPLAIN, PRINT, \
     TERMINATE, PAUSE, RESUME, SET, UNSET, DEFINE, UNDEFINE, RUN SCRIPT or ASSERT";

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        let word = self.peeked_word().to_owned();
        if word == "SELECT" {
            return Ok(Statement::Query(Box::new(self.query()?)));
        }
        let from = self.at;
        self.next();
        match word.as_str() {
            "CREATE" => self.create(),
            "INSERT" => self.insert(),
            "DROP" => self.drop(),
            "ALTER" => self.alter(),
            "SET" => {
                let name = self.text("a property in quotes")?;
                self.symbol("=")?;
                let value = Some(self.text("a value in quotes")?);
                Ok(Statement::Set { name, value })
            }
            "UNSET" => {
                let name = self.text("a property in quotes")?;
                Ok(Statement::Set { name, value: None })
            }
            "DEFINE" => {
                let name = self.name("a variable")?.text;
                self.symbol("=")?;
                let value = Some(self.text("a value in quotes")?);
                Ok(Statement::Define { name, value })
            }
            "UNDEFINE" => {
                let name = self.name("a variable")?.text;
                Ok(Statement::Define { name, value: None })
            }
            "SHOW" | "LIST" => self.show(),
            "DESCRIBE" => self.describe(),
            "EXPLAIN" => self.explain(),
            "PRINT" => self.print(),
            "TERMINATE" | "PAUSE" | "RESUME" => {
                let query = if self.take_word("ALL") {
                    None
                } else {
                    Some(self.name("a query's id, or ALL")?)
                };
                Ok(Statement::Control {
                    action: word,
                    query,
                })
            }
            "RUN" => {
                self.word("SCRIPT")?;
                Ok(Statement::RunScript(self.text("a file in quotes")?))
            }
            "ASSERT" => self.assertion().map(Statement::Assert),
            _ => {
                self.at = from;
                Err(self.unexpected(STATEMENTS))
            }
        }
    }

    fn assertion(&mut self) -> Result<Assertion> {
        let is_there = !self.take_words(&["NOT", "EXISTS"]);
        if self.take_word("TOPIC") {
            let name = self.topic()?;
            let properties = self.properties()?;
            let timeout_ms = match self.take_word("TIMEOUT") {
                true => Some(self.duration()?),
                false => None,
            };
            return Ok(Assertion::Topic {
                name,
                is_there,
                properties,
                timeout_ms,
            });
        }
        if self.is_word("SCHEMA") {
            return Err(Error::not_yet("ASSERT SCHEMA: there is no schema registry"));
        }
        if !is_there {
            return Err(self.unexpected("TOPIC"));
        }
        if self.take_words(&["NULL", "VALUES"]) {
            let name = self.name("a stream or table")?;
            let columns = self.columns()?;
            self.word("KEY")?;
            let key = self.values()?;
            return Ok(Assertion::Tombstone { name, columns, key });
        }
        if self.take_word("VALUES") {
            let name = self.name("a stream or table")?;
            let columns = self.columns()?;
            self.word("VALUES")?;
            let values = self.values()?;
            return Ok(Assertion::Values {
                name,
                columns,
                values,
            });
        }
        let kind = self.source_kind()?;
        let name = self.name("a stream or table")?;
        let elements = match self.is_symbol("(") {
            true => self.elements()?,
            false => Vec::new(),
        };
        let properties = self.properties()?;
        Ok(Assertion::Source {
            kind,
            name,
            elements,
            properties,
        })
    }

    /// Reads a topic's name, which keeps its case.
    fn topic(&mut self) -> Result<Name> {
        let from = self.at;
        let Token { kind, at } = self.next();
        let text = match kind {
            Kind::Text(topic) | Kind::Quoted(topic) => topic,
            Kind::Word(_) => self.text[at.start..at.end].to_owned(),
            _ => {
                self.at = from;
                return Err(self.unexpected("a topic"));
            }
        };
        Ok(Name { text, at })
    }

    /// Reads `(a, b)`; nothing gives none.
    fn columns(&mut self) -> Result<Vec<Name>> {
        if !self.take_symbol("(") {
            return Ok(Vec::new());
        }
        let columns = self.list(|parser| parser.name("a column"))?;
        self.symbol(")")?;
        Ok(columns)
    }

    /// Reads `(1, 'x')`.
    fn values(&mut self) -> Result<Vec<Expr>> {
        self.symbol("(")?;
        let values = self.list(Self::expression)?;
        self.symbol(")")?;
        Ok(values)
    }

    fn source_kind(&mut self) -> Result<SourceKind> {
        if self.take_word("STREAM") {
            Ok(SourceKind::Stream)
        } else if self.take_word("TABLE") {
            Ok(SourceKind::Table)
        } else {
            Err(self.unexpected("STREAM or TABLE"))
        }
    }

    fn create(&mut self) -> Result<Statement> {
        let or_replace = self.take_words(&["OR", "REPLACE"]);
        if self.take_word("TYPE") {
            let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.name("a type's name")?;
            self.word("AS")?;
            let of = self.of_type()?;
            return Ok(Statement::CreateType {
                name,
                if_not_exists,
                of,
            });
        }
        let is_source = self.take_word("SOURCE");
        let kind = self.source_kind()?;
        let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
        let name = self.name("a name")?;
        let elements = if self.is_symbol("(") {
            self.elements()?
        } else {
            Vec::new()
        };
        let properties = self.properties()?;
        if self.take_word("AS") {
            if is_source || !elements.is_empty() {
                let message =
                    "CREATE … AS SELECT takes its columns from the query, and is not a SOURCE";
                return Err(self.error(self.before(), message));
            }
            let query = Box::new(self.query()?);
            return Ok(Statement::CreateAs(CreateAs {
                kind,
                or_replace,
                if_not_exists,
                name,
                properties,
                query,
            }));
        }
        Ok(Statement::Create(Create {
            kind,
            or_replace,
            if_not_exists,
            is_source,
            name,
            elements,
            properties,
        }))
    }

    fn elements(&mut self) -> Result<Vec<Element>> {
        self.symbol("(")?;
        let elements = self.list(Self::element)?;
        self.symbol(")")?;
        Ok(elements)
    }

    fn element(&mut self) -> Result<Element> {
        let name = self.name("a column's name")?;
        let of = self.of_type()?;
        let role = if self.take_words(&["PRIMARY", "KEY"]) {
            Role::PrimaryKey
        } else if self.take_word("KEY") {
            Role::Key
        } else if self.take_word("HEADERS") {
            Role::Headers
        } else if self.take_word("HEADER") {
            self.symbol("(")?;
            let header = self.text("a header's name in quotes")?;
            self.symbol(")")?;
            Role::Header(header)
        } else {
            Role::Value
        };
        Ok(Element { name, of, role })
    }

    fn properties(&mut self) -> Result<Properties> {
        let mut properties = Properties {
            at: self.here(),
            ..Properties::default()
        };
        if !self.take_word("WITH") {
            return Ok(properties);
        }
        self.symbol("(")?;
        if self.take_symbol(")") {
            return Ok(properties);
        }
        self.list(|parser| {
            let from = parser.at;
            let Token { kind, at } = parser.next();
            let name = match kind {
                Kind::Word(text) => text,
                Kind::Quoted(text) | Kind::Text(text) => text.to_uppercase(),
                _ => {
                    parser.at = from;
                    return Err(parser.unexpected("a property's name"));
                }
            };
            parser.symbol("=")?;
            let value = (parser.literal()?, parser.before());
            if properties.entries.insert(name.clone(), value).is_some() {
                return Err(parser.error(at, &format!("the property `{name}` is given twice")));
            }
            Ok(())
        })?;
        self.symbol(")")?;
        Ok(properties)
    }

    fn literal(&mut self) -> Result<Literal> {
        let sign = if self.take_symbol("-") { "-" } else { "" };
        let literal = match self.ahead(0).kind.clone() {
            Kind::Integer(digits) | Kind::Decimal(digits) | Kind::Float(digits) => {
                Literal::Number(format!("{sign}{digits}"))
            }
            Kind::Text(text) if sign.is_empty() => Literal::Text(text),
            Kind::Word(word) if word == "TRUE" => Literal::Boolean(true),
            Kind::Word(word) if word == "FALSE" => Literal::Boolean(false),
            _ => return Err(self.unexpected("a text in quotes, a number, true or false")),
        };
        self.next();
        Ok(literal)
    }

    fn insert(&mut self) -> Result<Statement> {
        self.word("INTO")?;
        let name = self.name("a stream")?;
        let properties = self.properties()?;
        if self.is_word("SELECT") {
            let query = Box::new(self.query()?);
            return Ok(Statement::InsertInto {
                name,
                properties,
                query,
            });
        }
        let columns = self.columns()?;
        self.word("VALUES")?;
        let values = self.values()?;
        Ok(Statement::InsertValues {
            name,
            columns,
            values,
        })
    }

    fn drop(&mut self) -> Result<Statement> {
        if self.take_word("TYPE") {
            let if_exists = self.take_words(&["IF", "EXISTS"]);
            return Ok(Statement::DropType {
                name: self.name("a type")?,
                if_exists,
            });
        }
        let kind = self.source_kind()?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.name("a stream or table")?;
        let delete_topic = self.take_words(&["DELETE", "TOPIC"]);
        Ok(Statement::Drop {
            kind,
            if_exists,
            name,
            delete_topic,
        })
    }

    fn alter(&mut self) -> Result<Statement> {
        let kind = self.source_kind()?;
        let name = self.name("a stream or table")?;
        let columns = self.list(|parser| {
            parser.word("ADD")?;
            parser.take_word("COLUMN");
            parser.element()
        })?;
        Ok(Statement::Alter {
            kind,
            name,
            columns,
        })
    }

    fn show(&mut self) -> Result<Statement> {
        let all = self.take_word("ALL");
        let Kind::Word(what) = self.ahead(0).kind.clone() else {
            return Err(self.unexpected(&SHOWN.join(", ")));
        };
        if !SHOWN.contains(&what.as_str()) && !SHOWN_BY_KSQLDB.contains(&what.as_str()) {
            let wanted = self.unexpected(&SHOWN.join(", "));
            return Err(match nearest(&what, SHOWN.into_iter()) {
                Some(near) => wanted.hint(format!("did you mean SHOW {near}?")),
                None => wanted,
            });
        }
        self.next();
        let extended = self.take_word("EXTENDED") || all;
        Ok(Statement::Show { what, extended })
    }

    fn describe(&mut self) -> Result<Statement> {
        if self.is_word("FUNCTION") && !matches!(self.ahead(1).kind, Kind::End) {
            self.next();
            return Ok(Statement::DescribeFunction(self.name("a function")?));
        }
        let kinds = [
            ("STREAMS", SourceKind::Stream),
            ("TABLES", SourceKind::Table),
        ];
        if let Some((_, kind)) = kinds.into_iter().find(|(word, _)| self.take_word(word)) {
            self.take_word("EXTENDED");
            return Ok(Statement::DescribeAll(kind));
        }
        let name = self.name("a stream or table")?;
        let extended = self.take_word("EXTENDED");
        Ok(Statement::Describe { name, extended })
    }

    fn explain(&mut self) -> Result<Statement> {
        if matches!(self.peeked_word(), "SELECT" | "CREATE" | "INSERT") {
            return Ok(Statement::Explain(Box::new(self.statement()?)));
        }
        Ok(Statement::ExplainQuery(
            self.name("a query's id, or a statement")?,
        ))
    }

    fn print(&mut self) -> Result<Statement> {
        let topic = self.topic()?.text;
        let from_beginning = self.take_words(&["FROM", "BEGINNING"]);
        let interval = if self.take_word("INTERVAL") || self.take_word("SAMPLE") {
            Some(self.whole_number("a number of records")?)
        } else {
            None
        };
        let limit = if self.take_word("LIMIT") {
            Some(self.whole_number("a number of records")?)
        } else {
            None
        };
        Ok(Statement::Print {
            topic,
            from_beginning,
            interval,
            limit,
        })
    }
}
