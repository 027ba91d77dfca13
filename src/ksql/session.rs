//! Statements, one after the other: what each does to the catalog, and which queries it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::{Catalog, Source};
use super::declare::{check_formats, check_replaced, check_time, declare, fold};
use super::expr;
use super::folder::Folder;
use super::format::{Format, Kind};
use super::functions::Limits;
use super::lexer::{self, Span};
use super::parser;
use super::plan::{Plan, Recipe};
use super::properties::{Settings, With};
use super::records::{self, Misfit, Record};
use super::run::{Event, Key};
use super::schema::{Column, ROWTIME, Schema};
use super::scope::Scope;
use super::syntax::{
    Create, CreateAs, Element, Expr, Name, Properties, Query, Role, SourceKind, Statement,
};
use super::types::Type;
use super::value::Value;
use crate::error::{Error, Result};

/// A query that runs until it is terminated, and where its rows go.
pub struct Persistent {
    /// `CSAS_OUT_3`.
    pub id: String,
    /// The stream or table that it fills.
    pub sink: Source,
    /// How it runs.
    pub plan: Plan,
    /// What the plan was made from.
    pub recipe: Recipe,
    /// The names of its sources.
    pub reads: Vec<String>,
    /// Whether dropping the sink ends it.
    pub is_own: bool,
    /// As it was typed.
    pub text: String,
}

impl Persistent {
    /// Takes in a record of one of its topics; returns the records that it writes, and why others
    /// could not be read or written.
    pub fn take(&mut self, record: &Record) -> (Vec<Record>, Vec<Misfit>) {
        let (mut written, mut misfits) = (Vec::new(), Vec::new());
        let Plan {
            inputs, topology, ..
        } = &mut self.plan;
        for (source, place) in inputs
            .iter()
            .filter(|(source, _)| source.topic == record.topic)
        {
            let mut given = Vec::new();
            match records::read(source, record) {
                Ok(event) => topology.push(*place, event, &mut given),
                Err(misfit) => misfits.push(misfit),
            }
            for event in given {
                match records::write(&self.sink, &event, 0) {
                    Ok(record) => written.push(record),
                    Err(misfit) => misfits.push(misfit),
                }
            }
        }
        (written, misfits)
    }

    /// Returns whether it can go on.
    ///
    /// # Errors
    /// `data` with the reason: a sum that its type does not hold.
    pub fn check(&self) -> Result<()> {
        match self.plan.topology.failure() {
            None => Ok(()),
            Some(reason) => Err(Error::data(format!("query {} ended: {reason}", self.id))),
        }
    }
}

/// What a statement has done.
pub enum Effect {
    /// A message for the user.
    Said(String),
    /// Nothing: it is so already.
    Unchanged(String),
    /// A row to write to a topic.
    Inserted(Record),
    /// A statement that looks at things or asks, and its text: what runs the session answers it.
    Asked(Box<Statement>, String),
}

/// The catalog, the queries and the settings of a person's statements.
#[derive(Default)]
pub struct Session {
    /// Streams, tables, types.
    pub catalog: Catalog,
    /// SET.
    pub settings: Settings,
    /// DEFINE.
    pub variables: BTreeMap<String, String>,
    /// The queries, in the order of their statements.
    pub queries: Vec<Persistent>,
    /// Whether a definition that is there already, and equal, is fine.
    pub takes_equal: bool,
    /// The folder whose files are the topics, if they are: there windows are computed by column.
    pub folder: Option<Folder>,
    /// What a topic that is written in a statement is called where it is, if not the same.
    pub name_topic: Option<fn(&str) -> String>,
    /// What the wall clock says, in ms, for INSERT VALUES; it stands still in a replay.
    pub now: i64,
    started: usize,
}

