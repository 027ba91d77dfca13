//! Several files read as one, and files that are packed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::workdir::{Run, Workdir};

const WINDOW: &str = "window --tumbling 10s --time t";

#[track_caller]
fn assert_rows(run: &Run, rows: &[&str]) {
    run.assert_status(0);
    assert_eq!(run.stdout().lines().skip(1).collect::<Vec<_>>(), rows);
}

/// Returns a folder with three files, in CSV, of five records in all.
fn three_files() -> Workdir {
    let dir = Workdir::new();
    dir.write("c-1.csv", "t,v\n1000,1\n2000,2");
    dir.write("c-2.csv", "\u{feff}t,v\r\n3000,4\r\n\r\n4000,8\r\n");
    dir.write("c-3.csv", "\"t\",v\n11000,16\n");
    dir
}

#[test]
fn several_files_are_one_input_in_the_order_given_however_they_are_named() {
    let dir = three_files();
    let rows = ["0,10000,4,15", "10000,20000,1,16"];
    let agg = "--agg count,sum(v)";
    for from in [
        "--from c-1.csv --from c-2.csv --from c-3.csv",
        "--from c-*.csv",
        "--from file:c-?.csv",
        "c-[1-3].csv",
        "c-1.csv c-2.csv c-3.csv",
        "--from c-1.csv c-2.csv c-3.csv", // as a shell expands a pattern without quotes
    ] {
        for threads in ["--threads 1", "--threads 3"] {
            assert_rows(&dir.k(&format!("{WINDOW} {agg} {threads} {from}")), &rows);
        }
    }
    let late = dir.k(&format!("{WINDOW} {agg} c-3.csv c-1.csv"));
    assert_rows(&late, &["10000,20000,1,16"]);
    let piped = dir.k_with_input(
        &format!("{WINDOW} {agg} c-1.csv - c-3.csv"),
        "t,v\n5000,4\n",
    );
    assert_rows(&piped, &["0,10000,3,7", "10000,20000,1,16"]);
    // An empty file is one without records, wherever it stands.
    dir.write("c-0.csv", "");
    dir.write("c-4.csv", "\n");
    assert_rows(&dir.k(&format!("{WINDOW} {agg} c-*.csv")), &rows);
    dir.write("d.jsonl", "{\"t\":1000,\"v\":1}\n");
    dir.write("e.jsonl", "{\"v\":2,\"t\":2000}\n");
    assert_rows(
        &dir.k(&format!("{WINDOW} {agg} d.jsonl e.jsonl")),
        &["0,10000,2,3"],
    );
}

#[test]
fn what_is_told_of_a_record_names_its_own_file() {
    let dir = three_files();
    dir.write("c-2.csv", "t,v\n3000,4\n\nx,8\n11000,1\n");
    let from = format!("{WINDOW} --from c-*.csv");
    for threads in [1, 3] {
        let run = dir.k(&format!("{from} --threads {threads}"));
        run.assert_status(1);
        let told = "error: c-2.csv, line 4: column `t`: `x`";
        assert!(run.stderr().contains(told), "{}", run.stderr());
    }
    dir.write("c-3.csv", "t,v\n1,\"2\"\n12000,\"5\n");
    let run = dir.k(&format!(
        "{from} --skip-bad --bad-to bad.csv --late-to late.csv"
    ));
    run.assert_status(1);
    assert!(
        run.stderr().contains("c-3.csv, line 3: the quote"),
        "{}",
        run.stderr()
    );
    assert!(
        dir.read("bad.csv").contains("\"c-2.csv, line 4\""),
        "{}",
        dir.read("bad.csv")
    );
    assert!(
        dir.read("late.csv").contains("\"c-3.csv, line 2\""),
        "{}",
        dir.read("late.csv")
    );
    dir.write("c-3.csv", "t,v\n12000,5\n");
    dir.k(&format!("{from} --skip-bad --journal j.jsonl"))
        .assert_status(0);
    let journal = dir.read("j.jsonl");
    let places = journal.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        Some(format!("{} {}", event["file"].as_str()?, event["place"]))
    });
    let expected = [
        "c-1.csv 2",
        "c-1.csv 3",
        "c-2.csv 2",
        "c-2.csv 4",
        "c-2.csv 5",
        "c-3.csv 2",
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);
}

#[test]
fn files_with_other_columns_or_in_another_order_are_refused_before_anything_is_written() {
    let dir = three_files();
    dir.write("c-3.csv", "v,t\n16,11000\n");
    let from = format!("{WINDOW} --from c-*.csv --to out.csv");
    let parts = ["c-3.csv, line 1", "another order", "`c-1.csv`", "v, t"];
    dir.k(&from).assert_refused(1, &parts);
    dir.write("c-3.csv", "t,w\n11000,16\n");
    dir.k(&from)
        .assert_refused(1, &["c-3.csv, line 1", "`c-1.csv`", "t, w"]);
    dir.write("c-3.csv", "t;v\n11000;16\n");
    dir.k(&from).assert_refused(1, &["c-3.csv, line 1", "t;v"]);
    assert!(!dir.path("out.csv").exists());
    dir.k(&format!("{WINDOW} --from c-1.csv --from c-9.csv"))
        .assert_refused(1, &["c-9.csv", "no such file"]);
    dir.k(&format!("{WINDOW} --from x-*.csv"))
        .assert_refused(1, &["no file matches `x-*.csv`"]);
    dir.k(&format!("{WINDOW} --from c-[.csv"))
        .assert_refused(2, &["not a valid pattern"]);
    dir.k(&format!("{WINDOW} --from c-1.csv --from calls"))
        .assert_refused(2, &["must all be files", "there is no file `calls`"]);
    dir.k(&format!("{WINDOW} - -"))
        .assert_refused(2, &["`-` is named twice"]);
    dir.k(&format!("{WINDOW} c-1.csv c-2.csv --to c-2.csv"))
        .assert_refused(1, &["is an input"]);
    dir.k("join c-1.csv c-2.csv c-3.csv --on t --within 1s")
        .assert_refused(2, &["`c-3.csv` is a third", "'calls-*.csv'"]);
}

