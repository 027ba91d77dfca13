//! The librdkafka calls that the `rdkafka` crate lacks, behind a safe interface.
//!
//! In: a client of the `rdkafka` crate. Out: responses to requests for administration ([`admin`]),
//! records sent without copying their values ([`produce`]), steps of a transaction
//! ([`transaction`]). The unsafe code that calls librdkafka is in this folder and in `queue`.

#![allow(unsafe_code)]

pub(super) mod admin;
pub(super) mod produce;
pub(super) mod transaction;

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::slice;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

use super::Failure;
use crate::error::{Error, Result};

/// Something that librdkafka made and that is given back at the end.
#[derive(Debug)]
struct Owned<T> {
    made: NonNull<T>,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(made: *mut T, give_back: unsafe extern "C" fn(*mut T)) -> Result<Self> {
        let made = NonNull::new(made).ok_or_else(|| Error::bug("librdkafka returned nothing"))?;
        Ok(Owned { made, give_back })
    }

    fn ptr(&self) -> *mut T {
        self.made.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `made` came from the constructor that belongs to `give_back`, once.
        unsafe { (self.give_back)(self.made.as_ptr()) }
    }
}

/// Returns a text for C.
fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage("a name holds a zero byte"))
}

/// Returns C's text as ours; empty for null.
///
/// # Safety
/// `text` is null or ends with a zero byte.
unsafe fn rust_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Returns C's array as a slice; empty for null.
///
/// # Safety
/// `array` is null or has `count` elements that live as long as `'a`.
unsafe fn rust_slice<'a, T>(array: *const T, count: usize) -> &'a [T] {
    if array.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { slice::from_raw_parts(array, count) }
}

fn refusal(code: rd::rd_kafka_resp_err_t, reason: String) -> Result<(), Failure> {
    if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    let code = RDKafkaErrorCode::from(code);
    let reason = if reason.is_empty() {
        code.to_string()
    } else {
        reason
    };
    Err(Failure::Refused(code, reason))
}

/// Returns the high watermark that the last fetch of a partition has seen.
pub(super) fn high_watermark<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let (mut low, mut high) = (0, 0);
    let topic = CString::new(topic).ok()?;
    // SAFETY: the client lives, and both offsets are written before the call returns.
    let code = unsafe {
        rd::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &mut low,
            &mut high,
        )
    };
    let known = code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0;
    known.then_some(high)
}