impl Session {
    /// Carries out one statement.
    ///
    /// # Errors
    /// `usage` with line and column for what is refused, "not supported yet" for what is not there.
    pub fn execute(&mut self, text: &str) -> Result<Effect> {
        let text = &self.with_variables(text);
        let statement = parser::statement(text, &self.catalog.types)?;
        if self.takes_equal
            && let Some(known) = self.running(text)
        {
            let said = format!("Query {} is there already, and the same", known.id);
            return Ok(Effect::Unchanged(said));
        }
        match statement {
            Statement::Create(create) => self.create(text, &create),
            Statement::CreateAs(create) => self.create_as(text, &create),
            Statement::InsertInto {
                name,
                properties,
                query,
            } => self.insert_into(text, &name, &properties, &query),
            Statement::InsertValues {
                name,
                columns,
                values,
            } => self.insert_values(text, &name, &columns, &values),
            Statement::Drop {
                kind,
                if_exists,
                name,
                delete_topic,
            } => {
                self.refuse_deletion(text, &name, delete_topic)?;
                self.drop(text, kind, if_exists, &name)
            }
            Statement::Alter {
                kind,
                name,
                columns,
            } => self.alter(text, kind, &name, &columns),
            Statement::CreateType {
                name,
                if_not_exists,
                of,
            } => {
                if self.catalog.types.contains_key(&name.text) {
                    return match if_not_exists {
                        true => Ok(Effect::Said(format!("{name} is already registered"))),
                        false => Err(lexer::error(
                            text,
                            name.at,
                            &format!(
                                "Cannot register custom type '{name}' since it is already registered"
                            ),
                        )),
                    };
                }
                self.catalog.types.insert(name.text.clone(), of);
                Ok(Effect::Said(format!("Registered custom type {name}")))
            }
            Statement::DropType { name, if_exists } => {
                match (self.catalog.types.remove(&name.text), if_exists) {
                    (None, false) => Err(lexer::error(
                        text,
                        name.at,
                        &format!("Type {name} does not exist."),
                    )),
                    _ => Ok(Effect::Said(format!("Dropped type {name}"))),
                }
            }
            Statement::Set { name, value } => {
                self.settings.set(&name, value);
                Ok(Effect::Said(String::new()))
            }
            Statement::Define { name, value } => {
                match value {
                    Some(value) => self.variables.insert(name, value),
                    None => self.variables.remove(&name),
                };
                Ok(Effect::Said(String::new()))
            }
            other => Ok(Effect::Asked(Box::new(other), text.clone())),
        }
    }

    /// Returns another one with the same definitions, to try statements on.
    ///
    /// # Errors
    /// `usage` for a query that no longer holds.
    pub fn fork(&self) -> Result<Self> {
        let query = |query: &Persistent| {
            Ok(Persistent {
                id: query.id.clone(),
                sink: query.sink.clone(),
                plan: query.recipe.plan()?,
                recipe: query.recipe.clone(),
                reads: query.reads.clone(),
                is_own: query.is_own,
                text: query.text.clone(),
            })
        };
        Ok(Session {
            catalog: self.catalog.clone(),
            settings: self.settings.clone(),
            variables: self.variables.clone(),
            folder: self.folder.clone(),
            queries: self.queries.iter().map(query).collect::<Result<_>>()?,
            ..*self
        })
    }

    /// Returns the query of a statement that was carried out before, however it is spaced.
    pub fn running(&self, text: &str) -> Option<&Persistent> {
        let mut queries = self.queries.iter();
        queries.find(|query| query.text.split_whitespace().eq(text.split_whitespace()))
    }

    fn topic_named(&self, topic: String) -> String {
        self.name_topic
            .map_or_else(|| topic.clone(), |name| name(&topic))
    }

    /// Lets the next query have this number.
    pub fn number_next(&mut self, number: usize) {
        self.started = number;
    }

