//! Records handed to librdkafka without copying their values.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::super::port::Deliveries;
use super::super::{Context, not_created};
use super::{Owned, c_text, rust_text};
use crate::error::Result;
use crate::record::Header;

/// Bytes that the values of many records lie in; librdkafka reads them where they are until the
/// last of those records is delivered.
#[derive(Debug)]
pub struct Block(Box<[u8]>);

impl Block {
    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Block {
    fn from(bytes: Vec<u8>) -> Self {
        Block(bytes.into_boxed_slice())
    }
}

/// A record to be sent.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    /// Where it goes.
    pub partition: i32,
    /// In ms since 1970, above 0; `None` becomes the time of sending.
    pub timestamp: Option<i64>,
    /// `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value's place in its block; `None` for null.
    pub value: Option<std::ops::Range<usize>>,
    /// In their order.
    pub headers: &'a [Header<'a>],
}

/// A topic that records are sent to; must be dropped before its client.
pub(in crate::kafka) struct TopicHandle(Owned<rd::rd_kafka_topic_t>);

// SAFETY: librdkafka's topics may be used from any thread.
unsafe impl Send for TopicHandle {}

/// A client that sends records whose values stay in their blocks.
///
/// The crate's own producer copies each value, and waits out every time-out that it is given.
pub(in crate::kafka) struct Sender {
    /// Before the client: the queue is given back first.
    events: Owned<rd::rd_kafka_queue_t>,
    /// Shared with a call that has not come back; it lives as long as that.
    pub(super) client: Arc<Client<Context>>,
    /// Whether there is such a call: the client is unusable.
    pub(super) is_stuck: Cell<bool>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Sender {}

impl Sender {
    /// Makes a client; it connects with the first record.
    pub fn new(config: &ClientConfig, context: Context) -> Result<Self> {
        let native = config.create_native_config().map_err(not_created)?;
        let events = rd::RD_KAFKA_EVENT_DR | rd::RD_KAFKA_EVENT_ERROR;
        // SAFETY: the configuration is valid, and the client takes it over below.
        unsafe { rd::rd_kafka_conf_set_events(native.ptr(), events) };
        let producer = rd::rd_kafka_type_t::RD_KAFKA_PRODUCER;
        let client = Client::new(config, native, producer, context).map_err(not_created)?;
        // SAFETY: the client lives.
        let events = unsafe { rd::rd_kafka_queue_get_main(client.native_ptr()) };
        Ok(Sender {
            events: Owned::new(events, rd::rd_kafka_queue_destroy)?,
            client: Arc::new(client),
            is_stuck: Cell::new(false),
        })
    }

    /// Returns a topic to send to; it need not exist.
    pub fn topic(&self, name: &str) -> Result<TopicHandle> {
        let name = c_text(name)?;
        let client = self.client.native_ptr();
        // SAFETY: the client lives; the name is copied.
        let topic = unsafe { rd::rd_kafka_topic_new(client, name.as_ptr(), std::ptr::null_mut()) };
        Ok(TopicHandle(Owned::new(topic, rd::rd_kafka_topic_destroy)?))
    }

    /// Hands a record over without copying its value. The block is kept alive by the delivery
    /// report that will come.
    ///
    /// # Errors
    /// The code of what is wrong with the record, or `QueueFull`.
    pub fn send(
        &self,
        topic: &TopicHandle,
        block: &Arc<Block>,
        record: &Record<'_>,
    ) -> Result<(), RDKafkaErrorCode> {
        use rd::rd_kafka_vtype_t as Tag;
        use rd::rd_kafka_vu_s__bindgen_ty_1 as Union;

        let memory = |bytes: Option<&[u8]>| {
            let (ptr, size) =
                bytes.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
            let ptr = ptr.cast_mut().cast();
            Union {
                mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
            }
        };
        let value = record.value.clone().map(|range| &block.bytes()[range]);
        let kept = Arc::into_raw(block.clone());
        let headers = native_headers(record.headers);
        let argument = |vtype, u| rd::rd_kafka_vu_t { vtype, u };
        let arguments = [
            argument(Tag::RD_KAFKA_VTYPE_RKT, Union { rkt: topic.0.ptr() }),
            argument(
                Tag::RD_KAFKA_VTYPE_PARTITION,
                Union {
                    i32_: record.partition,
                },
            ),
            argument(Tag::RD_KAFKA_VTYPE_KEY, memory(record.key)),
            argument(Tag::RD_KAFKA_VTYPE_VALUE, memory(value)),
            argument(
                Tag::RD_KAFKA_VTYPE_TIMESTAMP,
                Union {
                    i64_: record.timestamp.unwrap_or(0),
                },
            ),
            argument(
                Tag::RD_KAFKA_VTYPE_OPAQUE,
                Union {
                    ptr: kept.cast_mut().cast(),
                },
            ),
            argument(Tag::RD_KAFKA_VTYPE_HEADERS, Union { headers }),
        ];
        let count = arguments.len() - usize::from(headers.is_null());
        // SAFETY: the key is copied before the call returns. Without a flag to copy, the value
        // stays in the block, which `kept` keeps alive until the delivery report or, where there
        // will be none, is taken back here. Headers belong to librdkafka after a success.
        unsafe {
            let error = rd::rd_kafka_produceva(self.client.native_ptr(), arguments.as_ptr(), count);
            if error.is_null() {
                return Ok(());
            }
            drop(Arc::from_raw(kept));
            if !headers.is_null() {
                rd::rd_kafka_headers_destroy(headers);
            }
            let code = rd::rd_kafka_error_code(error);
            rd::rd_kafka_error_destroy(error);
            Err(code.into())
        }
    }

