//! `k window`: what is computed, from which records, and which columns of it leave.

use crate::workdir::{Run, Workdir};

const CALLS: &str = "\
call_id,start_timestamp,end_timestamp,caller,x
0,1000,3000,a,0.1
1,2000,2000,b,0.2
2,12000,15000,a,0.3
3,9000,9500,a,1e308
4,31000,31000,c,1e308
";

fn over(content: &str, flags: &[&str]) -> Run {
    Workdir::new().window_over(content, flags)
}

#[test]
fn lists_are_arrays_in_json_and_their_text_in_csv() {
    let agg = "top(duration, 2), collect(caller, 2), p50(duration), count(distinct caller), last(caller) as late";
    let csv = over(CALLS, &["--global", "--agg", agg]);
    csv.assert_status(0);
    assert_eq!(
        csv.stdout(),
        "window_start,window_end,top_duration_2,collect_caller_2,p50_duration,count_distinct_caller,late\n\
         ,,\"[3000,2000]\",\"[\"\"a\"\",\"\"b\"\"]\",500,3,c\n"
    );
    let json = over(CALLS, &["--global", "--agg", agg, "--format", "json"]);
    assert_eq!(
        json.stdout(),
        "{\"window_start\":null,\"window_end\":null,\"top_duration_2\":[3000,2000],\
         \"collect_caller_2\":[\"a\",\"b\"],\"p50_duration\":500,\"count_distinct_caller\":3,\"late\":\"c\"}\n"
    );
}

#[test]
fn grouping_expressions_and_aggregates_are_named_by_their_words() {
    let by = ["--by", "duration / 1000, caller = 'a'"];
    let run = over(
        CALLS,
        &[&["--global", "--agg", "sum(call_id + 1)"][..], &by].concat(),
    );
    run.assert_status(0);
    let header = run.stdout().lines().next();
    assert_eq!(
        header,
        Some("window_start,window_end,duration_1000,caller_a,sum_call_id_1")
    );
}

#[test]
fn a_sum_beyond_all_doubles_is_infinity_and_not_null() {
    let flags = ["--global", "--agg", "sum(x), avg(x)"];
    let run = over(CALLS, &flags);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,sum_x,avg_x\n,,Infinity,4e307\n"
    );
    let json = over(CALLS, &[&flags[..], &["--format", "json"]].concat());
    assert!(
        json.stdout().contains("\"sum_x\":\"Infinity\""),
        "{}",
        json.stdout()
    );
}

#[test]
fn one_record_of_a_value_counts_in_each_window_and_the_others_are_duplicates() {
    let calls = format!(
        "{CALLS}4,31000,31000,c,0\n0,1000,3000,a,0\n2,31500,32000,a,0\n,32000,32000,a,0\n,32000,32000,a,0\n"
    );
    let flags = [
        "--tumbling",
        "10s",
        "--grace",
        "1m",
        "--distinct",
        "call_id",
    ];
    let run = over(&calls, &flags);
    run.assert_status(0);
    // Call 2 counts in two windows; records without a value are never duplicates.
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n0,10000,3\n10000,20000,1\n30000,40000,4\n"
    );
    assert!(
        run.stderr()
            .starts_with("10 records in: 7 on time, 1 late, 2 duplicates → 3 rows"),
        "{}",
        run.stderr()
    );
    let hopping = [
        "--hopping",
        "20s,10s",
        "--grace",
        "1m",
        "--distinct",
        "call_id",
    ];
    let whole: u64 = over(&calls, &hopping)
        .stdout()
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(whole, 2 * 8);
    let session = over(&calls, &["--session", "10s", "--distinct", "call_id"]);
    session.assert_status(2);
    assert!(
        session.stderr().contains("--tumbling"),
        "{}",
        session.stderr()
    );
}

#[test]
fn what_a_result_takes_back_is_taken_back_by_the_next_window() {
    let workdir = Workdir::new();
    workdir.write("in.csv", CALLS);
    let changes = workdir.k(
        "window --session 10s --by caller --agg count,sum(duration),avg(x) --emit changes --grace 1m --refine retracting --from in.csv --to changes.csv",
    );
    changes.assert_status(0);
    assert!(workdir.read("changes.csv").contains(",-\n"));
    let finals = workdir.k(
        "window --session 10s --by caller --agg count,sum(duration),avg(x) --grace 1m --from in.csv --to finals.csv",
    );
    finals.assert_status(0);
    let agg = "count, sum(count), avg(sum_duration), stddev(count), count(distinct sum_duration), \
               sum(avg_x), p50(count)";
    let run = |file| {
        let window = ["window", "--global", "--time", "window_end"];
        let rest = ["--by", "caller", "--agg", agg, "--from", file];
        workdir.k_args(window.into_iter().chain(rest))
    };
    let (changed, plain) = (run("changes.csv"), run("finals.csv"));
    plain.assert_status(0);
    assert_eq!(changed.stdout(), plain.stdout());

    let refused =
        workdir.k("window --global --time window_end --agg max(count) --from changes.csv");
    refused.assert_status(2);
    assert!(refused.stderr().contains("`max` cannot take rows back"));
    let counted =
        workdir.k("window --global --time window_end --agg count --change none --from changes.csv");
    let rows = workdir.read("changes.csv").lines().count() - 1;
    assert!(counted.stdout().ends_with(&format!(",,{rows}\n")));
}

