//! `ApiVersions`: what a broker knows.

use super::bytes::{Garbled, Input};
use super::{Api, code};

/// The version of each request that both sides know best; none of one that the broker does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions([Option<i16>; Api::ALL.len()]);

impl Versions {
    /// Returns the version to send a request in.
    pub fn of(&self, api: Api) -> Option<i16> {
        let nth = Api::ALL.iter().position(|known| *known == api)?;
        self.0[nth]
    }
}

/// What a broker knows, for one that cannot be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld;

/// Reads an answer.
///
/// # Errors
/// [`Garbled`]; within, [`TooOld`] for a broker that knows no version of a request that is spoken
/// here: one before Kafka 2.1.
pub fn read(mut input: Input<'_>) -> Result<Result<Versions, TooOld>, Garbled> {
    let error = input.i16()?;
    let known = input.list(|input| Ok((input.i16()?, input.i16()?, input.i16()?)))?;
    let best = |api: Api| {
        let (lowest, highest) = api.versions();
        let (_, from, to) = known.iter().find(|(key, ..)| *key == api.key())?;
        let version = highest.min(*to);
        (version >= lowest.max(*from)).then_some(version)
    };
    // Before Kafka 3.1 topics have an id here that cannot be fetched by, which does no harm.
    let versions = Api::ALL.map(best);
    let is_known = |api: &Api| best(*api).is_some();
    if error == code::NONE && Api::NEEDED.iter().all(is_known) {
        Ok(Ok(Versions(versions)))
    } else {
        Ok(Err(TooOld))
    }
}
