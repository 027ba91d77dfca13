//! Quantiles and approximate counts: within the error that they state.

use super::*;

/// Inputs that are hard for sketches, each of 20,000 arguments.
fn hard_inputs(random: &mut ChaCha8Rng) -> Vec<(&'static str, Vec<f64>)> {
    const COUNT: usize = 20_000;
    let make = |mut argument: Box<dyn FnMut(usize) -> f64 + '_>| {
        (0..COUNT).map(&mut *argument).collect::<Vec<f64>>()
    };
    let mut draw = || random.random_range(1e-9..1.0_f64);
    vec![
        ("ascending", make(Box::new(|n| n as f64 + 1.0))),
        ("descending", make(Box::new(|n| (COUNT - n) as f64))),
        ("constant", make(Box::new(|_| 60_543.0))),
        ("heavy tail", make(Box::new(|_| 1.0 / draw().powi(3)))),
        (
            "two clusters",
            make(Box::new(|n| {
                if n % 2 == 0 {
                    1.0 + n as f64 / 1e6
                } else {
                    1e9 + n as f64
                }
            })),
        ),
        ("below zero", make(Box::new(|n| 10_000.5 - n as f64))),
        (
            "powers of two",
            make(Box::new(|n| 2.0_f64.powi(n as i32 % 40 - 20))),
        ),
    ]
}

#[test]
fn quantiles_are_within_their_stated_error() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (name, doubles) in hard_inputs(&mut random) {
        let integers: Vec<i64> = doubles.iter().map(|x| *x as i64).collect();
        let (in_order, whole_in_order) = (sorted(&doubles), sorted(&integers));
        for share in [0.0, 0.001, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0] {
            let function = Function::Quantile(Share::new(share).expect("a share"));
            let rank = ((share * doubles.len() as f64).ceil() as usize).max(1);
            let exact = in_order[rank - 1];
            let Value::Double(found) = shuffled(function, &doubles, &mut random) else {
                panic!("a double");
            };
            let off = (found - exact).abs() / exact.abs();
            assert!(off <= 1.0 / 256.0, "{name}, {share}: {found}, not {exact}");
            let exact = whole_in_order[rank - 1];
            let Value::Integer(found) = shuffled(function, &integers, &mut random) else {
                panic!("an integer");
            };
            let off = (found - i128::from(exact)).abs() as f64;
            assert!(
                off <= exact.abs() as f64 / 256.0,
                "{name}, {share}: {found}, not {exact}"
            );
        }
    }
}

#[test]
fn quantiles_of_few_are_exact() {
    let median = Function::Quantile(Share::new(0.5).expect("a share"));
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for count in 1..=64 {
        let arguments: Vec<i64> = (0..count).map(|_| i64::random(&mut random)).collect();
        let result = shuffled(median, &arguments, &mut random);
        let exact = sorted(&arguments)[arguments.len().div_ceil(2) - 1];
        assert_eq!(result, exact.value());
    }
}

#[test]
fn quantiles_of_few_that_are_left_are_exact() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for round in 0..200 {
        let share = f64::from(round % 5) / 4.0;
        let function = Function::Quantile(Share::new(share).expect("a share"));
        let mut left: Vec<f64> = Vec::new();
        let mut rows: Vec<Change<f64>> = Vec::new();
        for _ in 0..random.random_range(1..=64) {
            let mut value = f64::random(&mut random);
            for _ in 0..random.random_range(0..5) {
                let argument = Some(value);
                rows.push((Fed { at: 0, argument }, false));
                rows.push((Fed { at: 0, argument }, true));
                value = f64::random(&mut random);
            }
            let argument = Some(value);
            rows.push((Fed { at: 0, argument }, false));
            left.push(value);
        }
        rows.shuffle(&mut random);
        let result = piecewise(function, true, &rows, &mut random);
        let rank = ((share * left.len() as f64).ceil() as usize).max(1);
        right(function, &result, &sorted(&left)[rank - 1].value());
    }
}

#[test]
fn quantiles_of_what_is_left_are_those_of_rows_that_nothing_was_taken_of() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let function = Function::Quantile(Share::new(0.75).expect("a share"));
    for count in [63, 64, 65, 66, 300] {
        let left: Vec<i64> = (0..count)
            .map(|_| random.random_range(0..1 << 40))
            .collect();
        let mut rows: Vec<Change<i64>> = Vec::new();
        let fed = |argument| Fed {
            at: 0,
            argument: Some(argument),
        };
        for &argument in &left {
            rows.push((fed(argument + 1), true));
            rows.push((fed(argument), false));
            rows.push((fed(argument + 1), false));
        }
        rows.shuffle(&mut random);
        let result = piecewise(function, true, &rows, &mut random);
        right(function, &result, &shuffled(function, &left, &mut random));
    }
}

#[test]
fn quantiles_with_rows_taken_back_are_within_their_stated_error() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let median = Function::Quantile(Share::new(0.5).expect("a share"));
    let kept: Vec<i64> = (0..5_000).map(|n| n * n).collect();
    let mut rows: Vec<Change<i64>> = Vec::new();
    let fed = |argument| Fed {
        at: 0,
        argument: Some(argument),
    };
    for &argument in &kept {
        let replaced = fed(argument / 3 + 17);
        rows.push((replaced.clone(), false));
        rows.push((replaced, true));
        rows.push((fed(argument), false));
    }
    rows.shuffle(&mut random);
    let Value::Integer(found) = piecewise(median, true, &rows, &mut random) else {
        panic!("an integer");
    };
    let exact = i128::from(kept[2_499]);
    assert!((found - exact).abs() * 256 <= exact, "{found}, not {exact}");
}

#[test]
fn approximate_counts_are_within_their_stated_error() {
    // Of many counts, the standard deviation of their errors is the stated 1.6 %, and none is
    // off by five times that.
    let mut squares = 0.0;
    let sizes = [100, 256, 257, 1_000, 3_000, 10_000, 40_000, 200_000];
    let mut rounds = 0;
    for size in sizes {
        for round in 0..8_i64 {
            let mut states = Function::ApproxDistinct
                .accumulator(Some(DataType::Bigint))
                .expect("a function");
            states.reset(0);
            let rows: Vec<Fed<i64>> = (0..size)
                .flat_map(|n| [n, n])
                .map(|n| Fed {
                    at: 0,
                    argument: Some(n * (round + 1) + round),
                })
                .collect();
            feed(states.as_mut(), 0, 0, &rows, None);
            let Value::Integer(found) = states.result(0) else {
                panic!("an integer");
            };
            let off = (found as f64 - size as f64) / size as f64;
            if size <= 256 {
                assert_eq!(off, 0.0);
                continue;
            }
            assert!(off.abs() < 5.0 * 0.016_25, "{size}: {found}");
            squares += off * off;
            rounds += 1;
        }
    }
    let error = (squares / f64::from(rounds)).sqrt();
    assert!(error < 0.016_25 * 1.25, "{error}");
}

#[test]
fn approximate_counts_are_the_same_in_every_order_and_merge() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for size in [250, 300, 5_000] {
        let arguments: Vec<String> = (0..size).map(|n| format!("caller {n}")).collect();
        shuffled(Function::ApproxDistinct, &arguments, &mut random);
    }
}
