//! Sums, means and deviations: exact, whatever the order of the rows.

use super::plain::*;
use super::*;

#[test]
fn sums_are_exact_in_any_order() {
    agrees(Function::Sum, plain_integer_sum);
    agrees_net(Function::Sum, plain_integer_sum);
    agrees(Function::Avg, plain_integer_mean);
    agrees_net(Function::Avg, plain_integer_mean);
    agrees(Function::Sum, plain_sum);
    agrees_net(Function::Sum, plain_sum);
    agrees(Function::Sum, plain_decimal_sum);
    agrees_net(Function::Sum, plain_decimal_sum);
}

#[test]
fn sums_of_decimals_are_written_out_whatever_their_size() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut sum = |arguments: &[&str]| {
        let arguments: Vec<Decimal> = arguments
            .iter()
            .map(|text| text.parse().expect("a number"))
            .collect();
        let mut json = Vec::new();
        let sum = shuffled(Function::Sum, &arguments, &mut random);
        crate::notation::push_csv(&mut json, sum.as_ref());
        String::from_utf8(json).expect("UTF-8")
    };
    assert_eq!(sum(&["19.90", "0.10", "-0.005"]), "19.995");
    assert_eq!(sum(&["0.1"; 10]), "1");
    let most = "79228162514264337593543950335";
    assert_eq!(sum(&[most, most]), "158456325028528675187087900670");
    assert_eq!(
        sum(&[most, "-0.5", most, "0.05"]),
        "158456325028528675187087900669.55"
    );
    assert_eq!(sum(&["-1e-28", "1e-28"]), "0");
}

#[test]
fn means_of_doubles_are_free_of_order_and_right_to_the_last_place() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for round in 0..300 {
        let arguments: Vec<f64> = (0..random.random_range(1..40))
            .map(|_| match round % 3 {
                // So small that the mean has fewer bits than a double's 53.
                0 => f64::from_bits(random.random_range(0..1 << 20)),
                1 => random.random_range(-1_000..1_000_i64) as f64 / 10.0,
                _ => f64::random(&mut random),
            })
            .collect();
        let result = shuffled(Function::Avg, &arguments, &mut random);
        let count = BigInt::from(arguments.len());
        let mean = nearest(&big_sum(&arguments), &count) + 0.0;
        right(Function::Avg, &result, &Value::Double(mean));
    }
}

#[test]
fn deviations_are_free_of_order_and_right_to_the_last_place() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for round in 0..200 {
        let integers: Vec<i64> = (0..random.random_range(0..40))
            .map(|_| match round % 2 {
                // Far from 0 and close together, where rounding would leave nothing.
                0 => i64::MAX - random.random_range(0..3),
                _ => i64::random(&mut random),
            })
            .collect();
        let result = shuffled(Function::Stddev, &integers, &mut random);
        let exact: Vec<BigInt> = integers.iter().map(|n| BigInt::from(*n)).collect();
        right(Function::Stddev, &result, &plain_deviation(&exact, &one()));

        let doubles: Vec<f64> = (0..random.random_range(0..40))
            .map(|_| match round % 3 {
                0 => 1e9 + random.random_range(0..1_000) as f64 / 1e6,
                1 => 1e200 * random.random_range(0..1_000) as f64,
                _ => random.random_range(-1e-3..1e-3),
            })
            .collect();
        let result = shuffled(Function::Stddev, &doubles, &mut random);
        let exact: Vec<BigInt> = doubles.iter().map(|x| big(*x)).collect();
        right(
            Function::Stddev,
            &result,
            &plain_deviation(&exact, &(one() << 1074_u32)),
        );
    }
}

#[test]
fn what_is_not_finite_shows_and_is_free_of_order() {
    const INFINITE: f64 = f64::INFINITY;
    let cases: [(&[f64], f64); 7] = [
        (&[1.0, INFINITE], INFINITE),
        (&[-INFINITE, 1.0], -INFINITE),
        (&[INFINITE, -INFINITE, 1.0], f64::NAN),
        (&[1.0, f64::NAN], f64::NAN),
        (&[f64::MAX, f64::MAX], INFINITE),
        (&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
        (&[f64::MAX, 1e-300, -f64::MAX], 1e-300),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (arguments, sum) in cases {
        let result = shuffled(Function::Sum, arguments, &mut random);
        assert!(
            same(&result, &Value::Double(sum)),
            "{arguments:?}: {result:?}"
        );
    }
    let mean = shuffled(Function::Avg, &[f64::MAX, f64::MAX], &mut random);
    assert_eq!(mean, Value::Double(f64::MAX));
    let deviation = shuffled(Function::Stddev, &[1.0, INFINITE], &mut random);
    assert!(same(&deviation, &Value::Double(f64::NAN)));
    let largest = shuffled(Function::Max, &[1.0, f64::NAN, INFINITE], &mut random);
    assert!(same(&largest, &Value::Double(f64::NAN)));
}

#[test]
fn an_exact_sum_rounds_as_the_nearest_double() {
    let mut random = ChaCha8Rng::seed_from_u64(10);
    for _ in 0..300 {
        let integer = BigInt::from(random.random::<i128>()) << random.random_range(0..300_u32);
        let exponent = random.random_range(-400..100);
        let scaled = Scaled {
            integer: integer.clone(),
            exponent,
        };
        let (number, power) = scaled.rounded();
        let shift = (exponent + 1074) as u32;
        let expected = nearest(&(integer << shift), &one());
        assert_eq!(libm::scalbn(number, power), expected);
    }
}

#[test]
fn a_sum_of_worlds_apart_keeps_every_bit() {
    let mut sum = Exact::default();
    for n in 0..2_000 {
        let value = 2.0_f64.powi(n % 2_046 - 1_022);
        sum.add(value, 1);
    }
    for n in (0..2_000).rev().filter(|n| *n != 1_500) {
        sum.add(2.0_f64.powi(n % 2_046 - 1_022), -1);
    }
    assert_eq!(sum.to_f64(), 2.0_f64.powi(1_500 - 1_022));
}
