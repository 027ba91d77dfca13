//! Numbers of two and three digits as text, for rows that are put together from them.

/// `00` to `99`.
pub(super) const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// `000Z` to `999Z`: four bytes are copied at once, and time strings end that way.
pub(super) static TRIPLES: [[u8; 4]; 1000] = {
    let mut triples = [[b'Z'; 4]; 1000];
    let mut value = 0;
    while value < 1000 {
        triples[value][0] = b'0' + (value / 100) as u8;
        triples[value][1] = b'0' + (value / 10 % 10) as u8;
        triples[value][2] = b'0' + (value % 10) as u8;
        value += 1;
    }
    triples
};