#[test]
fn a_group_of_which_all_was_taken_back_is_a_row_of_nothing() {
    let changes = "start_timestamp,caller,x,change\n1,a,5,+\n2,a,5,-\n3,b,1,+\n";
    let agg = "count, count(x), count(distinct x), sum(x), avg(x), p50(x)";
    let window = [
        "--tumbling",
        "10s",
        "--by",
        "caller",
        "--agg",
        agg,
        "--change",
        "change",
    ];
    let final_rows = over(changes, &window);
    assert!(
        final_rows
            .stdout()
            .ends_with("\n0,10000,a,0,0,0,,,\n0,10000,b,1,1,1,1,1.0,1\n"),
        "{}",
        final_rows.stdout()
    );
    let updates = [
        &window[..],
        &["--emit", "changes", "--refine", "retracting"],
    ]
    .concat();
    let updates = over(changes, &updates);
    assert!(
        updates.stdout().contains(
            "\n0,10000,a,1,1,1,5,5.0,5,+\n0,10000,a,1,1,1,5,5.0,5,-\n0,10000,a,0,0,0,,,,+\n"
        ),
        "{}",
        updates.stdout()
    );
}

#[test]
fn a_part_of_a_result_says_by_how_much_its_sum_has_changed() {
    let changes = "start_timestamp,x,y,change\n1,5,0.5,+\n2,5,0.5,-\n3,7,0.25,+\n";
    let parts = ["--refine", "discarding", "--trigger", "count 2"];
    let window = ["--tumbling", "10s", "--change", "change", "--agg"];
    let window = [&window[..], &["sum(x), sum(y), count"]].concat();
    let run = over(changes, &[&window[..], &parts].concat());
    assert!(
        run.stdout().ends_with("\n0,10000,,,0\n0,10000,7,0.25,1\n"),
        "{}",
        run.stdout()
    );
    let changes = changes.replace("2,5,0.5,-\n", "2,3,1.5,+\n3,5,0.5,-\n");
    let run = over(&changes, &[&window[..], &parts].concat());
    assert!(
        run.stdout()
            .ends_with("\n0,10000,8,2,2\n0,10000,2,-0.25,0\n"),
        "{}",
        run.stdout()
    );
}

#[test]
fn zero_with_and_without_a_sign_is_one_value() {
    let zeros = "start_timestamp,x\n1,-0.0\n2,0.0\n3,0\n4,-0.0\n5,1.5\n";
    let agg = "count(distinct x), approx_distinct(x), min(x), first(x), last(x), top(x, 2), p50(x)";
    let declared = &["--global", "--schema", "x double"][..];
    let over = |input, more: &[&str]| over(input, &[declared, more].concat());
    let run = over(zeros, &["--agg", agg, "--where", "x < 1"]);
    let row = ",,1,1,0.0,0.0,0.0,\"[0.0,0.0]\",0.0\n";
    assert!(run.stdout().ends_with(row), "{}", run.stdout());
    let run = over(zeros, &["--distinct", "x"]);
    assert!(run.stdout().ends_with(",,2\n"), "{}", run.stdout());
    let run = over(zeros, &["--by", "greatest(x, 0.0), least(-x, 0.0)"]);
    assert_eq!(run.stdout().lines().count(), 3, "{}", run.stdout());
}

#[test]
fn a_column_change_means_nothing_unless_it_stands_beside_a_window_or_is_named() {
    let run = over("start_timestamp,change\n1,up\n2,-\n", &["--global"]);
    assert!(run.stdout().ends_with(",,2\n"), "{}", run.stdout());
    let later = format!("start_timestamp,change\n{}5,x\n", "1,+\n".repeat(1_500));
    assert!(over(&later, &["--global"]).stdout().ends_with(",,1501\n"));
    let run = over(&later, &["--global", "--change", "change"]);
    run.assert_status(1);
    assert!(
        run.stderr()
            .contains("line 1502: column `change`: neither `+` nor `-`"),
        "{}",
        run.stderr()
    );
}

