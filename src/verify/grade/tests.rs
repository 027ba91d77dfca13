//! Each mistake of an exercise is named by its cause, and nothing else is.

use super::super::exercises::{EXERCISES, find};
use super::super::truth::Part;
use super::*;
use crate::cdr::{Delay, Law, Order, Recipe};

fn world() -> World {
    let recipe = Recipe {
        seed: 7,
        start_timestamp: 1_767_225_603_000,
        rate: 10.0,
        seconds: 60.0,
        median_duration_ms: 60_000,
        sigma: 1.0,
        max_duration_ms: 3_600_000,
        callers: 30,
        towers: 20,
        skew: 0.0,
        busy: 0.1,
        failed: 0.1,
        arrivals: crate::cdr::Arrival::Regular,
        order: Order::End,
        delay: Some(Delay {
            share: 0.1,
            law: Law::Uniform(20_000),
        }),
        duplicates: 0.05,
        with_arrival: false,
    };
    World::new(&recipe).expect("a good recipe")
}

#[test]
fn the_truth_is_right_and_each_mistake_is_told_by_its_own_cause() {
    let world = world();
    for exercise in EXERCISES {
        let truth = world.answer(&exercise.question);
        let verdict = grade(exercise, &world, &truth).expect("a table");
        assert_eq!(verdict, Verdict::Right(truth.rows.len() as u64));
        let mut told = 0;
        for (question, (cause, _)) in mistakes(&exercise.question, &world) {
            let answer = world.answer(&question);
            if compare(&truth, &answer).expect("one shape").is_same() {
                continue; // no mistake in these data
            }
            let verdict = grade(exercise, &world, &answer).expect("a table");
            let Verdict::Wrong(mistake) = verdict else {
                panic!("exercise {}: {cause}", exercise.number);
            };
            assert!(mistake.certain, "exercise {}: {mistake:?}", exercise.number);
            told += u32::from(mistake.cause == cause);
        }
        assert!(told >= 3, "exercise {}: {told}", exercise.number);
    }
}

#[test]
fn one_partition_of_three_is_recognised() {
    let world = world();
    let exercise = find(10).expect("an exercise");
    let part = Some(Part {
        nth: 1,
        of: 3,
        alone: true,
    });
    let question = Question {
        part,
        ..exercise.question.clone()
    };
    let verdict = grade(exercise, &world, &world.answer(&question)).expect("a table");
    let Verdict::Wrong(mistake) = verdict else {
        panic!("right");
    };
    assert_eq!(mistake.cause, "one partition only: 1 of 3 was read");
    assert!(mistake.differs[1].contains("should be"), "{mistake:?}");
}

/// Other data than those of [`world`]: another seed, older and newer ones, more and fewer.
fn other_worlds() -> Vec<(String, World)> {
    let own = world().recipe().clone();
    let other = |name: &str, change: &dyn Fn(&mut Recipe)| {
        let mut recipe = Recipe {
            seed: 8,
            ..own.clone()
        };
        change(&mut recipe);
        (name.to_owned(), World::new(&recipe).expect("a good recipe"))
    };
    let mut worlds = vec![
        other("seed", &|_| {}),
        other("double rate", &|recipe| recipe.rate *= 2.0),
        other("half rate", &|recipe| recipe.rate /= 2.0),
        other("shorter", &|recipe| recipe.seconds /= 2.0),
        other("longer", &|recipe| recipe.seconds *= 2.0),
        other("more callers", &|recipe| recipe.callers = 1_000),
        other("other calls", &|recipe| recipe.median_duration_ms = 10_000),
    ];
    let minute = units::MINUTE;
    for later in [
        -1_440 * minute,
        -60 * minute,
        -2 * minute,
        -20_000,
        -2_000,
        1_000,
    ] {
        for later in [later, -later] {
            let name = format!("{} later", units::format_duration(later));
            worlds.push(other(&name, &|recipe| recipe.start_timestamp += later));
        }
    }
    worlds
}

/// Adds the rows of two results up, as records of both in one topic would.
fn together(a: &ResultTable, b: &ResultTable) -> ResultTable {
    let mut sum = a.clone();
    for (cell, row) in &b.rows {
        sum.put(cell.clone(), row.values.clone());
    }
    for row in sum.rows.values_mut() {
        row.values.clone_from(&row.sums);
        row.panes = 1;
    }
    sum
}

/// Returns whether something is said of an answer from other data that is so: it is other data, or
/// some are among them, or what is said can be seen in the rows.
fn is_true_of_other_data(cause: &str) -> bool {
    let true_ones = [
        "another `k gen`",
        "the topic also holds",
        "no window is where the data have calls",
        "times as large",
    ];
    true_ones.iter().any(|part| cause.contains(part))
}

