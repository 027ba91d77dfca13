//! Records in librdkafka's memory: the queue of a partition, and batches that borrow from it,
//! behind a safe interface.
//!
//! In: a client and one of its partitions. Out: [`Messages`]. The unsafe code
//! that reads records is in this file.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

use crate::error::{Error, Result};
use crate::record::{Beside, Header, Headers, Message, Place};

/// Rings when one of some queues that were empty has something.
#[derive(Default)]
pub(super) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    /// Waits until it rings, no longer than `timeout`; not at all if it has since the last wait.
    pub fn wait(&self, timeout: Duration) {
        let has_rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .rings
            .wait_timeout_while(has_rung, timeout, |has_rung| !*has_rung);
        let (mut has_rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *has_rung = false;
    }

    fn ring(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }
}

/// Called by a thread of librdkafka's, which holds the queue.
///
/// # Safety
/// `bell` is a [`Bell`] that lives as long as the queue has it.
unsafe extern "C" fn ring(_client: *mut rd::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: as promised by the caller.
    unsafe { (*bell.cast::<Bell>()).ring() }
}

/// A queue that the records of one partition go to, and nothing else.
pub(super) struct Queue {
    own: *mut rd::rd_kafka_queue_t,
    partition: *mut rd::rd_kafka_queue_t,
    /// Lives until no one rings it any more.
    bell: Option<Arc<Bell>>,
}

// SAFETY: librdkafka's queues may be used from any thread, and a `Queue` has one owner.
unsafe impl Send for Queue {}

impl Queue {
    /// Makes the queue of a partition; to be made before the partition is assigned.
    pub fn of_partition<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
    ) -> Result<Self> {
        let topic =
            CString::new(topic).map_err(|_| Error::usage("a topic's name holds a zero byte"))?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives; both queues are given back once, in `drop`.
        unsafe {
            let partition = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if partition.is_null() {
                return Err(Error::bug("librdkafka has no queue for a partition"));
            }
            let own = rd::rd_kafka_queue_new(client);
            rd::rd_kafka_queue_forward(partition, own);
            Ok(Queue {
                own,
                partition,
                bell: None,
            })
        }
    }

    /// Has it ring a bell.
    pub fn with_bell(mut self, bell: &Arc<Bell>) -> Self {
        let rung = Arc::as_ptr(bell).cast_mut().cast();
        // SAFETY: the queue lives, and `self` keeps the bell until the queue has released it.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.own, Some(ring), rung) };
        self.bell = Some(bell.clone());
        self
    }

    /// Returns the next records, at most `most`, waiting no longer than `timeout` for the first.
    pub fn read(&self, timeout: Duration, most: usize) -> Messages {
        let mut fetched = self.take(most);
        if fetched.is_empty() && !timeout.is_zero() {
            // The call for many would wait until there are as many.
            // SAFETY: the queue lives; a message that is returned belongs to the caller.
            let first =
                unsafe { rd::rd_kafka_consume_queue(self.own, timeout.as_millis() as c_int) };
            if !first.is_null() {
                let mut rest = self.take(most - 1);
                fetched.messages.push(first);
                fetched.messages.append(&mut rest.messages);
            }
        }
        fetched
    }

    /// Returns the next records that are there, at most `most`.
    fn take(&self, most: usize) -> Messages {
        let mut messages = vec![ptr::null_mut(); most];
        // SAFETY: the queue lives, and librdkafka writes at most `most` pointers.
        let count =
            unsafe { rd::rd_kafka_consume_batch_queue(self.own, 0, messages.as_mut_ptr(), most) };
        messages.truncate(usize::try_from(count).unwrap_or(0));
        Messages { messages }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: both came from librdkafka and are given back once. Nobody rings the bell any more when
        // the first call is back.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.own, None, ptr::null_mut());
            rd::rd_kafka_queue_forward(self.partition, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.partition);
            rd::rd_kafka_queue_destroy(self.own);
        }
    }
}

/// Records of one partition in their order, in librdkafka's memory until they are dropped.
#[derive(Debug, Default)]
pub(super) struct Messages {
    messages: Vec<*mut rd::rd_kafka_message_t>,
}

// SAFETY: the messages belong to this value alone.
unsafe impl Send for Messages {}

impl Messages {
    /// Returns how many records there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the `nth` record.
    ///
    /// # Panics
    /// Where there are not that many.
    #[inline]
    pub fn get(&self, nth: usize) -> Message<'_> {
        // SAFETY: every pointer is a message of librdkafka's that lives until `self` is dropped.
        unsafe { view(self.messages[nth], Headers::of(self, nth)) }
    }

    /// Returns the first error among the records.
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        let none = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        // SAFETY: as in `get`.
        let mut codes = self
            .messages
            .iter()
            .map(|&message| unsafe { (*message).err });
        codes.find(|&code| code != none).map(RDKafkaErrorCode::from)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for &message in &self.messages {
            // SAFETY: each message is given back once.
            unsafe { rd::rd_kafka_message_destroy(message) }
        }
    }
}

/// Belongs to one thread: librdkafka decodes headers at the first look and keeps them.
impl Beside for Messages {
    fn topic(&self, nth: usize) -> Option<&str> {
        let message = self.messages[nth];
        // SAFETY: the message lives until `self` is dropped, and so does its topic with its name.
        let name = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name((*message).rkt)) };
        name.to_str().ok()
    }

    fn appended_at(&self, nth: usize) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives until `self` is dropped.
        let at = unsafe { rd::rd_kafka_message_timestamp(self.messages[nth], &mut kind) };
        let appended = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
        (kind == appended).then_some(at)
    }

    fn next_header(&self, nth: usize, place: &mut Place) -> Option<Header<'_>> {
        let mut headers = ptr::null_mut();
        place.read += 1;
        // SAFETY: the message lives until `self` is dropped, and its headers with it; without any, null
        // stays null.
        unsafe {
            rd::rd_kafka_message_headers(self.messages[nth], &mut headers);
            header(headers, place.read - 1)
        }
    }
}

/// # Safety
/// `headers` is null or lives as long as `'a`.
unsafe fn header<'a>(headers: *const rd::rd_kafka_headers_t, nth: usize) -> Option<Header<'a>> {
    if headers.is_null() {
        return None;
    }
    let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
    // SAFETY: as promised by the caller; past the last header nothing is written.
    unsafe {
        let code = rd::rd_kafka_header_get_all(headers, nth, &mut name, &mut value, &mut length);
        let found = code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        found.then(|| Header {
            name: CStr::from_ptr(name).to_bytes(),
            value: bytes(value, length),
        })
    }
}

/// Returns librdkafka's bytes; a null pointer is a null.
///
/// # Safety
/// Pointer and length belong together, and what they name lives as long as `'a`.
unsafe fn bytes<'a>(data: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as promised by the caller.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) })
}

/// # Safety
/// `message` is a message without an error that lives as long as `'a`.
unsafe fn view<'a>(message: *const rd::rd_kafka_message_t, headers: Headers<'a>) -> Message<'a> {
    // SAFETY: as promised by the caller.
    unsafe {
        let timestamp = rd::rd_kafka_message_timestamp(message, ptr::null_mut());
        Message {
            partition: (*message).partition,
            offset: (*message).offset,
            timestamp: (timestamp >= 0).then_some(timestamp),
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers,
        }
    }
}