#[test]
fn chosen_columns_leave_in_place_of_the_result() {
    let select = "caller, count * 2 as twice, window_end - window_start as size, top_duration_1";
    let agg = "count, top(duration, 1)";
    let flags = [
        "--tumbling",
        "1m",
        "--by",
        "caller",
        "--agg",
        agg,
        "--select",
        select,
    ];
    let run = over(CALLS, &flags);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "caller,twice,size,top_duration_1\na,6,60000,[3000]\nb,2,60000,[0]\nc,2,60000,[0]\n"
    );
    let table = over(
        CALLS,
        &[
            "--global",
            "--select",
            "window_end, count",
            "--format",
            "table",
        ],
    );
    assert_eq!(table.stdout(), "window_end  count\n∞               5\n");
    let unknown = over(CALLS, &["--global", "--select", "counts"]);
    unknown.assert_status(2);
    assert!(
        unknown.stderr().contains("did you mean `count`?"),
        "{}",
        unknown.stderr()
    );
}

#[test]
fn decimals_are_read_added_up_and_grouped_by_exactly() {
    let csv = "start_timestamp,price\n1,0.10\n2,0.20\n3,0.1\n4,12345678901234567890.01\n";
    let json = "{\"start_timestamp\":1,\"price\":0.10}\n{\"start_timestamp\":2,\"price\":\"0.20\"}\n\
                {\"start_timestamp\":3,\"price\":0.1}\n\
                {\"start_timestamp\":4,\"price\":12345678901234567890.01}\n";
    let decimal = ["--global", "--schema", "price decimal"];
    for input in [csv, json] {
        let agg = [
            "--agg",
            "sum(price), max(price), count(distinct price) as n",
        ];
        let run = over(input, &[&decimal[..], &agg].concat());
        run.assert_status(0);
        assert_eq!(
            run.stdout(),
            "window_start,window_end,sum_price,max_price,n\n\
             ,,12345678901234567890.41,12345678901234567890.01,3\n"
        );
        let by = [
            "--by",
            "price",
            "--select",
            "price, count, price * 2 as twice",
        ];
        let run = over(input, &[&decimal[..], &by, &["--format", "json"]].concat());
        assert_eq!(
            run.assert_status(0).stdout(),
            "{\"price\":0.1,\"count\":2,\"twice\":0.2}\n\
             {\"price\":0.2,\"count\":1,\"twice\":0.4}\n\
             {\"price\":12345678901234567890.01,\"count\":1,\"twice\":24691357802469135780.02}\n"
        );
    }
    let run = over(
        "start_timestamp,price\n1,cheap\n",
        &[&decimal[..], &["--by", "price"]].concat(),
    );
    run.assert_status(1);
    let said = "line 2: column `price`: `cheap` is not a decimal";
    assert!(run.stderr().contains(said), "{}", run.stderr());
}

#[test]
fn the_row_of_the_largest_value_and_the_most_frequent_one() {
    let content = "\
t,caller,duration,tower
1000,a,5,T1
3000,b,60,T2
2000,c,060.0,T2
4000,d,n/a,007
5000,e,9,7
6000,f,70,
";
    let agg =
        "max_by(caller, duration), min_by(caller, duration), max_by(tower, duration), mode(tower)";
    let expected = "\
window_start,window_end,max_by_caller_duration,min_by_caller_duration,max_by_tower_duration,mode_tower
0,10000,f,a,T2,T2
";
    // A text counts only where there is no number; of equal numbers the first in time does; a row
    // without the wanted value is passed over.
    for windows in [["--tumbling", "10s"], ["--hopping", "10s,10s"]] {
        for threads in ["1", "3"] {
            let more = [
                "--time",
                "t",
                "--out-of-order",
                "10s",
                "--agg",
                agg,
                "--threads",
                threads,
            ];
            let run = over(content, &[&windows[..], &more].concat());
            run.assert_status(0);
            assert_eq!(run.stdout(), expected, "{windows:?} {threads}");
        }
    }
    // Sessions are put together from parts, and sliding windows from moments.
    let more = ["--time", "t", "--out-of-order", "10s", "--agg", agg];
    let run = over(content, &[&["--session", "5s"][..], &more].concat());
    assert_eq!(run.stdout(), expected.replace("0,10000", "1000,6000"));
    let run = over(
        content,
        &[&["--sliding", "5s", "--by", "null"][..], &more].concat(),
    );
    assert!(
        run.stdout().contains("\n1000,6000,,f,a,T2,T2\n"),
        "{}",
        run.stdout()
    );
}

#[test]
fn an_aggregate_of_two_columns_says_what_it_needs() {
    for (agg, told) in [
        (
            "max_by(caller)",
            "`max_by` needs two arguments, such as `max_by(caller, duration)`",
        ),
        ("min_by(caller, x > 1)", "`min_by` takes no boolean"),
        (
            "max_by(caller, x, x)",
            "`max_by` takes at most two arguments",
        ),
        ("mode", "`mode` needs an argument, such as `mode(duration)`"),
    ] {
        let run = over(CALLS, &["--global", "--agg", agg]);
        run.assert_status(2);
        assert!(run.stderr().contains(told), "{agg}: {}", run.stderr());
    }
}