/// Grades answers from other data, each alone and in one topic with the right ones.
fn assert_no_mistake_is_told(worlds: &[(String, World)], with_mistakes: bool) {
    let world = world();
    let (mut graded, mut unsaid) = (0, 0);
    let mut asked_before: Vec<&Question> = Vec::new();
    for exercise in EXERCISES {
        let question = &exercise.question;
        if asked_before.contains(&question) {
            continue;
        }
        asked_before.push(question);
        let truth = world.answer(question);
        for (name, other) in worlds {
            let asked = other.answer(question);
            let mut answers = vec![("alone", asked.clone())];
            // Sessions of both are not the sum of the sessions of each, nor is a mean of means.
            let overlap = matches!(question.windows, Windows::Session(_))
                || question
                    .measures
                    .iter()
                    .any(|measure| measure.name() == "avg_duration");
            if !overlap {
                answers.push(("beside", together(&truth, &asked)));
            }
            let wrong = mistakes(question, other).into_iter().step_by(7);
            for (wrong, _) in wrong.filter(|_| with_mistakes) {
                answers.push(("with a mistake", other.answer(&wrong)));
            }
            for (how, answer) in answers {
                let told = grade(exercise, &world, &answer).expect("a table");
                let Verdict::Wrong(mistake) = told else {
                    let is_same = compare(&truth, &answer).expect("one shape").is_same();
                    assert!(is_same, "exercise {}, {name} {how}", exercise.number);
                    continue;
                };
                graded += 1;
                unsaid += usize::from(!mistake.certain);
                // With a mistake of its own what the rows show of that is so, too.
                let is_shown = how == "with a mistake" && mistake.certain;
                assert!(
                    is_true_of_other_data(&mistake.cause) || is_shown || answer.rows.is_empty(),
                    "exercise {}, {name} {how}: {mistake:?}",
                    exercise.number
                );
            }
        }
    }
    assert!(graded > 0 && unsaid > 0);
}

#[test]
fn other_data_are_never_told_a_mistake() {
    const SOME: [&str; 6] = [
        "seed",
        "double rate",
        "-1h later",
        "-20s later",
        "20s later",
        "1h later",
    ];
    let mut worlds = other_worlds();
    worlds.retain(|(name, _)| SOME.contains(&name.as_str()));
    assert_eq!(worlds.len(), SOME.len());
    assert_no_mistake_is_told(&worlds, false);
}

#[test]
#[ignore = "it takes minutes without optimization: `cargo test --release --lib -- --ignored told`"]
fn any_other_data_with_any_mistake_are_never_told_one() {
    assert_no_mistake_is_told(&other_worlds(), true);
}

#[test]
fn the_answer_to_another_exercise_is_told_what_it_shows() {
    let world = world();
    for asked in EXERCISES {
        let truth = world.answer(&asked.question);
        for given in EXERCISES {
            let answer = world.answer(&given.question);
            let told = grade(asked, &world, &answer).expect("a table");
            let Verdict::Wrong(mistake) = told else {
                assert!(compare(&truth, &answer).expect("one shape").is_same());
                continue;
            };
            let pair = (asked.number, given.number);
            assert!(mistake.certain, "{pair:?}: {mistake:?}");
        }
    }
}

#[test]
fn windows_outside_of_the_data_are_told_where_they_lie() {
    let world = world();
    let exercise = find(2).expect("an exercise");
    let truth = world.answer(&exercise.question);
    let worlds = other_worlds();
    let cause = |name: &str, beside: bool| {
        let mut worlds = worlds.iter();
        let (_, other) = worlds.find(|(other, _)| other == name).expect("a world");
        let alone = other.answer(&exercise.question);
        let answer = if beside {
            together(&truth, &alone)
        } else {
            alone
        };
        match grade(exercise, &world, &answer).expect("a table") {
            Verdict::Wrong(mistake) => (mistake.cause, mistake.certain),
            Verdict::Right(_) => panic!("{name} is right"),
        }
    };
    for (name, said) in [
        (
            "-1h later",
            "7 windows lie before your data: the topic also holds older records",
        ),
        (
            "1h later",
            "7 windows lie after your data: the topic also holds newer records",
        ),
    ] {
        assert_eq!(cause(name, true), (said.to_owned(), true));
    }
    let (overlapping, certain) = cause("-20s later", true);
    assert_eq!(
        overlapping,
        "2 windows lie before your data: the topic also holds older records"
    );
    assert!(!certain);
    let (alone, certain) = cause("-20s later", false);
    assert_eq!(
        alone,
        "2 windows before your data, and the others differ: these look like another `k gen`"
    );
    assert!(!certain);
    assert!(
        cause("1s later", false)
            .0
            .contains("the same number of records")
    );
}
