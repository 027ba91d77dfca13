//! The ways in which a case is run, each of which has to give the same panes.

use std::collections::BTreeMap;
use std::fmt;

use k::engine::aggregate::Function;
use k::engine::pane::Refinement;
use k::engine::window::Windows;
use k::interrupt::Interrupt;
use k::node::journal::JournalFile;
use k::outlet::Outlet;
use serde_json::json;

use crate::case::{Action, Case, Fact, Lateness, Outcome, Record, Step};
use crate::feed::{Log, Pane, integer};
use crate::rebuild;
use crate::run::Run;

/// What is wrong with a case, and where.
#[derive(Debug)]
pub struct Failure {
    pub file: String,
    pub line: usize,
    pub title: String,
    pub told: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests/transcripts/cases/{}, line {}",
            self.file, self.line
        )?;
        if !self.title.is_empty() {
            write!(f, ", \"{}\"", self.title)?;
        }
        write!(f, ":\n  {}", self.told.replace('\n', "\n  "))
    }
}

/// Returns a case with the panes that it gives, for people to look at.
pub fn shown(case: &Case) -> String {
    let mut text = format!("== {}\n", case.title);
    let mut run = Run::new(case);
    for step in &case.steps {
        text += &format!("{}\n", step.text);
        for pane in run.act(&step.action) {
            text += &format!("    {}\n", case.print_pane(&pane));
        }
    }
    text + "\n"
}

/// Feeds record by record, and looks at panes, outcomes and facts after each.
pub fn record_by_record(case: &Case) -> Result<(), Failure> {
    let mut run = Run::new(case);
    let mut counted = [0; 4];
    for step in &case.steps {
        let panes = run.act(&step.action);
        compare(case, step, &panes).map_err(|told| case.failure(step.line, told))?;
        if let Action::Record(record) = &step.action {
            check_outcome(case, record, &mut run, &mut counted)
                .map_err(|told| case.failure(step.line, told))?;
        }
        for (line, fact) in &step.facts {
            let found = actual(&run, fact);
            if found != *fact {
                let told = format!(
                    "expected  {}\ngot       {}",
                    case.print_fact(fact),
                    case.print_fact(&found)
                );
                return Err(case.failure(*line, told));
            }
        }
    }
    check_account(case, &run)
}

/// Says what differs between the panes of a step and those that were expected.
fn compare(case: &Case, step: &Step, panes: &[Pane]) -> Result<(), String> {
    let expected = step.panes.iter().map(|(_, pane)| pane);
    if expected.clone().eq(panes) {
        return Ok(());
    }
    let mut told = format!("after `{}`", step.text);
    let expected: Vec<String> = expected.map(|pane| case.print_pane(pane)).collect();
    let got: Vec<String> = panes.iter().map(|pane| case.print_pane(pane)).collect();
    for nth in 0..expected.len().max(got.len()) {
        let (expected, got) = (expected.get(nth), got.get(nth));
        if expected == got {
            told += &format!("\nas expected  {}", expected.map_or("", |pane| pane));
            continue;
        }
        let line = step
            .panes
            .get(nth)
            .map(|(line, _)| format!("   (line {line})"));
        told += &format!(
            "\nexpected     {}{}\ngot          {}",
            expected.map_or("no more panes", |pane| pane),
            line.unwrap_or_default(),
            got.map_or("no more panes", |pane| pane)
        );
    }
    Err(told)
}

/// Checks what became of a record; `counted` are on time, late, expired, filtered so far.
fn check_outcome(
    case: &Case,
    record: &Record,
    run: &mut Run<'_>,
    counted: &mut [u64; 4],
) -> Result<(), String> {
    const NAMES: [&str; 4] = ["on time", "late", "expired", "filtered"];
    let account = run.operator.account();
    let now = [
        account.on_time,
        account.late,
        account.expired,
        account.filtered,
    ];
    let became = (0..4).find(|&nth| now[nth] != counted[nth]);
    *counted = now;
    let (expected, lateness) = match record.outcome {
        Outcome::OnTime => (0, Lateness::default()),
        Outcome::Late(lateness) => (1, lateness),
        Outcome::Expired(lateness) => (2, lateness),
        Outcome::Filtered => (3, Lateness::default()),
    };
    let became = became.ok_or("the record is in no account")?;
    if became != expected {
        return Err(format!(
            "expected the record to be {}, it is {}",
            NAMES[expected], NAMES[became]
        ));
    }
    let late = run.late();
    if late.is_some() != (expected == 1 || expected == 2) {
        return Err("late and expired records are told, and no others".to_owned());
    }
    let Some(late) = late else {
        return Ok(());
    };
    let as_expected = lateness.by_ms.is_none_or(|by| by == late.by_ms)
        && lateness.window.is_none_or(|window| window == late.window)
        && late.expired == (expected == 2);
    if as_expected {
        Ok(())
    } else {
        Err(format!(
            "it is {} by {}ms for {}",
            NAMES[became],
            late.by_ms,
            case.print_window(late.window)
        ))
    }
}

