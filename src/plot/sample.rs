//! Keeps a bounded sample of a series: the first, the last, and every nth between.
//! Of a line that is drawn, thousands of steps are as good as millions.

/// Things in a row, at most `MOST` and two more.
#[derive(Debug, Clone, PartialEq)]
pub struct Thinned<T, const MOST: usize> {
    kept: Vec<T>,
    last: Option<T>,
    /// How many came before the last.
    before: u64,
    /// Of so many, one is kept: a power of two.
    stride: u64,
}

/// The steps of a line: since when, and where.
pub type Steps<T> = Thinned<(i64, T), 4_096>;

impl<T, const MOST: usize> Default for Thinned<T, MOST> {
    fn default() -> Self {
        Thinned {
            kept: Vec::new(),
            last: None,
            before: 0,
            stride: 1,
        }
    }
}

impl<T, const MOST: usize> Thinned<T, MOST> {
    /// Adds one at the end.
    pub fn push(&mut self, one: T) {
        let Some(before) = self.last.replace(one) else {
            return;
        };
        if self.before.is_multiple_of(self.stride) {
            self.kept.push(before);
            if self.kept.len() > MOST {
                let mut nth = 0_usize;
                self.kept.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                self.stride *= 2;
            }
        }
        self.before += 1;
    }

    /// Returns those that are kept, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.kept.iter().chain(&self.last)
    }

    /// Returns how many are kept.
    pub fn len(&self) -> usize {
        self.kept.len() + usize::from(self.last.is_some())
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Returns the first.
    pub fn first(&self) -> Option<&T> {
        self.kept.first().or(self.last.as_ref())
    }

    /// Returns the last.
    pub fn last(&self) -> Option<&T> {
        self.last.as_ref()
    }

    /// Drops those at the front of which `is_over` is true; there is room for finer steps then.
    pub fn forget(&mut self, is_over: impl Fn(&T) -> bool) {
        let over = self.kept.iter().take_while(|one| is_over(one)).count();
        self.kept.drain(..over);
        while self.stride > 1 && self.kept.len() < MOST / 4 {
            self.stride /= 2;
        }
    }

    /// Adds another's behind the own.
    pub fn append(&mut self, other: Self) {
        other
            .kept
            .into_iter()
            .chain(other.last)
            .for_each(|one| self.push(one));
    }
}

impl<T: Copy> Steps<T> {
    /// Returns the steps of a stretch: the last one before it holds from its beginning on.
    pub fn within(&self, (from, to): (i64, i64)) -> Self {
        let mut steps = Steps::default();
        for &(when, value) in self.iter().filter(|(when, _)| *when <= to) {
            match &mut steps.last {
                Some(last) if when <= from => *last = (when, value),
                _ => steps.push((when, value)),
            }
        }
        if let Some(first) = steps.kept.first_mut().or(steps.last.as_mut()) {
            first.0 = first.0.max(from);
        }
        steps
    }
}

impl<T: PartialEq> Steps<T> {
    /// Says that the value is this from `when` on.
    pub fn step(&mut self, when: i64, value: T) {
        match &mut self.last {
            Some((_, last)) if *last == value => {}
            Some((at, last)) if *at == when => *last = value,
            _ => self.push((when, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_stay_and_what_is_between_evenly() {
        let mut steps = Steps::default();
        for nth in 0..100_000 {
            steps.step(nth, nth * 2);
            steps.step(nth, nth * 2);
        }
        assert!(steps.len() <= 4_098);
        assert_eq!(steps.first(), Some(&(0, 0)));
        assert_eq!(steps.last(), Some(&(99_999, 199_998)));
        let (all, next) = (steps.iter(), steps.iter().skip(1));
        let gaps = all.zip(next).map(|(one, next)| next.0 - one.0);
        assert!(gaps.max().is_some_and(|gap| gap <= 64));
    }

    #[test]
    fn what_is_forgotten_makes_room_and_a_stretch_begins_with_what_held_then() {
        let mut steps = Steps::default();
        for nth in 0..100_000 {
            steps.forget(|(when, _)| *when < nth - 1_000);
            steps.step(nth, nth / 10);
        }
        assert!(steps.len() <= 101 && steps.first().is_some_and(|(when, _)| *when >= 98_990));
        let part = steps.within((99_015, 99_035));
        let part: Vec<(i64, i64)> = part.iter().copied().collect();
        assert_eq!(part, [(99_015, 9_901), (99_020, 9_902), (99_030, 9_903)]);
        assert!(steps.within((0, 10)).is_empty());
    }
}
