//! What framing and decoding need to know of lines, found in one pass.

use multiversion::multiversion;

/// What some bytes contain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// How many newlines.
    pub(crate) newlines: usize,
    /// Whether there is a quote.
    pub quoted: bool,
}

impl Survey {
    /// Looks at some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        survey(bytes)
    }
}

/// How many bytes are looked at together.
const BLOCK: usize = 64;

#[multiversion(targets("x86_64+avx2"))]
fn survey(bytes: &[u8]) -> Survey {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut newlines = rest.iter().filter(|&&byte| byte == b'\n').count();
    let mut quotes = [rest.contains(&b'"'); BLOCK];
    // Each place of a block counts in a byte of its own, which the compiler makes one of a vector.
    for blocks in blocks.chunks(u8::MAX.into()) {
        let mut counts = [0_u8; BLOCK];
        for block in blocks {
            for place in 0..BLOCK {
                counts[place] += u8::from(block[place] == b'\n');
                quotes[place] |= block[place] == b'"';
            }
        }
        newlines += counts.iter().copied().map(usize::from).sum::<usize>();
    }
    Survey {
        newlines,
        quoted: quotes.contains(&true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_are_counted_and_a_quote_is_found_at_every_place() {
        let line = b"0,1767225600000,a\n".repeat(2_000);
        for length in (0..300).chain([line.len() - 1, line.len()]) {
            let bytes = &line[..length];
            let newlines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            let quoted = false;
            assert_eq!(Survey::of(bytes), Survey { newlines, quoted });
        }
        for at in 0..200 {
            let mut bytes = line.clone();
            bytes[at] = b'"';
            assert!(Survey::of(&bytes).quoted, "at {at}");
            assert!(Survey::of(&bytes[..at + 1]).quoted, "at {at}, the last");
        }
    }
}
