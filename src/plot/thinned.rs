//! Things in a row of which only so many are kept: the first, the last, and every so manieth between.
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

    /// Adds another's behind the own.
    pub fn append(&mut self, other: Self) {
        other
            .kept
            .into_iter()
            .chain(other.last)
            .for_each(|one| self.push(one));
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
}
