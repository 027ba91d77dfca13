//! The Java client's partitioner and kcat agree with `k`.

use std::io::Write;
use std::process::{Command, Stdio};

use k::kafka::partitioner::partition_of;

use crate::broker::{broker, classpath, read_topic, unique};
use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

/// Returns keys of every length up to 300, text of many scripts, and the empty one.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
    let texts = ["ключ", "鍵", "🔑", "+4915112345678", "null", "\u{0}"];
    keys.extend(texts.map(|key| key.as_bytes().to_vec()));
    // A linear congruential generator: bytes of all values, the same in every run.
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for length in 1..=300 {
        for _ in 0..20 {
            keys.push((0..length).map(|_| byte()).collect());
        }
    }
    keys.push(vec![b'x'; 100_000]);
    keys
}

#[test]
fn the_java_client_puts_every_key_into_the_same_partition() {
    let Some(classpath) = classpath() else {
        return;
    };
    if Command::new("javac").arg("-version").output().is_err() {
        return skipped(
            Need::Program("javac"),
            "no `javac` here to compile a Java program with",
        );
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/Partitions.java");
    let mut java = Command::new("java")
        .args(["-cp", &classpath, program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let keys = keys();
    let hexadecimal = |key: &Vec<u8>| -> String {
        let digits = key.iter().map(|byte| format!("{byte:02x}"));
        digits.chain(["\n".to_owned()]).collect()
    };
    let lines: String = keys.iter().map(hexadecimal).collect();
    let mut stdin = java.stdin.take().expect("a pipe");
    let feeder = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).expect("java reads"));
    let output = java.wait_with_output().expect("java ends");
    feeder.join().expect("all keys were handed over");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).expect("numbers");
    assert_eq!(said.lines().count(), keys.len());
    for (key, line) in keys.iter().zip(said.lines()) {
        let ours = [1, 3, 12, 100].map(|count| partition_of(key, count).to_string());
        assert_eq!(ours.join(" "), line, "key {key:?}");
    }
}

/// The codecs that both speak.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Runs kcat, or says that the test is skipped; returns what it printed.
pub fn kcat(broker: &str, args: &[&str], input: &str) -> Option<String> {
    let kcat = Command::new("kcat")
        .args(["-b", broker, "-q", "-X", "log_level=3"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut kcat) = kcat else {
        skipped(Need::Program("kcat"), "no `kcat` here to compare with");
        return None;
    };
    let mut stdin = kcat.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("kcat reads");
    drop(stdin);
    let output = kcat.wait_with_output().expect("kcat ends");
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn kcat_reads_what_k_wrote() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let lines = [
        r#""timestamp":1767225600000,"key":"é","headers":[["trace","1"],["trace","ü"]],"value":"one""#,
        r#""timestamp":1767225600001,"key":"","headers":[],"value":"{\"two\":2}""#,
        r#""timestamp":1767225600002,"key":null,"headers":[["empty",""]],"value":null"#,
    ];
    let members = "\"topic\":\"t\",\"partition\":0,\"offset\":0";
    let envelopes = lines.map(|line| format!("{{{members},{line}}}\n")).concat();
    for codec in CODECS {
        let topic = unique(codec);
        let produce =
            format!("produce - -t {topic} --partitions 1 --compression {codec} -b {broker}");
        dir.k_with_input(&produce, &envelopes).assert_status(0);
        // Lengths tell null from nothing.
        let format = "%p %o %T [%h] %K %k %S %s\n";
        let read = ["-C", "-t", &topic, "-e", "-f", format];
        let Some(read) = kcat(broker, &read, "") else {
            return;
        };
        assert_eq!(
            read,
            "0 0 1767225600000 [trace=1,trace=ü] 2 é 3 one\n\
             0 1 1767225600001 [] 0  9 {\"two\":2}\n\
             0 2 1767225600002 [empty=] -1  -1 \n",
            "{codec}"
        );
    }
}

#[test]
fn k_reads_what_kcat_wrote() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    for codec in CODECS {
        let topic = unique(codec);
        dir.k(&format!("topic create {topic} --partitions 1 -b {broker}"))
            .assert_status(0);
        let write = ["-P", "-t", &topic, "-K:", "-z", codec, "-H", "trace=ü"];
        if kcat(broker, &write, "é:one\n:two\nb:{\"a\": \"x:y\"}\n").is_none() {
            return;
        }
        let run = dir.k(&format!("consume {topic} --exit -b {broker}"));
        run.assert_status(0);
        let envelope = |line: &str| serde_json::from_str(line).expect("JSON");
        let envelopes: Vec<serde_json::Value> = run.stdout().lines().map(envelope).collect();
        let expected = [("é", "one"), ("", "two"), ("b", r#"{"a": "x:y"}"#)];
        assert_eq!(envelopes.len(), expected.len(), "{codec}");
        for (offset, (envelope, (key, value))) in envelopes.iter().zip(expected).enumerate() {
            assert_eq!(envelope["offset"], offset);
            assert_eq!(envelope["key"], key);
            assert_eq!(envelope["value"], value);
            assert_eq!(envelope["headers"], serde_json::json!([["trace", "ü"]]));
        }
        // kcat has no other clock than now.
        let written = read_topic(broker, &topic);
        let times = written.iter().map(|record| record.timestamp);
        let told = envelopes
            .iter()
            .map(|envelope| envelope["timestamp"].as_i64());
        assert!(times.eq(told), "{codec}");
    }
}

#[test]
fn a_topic_copied_through_a_pipe_is_the_same_topic() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let (original, copy) = (unique("original"), unique("copy"));
    let envelopes = [
        r#""partition":0,"offset":0,"timestamp":1767225600000,"key":"","headers":[["h","1"],["h",null],["b",null,"/w=="]],"value":"a,\"b\"\n""#,
        r#""partition":2,"offset":0,"timestamp":1767225600001,"key":null,"headers":[],"value":null"#,
        r#""partition":2,"offset":1,"timestamp":1767225600002,"key_base64":"/w==","headers":[],"value_base64":"AP8=""#,
    ];
    let lines = envelopes.map(|members| format!("{{\"topic\":\"{original}\",{members}}}\n"));
    dir.write("in.jsonl", lines.concat());
    dir.k(&format!("produce in.jsonl --keep-partition -b {broker}"))
        .assert_status(0);
    dir.shell(&format!(
        "k consume {original} --exit -b {broker} | k produce -t {copy} --keep-partition -b {broker}"
    ))
    .assert_status(0);
    let records = read_topic(broker, &original);
    assert_eq!(records.len(), 3);
    assert_eq!(read_topic(broker, &copy), records);
}
