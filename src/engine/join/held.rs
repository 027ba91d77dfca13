//! The records of one side that may still meet another, let go by event time.
//!
//! Records lie in pages, one after the other, and their bytes in one piece a page; a page belongs
//! to a span of event time. A span that has passed is dropped whole, and its pages are used again:
//! no allocation a record, and memory follows the bound, whatever single record is far ahead or
//! behind. Records of one key are a chain, newest first, that begins in [`super::keys`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::RangeInclusive;

use super::{Content, Record};

/// A held record: its page, and its place in it. Another record may have it once it is dropped.
pub(super) type Id = u32;

/// No record.
pub(super) const NONE: Id = Id::MAX;
/// How many records a page holds, as a power of two.
const PAGE_BITS: u32 = 11;
const PAGE: usize = 1 << PAGE_BITS;
/// A page with this many bytes takes no more records.
const PAGE_BYTES: usize = 1 << 20;
/// A span is this part of the bound, so that records stay at most so much longer.
const SPANS: i64 = 8;
/// The shortest span, in ms: a page is not worth less.
const MIN_SPAN: i64 = 1_000;

/// The held records of one side.
#[derive(Debug)]
pub(super) struct Held {
    span_ms: i64,
    /// Whether records leave in order of their event times.
    ordered: bool,
    pages: Vec<Page>,
    /// Pages that are not in use.
    free: Vec<u32>,
    /// The pages of each span in use, by its number: event time / span.
    spans: BTreeMap<i64, Vec<u32>>,
    /// The span and page of the last record.
    last: (i64, u32),
    /// The records of opened spans that have not left, by time and then as they came.
    due: BinaryHeap<Reverse<(i64, u64, Id)>>,
    /// Spans below this number are open: `due` has their records.
    open_to: i64,
    taken_pages: u64,
    len: usize,
    /// Nothing is to be done until the time that has passed reaches this.
    wake_at: i64,
}

#[derive(Debug, Default)]
struct Page {
    rows: Vec<Row>,
    bytes: Vec<u8>,
    /// How many pages were taken before it: says which record came first.
    nth: u64,
}

#[derive(Debug)]
struct Row {
    time: i64,
    /// The next older and newer record of its key.
    older: Id,
    newer: Id,
    start: u32,
    key_len: u32,
    len: u32,
    content: Content,
    /// Whether it has been counted, as joined or as unmatched.
    settled: bool,
}

impl Held {
    /// Returns an empty store of records that stay for `bound_ms` after their event time.
    pub fn new(bound_ms: i64, ordered: bool) -> Self {
        Held {
            span_ms: (bound_ms / SPANS).max(MIN_SPAN),
            ordered,
            pages: Vec::new(),
            free: Vec::new(),
            spans: BTreeMap::new(),
            last: (i64::MAX, 0),
            due: BinaryHeap::new(),
            open_to: i64::MIN,
            taken_pages: 0,
            len: 0,
            wake_at: i64::MAX,
        }
    }

    /// Returns how many records are held.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns what the time that has passed must reach before anything is to be done.
    #[inline]
    pub fn wake_at(&self) -> i64 {
        self.wake_at
    }

    /// Holds a record as the newest of its key, before `older`; returns its place.
    #[inline]
    pub fn insert(&mut self, record: &Record<'_>, older: Id, settled: bool) -> Id {
        let span = record.time.div_euclid(self.span_ms);
        let page = match self.last {
            (last, page) if last == span && self.pages[page as usize].has_room() => page,
            _ => self.page_of(span),
        };
        let Page { rows, bytes, nth } = &mut self.pages[page as usize];
        let id = page << PAGE_BITS | rows.len() as u32;
        let arrival = *nth << PAGE_BITS | rows.len() as u64;
        rows.push(Row {
            time: record.time,
            older,
            newer: NONE,
            start: bytes.len() as u32,
            key_len: record.key_len as u32,
            len: record.bytes.len() as u32,
            content: record.content,
            settled,
        });
        bytes.extend_from_slice(record.bytes);
        self.len += 1;
        if older != NONE {
            self.row_mut(older).newer = id;
        }
        if span < self.open_to && !settled {
            self.due.push(Reverse((record.time, arrival, id)));
            self.wake_at = self.wake_at.min(record.time + 1);
        }
        id
    }

