//! When in processing time rows leave.

/// What makes a window's rows leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Trigger {
    /// One row a window and key, when the watermark is at or past its end and grace
    /// (ksql's EMIT FINAL, Kafka Streams' `EmitStrategy.onWindowClose`).
    #[default]
    Final,
    /// A row for every update of a window and key (ksql's EMIT CHANGES).
    Changes,
}