    /// Sends what waits for more to be sent with it; what cannot be sent yet waits on.
    pub fn hurry(&self) {
        /// librdkafka is in a hurry only while the call lasts; mostly its threads wake up within this.
        const LASTS_MS: c_int = 1;
        // SAFETY: the client lives. Records left to be acknowledged are not a failure.
        unsafe { rd::rd_kafka_flush(self.client.native_ptr(), LASTS_MS) };
    }

    /// Takes in the delivery reports, log lines and errors that are there, waiting at most
    /// `timeout` for the first, and releases the blocks of delivered records.
    pub fn serve(&self, timeout: Duration) -> Deliveries {
        let mut deliveries = Deliveries::default();
        let mut wait_ms = timeout.as_millis() as c_int;
        // SAFETY: the queue lives, and each event until it is given back at the end of its turn.
        unsafe {
            loop {
                let event = rd::rd_kafka_queue_poll(self.events.ptr(), wait_ms);
                let Some(made) = NonNull::new(event) else {
                    return deliveries;
                };
                let give_back = rd::rd_kafka_event_destroy;
                let event = Owned { made, give_back };
                wait_ms = 0;
                self.take_in(event.ptr(), &mut deliveries);
            }
        }
    }

    /// # Safety
    /// The event is of this client's.
    unsafe fn take_in(&self, event: *mut rd::rd_kafka_event_t, deliveries: &mut Deliveries) {
        // SAFETY: what an event holds lives as long as it does; every record that was handed over
        // carries its block, and is reported once.
        unsafe {
            match rd::rd_kafka_event_type(event) {
                rd::RD_KAFKA_EVENT_DR => {
                    let mut last = None;
                    loop {
                        let message = rd::rd_kafka_event_message_next(event);
                        let Some(message) = message.as_ref() else {
                            break;
                        };
                        drop(Arc::from_raw(message._private.cast::<Block>()));
                        if message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                            deliveries.acknowledged += 1;
                            last = Some(message);
                        } else {
                            deliveries.failed += 1;
                            deliveries.first_failure.get_or_insert_with(|| {
                                let topic = rust_text(rd::rd_kafka_topic_name(message.rkt));
                                (message.err.into(), topic, message.partition)
                            });
                        }
                    }
                    if let Some(last) = last.filter(|last| last.offset >= 0) {
                        let topic = rust_text(rd::rd_kafka_topic_name(last.rkt));
                        let reached = (topic, last.partition, last.offset);
                        deliveries.reached.push(reached);
                    }
                }
                rd::RD_KAFKA_EVENT_ERROR => {
                    let reason = rust_text(rd::rd_kafka_event_error_string(event));
                    self.client
                        .context()
                        .take_error(rd::rd_kafka_event_error(event).into(), &reason);
                }
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut message, mut level) =
                        (std::ptr::null(), std::ptr::null(), 0);
                    if rd::rd_kafka_event_log(event, &mut facility, &mut message, &mut level) == 0 {
                        self.client
                            .context()
                            .take_log(&rust_text(facility), &rust_text(message));
                    }
                }
                _ => {}
            }
        }
    }
}

impl Drop for Sender {
    /// Gives up what was not delivered, so that its blocks are released.
    fn drop(&mut self) {
        let everything = (rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT) as c_int;
        // SAFETY: the client lives.
        unsafe { rd::rd_kafka_purge(self.client.native_ptr(), everything) };
        self.serve(Duration::ZERO);
    }
}

/// Returns a copy of headers in librdkafka's form; null for none.
fn native_headers(headers: &[Header<'_>]) -> *mut rd::rd_kafka_headers_t {
    if headers.is_empty() {
        return std::ptr::null_mut();
    }
    // SAFETY: names and values are copied, with their lengths.
    unsafe {
        let native = rd::rd_kafka_headers_new(headers.len());
        for header in headers {
            let value = header.value.map_or(std::ptr::null(), <[u8]>::as_ptr);
            rd::rd_kafka_header_add(
                native,
                header.name.as_ptr().cast(),
                header.name.len() as isize,
                value.cast(),
                header.value.map_or(0, <[u8]>::len) as isize,
            );
        }
        native
    }
}
