//! Where statements are carried out.

use super::Context;
use crate::error::Result;
use crate::ksql::answer::Answer;
use crate::ksql::cluster::shell::ClusterShell;
use crate::ksql::server::Client;
use crate::ksql::session::Session;
use crate::ksql::shell::{Note, Shell};

/// What carries out statements.
pub(super) enum Runner {
    /// Over the files of a folder.
    Folder(Box<Shell>),
    /// Over Kafka.
    Cluster(Box<ClusterShell>),
    /// By a ksqlDB server.
    Server(Box<Client>),
}

impl Runner {
    /// Carries out a statement; `show` gets its answers.
    pub fn run(
        &mut self,
        statement: &str,
        show: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        match self {
            Runner::Folder(shell) => show(shell.run(statement)?),
            Runner::Cluster(shell) => shell.run(statement, show),
            Runner::Server(client) => client.run(statement, show),
        }
    }

    /// Returns what the statements have declared.
    pub fn session(&mut self) -> &mut Session {
        match self {
            Runner::Folder(shell) => &mut shell.session,
            Runner::Cluster(shell) => &mut shell.session,
            Runner::Server(client) => &mut client.session,
        }
    }

    /// Returns the names of streams, tables and their columns.
    pub fn names(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        for source in self.session().catalog.sources() {
            names.push(source.name.clone());
            names.extend(source.schema.columns().map(|column| column.name.clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// Gives at most so many rows for a SELECT.
    pub fn limit_rows(&mut self, limit: Option<u64>) {
        match self {
            Runner::Folder(shell) => shell.row_limit = limit,
            Runner::Cluster(shell) => shell.row_limit = limit,
            Runner::Server(client) => client.row_limit = limit,
        }
    }

    /// Returns how many records could not be read, and the first of them.
    pub fn unread(&self) -> &(usize, Option<String>) {
        match self {
            Runner::Folder(shell) => &shell.unread,
            Runner::Cluster(shell) => &shell.unread,
            Runner::Server(client) => &client.unread,
        }
    }

    /// Returns what a person may wonder about since it was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        match self {
            Runner::Folder(shell) => std::mem::take(&mut shell.notes),
            Runner::Cluster(_) | Runner::Server(_) => Vec::new(),
        }
    }

    /// Runs the app's queries here from now on; over a folder they have ended when they are answered.
    pub fn work(&mut self) -> Result<()> {
        match self {
            Runner::Folder(_) | Runner::Server(_) => Ok(()),
            Runner::Cluster(shell) => shell.work(),
        }
    }

    /// Runs the app's queries until a signal.
    pub fn stay(&mut self) -> Result<()> {
        match self {
            Runner::Folder(_) | Runner::Server(_) => Ok(()),
            Runner::Cluster(shell) => shell.stay(),
        }
    }

    /// Runs the app's queries until they have done what their topics hold now.
    pub fn finish(&mut self) -> Result<()> {
        match self {
            Runner::Folder(_) | Runner::Server(_) => Ok(()),
            Runner::Cluster(shell) => shell.finish(),
        }
    }

    /// Says that the queries that were created run nowhere, if so.
    pub fn tell_idle(&self, context: &Context) {
        if let Runner::Cluster(shell) = self
            && shell.has_created()
        {
            context
                .report
                .hint("queries run while a `k ksql` of their app does: `k ksql -f FILE`, or `--exit` until their topics are done");
        }
    }
}
