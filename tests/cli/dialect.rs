//! Other people's CSV: the delimiter, and which texts are null.

use crate::broker::{broker, read_topic, unique};
use crate::workdir::{Run, Workdir};

/// Windows `content`, a file of the given name, by `city` with a sum of `v`.
fn windowed(name: &str, content: &str, flags: &[&str]) -> Run {
    let dir = Workdir::new();
    dir.write(name, content);
    let command = ["-v", "window", "--tumbling", "10s", "--time", "t"];
    let what = ["--by", "city", "--agg", "count, sum(v)", "--from", name];
    dir.k_args(command.into_iter().chain(what).chain(flags.iter().copied()))
}

const ROWS: [&str; 2] = ["0,10000,\"Halle, Saale\",2,12", "0,10000,Ulm,1,3"];

#[track_caller]
fn assert_rows(run: &Run, rows: &[&str]) {
    run.assert_status(0);
    assert_eq!(run.stdout().lines().skip(1).collect::<Vec<_>>(), rows);
}

/// Returns three records with a delimiter; a field that holds a comma is in quotes.
fn records(delimiter: char) -> String {
    "t,city,v\n1000,\"Halle+ Saale\",5\n2000,\"Halle+ Saale\",7\n3000,Ulm,3\n"
        .replace(',', &delimiter.to_string())
        .replace('+', ",")
}

#[test]
fn the_header_tells_what_stands_between_fields() {
    for (delimiter, name) in [
        (',', "comma"),
        (';', "semicolon"),
        ('\t', "tab"),
        ('|', "bar"),
    ] {
        let run = windowed("in.csv", &records(delimiter), &[]);
        assert_rows(&run, &ROWS);
        let told = format!("delimiter of `in.csv`: {name}, by the header");
        assert!(run.stderr().contains(&told), "{}", run.stderr());
        // With carriage returns, and without a last newline.
        let returns = records(delimiter).trim_end().replace('\n', "\r\n");
        assert_rows(&windowed("in.csv", &returns, &[]), &ROWS);
    }
}

#[test]
fn a_single_column_and_a_semicolon_in_a_name_stay_csv_with_commas() {
    let dir = Workdir::new();
    dir.write("one.csv", "t\n1000\n2000\n");
    let run = dir.k("window --tumbling 10s --time t --from one.csv");
    assert_rows(&run, &["0,10000,2"]);
    dir.write("name.csv", "t,a;b\n1000,x\n2000,y;z\n");
    let by = ["--by", "\"a;b\""];
    let command = [
        "window",
        "--tumbling",
        "10s",
        "--time",
        "t",
        "--from",
        "name.csv",
    ];
    let run = dir.k_args(command.into_iter().chain(by));
    assert_rows(&run, &["0,10000,x,1", "0,10000,y;z,1"]);
    dir.write("quoted.csv", "t,\"x;y|z;w\",\"multi;\n;line\"\n1000,1,2\n");
    let run = dir.k("window --tumbling 10s --time t --from quoted.csv");
    assert_rows(&run, &["0,10000,1"]);
}

#[test]
fn a_delimiter_is_named_or_typed_and_a_tsv_has_tabs() {
    let mut flags = vec![("tab", '\t'), ("\\t", '\t'), ("semicolon", ';'), (";", ';')];
    flags.extend([("bar", '|'), ("|", '|'), (":", ':'), (" ", ' ')]);
    for (typed, delimiter) in flags {
        let content = match delimiter {
            ' ' => records(' ').replace("Halle, Saale", "Halle"),
            delimiter => records(delimiter),
        };
        let run = windowed("in.csv", &content, &["--delimiter", typed]);
        let halle = ["0,10000,Halle,2,12", ROWS[1]];
        let rows = if delimiter == ' ' { halle } else { ROWS };
        assert_rows(&run, &rows);
    }
    let tabs = records('\t').replacen("city", "ci;t;y;", 1);
    let dir = Workdir::new();
    dir.write("IN.TSV", tabs);
    let run = dir.k("-v window --tumbling 10s --time t --agg sum(v) --from IN.TSV");
    assert_rows(&run, &["0,10000,15"]);
    assert!(run.stderr().contains("tab, by the file's name"));
    for wrong in ["ab", "", "\"", "é"] {
        windowed("in.csv", &records(';'), &["--delimiter", wrong])
            .assert_refused(2, &["--delimiter", "one ASCII character"]);
    }
}