    /// Puts the values of variables in the place of `${name}`; the case of a name does not count.
    pub fn with_variables(&self, text: &str) -> String {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let value = after.split_once('}').and_then(|(name, behind)| {
                let mut variables = self.variables.iter();
                let (_, value) = variables.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
                Some((value, behind))
            });
            replaced.push_str(before);
            match value {
                Some((value, behind)) => {
                    replaced.push_str(value);
                    rest = behind;
                }
                None => {
                    replaced.push_str("${");
                    rest = after;
                }
            }
        }
        replaced.push_str(rest);
        replaced
    }

    fn create(&mut self, text: &str, create: &Create) -> Result<Effect> {
        let name = &create.name;
        if create.if_not_exists && self.catalog.get(&name.text).is_some() {
            return Ok(Effect::Said(format!(
                "{} {name} already exists",
                create.kind
            )));
        }
        let mut source = declare(text, create, &self.settings)?;
        source.topic = self.topic_named(source.topic);
        if self.takes_equal && self.catalog.get(&name.text) == Some(&source) {
            return Ok(Effect::Unchanged(format!(
                "{} {name} is there already, and the same",
                sentence(create.kind)
            )));
        }
        if create.or_replace {
            check_replaced(text, &self.catalog, &source, name.at)?;
        } else {
            let refused = self
                .catalog
                .refuse_known(text, name.at, &name.text, create.kind);
            refused.map_err(|error| self.with_differences(error, &source))?;
        }
        self.catalog.put(source);
        Ok(Effect::Said(format!("{} created", sentence(create.kind))))
    }

    fn create_as(&mut self, text: &str, create: &CreateAs) -> Result<Effect> {
        let CreateAs {
            kind,
            name,
            properties,
            query,
            ..
        } = create;
        if create.if_not_exists && self.catalog.get(&name.text).is_some() {
            return Ok(Effect::Unchanged(format!("{kind} {name} already exists")));
        }
        if !create.or_replace {
            let refused = self.catalog.refuse_known(text, name.at, &name.text, *kind);
            refused.map_err(|error| self.with_query(error, &name.text))?;
        }
        let with = With {
            text,
            properties,
            settings: &self.settings,
        };
        with.check_query()?;
        let (plan, recipe) = self.planned(text, query, &name.text)?;
        if plan.kind != *kind {
            let message = format!(
                "Invalid result type. Your SELECT query produces a {}. Please use CREATE {} AS SELECT statement instead.",
                plan.kind, plan.kind
            );
            return Err(lexer::error(text, name.at, &message));
        }
        let sink = self.sink(&with, name, &plan)?;
        if create.or_replace {
            check_replaced(text, &self.catalog, &sink, name.at)?;
            self.queries
                .retain(|query| !(query.is_own && query.sink.name == name.text));
        }
        let prefix = if *kind == SourceKind::Stream {
            "CSAS"
        } else {
            "CTAS"
        };
        let id = self.numbered(&format!("{prefix}_{name}"));
        self.start(id, sink.clone(), (plan, recipe), true);
        self.catalog.put(sink);
        Ok(Effect::Said(format!(
            "Created query with ID {}",
            self.last_id()
        )))
    }

    /// Adds in what a stream or table that is there is another one.
    fn with_differences(&self, error: Error, wanted: &Source) -> Error {
        let Some(known) = self.catalog.get(&wanted.name) else {
            return error;
        };
        let differences = known.differences(wanted).into_iter();
        differences.fold(error, Error::hint)
    }

    /// Adds the statement that has made what is there.
    fn with_query(&self, error: Error, name: &str) -> Error {
        let mut queries = self.queries.iter();
        match queries.find(|query| query.is_own && query.sink.name == name) {
            Some(query) => error.hint(format!(
                "it is filled by {}: {}",
                query.id,
                query.text.split_whitespace().collect::<Vec<_>>().join(" ")
            )),
            None => error,
        }
    }

    /// Plans a query that goes on.
    fn planned(&self, text: &str, query: &Query, target: &str) -> Result<(Plan, Recipe)> {
        if query.limit.is_some() {
            return Err(lexer::error(
                text,
                query.at,
                "LIMIT is not supported in a query that goes on",
            ));
        }
        let recipe = Recipe {
            text: text.to_owned(),
            query: query.clone(),
            catalog: self.catalog.clone(),
            target: target.to_owned(),
            columns: None,
            limits: Limits::of(&self.settings),
        };
        let plan = recipe.plan()?;
        let named = |what: &str| -> Result<()> {
            let kafka: Vec<&str> = plan
                .inputs
                .iter()
                .filter(|(source, _)| {
                    source.value_format.kind == Kind::Kafka && !source.schema.value.is_empty()
                })
                .map(|(source, _)| source.name.as_str())
                .collect();
            if kafka.is_empty() {
                return Ok(());
            }
            let message = format!(
                "Source(s) {} are using the 'KAFKA' value format. This format does not yet support {what}.",
                kafka.join(", ")
            );
            Err(lexer::error(text, query.at, &message))
        };
        if query.group_by.is_some() {
            named("GROUP BY")?;
        }
        if !query.joins.is_empty() {
            named("JOIN")?;
        }
        if plan.has_nested_state && plan.value_format.kind == Kind::Delimited {
            let message = "One of the functions used in the statement has an intermediate type that the value format can not handle. Please remove the function or change the format.";
            return Err(lexer::error(text, query.at, message));
        }
        Ok((plan, recipe))
    }

    fn sink(&self, with: &With, name: &Name, plan: &Plan) -> Result<Source> {
        let key_format = match with.key_format()? {
            Some(format) => format,
            None if plan.key_format.kind == Kind::None && !plan.schema.key.is_empty() => {
                with.default_key_format()?
            }
            None => Format {
                delimiter: with
                    .delimiter("KEY_DELIMITER")?
                    .unwrap_or(plan.key_format.delimiter),
                ..plan.key_format
            },
        };
        let value_format = match with.value_format()? {
            Some(format) => format,
            None => Format {
                delimiter: with
                    .delimiter("VALUE_DELIMITER")?
                    .unwrap_or(plan.value_format.delimiter),
                ..Format::plain(plan.value_format.kind)
            },
        };
        with.check_delimiters(key_format, value_format)?;
        let prefix = self
            .settings
            .get("ksql.output.topic.name.prefix")
            .unwrap_or_default();
        let value_format = with.wrapped(value_format, plan.schema.value.len())?;
        let sink = Source {
            name: name.text.clone(),
            kind: plan.kind,
            schema: plan.schema.clone(),
            headers: Vec::new(),
            topic: self.topic_named(
                with.get("KAFKA_TOPIC")
                    .unwrap_or_else(|| format!("{prefix}{name}")),
            ),
            key_format,
            value_format,
            windows: plan.windows,
            time: with.time(fold),
            is_read_only: false,
            is_derived: true,
        };
        check_formats(
            with.text,
            name.at,
            &sink.schema.key,
            &sink.schema.value,
            key_format,
            value_format,
        )?;
        check_time(with, &sink)?;
        Ok(sink)
    }

    /// Ends a query, or all of them.
    ///
    /// # Errors
    /// `usage` for an ID that no query has.
    pub fn terminate(&mut self, text: &str, id: Option<&Name>) -> Result<String> {
        if let Some(id) = id {
            self.check_query(text, id)?;
        }
        let before = self.queries.len();
        self.queries
            .retain(|query| id.is_some_and(|id| query.id != id.text));
        let ended = before - self.queries.len();
        Ok(format!("{ended} query(s) terminated"))
    }

    /// Refuses an ID that no query has.
    ///
    /// # Errors
    /// `usage` that names it.
    pub fn check_query(&self, text: &str, id: &Name) -> Result<()> {
        if self.has_query(&id.text) {
            return Ok(());
        }
        let message = format!("Unknown queryId: {id}");
        Err(lexer::error(text, id.at, &message).hint("SHOW QUERIES lists them"))
    }

    fn has_query(&self, id: &str) -> bool {
        self.queries.iter().any(|query| query.id == id)
    }

    /// Returns the ID of the next query: `CSAS_OUT_3`.
    fn numbered(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.started)
    }

    fn start(&mut self, id: String, sink: Source, made: (Plan, Recipe), is_own: bool) {
        let (plan, recipe) = made;
        self.started += 1;
        let reads = plan
            .inputs
            .iter()
            .map(|(source, _)| source.name.clone())
            .collect();
        self.queries.push(Persistent {
            id,
            sink,
            plan,
            reads,
            is_own,
            text: recipe.text.trim().to_owned(),
            recipe,
        });
    }

    fn last_id(&self) -> &str {
        self.queries.last().map_or("", |query| &query.id)
    }

    fn insert_into(
        &mut self,
        text: &str,
        name: &Name,
        properties: &Properties,
        query: &Query,
    ) -> Result<Effect> {
        let with = With {
            text,
            properties,
            settings: &self.settings,
        };
        let id = with.query_id()?;
        if let Some(id) = id.as_ref().filter(|id| self.has_query(id)) {
            return Err(with.error("QUERY_ID", &format!("Query ID '{id}' already exists.")));
        }
        let Some(sink) = self.catalog.get(&name.text).cloned() else {
            let message = format!("Source `{name}` does not exist.");
            return Err(self
                .catalog
                .hinted(lexer::error(text, name.at, &message), &name.text));
        };
        if sink.kind == SourceKind::Table {
            let message =
                format!("INSERT INTO can only be used to insert into a stream. {name} is a table.");
            return Err(lexer::error(text, name.at, &message));
        }
        if sink.is_read_only {
            return Err(lexer::error(
                text,
                name.at,
                &format!("Cannot insert into read-only stream: {name}"),
            ));
        }
        if let Some((_, role)) = sink.headers.first() {
            let column = &sink.schema.value[sink.headers[0].0].name;
            let message = format!(
                "Cannot insert into {name} because it has header columns: {column} ({role:?})"
            );
            return Err(lexer::error(text, name.at, &message));
        }
        let (plan, recipe) = self.planned(text, query, &name.text)?;
        if plan.kind == SourceKind::Table {
            let message = format!(
                "INSERT INTO can only be used to insert into a stream: the query for {name} makes a table."
            );
            return Err(lexer::error(text, name.at, &message));
        }
        if sink.windows.is_some() && plan.windows.is_none() {
            let message = format!("The keys of {name} have windows, those of the query have none.");
            return Err(lexer::error(text, name.at, &message));
        }
        if !is_compatible(&plan.schema, &sink.schema) {
            let message = format!(
                "Incompatible schema between results and sink.\nResult schema is {}, but the sink schema is {}.",
                plan.schema, sink.schema
            );
            return Err(lexer::error(text, name.at, &message));
        }
        let recipe = Recipe {
            columns: Some(sink.schema.clone()),
            ..recipe
        };
        let id = id.unwrap_or_else(|| self.numbered(&format!("INSERTQUERY_{name}")));
        self.start(id, sink, (recipe.plan()?, recipe), false);
        Ok(Effect::Said(format!(
            "Created query with ID {}",
            self.last_id()
        )))
    }

    fn insert_values(
        &mut self,
        text: &str,
        name: &Name,
        columns: &[Name],
        values: &[Expr],
    ) -> Result<Effect> {
        let Some(source) = self.catalog.get(&name.text) else {
            let message = format!("Cannot insert values into an unknown stream/table: `{name}`");
            return Err(self
                .catalog
                .hinted(lexer::error(text, name.at, &message), &name.text));
        };
        let kind = source.kind.to_string().to_lowercase();
        if source.is_read_only {
            return Err(lexer::error(
                text,
                name.at,
                &format!("Cannot insert values into read-only {kind}: {name}"),
            ));
        }
        if source.windows.is_some() {
            return Err(lexer::error(
                text,
                name.at,
                &format!("Cannot insert values into windowed {kind}: {name}"),
            ));
        }
        let written = source.written_value();
        let all: Vec<&Column> = source.schema.key.iter().chain(&written).collect();
        let is_header = |name: &str| {
            source
                .headers
                .iter()
                .any(|(at, _)| source.schema.value[*at].name == name)
        };
        if let Some(header) = columns.iter().find(|column| is_header(&column.text)) {
            return Err(lexer::error(
                text,
                header.at,
                &format!("Cannot insert into HEADER columns: {header}"),
            ));
        }
        let names: Vec<String> = match columns {
            [] => all.iter().map(|column| column.name.clone()).collect(),
            _ => columns.iter().map(|column| column.text.clone()).collect(),
        };
        if let Some(unknown) = columns
            .iter()
            .find(|name| name.text != ROWTIME && !all.iter().any(|column| column.name == name.text))
        {
            return Err(lexer::error(
                text,
                unknown.at,
                &format!("Column name {unknown} does not exist."),
            ));
        }
        let twice = |at: usize| columns[..at].iter().any(|known| *known == columns[at]);
        if let Some(at) = (0..columns.len()).find(|at| twice(*at)) {
            return Err(lexer::error(
                text,
                columns[at].at,
                &format!("Column name {} is there twice.", columns[at]),
            ));
        }
        if names.len() != values.len() {
            let message = format!(
                "Expected a value for each column. Expected Columns: [{}]. Got {} value(s).",
                names.join(", "),
                values.len()
            );
            return Err(lexer::error(
                text,
                values.first().map_or(name.at, |value| value.at),
                &message,
            ));
        }
        let given = |column: &str| {
            names
                .iter()
                .position(|name| name == column)
                .map(|at| &values[at])
        };
        let value_of = |column: &Column| match given(&column.name) {
            Some(value) => inserted(text, value, column),
            None => Ok(Value::Null),
        };
        let key: Vec<Value> = source
            .schema
            .key
            .iter()
            .map(value_of)
            .collect::<Result<_>>()?;
        let value: Vec<Value> = written.iter().map(value_of).collect::<Result<_>>()?;
        if source.kind == SourceKind::Table && key.iter().any(Value::is_null) {
            let keys: Vec<&str> = source
                .schema
                .key
                .iter()
                .map(|column| column.name.as_str())
                .collect();
            let message = format!(
                "Failed to insert values into '{name}'. Value for primary key column(s) {} is required for tables",
                keys.join(", ")
            );
            return Err(lexer::error(text, name.at, &message));
        }
        let rowtime = Column {
            name: ROWTIME.to_owned(),
            of: Type::Bigint,
        };
        let time = value_of(&rowtime)?.as_i64().unwrap_or(self.now);
        let sink = Source {
            schema: Schema {
                key: source.schema.key.clone(),
                value: written,
            },
            time: None,
            ..source.clone()
        };
        let event = Event {
            key: Key::of(key),
            row: value.into(),
            is_null: false,
            old: None,
            time,
            headers: Arc::default(),
        };
        let record =
            records::write(&sink, &event, 0).map_err(|misfit| Error::data(misfit.reason()))?;
        Ok(Effect::Inserted(record))
    }

    /// Refuses to delete the topic of a SOURCE stream or table: it is another one's.
    fn refuse_deletion(&self, text: &str, name: &Name, delete_topic: bool) -> Result<()> {
        let source = self.catalog.get(&name.text);
        if delete_topic && source.is_some_and(|source| source.is_read_only) {
            let message = format!("Cannot delete topic for read-only source: {name}");
            return Err(lexer::error(text, name.at, &message));
        }
        Ok(())
    }

    fn drop(
        &mut self,
        text: &str,
        kind: SourceKind,
        if_exists: bool,
        name: &Name,
    ) -> Result<Effect> {
        let Some(source) = self.catalog.get(&name.text) else {
            if if_exists {
                return Ok(Effect::Unchanged(format!("Source {name} does not exist.")));
            }
            let message = format!("{} {name} does not exist.", sentence(kind));
            return Err(self
                .catalog
                .hinted(lexer::error(text, name.at, &message), &name.text));
        };
        if source.kind != kind {
            let message = format!(
                "Incompatible data source type is {}, but statement was DROP {kind} {name}",
                source.kind
            );
            return Err(lexer::error(text, name.at, &message));
        }
        let ids = |is: &dyn Fn(&Persistent) -> bool| -> Vec<&str> {
            self.queries
                .iter()
                .filter(|query| is(query))
                .map(|query| query.id.as_str())
                .collect()
        };
        let readers = ids(&|query| query.reads.contains(&name.text));
        let writers = ids(&|query| query.sink.name == name.text && !query.is_own);
        if !readers.is_empty() || !writers.is_empty() {
            let message = format!(
                "Cannot drop {name}.\nThe following queries read from this source: [{}].\nThe following queries write into this source: [{}].",
                readers.join(", "),
                writers.join(", ")
            );
            return Err(lexer::error(text, name.at, &message).hint("TERMINATE ends a query"));
        }
        self.queries.retain(|query| query.sink.name != name.text);
        self.catalog.remove(&name.text);
        Ok(Effect::Said(format!("Source {name} was dropped.")))
    }

    fn alter(
        &mut self,
        text: &str,
        kind: SourceKind,
        name: &Name,
        columns: &[Element],
    ) -> Result<Effect> {
        let mut source = self.catalog.named(text, name)?.clone();
        let refuse = |at: Span, message: String| Err(lexer::error(text, at, &message));
        if source.kind != kind {
            return refuse(
                name.at,
                format!(
                    "Incompatible data source type is {}, but statement was ALTER {kind} {name}",
                    source.kind
                ),
            );
        }
        if source.is_derived {
            return refuse(
                name.at,
                format!("ALTER command is not supported for CREATE ... AS statements: {name}"),
            );
        }
        if source.is_read_only {
            return refuse(
                name.at,
                format!(
                    "Cannot alter {} '{name}': ALTER operations are not supported on source {}s.",
                    kind.to_string().to_lowercase(),
                    kind.to_string().to_lowercase()
                ),
            );
        }
        for Element {
            name: column,
            of,
            role,
        } in columns
        {
            if *role != Role::Value {
                return refuse(
                    column.at,
                    format!("ALTER adds columns of the value alone: {column}"),
                );
            }
            if source.schema.has(&column.text) || super::schema::is_reserved(&column.text) {
                return refuse(
                    column.at,
                    format!(
                        "Cannot add column `{column}` to schema. A column with the same name already exists."
                    ),
                );
            }
            source.schema.value.push(Column {
                name: column.text.clone(),
                of: of.clone(),
            });
        }
        check_formats(
            text,
            name.at,
            &source.schema.key,
            &source.written_value(),
            source.key_format,
            source.value_format,
        )?;
        self.catalog.put(source);
        Ok(Effect::Said(format!("{} {name} altered", sentence(kind))))
    }
}

