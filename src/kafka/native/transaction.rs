//! Steps of a transaction, none of which waits longer than a moment.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::client::NativeClient;
use rdkafka::error::RDKafkaErrorCode;

use super::super::aside;
use super::super::member::Member;
use super::super::port::{Proof, Step, StepError};
use super::produce::Sender;
use super::{Owned, rust_text};
use crate::error::{Error, Result};

/// How long a step of a transaction may take before it is tried again.
const MOMENT_MS: c_int = 100;

/// How long it is before a call that should take a moment is given up, as long as a transaction lasts.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A call does not come back.
fn stuck() -> StepError {
    StepError::of(RDKafkaErrorCode::OperationTimedOut, true)
}

/// Takes over what a call has returned.
///
/// # Safety
/// The error is librdkafka's own.
unsafe fn check(error: *mut rd::rd_kafka_error_t) -> Result<(), StepError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error lives until it is destroyed here.
    unsafe {
        let failed = StepError {
            code: rd::rd_kafka_error_code(error).into(),
            reason: rust_text(rd::rd_kafka_error_string(error)),
            is_fatal: rd::rd_kafka_error_is_fatal(error) != 0,
            is_abortable: rd::rd_kafka_error_txn_requires_abort(error) != 0,
            is_retriable: rd::rd_kafka_error_is_retriable(error) != 0,
        };
        rd::rd_kafka_error_destroy(error);
        Err(failed)
    }
}

/// What proves to a transaction that a member is at work.
pub(crate) struct LibrdkafkaProof(Owned<rd::rd_kafka_consumer_group_metadata_t>);

// SAFETY: plain data that librdkafka only reads.
unsafe impl Send for LibrdkafkaProof {}

impl LibrdkafkaProof {
    /// Returns the proof of a consumer; `None` for one that is not a member, or has no place in the
    /// group's generation: brokers may take that for a client that needs no group.
    ///
    /// # Errors
    /// `bug` for a client without a group.
    pub(in crate::kafka) fn of(consumer: &NativeClient) -> Result<Option<Self>> {
        // SAFETY: the client lives; the metadata is a copy.
        let metadata = unsafe { rd::rd_kafka_consumer_group_metadata(consumer.ptr()) };
        let destroy = rd::rd_kafka_consumer_group_metadata_destroy;
        let proof = LibrdkafkaProof(Owned::new(metadata, destroy)?);
        // SAFETY: the metadata lives, and the name with it.
        let (name, generation) = unsafe {
            (
                rust_text(rd::rd_kafka_consumer_group_metadata_member_id(
                    proof.0.ptr(),
                )),
                rd::rd_kafka_consumer_group_metadata_generation_id(proof.0.ptr()),
            )
        };
        Ok((!name.is_empty() && generation >= 0).then_some(proof))
    }
}

impl Sender {
    /// Takes a step of a transaction, or continues with the one before; waits no longer than a
    /// moment, after which it can be tried again.
    pub fn step(&self, step: Step<'_>) -> Result<(), StepError> {
        let client = self.client.native_ptr();
        if self.is_stuck.get() {
            return Err(stuck());
        }
        // SAFETY: the client lives; each error is looked at once.
        unsafe {
            check(match step {
                Step::Init => rd::rd_kafka_init_transactions(client, MOMENT_MS),
                Step::Begin => rd::rd_kafka_begin_transaction(client),
                Step::Offsets(offsets, member) => return self.send_offsets(offsets, member),
                Step::Commit => rd::rd_kafka_commit_transaction(client, MOMENT_MS),
                Step::Abort => rd::rd_kafka_abort_transaction(client, MOMENT_MS),
            })
        }
    }

    /// Adds a group's offsets, on a thread of its own: the call never comes back if the group's
    /// coordinator has just left the cluster (librdkafka 2.12, its issue 5511).
    fn send_offsets(&self, offsets: &TopicPartitionList, member: &Member) -> Result<(), StepError> {
        let Some(Proof::Librdkafka(proof)) = member.proof() else {
            return Err(StepError::gone());
        };
        let (client, offsets) = (self.client.clone(), offsets.clone());
        let call = move || {
            let (client, proof) = (client.native_ptr(), &proof);
            // SAFETY: client, offsets and proof live until the call is back.
            unsafe {
                check(rd::rd_kafka_send_offsets_to_transaction(
                    client,
                    offsets.ptr(),
                    proof.0.ptr(),
                    MOMENT_MS,
                ))
            }
        };
        let began = Instant::now();
        let answer = aside(call, || {
            if began.elapsed() < CALL_TIMEOUT {
                Ok(())
            } else {
                Err(Error::retry("a call does not come back"))
            }
        });
        answer.unwrap_or_else(|_| {
            self.is_stuck.set(true);
            Err(stuck())
        })
    }
}
