//! Records by the thousand: how many there are where, on a grid that grows with them.
//!
//! A cell is a power of two wide in either direction. When a record lies outside, cells are merged in
//! pairs until the grid reaches it: memory stays the same, whatever comes, and no record is left out.

use super::{FATES, Fate};

/// How many cells the grid has in either direction.
const CELLS: usize = 512;

/// Counts of records by place and fate.
#[derive(Debug, Default)]
pub struct Density {
    across: Side,
    up: Side,
    /// One layer a fate, made when it has its first record: counts by line and cell.
    layers: [Option<Vec<u32>>; FATES.len()],
}

/// One direction of the grid.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    /// The least and the highest value; none before the first.
    range: Option<(i64, i64)>,
    /// The number of the first cell.
    first: i64,
    /// A cell is `1 << shift` wide.
    shift: u32,
}

impl Side {
    #[inline]
    fn cell(&self, value: i64) -> i64 {
        value >> self.shift
    }

    /// Returns the place of a value in the grid, if it lies in it.
    #[inline]
    fn place(&self, value: i64) -> Option<usize> {
        let place = self.cell(value).checked_sub(self.first)?;
        usize::try_from(place)
            .ok()
            .filter(|&place| place < CELLS && self.range.is_some())
    }

    /// Makes room for a value: returns where cells go that were there, as their new first place and by
    /// how many doublings they shrink.
    fn grow(&mut self, value: i64) -> (i64, u32) {
        let Some((least, most)) = self.range else {
            self.range = Some((value, value));
            self.first = self.cell(value) - CELLS as i64 / 2;
            return (0, 0);
        };
        let (least, most) = (least.min(value), most.max(value));
        let before = *self;
        while (most >> self.shift) - (least >> self.shift) >= CELLS as i64 {
            self.shift += 1;
        }
        let doublings = self.shift - before.shift;
        // Centred: there is room on both sides before the next merge.
        let used = (most >> self.shift) - (least >> self.shift) + 1;
        self.first = (least >> self.shift) - (CELLS as i64 - used) / 2;
        ((before.first >> doublings) - self.first, doublings)
    }

    #[inline]
    fn widen(&mut self, value: i64) {
        if let Some((least, most)) = &mut self.range {
            *least = (*least).min(value);
            *most = (*most).max(value);
        }
    }
}

/// A cell that holds records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// From which event time to which, and the same of processing time; the ends are excluded.
    pub across: (i64, i64),
    /// From which processing time to which.
    pub up: (i64, i64),
    /// How many.
    pub count: u64,
}

impl Density {
    /// Counts a record that stands for `of`.
    pub fn add(&mut self, fate: Fate, at: i64, up: i64, of: u32) {
        let (column, line) = match (self.across.place(at), self.up.place(up)) {
            (Some(column), Some(line)) => (column, line),
            _ => self.make_room(at, up),
        };
        self.across.widen(at);
        self.up.widen(up);
        let layer = self.layers[fate as usize].get_or_insert_with(|| vec![0; CELLS * CELLS]);
        let count = &mut layer[line * CELLS + column];
        *count = count.saturating_add(of);
    }

    #[cold]
    fn make_room(&mut self, at: i64, up: i64) -> (usize, usize) {
        let before = (self.across, self.up);
        let (across, across_by) = self.across.grow(at);
        let (upwards, up_by) = self.up.grow(up);
        for layer in self.layers.iter_mut().flatten() {
            let mut moved = vec![0_u32; CELLS * CELLS];
            for (line, counts) in layer.chunks_exact(CELLS).enumerate() {
                let new_line = shifted(line, before.1.first, up_by, upwards);
                for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    let new_column = shifted(column, before.0.first, across_by, across);
                    if let (Some(line), Some(column)) = (new_line, new_column) {
                        let sum = &mut moved[line * CELLS + column];
                        *sum = sum.saturating_add(count);
                    }
                }
            }
            *layer = moved;
        }
        let place = |side: &Side, value| side.place(value).unwrap_or(CELLS / 2);
        (place(&self.across, at), place(&self.up, up))
    }

    /// Returns the cells of a fate that hold records, merged until at most `most` lie across and up.
    pub fn cells(&self, fate: Fate, most: (usize, usize)) -> Vec<Cell> {
        let Some(layer) = &self.layers[fate as usize] else {
            return Vec::new();
        };
        let merge = |side: &Side, most: usize| {
            let (least, highest) = side.range.unwrap_or_default();
            let used = |by: u32| (highest >> (side.shift + by)) - (least >> (side.shift + by)) + 1;
            (0..9)
                .find(|&by| used(by) <= most.max(1) as i64)
                .unwrap_or(9)
        };
        let (by_across, by_up) = (merge(&self.across, most.0), merge(&self.up, most.1));
        let mut cells = std::collections::BTreeMap::new();
        for (line, counts) in layer.chunks_exact(CELLS).enumerate() {
            for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let column = (self.across.first + column as i64) >> by_across;
                let line = (self.up.first + line as i64) >> by_up;
                *cells.entry((line, column)).or_insert(0) += u64::from(count);
            }
        }
        let bounds = |side: &Side, by: u32, cell: i64| {
            let shift = side.shift + by;
            (cell << shift, (cell + 1) << shift)
        };
        let cell = |((line, column), count)| Cell {
            across: bounds(&self.across, by_across, column),
            up: bounds(&self.up, by_up, line),
            count,
        };
        cells.into_iter().map(cell).collect()
    }
}

/// Returns where a cell is after the grid has moved and shrunk.
fn shifted(place: usize, first: i64, doublings: u32, new_first: i64) -> Option<usize> {
    // The cell's own number, shrunk, less the number that the old first cell has now.
    let number = (first + place as i64) >> doublings;
    let moved = number - (first >> doublings) + new_first;
    usize::try_from(moved).ok().filter(|&place| place < CELLS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_record_lies_in_a_cell_that_holds_it(
            records in prop::collection::vec((-1_i64 << 50..1 << 50, 0_i64..1 << 40, 0..60_u32), 1..200),
        ) {
            // Narrow and wide ranges alike.
            let shift = records[0].2;
            let places: Vec<(i64, i64)> =
                records.iter().map(|(at, up, _)| (at >> shift.min(50), up >> shift.min(40))).collect();
            let mut density = Density::default();
            for &(at, up) in &places {
                density.add(Fate::Late, at, up, 1);
            }
            for most in [(512, 512), (7, 3), (1, 1)] {
                let cells = density.cells(Fate::Late, most);
                let total: u64 = cells.iter().map(|cell| cell.count).sum();
                prop_assert_eq!(total, places.len() as u64);
                for cell in &cells {
                    let inside = places.iter().filter(|(at, up)| {
                        (cell.across.0..cell.across.1).contains(at) && (cell.up.0..cell.up.1).contains(up)
                    });
                    prop_assert_eq!(inside.count() as u64, cell.count);
                }
            }
            prop_assert!(density.cells(Fate::OnTime, (9, 9)).is_empty());
        }
    }
}
