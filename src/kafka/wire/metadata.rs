//! `Metadata`: which brokers there are, and which of them leads each partition of topics.

use super::bytes::{Garbled, Input, Output};

/// A topic's id; zeros for none.
pub type TopicId = [u8; 16];

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub address: String,
}

/// Who leads a partition, and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The partition's number.
    pub partition: i32,
    /// The broker; `None` while there is none.
    pub broker: Option<i32>,
    /// Counts the leaders; -1 where that is not known.
    pub epoch: i32,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
}

/// What a broker knows of its cluster and some topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// All brokers.
    pub brokers: Vec<Broker>,
    /// The cluster's name for itself, if it has one.
    pub cluster: Option<String>,
    /// The broker that changes topics; `None` where there is none.
    pub controller: Option<i32>,
    /// The topics that were asked for.
    pub topics: Vec<Found>,
}

/// What a broker knows of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Why there is nothing of the topic; [`NONE`](super::code::NONE) where there is.
    pub error: i16,
    /// The topic's id, if topics have any.
    pub id: Option<TopicId>,
    /// Its partitions.
    pub leaders: Vec<Leader>,
}

/// Writes a request for some topics, or for all; it creates none.
pub fn write(output: &mut Output, version: i16, topics: Option<&[String]>) {
    match topics {
        Some(topics) => output.array(topics.len()),
        None => output.null_array(),
    }
    for topic in topics.unwrap_or_default() {
        if version >= 10 {
            output.id(TopicId::default()); // asked for by its name
        }
        output.string(topic);
        output.tags();
    }
    output.i8(0); // do not create it
    if version >= 8 {
        if version <= 10 {
            output.i8(0); // without what may be done with the cluster
        }
        output.i8(0); // nor with the topic
    }
    output.tags();
}

/// Reads an answer.
///
/// # Errors
/// [`Garbled`].
pub fn read(mut input: Input<'_>, version: i16) -> Result<Metadata, Garbled> {
    input.i32()?; // throttled for so long, which brokers do not do to readers here
    let brokers = input.list(|input| {
        let id = input.i32()?;
        let host = input.string()?.unwrap_or_default().to_owned();
        let port = input.i32()?;
        input.string()?; // rack
        input.skip_tags()?;
        let address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Ok(Broker { id, address })
    })?;
    let cluster = input.string()?.map(str::to_owned);
    let controller = Some(input.i32()?).filter(|&id| id >= 0);
    let topics = input.list(|input| read_topic(input, version))?;
    if (8..=10).contains(&version) {
        input.i32()?;
    }
    input.skip_tags()?;
    Ok(Metadata {
        brokers,
        cluster,
        controller,
        topics,
    })
}

fn read_topic(input: &mut Input<'_>, version: i16) -> Result<Found, Garbled> {
    let error = input.i16()?;
    let name = input.string()?.unwrap_or_default().to_owned();
    let id = if version >= 10 {
        Some(input.id()?).filter(|id| *id != TopicId::default())
    } else {
        None
    };
    input.bool()?; // internal
    let leaders = input.list(|input| {
        input.i16()?; // why there is no leader
        let partition = input.i32()?;
        let broker = Some(input.i32()?).filter(|&id| id >= 0);
        let epoch = input.i32()?;
        let (replicas, in_sync) = (input.list(Input::i32)?, input.list(Input::i32)?);
        input.list(Input::i32)?; // offline
        input.skip_tags()?;
        Ok(Leader {
            partition,
            broker,
            epoch,
            replicas,
            in_sync,
        })
    })?;
    if version >= 8 {
        input.i32()?;
    }
    input.skip_tags()?;
    Ok(Found {
        name,
        error,
        id,
        leaders,
    })
}
