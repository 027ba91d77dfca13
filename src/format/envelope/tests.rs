//! Envelopes of `k consume` and `kcat -J`, decoded as the records that they hold.

use super::*;
use crate::format::{Layout, TimeFrom, delimited, schema};

fn header<'a>(name: &'a str, value: Option<&'a [u8]>) -> Header<'a> {
    let name = name.as_bytes();
    Header { name, value }
}

#[test]
fn what_kcat_prints_is_an_envelope() {
    let arena = Bump::new();
    let line = br#"{"topic":"t","partition":2,"offset":7,"tstype":"create","ts":1767225600000,"broker":1,"headers":["trace","1","none",null],"key":"a","payload":"{\"x\":1}"}"#;
    assert!(Envelope::is(line));
    let envelope = Envelope::parse(line, &arena).expect("an envelope");
    let expected = Envelope {
        topic: "t",
        partition: 2,
        offset: 7,
        timestamp: Some(1_767_225_600_000),
        key: Some(b"a"),
        headers: vec![header("trace", Some(b"1")), header("none", None)],
        value: Some(b"{\"x\":1}"),
    };
    assert_eq!(envelope, expected);
    for (payload, value) in [
        ("null", None),
        (r#""plain""#, Some("plain")),
        (r#"{"x": 1}"#, Some(r#"{"x": 1}"#)), // decoded by `-s value=avro`
    ] {
        let line = format!(
            r#"{{"topic":"t","partition":0,"offset":0,"tstype":"unknown","ts":0,"key":null,"payload":{payload}}}"#
        );
        assert!(Envelope::is(line.as_bytes()), "{payload}");
        let envelope = Envelope::parse(line.as_bytes(), &arena).expect("an envelope");
        assert_eq!(envelope.value, value.map(str::as_bytes));
        assert_eq!((envelope.timestamp, envelope.key), (None, None));
    }
    let odd = br#"{"topic":"t","partition":0,"offset":0,"headers":["a"],"payload":""}"#;
    let error = Envelope::parse(odd, &arena).expect_err("half a header");
    assert!(
        error.contains("the name of a header has no value"),
        "{error}"
    );
}

#[test]
fn any_record_comes_back_as_it_was() {
    let headers = [
        header("trace", Some(b"1")),
        header("trace", None),
        header("raw", Some(&[0xff, 0x00])),
        header("", Some(b"")),
    ];
    for (key, value) in [
        (None, None),
        (Some(&b""[..]), Some(&b""[..])),
        (
            Some("kéy\n".as_bytes()),
            Some(&b"{\"a\":\"\\u0000\"}\x00"[..]),
        ),
        (Some(&[0xff][..]), Some(&[0xfe, 0xff][..])),
    ] {
        for headers in [&[][..], &headers[..]] {
            let message = Message {
                partition: 2,
                offset: 41,
                timestamp: Some(1_767_225_600_000),
                key,
                value,
                headers: Headers::NONE,
            };
            let (mut line, arena) = (Vec::new(), Bump::new());
            Writer::new("t").push_with(&mut line, &message, headers.iter().copied());
            assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
            assert!(Envelope::is(&line));
            let read = Envelope {
                topic: "t",
                partition: 2,
                offset: 41,
                timestamp: message.timestamp,
                key,
                headers: headers.to_vec(),
                value,
            };
            assert_eq!(Envelope::parse(&line, &arena), Ok(read));
        }
    }
}

#[test]
fn lines_that_are_no_envelopes_keep_their_place_among_the_rows() {
    let envelope = |offset: i64, value: &str| {
        let value = serde_json::Value::from(value);
        format!(r#"{{"topic":"t","partition":0,"offset":{offset},"timestamp":5,"value":{value}}}"#)
    };
    let lines = [
        "no JSON".to_owned(),
        envelope(7, "1"),
        String::new(),
        envelope(8, "2\n3"),
        "{}".to_owned(),
        envelope(9, "x"),
        envelope(10, "4"),
    ];
    let layout = Layout {
        schema: schema::parse_declaration("n bigint").expect("a schema"),
        wanted: vec![0],
        time: TimeFrom::Record,
    };
    let values = delimited::Decoder::new(layout, Dialect::default());
    let mut decoder = Decoder::new(super::super::Decoder::Delimited(values));
    let (bytes, arena) = (lines.join("\n") + "\n", Bump::new());
    let lines = Lines::new(bytes.as_bytes(), 1);
    let decoded = decoder.decode(&Records::Lines(lines), Origins::Forget, &arena);
    assert_eq!((decoded.columns.rows, &decoded.times[..]), (4, &[5; 4][..]));
    let malformed = decoded.malformed.iter();
    let malformed: Vec<(usize, Place)> = malformed
        .map(|malformed| (malformed.before, malformed.place))
        .collect();
    assert_eq!(
        malformed,
        [
            (0, Place::Line(1)),
            (3, Place::Line(5)),
            (3, Place::Offset(0, 9)),
        ]
    );
}

#[test]
fn members_come_in_any_order_and_others_are_passed_over() {
    let line = br#"{"value":"v","x":[{}],"offset":1,"partition":0,"topic":"t"}"#;
    let arena = Bump::new();
    let read = Envelope::parse(line, &arena).expect("an envelope");
    assert_eq!(
        (read.value, read.key, read.timestamp),
        (Some(&b"v"[..]), None, None)
    );
}

#[test]
fn what_does_not_fit_is_told() {
    let arena = Bump::new();
    for (line, reason) in [
        (r#"{"topic":"t"}"#, "missing field `partition`"),
        (
            r#"{"topic":"t","partition":0,"offset":1}"#,
            "missing field `value`",
        ),
        (
            r#"{"topic":"t","partition":0,"offset":1,"value":5}"#,
            "expected text or null",
        ),
        (
            r#"{"topic":"t","partition":0,"offset":1,"value_base64":"?"}"#,
            "not base64",
        ),
        (
            r#"{"topic":"t","partition":0,"offset":1,"value":"","headers":[["a"]]}"#,
            "[name, value]",
        ),
        (r#"{"topic":"t""#, "not JSON"),
    ] {
        let told = Envelope::parse(line.as_bytes(), &arena).expect_err(line);
        assert!(told.contains(reason), "{line}: {told}");
    }
}

#[test]
fn data_of_other_members_is_no_envelope() {
    for line in [
        "{}",
        "[]",
        "no JSON",
        r#"{"topic":"t","partition":0,"offset":1}"#,
    ] {
        assert!(!Envelope::is(line.as_bytes()), "{line}");
    }
    assert!(Envelope::is(
        br#"{"topic":"t","partition":0,"offset":1,"value":null}"#
    ));
}
