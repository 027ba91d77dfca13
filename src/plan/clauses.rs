//! A plan as the flags that ask for it.
//!
//! The text is canonical: of a plan that was asked for in several spellings it is one, and a query
//! that is read from it has the same plan. So it is what the state of a group is compared by, and
//! what the user is shown.
//!
//! ```text
//! --tumbling 1m --by caller --agg 'count, sum(duration) as total' --where 'duration > 0' --time @record
//! ```

use std::borrow::Cow;
use std::fmt;

use shlex::Quoter;

/// What the flags of windows are called together: they say one thing.
const WINDOW: &str = "the window";

/// What the state of a plan does not depend on: which of its rows are shown, and how.
const SHOWN: [&str; 4] = ["--select", "--order-by", "--limit", "--panes"];

/// One thing that a plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its flag; `the window` for the flags of windows.
    pub name: &'static str,
    /// The flag's value, empty where it takes none; of windows the flags themselves.
    pub value: String,
}

/// All that a plan says, in canonical order; defaults are left out, but not what is computed and of which times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clauses(pub(super) Vec<Clause>);

/// In what two plans differ first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The flag, or `the window`.
    pub name: String,
    /// What the other plan says; `None` for nothing.
    pub was: Option<String>,
    /// What this plan says.
    pub is: Option<String>,
}

impl Clause {
    pub(super) fn of_windows(value: String) -> Self {
        let name = WINDOW;
        Clause { name, value }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.value.as_str()) {
            (WINDOW, windows) => f.write_str(windows),
            (flag, "") => f.write_str(flag),
            (flag, value) => write!(f, "{flag} {}", quoted(value)),
        }
    }
}

/// Returns a value as a shell reads it, in quotes where it needs them.
pub fn quoted(value: &str) -> Cow<'_, str> {
    // Otherwise a zero byte, which no command line holds, would be refused.
    let quoter = Quoter::new().allow_nul(true);
    quoter.quote(value).unwrap_or(Cow::Borrowed(value))
}

impl Clauses {
    /// Returns what the state of the plan depends on.
    #[must_use]
    pub fn of_state(mut self) -> Self {
        self.0.retain(|clause| !SHOWN.contains(&clause.name));
        self
    }

    /// Returns what a person who looks at the result wants to be reminded of: which windows, of what,
    /// and when they close.
    #[must_use]
    pub fn headline(mut self) -> Self {
        const TOLD: [&str; 9] = [
            WINDOW,
            "--by",
            "--agg",
            "--where",
            "--distinct",
            "--out-of-order",
            "--watermark",
            "--grace",
            "--trigger",
        ];
        let is_default = |clause: &Clause| clause.name == "--agg" && clause.value == "count";
        self.0
            .retain(|clause| TOLD.contains(&clause.name) && !is_default(clause));
        self
    }

    /// Returns the value of a flag, if the plan has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|clause| clause.name == name);
        found.map(|clause| clause.value.as_str())
    }

    /// Returns in what a plan differs first from another one.
    pub fn difference(&self, other: &Clauses) -> Option<Difference> {
        let names = self.0.iter().chain(&other.0).map(|clause| clause.name);
        let mut differing = names.filter(|name| self.get(name) != other.get(name));
        differing.next().map(|name| Difference {
            name: name.to_owned(),
            was: other.get(name).map(str::to_owned),
            is: self.get(name).map(str::to_owned),
        })
    }
}

impl fmt::Display for Clauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, clause) in self.0.iter().enumerate() {
            let blank = if at > 0 { " " } else { "" };
            write!(f, "{blank}{clause}")?;
        }
        Ok(())
    }
}