#[test]
fn a_pipe_tells_its_delimiter_as_a_file_does() {
    let dir = Workdir::new();
    let window = "window --tumbling 10s --time t --by city --agg count,sum(v)";
    assert_rows(&dir.k_with_input(window, records(';')), &ROWS);
}

#[test]
fn a_join_reads_each_side_with_its_own_delimiter_and_writes_commas() {
    let dir = Workdir::new();
    dir.write("calls.csv", "t;id;note\n1000;7;\"a,b\"\n2000;8;N/A\n");
    dir.write("towers.tsv", "id\tt\ttower\n7\t1500\tA\n8\t2500\t-\n");
    let join = "join calls.csv towers.tsv --on id --within 1s --time t --null N/A --null -";
    let run = dir.k(join);
    run.assert_status(0);
    let rows: Vec<&str> = run.stdout().lines().collect();
    let expected = [
        "id,l_t,note,r_t,tower,event_time",
        "7,1000,\"a,b\",1500,A,1500",
        "8,2000,,2500,,2500",
    ];
    assert_eq!(rows, expected);
    let run = dir.k(&format!(
        "{join} --delimiter ; --delimiter tab --format json"
    ));
    run.assert_status(0);
    let last = r#"{"id":8,"l_t":2000,"note":null,"r_t":2500,"tower":null,"event_time":2500}"#;
    assert_eq!(run.stdout().lines().last(), Some(last));
    dir.write("calls.jsonl", "{\"t\":1000,\"id\":7,\"note\":\"N/A\"}\n");
    let run = dir.k(&join.replace("calls.csv", "calls.jsonl"));
    run.assert_status(0);
    assert_eq!(run.stdout().lines().last(), Some("7,1000,,1500,A,1500"));
}

#[test]
fn a_result_with_semicolons_is_compared_and_graded_like_any_other() {
    let dir = Workdir::new();
    dir.write("a.csv", "window_start,window_end,count\n0,10000,3\n");
    dir.write("b.csv", "window_start;window_end;count\n0;10000;3\n");
    dir.k("compare a.csv b.csv").assert_status(0);
    dir.k("compare a.csv b.csv --delimiter comma")
        .assert_status(1);
}

#[test]
fn a_text_that_means_null_is_null_whatever_uses_it() {
    let content = "t,city,v\n1000,N/A,5\n2000,Ulm,-\n3000,,4\n4000,Ulm,1\nN/A,Ulm,1\n";
    let nulls = ["--null", "N/A", "--null", "-", "--skip-bad"];
    let rows = ["0,10000,,2,9", "0,10000,Ulm,2,1"];
    for quoted in [content.to_owned(), content.replace("N/A", "\"N/A\"")] {
        let run = windowed("in.csv", &quoted, &nulls);
        assert_rows(&run, &rows);
        assert!(run.stderr().contains("1 malformed"), "{}", run.stderr());
    }
    let json = "{\"t\":1000,\"city\":\"N/A\",\"v\":5}\n{\"t\":2000,\"city\":\"Ulm\",\"v\":\"-\"}\n\
                {\"t\":3000,\"city\":null,\"v\":4}\n{\"t\":4000,\"city\":\"Ulm\",\"v\":1}\n\
                {\"t\":\"N/A\",\"city\":\"Ulm\",\"v\":1}\n";
    assert_rows(&windowed("in.jsonl", json, &nulls), &rows);
    for declared in [
        "v bigint, city string",
        "v decimal, t timestamp",
        "v double",
    ] {
        let flags = [&nulls[..], &["--schema", declared]].concat();
        for (name, content) in [("in.csv", content), ("in.jsonl", json)] {
            let run = windowed(name, content, &flags);
            run.assert_status(0);
            let last = run
                .stdout()
                .lines()
                .last()
                .map(|row| row.trim_end_matches(".0"));
            assert_eq!(last, Some(rows[1]), "{name}, {declared}");
        }
    }
    // Without the flag it is a text like any other.
    let run = windowed("in.csv", content, &["--skip-bad"]);
    run.assert_status(0);
    assert!(run.stdout().contains("0,10000,N/A,1,5"), "{}", run.stdout());
}