fn actual(run: &Run<'_>, expected: &Fact) -> Fact {
    let account = run.operator.account();
    match expected {
        Fact::Watermark(_) => Fact::Watermark(run.operator.watermarks().combined()),
        Fact::States(_) => Fact::States(run.operator.slots_in_use()),
        Fact::Windows(_) => {
            let windows = account.windows;
            Fact::Windows([windows.on_time, windows.late, windows.expired])
        }
        Fact::GraceNeeded(_) => Fact::GraceNeeded(account.grace_needed_ms),
    }
}

/// Every record is in the account, and nothing is held once all windows have left.
fn check_account(case: &Case, run: &Run<'_>) -> Result<(), Failure> {
    let malformed = |step: &&Step| matches!(step.action, Action::Malformed);
    let malformed = case.steps.iter().filter(malformed).count();
    let all = case.records().count() + malformed;
    let account = run.operator.account();
    let panes: usize = case.steps.iter().map(|step| step.panes.len()).sum();
    let ended = matches!(
        case.steps.last().map(|step| &step.action),
        Some(Action::End)
    );
    let told = if account.records() != all as u64 {
        format!(
            "{all} records went in, {} are in the account",
            account.records()
        )
    } else if account.rows != panes as u64 {
        format!("{panes} panes left, the account has {}", account.rows)
    } else if ended && run.operator.slots_in_use() > 0 {
        format!(
            "{} states are held after the end",
            run.operator.slots_in_use()
        )
    } else {
        return Ok(());
    };
    Err(case.failure(case.line, told))
}

/// Feeds records that follow each other in one partition in batches of at most this many.
pub fn in_batches(case: &Case, records: usize) -> Result<(), Failure> {
    let mut run = Run::new(case);
    let mut panes = Vec::new();
    let same = |left: &Step, right: &Step| {
        matches!((&left.action, &right.action),
            (Action::Record(left), Action::Record(right)) if left.row.partition == right.row.partition)
    };
    for steps in case.steps.chunk_by(same) {
        for steps in steps.chunks(records) {
            let batch = steps.iter().filter_map(|step| match &step.action {
                Action::Record(record) => Some(record),
                _ => None,
            });
            let batch: Vec<&Record> = batch.collect();
            panes.extend(if batch.is_empty() {
                run.act(&steps[0].action)
            } else {
                run.feed(&batch)
            });
        }
    }
    same_panes(case, &panes)
}

/// Restores from a log of changes before each step: of the state, the last rows are all there is.
pub fn replayed(case: &Case) -> Result<(), Failure> {
    let mut run = Run::new(case);
    run.operator.log_changes();
    let mut log = Log::default();
    for step in &case.steps {
        let replayed = run.replay(&mut log);
        replayed.map_err(|told| case.failure(step.line, format!("before it: {told}")))?;
        let panes = run.act(&step.action);
        compare(case, step, &panes).map_err(|told| {
            case.failure(step.line, format!("replayed before each step, {told}"))
        })?;
    }
    Ok(())
}

/// Fails unless all panes together are those of the case.
fn same_panes(case: &Case, panes: &[Pane]) -> Result<(), Failure> {
    let expected: Vec<Pane> = expected_panes(case).cloned().collect();
    if expected == panes {
        return Ok(());
    }
    let print = |panes: &[Pane]| {
        let panes: Vec<String> = panes.iter().map(|pane| case.print_pane(pane)).collect();
        panes.join("\n  ")
    };
    let told = format!(
        "in batches\nexpected\n  {}\ngot\n  {}",
        print(&expected),
        print(panes)
    );
    Err(case.failure(case.line, told))
}

fn expected_panes(case: &Case) -> impl Iterator<Item = &Pane> {
    let steps = case.steps.iter();
    steps.flat_map(|step| step.panes.iter().map(|(_, pane)| pane))
}

/// Runs a case under a refinement that may not be its own.
fn panes_refined(case: &Case, refinement: Refinement) -> Vec<Pane> {
    let mut case = case.clone();
    case.plan.refinement = refinement;
    let mut run = Run::new(&case);
    let panes = case.steps.iter().map(|step| run.act(&step.action));
    panes.collect::<Vec<_>>().concat()
}

