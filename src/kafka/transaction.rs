//! Records and a group's offsets in one commit, or none of them.
//!
//! In: a producer that sends in transactions, and a member of a group. Out: records that readers of
//! committed records see together with the group's progress (KIP-98, KIP-447). An error that ends a
//! transaction early is typed by its remedy: `fenced` means that the work since the last commit has
//! to be dropped and done again.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::error::RDKafkaErrorCode;

use super::member::Member;
use super::port::{Step, StepError};
use super::producer::Producer;
use super::{Failure, words_of};
use crate::clock;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};

/// How long each step of a last commit may take once the user has stopped the run, and how long
/// room is waited for before it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

impl Producer {
    /// Gets ready for transactions, and ends what an earlier client of the same name left open.
    ///
    /// # Errors
    /// `stopped` on a signal, `refused` where transactions are not allowed.
    pub fn init_transactions(&mut self) -> Result<()> {
        self.step(Step::Init, "begin with transactions")
    }

    /// Begins a transaction; records that are sent from now on belong to it.
    ///
    /// # Errors
    /// `fenced` when the client is unusable.
    pub fn begin_transaction(&mut self) -> Result<()> {
        self.begun_at = self.acknowledged();
        self.step(Step::Begin, "begin a transaction")
    }

    /// Commits what was sent since the transaction began, and the group's offsets with it.
    ///
    /// # Errors
    /// `fenced` where another took over or the transaction has to be begun again: nothing was
    /// committed. `stopped` where no broker answers after a signal.
    pub fn commit_transaction(
        &mut self,
        member: &Member,
        offsets: &TopicPartitionList,
    ) -> Result<()> {
        // The offsets are on their way while the last records are. But a coordinator that may not know of
        // the transaction yet would refuse them until it has ended the one before, and librdkafka asks
        // again only after 100 ms.
        if self.acknowledged() > self.begun_at {
            self.sender.hurry()
        } else {
            self.deliver()?
        }
        let sent = self.step(Step::Offsets(offsets, member), "commit the group's offsets");
        if !is_planted(Fault::FenceIgnored) {
            sent.map_err(|error| self.cause_of(error))?;
        }
        self.deliver()?;
        self.step(Step::Commit, "commit a transaction")
    }

    /// Gives up what was sent since the transaction began; the client may have to be replaced.
    ///
    /// # Errors
    /// `stopped` on a signal.
    pub fn abort_transaction(&mut self) -> Result<()> {
        let aborted = self.step(Step::Abort, "abort a transaction");
        self.forget();
        match aborted {
            Err(error) if error.remedy() == crate::error::Remedy::Rejoin => {
                self.renew()?;
                self.init_transactions()
            }
            aborted => aborted,
        }
    }

    /// Waits until every record is acknowledged, for some seconds after a signal, too.
    ///
    /// # Errors
    /// As [`Producer::serve`].
    pub fn deliver(&mut self) -> Result<()> {
        const POLL_TIMEOUT: Duration = Duration::from_millis(20);
        let mut deadline = None;
        self.sender.hurry();
        while self.in_flight() > 0 {
            self.serve(POLL_TIMEOUT)?;
            self.check_deadline(&mut deadline)?;
        }
        self.serve(Duration::ZERO)
    }

    /// Takes a step, for as long as it takes; after a signal for some seconds.
    fn step(&mut self, step: Step<'_>, what: &str) -> Result<()> {
        let mut deadline = None;
        loop {
            match self.sender.step(step) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_retriable && !error.is_fatal => {
                    self.check_deadline(&mut deadline)?;
                    self.watch_outage()?;
                    // Some steps fail at once where a broker is away.
                    if error.code != RDKafkaErrorCode::OperationTimedOut {
                        clock::sleep(Duration::from_millis(50));
                    }
                }
                Err(error) => return Err(error_of(error, what)),
            }
        }
    }

    /// Returns `stopped` some seconds after a signal was seen.
    pub(super) fn check_deadline(&self, deadline: &mut Option<Instant>) -> Result<()> {
        if let Err(stopped) = self.settings.interrupt.check()
            && clock::now() > *deadline.get_or_insert_with(|| clock::now() + STOP_TIMEOUT)
        {
            return Err(stopped);
        }
        Ok(())
    }
}

fn error_of(error: StepError, what: &str) -> Error {
    let StepError { code, reason, .. } = error;
    match code {
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::UnsupportedVersion => Failure::Refused(code, reason).into_error(what),
        _ if error.is_fatal || error.is_abortable => {
            Error::fenced(format!("cannot {what}: {}", words_of(code)))
        }
        _ => Failure::Refused(code, reason).into_error(what),
    }
}
