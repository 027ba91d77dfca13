//! Finds the separators of delimited text, 64 bytes at a time.
//!
//! In: bytes. Out: where each delimiter and newline stands. Portable: `wide` compiles to SSE2 on
//! x86-64 and to NEON on ARM, which every such machine has; where the processor has AVX2,
//! `multiversion` calls a copy compiled for it.

use multiversion::multiversion;
use wide::u8x16;

/// The places of separators in some bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Separators {
    /// [`BEFORE_FIRST`] and room for every place; behind `count` it means nothing.
    edges: Vec<u32>,
    count: usize,
}

/// Where a separator before the first byte would stand: one more is 0.
pub(super) const BEFORE_FIRST: u32 = u32::MAX;

const LANES: usize = 16;
const BLOCK: usize = 64;

impl Separators {
    /// Finds the separators of `bytes`, which are shorter than 4 GiB, and forgets earlier ones.
    /// The delimiter is not the zero byte.
    pub fn find(&mut self, bytes: &[u8], delimiter: u8) {
        let most = 1 + bytes.len() + 2 * BLOCK;
        if self.edges.len() < most {
            self.edges = vec![0; most];
            self.edges[0] = BEFORE_FIRST;
        }
        *self = find(bytes, delimiter, std::mem::take(&mut self.edges));
    }

    /// Returns [`BEFORE_FIRST`] and every delimiter and every newline, ascending.
    pub fn edges(&self) -> &[u32] {
        &self.edges[..=self.count]
    }

    /// Returns every delimiter and every newline, ascending.
    pub fn places(&self) -> &[u32] {
        &self.edges()[1..]
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+popcnt"))]
fn find(bytes: &[u8], delimiter: u8, edges: Vec<u32>) -> Separators {
    let mut found = Separators {
        edges,
        ..Separators::default()
    };
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut base = 0;
    for block in blocks {
        found.add_block(block, base, delimiter);
        base += BLOCK as u32;
    }
    if !rest.is_empty() {
        let mut block = [0; BLOCK]; // zeros are no separators
        block[..rest.len()].copy_from_slice(rest);
        found.add_block(&block, base, delimiter);
    }
    found
}

impl Separators {
    #[inline(always)] // to be compiled for the processor of its caller
    fn add_block(&mut self, block: &[u8; BLOCK], base: u32, delimiter: u8) {
        let mut ends = 0_u64;
        let (lanes, _) = block.as_chunks::<LANES>();
        for (lane, &bytes) in lanes.iter().enumerate() {
            let bytes = u8x16::new(bytes);
            let newline = bytes.simd_eq(u8x16::splat(b'\n'));
            let end = newline | bytes.simd_eq(u8x16::splat(delimiter));
            ends |= u64::from(end.to_bitmask()) << (lane * LANES);
        }
        let room = self.edges[1 + self.count..].first_chunk_mut();
        if let Some(room) = room {
            write_bits(room, ends, base);
            self.count += ends.count_ones() as usize;
        }
    }
}

/// Writes `base` + the place of each set bit; what is behind them means nothing.
#[inline(always)]
fn write_bits(room: &mut [u32; BLOCK], mut bits: u64, base: u32) {
    /// As many as 64 bytes of CSV seldom have more of, so that there is one branch and it is
    /// foreseen.
    const MAX_FORESEEN: usize = 6;
    let next = |bits: u64| base + bits.trailing_zeros();
    let (first, more) = room.split_at_mut(MAX_FORESEEN);
    for place in first {
        *place = next(bits);
        bits &= bits.wrapping_sub(1);
    }
    for place in more {
        if bits == 0 {
            break;
        }
        *place = next(bits);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_remainders_agree_with_a_plain_search() {
        let mut found = Separators::default();
        for pattern in [&b"ab,\ncd,e"[..], b",,,,,\n,,", b"abcdefgh\"", b"\n"] {
            for length in (0..300).rev() {
                let bytes: Vec<u8> = (0..length)
                    .map(|at: usize| pattern[(at * 7 + at / 5) % pattern.len()])
                    .collect();
                found.find(&bytes, b',');
                let places =
                    (0..bytes.len() as u32).filter(|&at| b",\n".contains(&bytes[at as usize]));
                assert_eq!(found.places(), places.collect::<Vec<_>>(), "{length} bytes");
            }
        }
    }
}
