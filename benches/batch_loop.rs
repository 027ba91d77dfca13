//! librdkafka's bare batch loop over a topic, without `k`: what `scripts/bench-topic` compares
//! `k window` with.
//!
//! In: a broker and a topic. Out: `records bytes seconds`, from the first partition that is
//! assigned to the last record. Tuned as `k` is, with all partitions in one queue.

#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// The most records that are asked for at once.
const MAX_BATCH: usize = 4_096;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(broker), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: batch_loop BROKER TOPIC".into());
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("broker.address.family", "v4")
        .set("group.id", "batch-loop")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "2")
        .set("queued.min.messages", "1000000")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
    let partitions = metadata.topics().first().ok_or("no topic")?.partitions();
    let mut ends = vec![0; partitions.len()];
    for (partition, end) in (0..).zip(&mut ends) {
        (_, *end) = consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT)?;
    }

    let began = Instant::now();
    let name = CString::new(topic.as_str())?;
    let client = consumer.client().native_ptr();
    let mut assignment = TopicPartitionList::new();
    // SAFETY: client and name live; every queue is given back once, below.
    let (queue, forwarded) = unsafe {
        let queue = rd::rd_kafka_queue_new(client);
        let forward = |partition: i32| {
            let forwarded = rd::rd_kafka_queue_get_partition(client, name.as_ptr(), partition);
            rd::rd_kafka_queue_forward(forwarded, queue);
            forwarded
        };
        let forwarded: Vec<_> = (0..).zip(&ends).map(|(nth, _)| forward(nth)).collect();
        (queue, forwarded)
    };
    for (partition, _) in (0..).zip(&ends) {
        assignment.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;

    let mut messages = vec![ptr::null_mut(); MAX_BATCH];
    let (mut records, mut bytes) = (0_u64, 0_u64);
    let mut left = ends.iter().filter(|&&end| end > 0).count();
    while left > 0 {
        // SAFETY: librdkafka writes at most `MAX_BATCH` pointers, each to a message that lives until
        // it is given back.
        unsafe {
            let count =
                rd::rd_kafka_consume_batch_queue(queue, 100, messages.as_mut_ptr(), MAX_BATCH);
            for &message in &messages[..usize::try_from(count)?] {
                if (*message).err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    return Err(format!("librdkafka: {:?}", (*message).err).into());
                }
                records += 1;
                bytes += (*message).len as u64;
                let end = ends[(*message).partition as usize];
                left -= usize::from((*message).offset + 1 == end);
                rd::rd_kafka_message_destroy(message);
            }
        }
    }
    println!("{records} {bytes} {:.6}", began.elapsed().as_secs_f64());
    // SAFETY: as above.
    unsafe {
        for queue in forwarded {
            rd::rd_kafka_queue_forward(queue, ptr::null_mut());
            rd::rd_kafka_queue_destroy(queue);
        }
        rd::rd_kafka_queue_destroy(queue);
    }
    Ok(())
}
