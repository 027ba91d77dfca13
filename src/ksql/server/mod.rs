//! A ksqlDB server's REST interface, for `k ksql --server URL`.
//!
//! ```text
//! statement ─► POST /ksql  ─► an object a statement, told apart by "@type" ─► answers
//! SELECT, PRINT ─► POST /query ─► an element a line, as rows come ─► rows
//! ```
//! SET, UNSET, DEFINE and UNDEFINE are the client's: every request carries the properties and the
//! variables. [`replies`] reads what comes back.

mod replies;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::document::Document;
use super::lexer;
use super::parser;
use super::session::Session;
use super::syntax::Statement;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use replies::{Element, Stream};

/// What `k` asks for: JSON with a last element that says how a query ended.
const ACCEPT: &str = "application/vnd.ksql.v1+json";
/// How long a server may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement may take until the server has carried it out.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a statement's status is asked for, and a signal looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Lines that wait to be shown.
const MAX_WAITING: usize = 1_024;
/// `user:password`, for HTTP Basic.
const AUTH_VARIABLE: &str = "K_KSQL_AUTH";

/// A connection to a server.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    interrupt: Interrupt,
    /// SET and DEFINE.
    pub session: Session,
    /// How many rows a SELECT gives at most.
    pub row_limit: Option<u64>,
    /// Nothing: the server reads the records.
    pub unread: (usize, Option<String>),
    /// The command that the next statement has to wait for.
    sequence: i64,
}

impl Client {
    /// Connects to a server and asks who it is.
    ///
    /// # Errors
    /// `retry` where there is none; `usage` for what is no address.
    pub fn open(url: &str, interrupt: &Interrupt) -> Result<Self> {
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        let url = match is_http {
            true => url.trim_end_matches('/').to_owned(),
            false => format!("http://{}", url.trim_end_matches('/')),
        };
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("k/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let client = Client {
            agent,
            url,
            interrupt: interrupt.clone(),
            session: Session::default(),
            row_limit: None,
            unread: (0, None),
            sequence: -1,
        };
        let info = client.get("/info")?;
        let info = info.get("KsqlServerInfo").ok_or_else(|| {
            Error::refused(format!(
                "`{}` is not a ksqlDB server: /info says nothing of one",
                client.url
            ))
        })?;
        match info.get("serverStatus").and_then(Document::as_text) {
            None | Some("RUNNING") => Ok(client),
            Some(status) => Err(Error::retry(format!("the server is {status}"))),
        }
    }

    /// Carries out a statement; `show` gets what the server says to it.
    ///
    /// # Errors
    /// Of what the server refuses, and of a connection that breaks.
    pub fn run(
        &mut self,
        statement: &str,
        show: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let text = self.session.with_variables(statement);
        match first_word(&text).as_str() {
            "SET" | "UNSET" | "DEFINE" | "UNDEFINE" => {
                self.session.execute(statement)?;
                Ok(())
            }
            "RUN" => {
                let Statement::RunScript(file) =
                    parser::statement(&text, &self.session.catalog.types)?
                else {
                    return Err(Error::usage("write RUN SCRIPT 'file';"));
                };
                let script = std::fs::read_to_string(&file)
                    .map_err(|source| Error::io(format!("read `{file}`"), source))?;
                for (start, statement) in lexer::statements(&script)? {
                    self.run(&lexer::in_place(&script, start, statement), show)?;
                }
                Ok(())
            }
            "SELECT" | "PRINT" => self.query(text.trim(), show),
            _ => self.statement(text.trim(), show),
        }
    }

    /// Returns what every request says beside the statement.
    fn request(&self, statement: &str) -> Vec<(String, Document)> {
        let object = |pairs: &mut dyn Iterator<Item = (String, String)>| {
            Document::Object(
                pairs
                    .map(|(name, value)| (name, Document::Text(value)))
                    .collect(),
            )
        };
        let mut settings = self
            .session
            .settings
            .all()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables: &BTreeMap<String, String> = &self.session.variables;
        let mut variables = variables
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        vec![
            ("ksql".to_owned(), Document::Text(format!("{statement};"))),
            ("streamsProperties".to_owned(), object(&mut settings)),
            ("sessionVariables".to_owned(), object(&mut variables)),
        ]
    }

    fn statement(
        &mut self,
        statement: &str,
        show: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let mut request = self.request(statement);
        if self.sequence >= 0 {
            let sequence = Document::Number(self.sequence.to_string());
            request.push(("commandSequenceNumber".to_owned(), sequence));
        }
        let response = self.post("/ksql", &Document::Object(request))?;
        let reply = self.document("/ksql", response)?;
        let Document::Array(entities) = reply else {
            return Err(Error::refused(format!("/ksql answered {}", reply.shown())));
        };
        for entity in &entities {
            for warning in replies::warnings(entity) {
                show(Answer::Said(format!("warning: {warning}")))?;
            }
            if let Some((id, sequence)) = replies::command(entity) {
                self.sequence = self.sequence.max(sequence);
                show(Answer::Said(self.outcome(entity, &id)?))?;
            } else if let Some(answer) = replies::answer(entity) {
                show(answer)?;
            }
        }
        Ok(())
    }