#[test]
fn a_join_takes_a_pattern_for_one_side() {
    let dir = three_files();
    dir.write("names.csv", "v,name\n1,one\n4,four\n");
    let run = dir.k("join c-*.csv --table names.csv --on v --time t");
    assert_rows(&run, &["1,1000,one,1000", "4,3000,four,3000"]);
}

#[test]
fn a_name_that_is_nothing_says_what_it_may_have_been() {
    let dir = Workdir::new();
    let nobody = "-b 127.0.0.1:1";
    std::fs::create_dir(dir.path("calls")).expect("a folder");
    let run = dir.k(&format!("{WINDOW} --from calls {nobody}"));
    run.assert_refused(1, &["`calls` is also a folder", "'calls/*.csv'"]);
    let run = dir.k(&format!("{WINDOW} --from towers {nobody}"));
    run.assert_refused(1, &["there is no file `towers` either"]);
    let run = dir.k(&format!("join towers x.csv --on a --within 1s {nobody}"));
    run.assert_refused(1, &["there is no file `towers` either"]);
    dir.k(&format!("{WINDOW} --from x.csv"))
        .assert_refused(1, &["`x.csv`: no such file", "`topic:x.csv`"]);
    dir.write("x.csv", "t\n1\n");
    let run = dir.k(&format!("consume x.csv {nobody}"));
    run.assert_refused(1, &["there is a file `x.csv`", "`k window`"]);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("packed");
    encoder.finish().expect("packed")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; zstd_safe::compress_bound(text.len())];
    let length = zstd_safe::compress(&mut packed[..], text, 3).expect("packed");
    packed.truncate(length);
    packed
}

/// Returns CSV of `count` records, which no packing makes much smaller.
fn records(count: u64) -> String {
    let record = |n: u64| format!("{},{:x}\n", n, n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    ["t,v\n".to_owned()]
        .into_iter()
        .chain((0..count).map(record))
        .collect()
}

#[test]
fn what_is_packed_is_read_as_what_it_holds_whatever_its_name() {
    let dir = Workdir::new();
    let text = records(60_000);
    let plain = {
        dir.write("plain.csv", &text);
        dir.k(&format!("{WINDOW} plain.csv"))
    };
    plain.assert_status(0);
    let (first, second) = text.as_bytes().split_at(text.len() / 3);
    for (name, pack) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("zst", zstd)] {
        let (whole, parts) = (pack(text.as_bytes()), [pack(first), pack(second)].concat());
        for (file, packed) in [("whole", &whole), ("parts", &parts)] {
            let named = format!("{file}.csv.{name}");
            dir.write(&named, packed);
            dir.write("named.csv", packed);
            for from in [&named, "named.csv"] {
                for threads in [1, 3] {
                    let run = dir.k(&format!("{WINDOW} {from} --threads {threads}"));
                    run.assert_status(0);
                    assert_eq!(run.stdout(), plain.stdout(), "{from}");
                }
            }
            let piped = dir.k_with_input(WINDOW, packed);
            assert_eq!(piped.stdout(), plain.stdout(), "{file} of {name} in a pipe");
        }
        // Cut off anywhere but behind a member.
        for length in [whole.len() - 1, whole.len() / 2, 12] {
            dir.write("cut.csv", &whole[..length]);
            for threads in [1, 3] {
                let run = dir.k(&format!("{WINDOW} cut.csv --threads {threads}"));
                run.assert_status(1);
                let said = run.stderr();
                assert!(said.contains("`cut.csv` is cut off"), "{said}");
                assert!(said.contains(" record"), "{said}");
            }
        }
        let cut = &whole[..whole.len() - 1];
        let run = dir.k_with_input(WINDOW, cut);
        run.assert_status(1);
        assert!(
            run.stderr().contains("`stdin` is cut off"),
            "{}",
            run.stderr()
        );
    }
    dir.write("a.tsv.gz", gzip(b"t\tv;w;x;y\n1000\t2\n"));
    assert_rows(&dir.k(&format!("{WINDOW} a.tsv.gz")), &["0,10000,1"]);
    dir.write("a.csv.xz", b"\xFD7zXZ\0\0\0");
    dir.k(&format!("{WINDOW} a.csv.xz"))
        .assert_refused(1, &["compressed by xz", "`xz -dc FILE"]);
}

#[test]
fn an_archive_that_is_cut_off_says_after_how_many_records() {
    let dir = Workdir::new();
    // Stored, not deflated: what is there can be read to its last byte.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder
        .write_all(b"t,v\n1000,1\n2000,2\n3000,3\n")
        .expect("packed");
    let packed = encoder.finish().expect("packed");
    dir.write("cut.gz", &packed[..packed.len() - 8 - 3]);
    let run = dir.k(&format!("{WINDOW} cut.gz"));
    run.assert_status(1);
    assert!(
        run.stderr().contains("after 2 records, at line 4"),
        "{}",
        run.stderr()
    );
    assert_eq!(run.stdout().lines().count(), 1, "{}", run.stdout());
}