    /// Returns a page of the span that has room.
    #[cold]
    fn page_of(&mut self, span: i64) -> u32 {
        let (pages, free, taken) = (&mut self.pages, &mut self.free, &mut self.taken_pages);
        let of_span = self.spans.entry(span).or_default();
        let page = match of_span.last() {
            Some(&page) if pages[page as usize].has_room() => page,
            full => {
                let page = free.pop().unwrap_or_else(|| {
                    // The next page of a span will be as full as its last one.
                    let full = full.map(|&page| &pages[page as usize]);
                    let (rows, bytes) = full.map_or((0, 0), |page| (PAGE, page.bytes.len()));
                    pages.push(Page {
                        rows: Vec::with_capacity(rows),
                        bytes: Vec::with_capacity(bytes),
                        nth: 0,
                    });
                    pages.len() as u32 - 1
                });
                pages[page as usize].nth = *taken;
                *taken += 1;
                of_span.push(page);
                page
            }
        };
        self.last = (span, page);
        self.wake_at = self.next_wake();
        page
    }

    /// Adds the records of a chain with times in `times`: in order of these, equals as they came.
    #[inline]
    pub fn find(&self, newest: Id, times: RangeInclusive<i64>, found: &mut Vec<Id>) {
        let (mut next, mut least, mut sorted) = (newest, i64::MAX, true);
        while next != NONE {
            let row = self.row(next);
            if times.contains(&row.time) {
                sorted &= row.time <= least;
                least = row.time;
                found.push(next);
            }
            next = row.older;
        }
        found.reverse();
        if !sorted {
            found.sort_by_key(|&id| self.row(id).time); // stable
        }
    }