    /// Waits until a command has been carried out; returns its last message.
    fn outcome(&self, entity: &Document, id: &str) -> Result<String> {
        let due = crate::clock::now() + STATEMENT_TIMEOUT;
        let mut status = entity
            .get("commandStatus")
            .cloned()
            .unwrap_or(Document::Null);
        loop {
            let text = |name: &str| {
                status
                    .get(name)
                    .and_then(Document::as_text)
                    .unwrap_or_default()
            };
            match text("status") {
                "ERROR" => return Err(Error::usage(text("message"))),
                "SUCCESS" | "TERMINATED" => return Ok(text("message").to_owned()),
                _ => {}
            }
            self.interrupt.check()?;
            let now: Instant = crate::clock::now();
            if now >= due {
                let message = format!("the server has not carried out {id}: {}", text("status"));
                return Err(Error::retry(message));
            }
            self.interrupt.sleep_until(now + POLL_INTERVAL);
            status = self.get(&format!("/status/{id}"))?;
        }
    }

    /// Runs a SELECT or PRINT and shows its rows as they come, until there are enough or a signal.
    fn query(&self, statement: &str, show: &mut dyn FnMut(Answer) -> Result<()>) -> Result<()> {
        let response = self.post("/query", &Document::Object(self.request(statement)))?;
        if response.status().as_u16() != 200 {
            self.document("/query", response)?;
            return Ok(());
        }
        let lines = lines_of(response);
        let mut stream = Stream::default();
        let mut left = self.row_limit.unwrap_or(u64::MAX);
        loop {
            if self.interrupt.is_set() || left == 0 {
                // The server notices a reader that is gone, in time; this tells it at once.
                if let Some(id) = stream.query_id() {
                    let id = Document::Object(vec![("queryId".to_owned(), Document::Text(id))]);
                    let _ = self.post("/close-query", &id);
                }
                return Ok(());
            }
            let line = match lines.recv_timeout(POLL_INTERVAL) {
                Ok(line) => line.map_err(|source| Error::io("read the server's rows", source))?,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return stream.end(),
            };
            match stream.take(&line)? {
                Element::Nothing => {}
                Element::Row(answer) => {
                    left -= 1;
                    show(answer)?;
                }
                Element::Said(answer) => show(answer)?,
            }
        }
    }

    fn get(&self, path: &str) -> Result<Document> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = match authorization()? {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        let response = request
            .header("Accept", ACCEPT)
            .call()
            .map_err(|error| self.unreachable(&error))?;
        self.document(path, response)
    }

    fn post(&self, path: &str, body: &Document) -> Result<ureq::http::Response<ureq::Body>> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = match authorization()? {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        request
            .header("Accept", ACCEPT)
            .header("Content-Type", "application/json")
            .send(body.to_string())
            .map_err(|error| self.unreachable(&error))
    }

    /// Reads a whole answer.
    fn document(
        &self,
        path: &str,
        mut response: ureq::http::Response<ureq::Body>,
    ) -> Result<Document> {
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| self.unreachable(&error))?;
        let document = Document::parse(&text);
        if status >= 400 {
            return Err(replies::error(status, document.as_ref().ok(), &text));
        }
        document.map_err(|reason| {
            Error::refused(format!(
                "{path} of `{}` did not answer in JSON: {reason}",
                self.url
            ))
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        Error::retry(format!(
            "the ksqlDB server at `{}` does not answer: {error}",
            self.url
        ))
        .hint(
            "without a server: `k ksql` runs statements over Kafka, `k ksql --data DIR` over files",
        )
    }
}

fn first_word(text: &str) -> String {
    let tokens = lexer::tokens(text).unwrap_or_default();
    match tokens.first().map(|token| &token.kind) {
        Some(lexer::Kind::Word(word)) => word.clone(),
        _ => String::new(),
    }
}

/// Returns the header of HTTP Basic, if a person and a password are given.
fn authorization() -> Result<Option<String>> {
    match std::env::var(AUTH_VARIABLE) {
        Ok(text) if text.contains(':') => Ok(Some(format!(
            "Basic {}",
            super::value::base64(text.as_bytes())
        ))),
        Ok(_) => Err(Error::usage(format!(
            "{AUTH_VARIABLE} is not `user:password`"
        ))),
        Err(_) => Ok(None),
    }
}

/// Reads the lines of an answer in a thread of its own, so that a signal is not kept waiting.
fn lines_of(response: ureq::http::Response<ureq::Body>) -> Receiver<std::io::Result<String>> {
    let (sender, receiver) = sync_channel(MAX_WAITING);
    std::thread::spawn(move || {
        let reader = BufReader::new(response.into_body().into_reader());
        for line in reader.lines() {
            let is_last = line.is_err();
            if sender.send(line).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests;