/// Returns the value of a column for INSERT VALUES.
pub(super) fn inserted(text: &str, value: &Expr, column: &Column) -> Result<Value> {
    let scope = Scope::default();
    let node = expr::compile(text, &scope, "VALUES", value)?;
    let Some(of) = node.of.clone() else {
        return Ok(Value::Null);
    };
    let is_text_of =
        of == Type::String && matches!(column.of, Type::Date | Type::Time | Type::Timestamp);
    let is_decimal = of.is_number() && matches!(column.of, Type::Decimal { .. } | Type::Double);
    let fits = of.widens_to(&column.of)
        || is_text_of
        || is_decimal
        || (of.base() == column.of.base() && expr::can_cast(&of, &column.of));
    if of == Type::String && column.of == Type::Bytes {
        let found = node.value(&[]);
        let bytes = found.as_str().and_then(super::value::from_base64);
        return bytes.ok_or_else(|| {
            lexer::error(
                text,
                value.at,
                &format!("column {}: not base64", column.name),
            )
        });
    }
    if !fits {
        let message = format!(
            "Expected type {} for field `{}` but got {value} ({of})",
            column.of, column.name
        );
        return Err(lexer::error(text, value.at, &message));
    }
    let found = node.cast_to(column.of.clone()).eval(&expr::Env::of(&[]));
    found.map_err(|reason| {
        lexer::error(text, value.at, &format!("column {}: {reason}", column.name))
    })
}

/// Returns whether rows of one schema can be written as rows of another.
fn is_compatible(result: &Schema, sink: &Schema) -> bool {
    let same = |result: &[Column], sink: &[Column]| {
        result.len() == sink.len()
            && result
                .iter()
                .zip(sink)
                .all(|(result, sink)| result.name == sink.name && result.of.widens_to(&sink.of))
    };
    same(&result.key, &sink.key) && same(&result.value, &sink.value)
}

fn sentence(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "Stream",
        SourceKind::Table => "Table",
    }
}