    /// Returns a held record.
    #[inline]
    pub fn record(&self, id: Id) -> Record<'_> {
        let row = self.row(id);
        let bytes = &self.pages[(id >> PAGE_BITS) as usize].bytes;
        let start = row.start as usize;
        Record {
            time: row.time,
            bytes: &bytes[start..start + row.len as usize],
            key_len: row.key_len as usize,
            content: row.content,
        }
    }

    /// Returns the page and the place in its bytes of a record, for [`Held::touch`].
    #[inline]
    pub fn look_up(&self, id: Id) -> (u32, u32) {
        (id >> PAGE_BITS, self.row(id).start)
    }

    /// Reads a byte of each cache line that a short record lies in.
    #[inline]
    pub fn touch(&self, (page, start): (u32, u32)) -> u8 {
        const LINE: usize = 64;
        let bytes = &self.pages[page as usize].bytes[start as usize..];
        let lines = bytes.iter().step_by(LINE).take(2);
        lines.fold(0, |all, byte| all ^ byte)
    }

    /// Notes that a record has been counted; returns whether that is new.
    #[inline]
    pub fn settle(&mut self, id: Id) -> bool {
        !std::mem::replace(&mut self.row_mut(id).settled, true)
    }

    /// Returns the earliest record with a time below `passed` that has not been settled, and its
    /// time; of equals the one that came first.
    pub fn first_due(&mut self, passed: i64) -> Option<(i64, Id)> {
        self.open(passed);
        while let Some(&Reverse((time, _, id))) = self.due.peek() {
            if time >= passed {
                break;
            }
            if !self.row(id).settled {
                return Some((time, id));
            }
            self.due.pop();
        }
        None
    }

    /// Opens the spans that begin below `passed`, so that their records are found by time.
    fn open(&mut self, passed: i64) {
        let open_to = passed.saturating_sub(1).div_euclid(self.span_ms) + 1;
        if !self.ordered || open_to <= self.open_to {
            return;
        }
        let (pages, due) = (&self.pages, &mut self.due);
        for of_span in self.spans.range(self.open_to..open_to).map(|(_, of)| of) {
            for &page in of_span {
                let Page { rows, nth, .. } = &pages[page as usize];
                let rows = (0_u32..).zip(rows).filter(|(_, row)| !row.settled);
                due.extend(rows.map(|(at, row)| {
                    let arrival = nth << PAGE_BITS | u64::from(at);
                    Reverse((row.time, arrival, page << PAGE_BITS | at))
                }));
            }
        }
        self.open_to = open_to;
    }

    /// Drops the spans that end at or below `passed`; returns how many of their records were not
    /// settled. Those that leave in order have been taken before. `on_newest` gets the key and
    /// the place of each record that was the newest of its key, and of the next older one.
    pub fn drop_passed(&mut self, passed: i64, mut on_newest: impl FnMut(&[u8], Id, Id)) -> u64 {
        let mut unsettled = 0;
        while let Some(span) = self.spans.first_entry() {
            if self.span_ms.saturating_mul(span.key() + 1) > passed {
                break;
            }
            for page in span.remove() {
                unsettled += self.drop_page(page, &mut on_newest);
            }
            self.last = (i64::MAX, 0);
        }
        self.wake_at = self.next_wake();
        unsettled
    }

    /// Drops all records; returns how many of them were not settled.
    pub fn clear(&mut self) -> u64 {
        let pages = std::mem::take(&mut self.pages);
        let rows = pages.iter().flat_map(|page| &page.rows);
        let unsettled = rows.filter(|row| !row.settled).count();
        self.free.clear();
        self.spans.clear();
        self.due.clear();
        self.last = (i64::MAX, 0);
        self.len = 0;
        self.wake_at = i64::MAX;
        unsettled as u64
    }

    fn drop_page(&mut self, page: u32, on_newest: &mut impl FnMut(&[u8], Id, Id)) -> u64 {
        let mut unsettled = 0;
        for at in 0..self.pages[page as usize].rows.len() as u32 {
            let id = page << PAGE_BITS | at;
            let &Row {
                older,
                newer,
                settled,
                ..
            } = self.row(id);
            unsettled += u64::from(!settled);
            if older != NONE {
                self.row_mut(older).newer = newer;
            }
            match newer {
                NONE => on_newest(self.record(id).key(), id, older),
                newer => self.row_mut(newer).older = older,
            }
        }
        let Page { rows, bytes, .. } = &mut self.pages[page as usize];
        self.len -= rows.len();
        rows.clear();
        bytes.clear();
        bytes.shrink_to(PAGE_BYTES);
        self.free.push(page);
        unsettled
    }

    /// Returns what the time that has passed must reach before a span is to be opened or dropped,
    /// or a record is due.
    fn next_wake(&self) -> i64 {
        let end = |span: i64| self.span_ms.saturating_mul(span + 1);
        let first = self.spans.first_key_value().map(|(&span, _)| end(span));
        let ordered = || {
            let unopened = self.spans.range(self.open_to..).next();
            let unopened = unopened.map(|(&span, _)| self.span_ms * span + 1);
            let due = self.due.peek().map(|Reverse((time, ..))| time + 1);
            [unopened, due].into_iter().flatten().min()
        };
        let ordered = self.ordered.then(ordered).flatten();
        [first, ordered]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(i64::MAX)
    }

    #[inline]
    fn row(&self, id: Id) -> &Row {
        &self.pages[(id >> PAGE_BITS) as usize].rows[id as usize & (PAGE - 1)]
    }

    #[inline]
    fn row_mut(&mut self, id: Id) -> &mut Row {
        &mut self.pages[(id >> PAGE_BITS) as usize].rows[id as usize & (PAGE - 1)]
    }
}

impl Page {
    #[inline]
    fn has_room(&self) -> bool {
        self.rows.len() < PAGE && self.bytes.len() < PAGE_BYTES
    }
}