/// Under each refinement the same panes leave at the same moments, and counts and sums over
/// discarding and over retracting panes come to the same.
pub fn refined(case: &Case) -> Result<(), Failure> {
    let fail = |told: String| Err(case.failure(case.line, told));
    let [discarding, accumulating, retracting] = [
        Refinement::Discarding,
        Refinement::Accumulating,
        Refinement::Retracting,
    ]
    .map(|refinement| panes_refined(case, refinement));
    let results = |panes: &[Pane]| -> Vec<Pane> {
        let results = panes.iter().filter(|pane| !pane.is_retraction);
        results.cloned().collect()
    };
    let valueless = |panes: &[Pane]| -> Vec<Pane> {
        let mut panes = results(panes);
        panes.iter_mut().for_each(|pane| pane.values.clear());
        panes
    };
    if results(&accumulating) != results(&retracting) {
        return fail("accumulating and retracting give other results".to_owned());
    }
    if valueless(&discarding) != valueless(&accumulating) {
        return fail("discarding and accumulating fire other panes".to_owned());
    }
    for (nth, aggregate) in case.plan.aggregates.iter().enumerate() {
        if !matches!(aggregate.function, Function::Count | Function::Sum) {
            continue;
        }
        let (parts, net) = (totals(&discarding, nth), totals(&retracting, nth));
        if parts != net {
            let told = format!(
                "{}: {parts:?} discarding, {net:?} retracting",
                aggregate.name
            );
            return fail(told);
        }
        if matches!(case.plan.windows, Windows::Session { .. }) {
            continue; // a session's panes are of several windows
        }
        let mut so_far = BTreeMap::new();
        for (part, whole) in results(&discarding).iter().zip(results(&accumulating)) {
            let window = (part.window, part.key.clone());
            let sum: &mut i128 = so_far.entry(window).or_default();
            *sum += integer(&part.values[nth]);
            if *sum != integer(&whole.values[nth]) {
                let told = format!("panes add up to {sum}, not {}", case.print_pane(&whole));
                return fail(told);
            }
        }
    }
    Ok(())
}

/// Adds up an aggregate over the panes of each key, less what was taken back.
fn totals(panes: &[Pane], aggregate: usize) -> BTreeMap<Option<Option<String>>, i128> {
    let mut totals = BTreeMap::new();
    for pane in panes {
        let value = integer(&pane.values[aggregate]);
        *totals.entry(pane.key.clone()).or_default() +=
            if pane.is_retraction { -value } else { value };
    }
    totals
}

/// Writes the journal and computes every pane and the account from it again.
pub fn rebuilt(case: &Case) -> Result<(), Failure> {
    let fail = |told: String| case.failure(case.line, told);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.jsonl");
    let outlet = Outlet::create(&path, Interrupt::default()).expect("a file");
    let mut journal = JournalFile::new(outlet, Vec::new());
    let mut run = Run::new(case);
    run.operator.set_journal(journal.listener());
    let panes = case.steps.iter().map(|step| run.act(&step.action));
    let panes = panes.collect::<Vec<_>>().concat();
    journal.write().expect("written");
    let written = std::fs::read_to_string(&path).expect("a journal");
    let aggregates = case.plan.aggregates.iter().map(|aggregate| {
        let argument = aggregate.of_value.then_some("value");
        json!({ "function": aggregate.function.name(), "argument": argument })
    });
    let plan = json!({
        "event": "plan",
        "aggregates": aggregates.collect::<Vec<_>>(),
        "refinement": case.plan.refinement.name(),
    });
    let lines = format!("{plan}\n{written}");
    let rebuilt = rebuild::rebuild(&lines)
        .map_err(|told| fail(format!("{told}\nin the journal\n{lines}")))?;
    let panes: Vec<serde_json::Value> = panes.iter().map(|pane| as_json(case, pane)).collect();
    if rebuilt.panes != panes {
        let print = |panes: &[serde_json::Value]| -> String {
            panes.iter().map(|pane| format!("  {pane}\n")).collect()
        };
        return Err(fail(format!(
            "left\n{}rebuilt from the journal\n{}of\n{lines}",
            print(&panes),
            print(&rebuilt.panes)
        )));
    }
    if rebuilt.account == *run.operator.account() {
        Ok(())
    } else {
        Err(fail(format!(
            "the account\n{:?}\nrebuilt from the journal\n{:?}",
            run.operator.account(),
            rebuilt.account
        )))
    }
}

/// Returns a pane as the journal writes it.
fn as_json(case: &Case, pane: &Pane) -> serde_json::Value {
    use k::column::Value;
    use k::engine::window::ALL_TIME;
    let window = match pane.window {
        ALL_TIME => json!([null, null]),
        window => json!([window.start, window.end]),
    };
    let values = pane.values.iter().map(|value| match value {
        Value::Integer(value) => rebuild::number(*value),
        Value::Double(value) => json!(value),
        _ => json!(null),
    });
    let key: Vec<&Option<String>> = pane.key.iter().collect();
    debug_assert_eq!(key.len(), usize::from(case.is_keyed()));
    json!({
        "window": window,
        "key": key,
        "timing": pane.timing.name(),
        "pane": pane.index,
        "is_last": pane.is_last,
        "change": if pane.is_retraction { "-" } else { "+" },
        "values": values.collect::<Vec<_>>(),
    })
}