#[test]
fn values_of_a_topic_are_read_with_the_delimiter_that_is_named() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("semicolons");
    let value = |offset: i64, value: &str| {
        format!(
            "{{\"topic\":\"t\",\"partition\":0,\"offset\":{offset},\"timestamp\":1000,\"value\":\"{value}\"}}\n"
        )
    };
    let values = [value(0, "1000;Halle, Saale;5"), value(1, "2000;N/A;7")].concat();
    let produce = format!("produce - -t {topic} --partitions 1 -b {broker}");
    dir.k_with_input(&produce, values).assert_status(0);
    let how = [
        "--schema",
        "t bigint, city string, v bigint",
        "--null",
        "N/A",
    ];
    let how = [&how[..], &["--exit", "-b", broker]].concat();
    let k = |args: &[&str]| dir.k_args([args, &how[..]].concat());
    let window = ["window", "--tumbling", "10s", "--time", "t", "--by", "city"];
    let from = ["--from", &topic, "--delimiter", ";"];
    assert_rows(
        &k(&[&window[..], &from].concat()),
        &["0,10000,,1", "0,10000,\"Halle, Saale\",1"],
    );
    let consume = [
        "consume",
        &topic,
        "--select",
        "city, v",
        "--delimiter",
        ";",
        "--format",
        "raw",
    ];
    let run = k(&consume);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "{\"city\":\"Halle, Saale\",\"v\":5}\n{\"city\":null,\"v\":7}\n"
    );
    let group = unique("group");
    let (to, grouped) = (unique("out"), ["--agg", "sum(v)", "--group", &group]);
    let windowed = |delimiter: &str| {
        let from = ["--from", &topic, "--delimiter", delimiter, "--to", &to];
        k(&[&window[..], &grouped, &from].concat())
    };
    windowed(";").assert_status(0);
    windowed("bar").assert_refused(1, &["--delimiter was `semicolon` and is `bar`"]);

    // A file's rows go to a topic as JSON, or as CSV with commas.
    dir.write("calls.csv", "id;note;key\n7;\"a,b\";x\n8;N/A;N/A\n");
    let written = |flags: &str| {
        let topic = unique("written");
        let produce = format!("produce calls.csv -t {topic} --partitions 1 --key key -b {broker}");
        dir.k(&format!("{produce} --null N/A {flags}"))
            .assert_status(0);
        let records = read_topic(broker, &topic).into_iter();
        records
            .map(|record| (record.key, record.value))
            .collect::<Vec<_>>()
    };
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let json = [
        (bytes("x"), bytes(r#"{"id":7,"note":"a,b","key":"x"}"#)),
        (None, bytes(r#"{"id":8,"note":null,"key":null}"#)),
    ];
    assert_eq!(written(""), json);
    let csv = [(bytes("x"), bytes("7,\"a,b\",x")), (None, bytes("8,,"))];
    assert_eq!(written("--value csv"), csv);
}

#[test]
fn the_index_that_pandas_writes_is_passed_over() {
    let dir = Workdir::new();
    dir.write(
        "a.csv",
        ",t,city,v\n0,1000,Ulm,5\n1,2000,\"Halle, Saale\",7\n",
    );
    let run = dir.k("-v window --tumbling 10s --time t --by city --agg sum(v) --from a.csv");
    assert_rows(&run, &["0,10000,\"Halle, Saale\",7", "0,10000,Ulm,5"]);
    assert!(
        run.stderr().contains("schema: t any, city any, v any"),
        "{}",
        run.stderr()
    );
    let unknown = dir.k("window --tumbling 10s --time t --by town --from a.csv");
    unknown.assert_refused(2, &["columns: t, city, v"]);
    dir.write("b.csv", "id,city,\n7,Ulm,\n");
    for format in ["csv", "json"] {
        let join = "join a.csv --table b.csv --on city --time t --format";
        let run = dir.k(&format!("{join} {format}"));
        run.assert_status(0);
        let row = match format {
            "csv" => "Ulm,1000,5,7,1000",
            _ => r#"{"city":"Ulm","t":1000,"v":5,"id":7,"event_time":1000}"#,
        };
        assert_eq!(run.stdout().lines().last(), Some(row));
    }
    dir.write("one.csv", "window_start,window_end,count\n0,10000,3\n");
    dir.write("two.csv", ",window_start,window_end,count\n5,0,10000,3\n");
    dir.k("compare one.csv two.csv").assert_status(0);
    dir.write("none.csv", "t,,v\n1,2,3\n");
    let run = dir.k("window --tumbling 10s --time t --from none.csv");
    run.assert_refused(1, &["the header's column 2 has no name"]);
}

#[test]
fn numbers_have_a_decimal_comma_where_they_are_used_as_numbers() {
    let semicolons = "t;city;v\n1000;Ulm;9,5\n2000;Ulm;10,25\n3000;Ulm;1.234,5\n4000;1.234;1.000\n";
    let commas =
        "t,city,v\n1000,Ulm,\"9,5\"\n2000,Ulm,\"10,25\"\n3000,Ulm,\"1.234,5\"\n4000,1.234,1.000\n";
    let agg = "count, sum(v), min(v), max(v), avg(v * 2) as twice, count(distinct v) as d";
    let dir = Workdir::new();
    dir.write("s.csv", semicolons);
    dir.write("c.csv", commas);
    let window = [
        "window",
        "--tumbling",
        "10s",
        "--time",
        "t",
        "--by",
        "city",
        "--agg",
        agg,
    ];
    let windowed = |file: &str, flags: &[&str]| {
        let from = ["--decimal-comma", "--from", file];
        dir.k_args([&window[..], &from, flags].concat())
    };
    for file in ["s.csv", "c.csv"] {
        let run = windowed(file, &[]);
        let rows = [
            "0,10000,1.234,1,1000,1000,1000,2000.0,1",
            "0,10000,Ulm,3,1254.25,9.5,1234.5,836.1666666666666,3",
        ];
        assert_rows(&run, &rows);
        let run = windowed(
            file,
            &["--schema", "v decimal", "--where", "v > 9.5 and v < 11"],
        );
        assert_rows(&run, &["0,10000,Ulm,1,10.25,10.25,10.25,20.5,1"]);
        let run = windowed(file, &["--where", "v > 9.5 and cast(v as double) < 11"]);
        assert_rows(&run, &["0,10000,Ulm,1,10.25,10.25,10.25,20.5,1"]);
    }
    dir.write("p.csv", "t;city;v\n1000;Ulm;1.5\n2000;Ulm;1,5\n");
    let refused = |run: Run, parts: [&str; 2]| {
        run.assert_status(1);
        let said = run.stderr();
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    };
    refused(windowed("p.csv", &[]), ["p.csv, line 2", "1.5"]);
    let run = windowed("p.csv", &["--schema", "v double", "--skip-bad"]);
    assert_rows(&run, &["0,10000,Ulm,1,1.5,1.5,1.5,3.0,1"]);
    // Without the flag a comma is not a part of a number.
    let plain = dir.k_args([&window[..], &["--from", "s.csv"]].concat());
    refused(plain, ["s.csv, line 2", "9,5"]);
}

/// One number of thousands, and one with a fraction.
const COMMAS: &str = "t;v\n1767225600000;1.234\n1767225600001;2,5\n";

#[test]
fn a_number_with_a_decimal_comma_leaves_as_that_number_and_a_key_as_it_is() {
    let dir = Workdir::new();
    dir.write("commas.csv", COMMAS);
    let windowed = |flags: &[&str]| {
        let window = ["window", "--tumbling", "10s", "--time", "t", "--from"];
        let of = ["commas.csv", "--decimal-comma", "--format", "json"];
        let run = dir.k_args([&window[..], &of, flags].concat());
        run.assert_status(0);
        run.stdout().to_owned()
    };
    let bounds = r#""window_start":1767225600000,"window_end":1767225610000"#;
    let agg = "sum(v) as sum, first(v) as first, last(v) as last, mode(v) as mode, \
               collect(v, 2) as all, top(v, 2) as top, min(v) as min, max(v) as max, \
               max_by(v, t) as newest, min_by(t, v) as least";
    let numbers = r#""sum":1236.5,"first":1234,"last":2.5,"mode":2.5,"all":[1234,2.5],"top":[1234,2.5],"min":2.5,"max":1234,"newest":2.5,"least":1767225600001"#;
    let mode = format!("{{{bounds},{numbers}}}\n");
    assert_eq!(windowed(&["--agg", agg]), mode);
    let first = ["--agg", "first(v) as f", "--having", "f > 1000"];
    let first = [&first[..], &["--select", "f, f * 2 as twice"]].concat();
    assert_eq!(windowed(&first), "{\"f\":1234,\"twice\":2468}\n");
    // A key is a text, in whole rows and in chosen columns.
    let by = ["--by", "v", "--agg", "count, count(distinct v) as d"];
    let row = |key: &str| format!("{{{bounds},\"v\":\"{key}\",\"count\":1,\"d\":1}}\n");
    assert_eq!(windowed(&by), row("1.234") + &row("2,5"));
    let keys = windowed(&["--by", "v", "--agg", "count", "--select", "v"]);
    assert_eq!(keys, "{\"v\":\"1.234\"}\n{\"v\":\"2,5\"}\n");
}

#[test]
fn seconds_with_a_decimal_comma_are_a_time() {
    let dir = Workdir::new();
    dir.write("s.csv", "t;v\n9,5;1\n10,25;2\n1.000,5;3\n");
    let rows = ["0,10000,1", "10000,20000,2", "1000000,1010000,3"];
    for zone in ["", " --zone Europe/Berlin"] {
        let window = "window --tumbling 10s --time t --time-unit s --agg sum(v) --decimal-comma";
        let run = dir.k(&format!("{window} --from s.csv{zone}"));
        assert_rows(&run, &rows);
    }
}

#[test]
fn a_topic_gets_numbers_with_points() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.write("commas.csv", format!("{COMMAS}1767225600002;1.5\n"));
    let topic = unique("commas");
    let produced = |topic: &str, flags: &str| {
        let produce = format!("produce commas.csv -t {topic} --partitions 1 --decimal-comma");
        dir.k(&format!("{produce} -b {broker} {flags}"))
            .assert_status(0);
        let records = read_topic(broker, topic).into_iter();
        let told = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default());
        records
            .map(|record| (told(record.key).unwrap(), told(record.value).unwrap()))
            .collect::<Vec<_>>()
    };
    let json = [
        ("1.234", r#"{"t":1767225600000,"v":1234}"#),
        ("2,5", r#"{"t":1767225600001,"v":2.5}"#),
        ("1.5", r#"{"t":1767225600002,"v":"1.5"}"#),
    ];
    let json = json.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(produced(&topic, "--key v --time t"), json);
    let csv = [
        "1767225600000,1234",
        "1767225600001,2.5",
        "1767225600002,1.5",
    ];
    let csv = csv.map(|value| (String::new(), value.to_owned()));
    assert_eq!(produced(&unique("commas"), "--value csv"), csv);
    for flag in ["", " --decimal-comma"] {
        let window = "window --tumbling 10s --time t --where t<1767225600002 --agg sum(v)";
        let to_now = "--exit --format csv";
        let run = dir.k(&format!(
            "{window} --from {topic} -b {broker}{flag} {to_now}"
        ));
        assert_rows(&run, &["1767225600000,1767225610000,1236.5"]);
    }
}
