//! Finds the separators of delimited text, sixteen bytes at a time.
//!
//! Comes in: bytes without a quote. Goes out: where each comma and newline stands.
//! Portable: `wide` compiles to SSE2 on x86-64 and to NEON on ARM, which every such
//! machine has, so nothing needs to be asked at run time.

use wide::u8x16;

/// The places of separators in some bytes.
#[derive(Debug, Default)]
pub(super) struct Separators {
    /// Every delimiter and every newline, ascending.
    pub all: Vec<u32>,
    /// The newlines alone, ascending.
    pub newlines: Vec<u32>,
}

const LANES: usize = 16;
const BLOCK: usize = 4 * LANES;

impl Separators {
    /// Finds the separators of `bytes`, which are shorter than 4 GiB, and forgets earlier ones.
    /// The delimiter is not the zero byte.
    pub fn find(&mut self, bytes: &[u8], delimiter: u8) {
        self.all.clear();
        self.newlines.clear();
        let mut blocks = bytes.chunks_exact(BLOCK);
        let mut base = 0;
        for block in &mut blocks {
            self.add_block(block, base, delimiter);
            base += BLOCK as u32;
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            let mut block = [0; BLOCK]; // zeros are no separators
            block[..rest.len()].copy_from_slice(rest);
            self.add_block(&block, base, delimiter);
        }
    }

    #[inline]
    fn add_block(&mut self, block: &[u8], base: u32, delimiter: u8) {
        let (mut delimiters, mut newlines) = (0_u64, 0_u64);
        for (lane, bytes) in block.chunks_exact(LANES).enumerate() {
            let mut array = [0; LANES];
            array.copy_from_slice(bytes);
            let bytes = u8x16::new(array);
            let at = lane * LANES;
            delimiters |= u64::from(bytes.simd_eq(u8x16::splat(delimiter)).to_bitmask()) << at;
            newlines |= u64::from(bytes.simd_eq(u8x16::splat(b'\n')).to_bitmask()) << at;
        }
        push_bits(&mut self.all, delimiters | newlines, base);
        push_bits(&mut self.newlines, newlines, base);
    }
}

/// Adds `base` + the place of each set bit.
#[inline]
fn push_bits(places: &mut Vec<u32>, mut bits: u64, base: u32) {
    places.reserve(BLOCK);
    while bits != 0 {
        places.push(base + bits.trailing_zeros());
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_remainders_agree_with_a_plain_search() {
        for length in 0..300 {
            let bytes: Vec<u8> = (0..length)
                .map(|at: usize| b"ab,\ncd,e"[(at * 7 + at / 5) % 8])
                .collect();
            let mut found = Separators::default();
            found.find(&bytes, b',');
            let places = |wanted: &[u8]| -> Vec<u32> {
                (0..bytes.len() as u32)
                    .filter(|&at| wanted.contains(&bytes[at as usize]))
                    .collect()
            };
            assert_eq!(found.all, places(b",\n"), "{length} bytes");
            assert_eq!(found.newlines, places(b"\n"), "{length} bytes");
        }
    }
}
