//! The client against a double of a server, which answers as ksqlDB's REST interface is described:
//! no ksqlDB server runs in tests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

/// A server that answers each request by its path and body, and keeps what it was asked.
struct Double {
    url: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Double {
    fn start(answer: fn(&str, &str) -> (u16, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream.expect("a connection"), answer, &kept));
            }
        });
        Double { url, asked }
    }

    fn client(&self) -> Client {
        Client::open(&self.url, &Interrupt::default()).expect("a client")
    }

    fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("what was asked");
        let of_path = asked.iter().filter(|(known, _)| known == path);
        of_path.map(|(_, body)| body.clone()).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    answer: fn(&str, &str) -> (u16, &'static str),
    kept: &Mutex<Vec<(String, String)>>,
) {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            match stream.read(&mut block) {
                Ok(0) | Err(_) => return,
                Ok(length) => bytes.extend(&block[..length]),
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let length: usize = length.unwrap_or(0);
        if body.len() < length {
            let read = stream.read(&mut block).expect("the rest");
            bytes.extend(&block[..read]);
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        kept.lock()
            .expect("a list")
            .push((path.clone(), body.to_owned()));
        let (status, answer) = answer(&path, body);
        // Chunks that end within a line, as a server's may.
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        for chunk in answer.as_bytes().chunks(7) {
            let _ = write!(stream, "{:x}\r\n", chunk.len());
            let _ = stream.write_all(chunk);
            let _ = stream.write_all(b"\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        bytes.clear();
    }
}

const INFO: &str =
    r#"{"KsqlServerInfo":{"version":"8.0.0","ksqlServiceId":"default_","serverStatus":"RUNNING"}}"#;

fn answers(client: &mut Client, statement: &str) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    client.run(statement, &mut |answer| {
        answers.push(answer);
        Ok(())
    })?;
    Ok(answers)
}

#[test]
fn a_command_is_waited_for_and_the_next_statement_waits_for_it() {
    let double = Double::start(|path, body| match path {
        "/info" => (200, INFO),
        "/status/stream/S/create" => (200, r#"{"status":"SUCCESS","message":"Stream created"}"#),
        _ if body.contains("SHOW") => (
            200,
            r#"[{"@type":"streams","statementText":"","warnings":[],"streams":[{"type":"STREAM","name":"S","topic":"s","keyFormat":"KAFKA","valueFormat":"JSON","isWindowed":false}]}]"#,
        ),
        _ => (
            200,
            r#"[{"@type":"currentStatus","statementText":"","commandId":"stream/S/create","commandStatus":{"status":"QUEUED","message":""},"commandSequenceNumber":4,"warnings":[{"message":"old"}]}]"#,
        ),
    });
    let mut client = double.client();
    client
        .run("SET 'auto.offset.reset' = 'earliest'", &mut |_| Ok(()))
        .expect("SET");
    let said = answers(
        &mut client,
        "CREATE STREAM s (k INT KEY) WITH (kafka_topic='s')",
    )
    .expect("a command");
    assert!(
        matches!(&said[0], Answer::Said(text) if text == "warning: old"),
        "{said:?}"
    );
    assert!(
        matches!(&said[1], Answer::Said(text) if text == "Stream created"),
        "{said:?}"
    );
    let shown = answers(&mut client, "SHOW STREAMS").expect("streams");
    assert!(
        matches!(&shown[0], Answer::Table { rows, .. } if rows[0][0].0.as_deref() == Some("S"))
    );
    let asked = double.asked("/ksql");
    assert!(
        asked[0].contains(r#""streamsProperties":{"auto.offset.reset":"earliest"}"#),
        "{asked:?}"
    );
    assert!(
        asked[1].contains(r#""commandSequenceNumber":4"#),
        "{asked:?}"
    );
}

#[test]
fn rows_come_line_by_line_and_keep_their_digits() {
    let double = Double::start(|path, _| match path {
        "/info" => (200, INFO),
        _ => (
            200,
            "[{\"header\":{\"queryId\":\"q1\",\"schema\":\"`ID` BIGINT KEY, `S` STRUCT<`A` INT, `B` DECIMAL(4, 2)>, `x,y` STRING\"}},\n\n{\"row\":{\"columns\":[1,{\"A\":1,\"B\":1.50},\"a]\"]}},\n{\"row\":{\"columns\":[2,null,null],\"tombstone\":true}},\n{\"finalMessage\":\"Limit Reached\"}]\n",
        ),
    });
    let shown =
        answers(&mut double.client(), "SELECT * FROM s EMIT CHANGES LIMIT 2").expect("rows");
    let Answer::Rows {
        columns,
        rows,
        is_first,
    } = &shown[0]
    else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (columns.join("|"), *is_first),
        ("ID|S|x,y".to_owned(), true)
    );
    assert_eq!(rows[0][1].0.as_deref(), Some(r#"{"A":1,"B":1.50}"#));
    assert!(matches!(
        &shown[1],
        Answer::Rows {
            is_first: false,
            ..
        }
    ));
    assert!(matches!(&shown[2], Answer::Said(text) if text == "Limit Reached"));
}

#[test]
fn a_row_limit_ends_the_query_at_the_server() {
    let double = Double::start(|path, _| match path {
        "/info" => (200, INFO),
        "/close-query" => (200, ""),
        _ => (
            200,
            "[{\"header\":{\"queryId\":\"q7\",\"schema\":\"`ID` BIGINT\"}},\n{\"row\":{\"columns\":[1]}},\n{\"row\":{\"columns\":[2]}},\n",
        ),
    });
    let mut client = double.client();
    client.row_limit = Some(1);
    assert_eq!(
        answers(&mut client, "SELECT * FROM s EMIT CHANGES")
            .expect("rows")
            .len(),
        1
    );
    assert_eq!(double.asked("/close-query"), [r#"{"queryId":"q7"}"#]);
}

#[test]
fn what_goes_wrong_is_said_by_remedy() {
    let double = Double::start(|path, body| match (path, body) {
        ("/info", _) => (200, INFO),
        (_, body) if body.contains("later") => (
            503,
            r#"{"@type":"generic_error","error_code":50302,"message":"starting"}"#,
        ),
        (_, body) if body.contains("middle") => (
            200,
            "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` INT\"}},\n{\"errorMessage\":{\"@type\":\"generic_error\",\"error_code\":50000,\"message\":\"broke\"}}]",
        ),
        (_, body) if body.contains("cut") => (
            200,
            "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` INT\"}},\n",
        ),
        _ => (
            400,
            r#"{"@type":"statement_error","error_code":40001,"message":"line 1:8: X cannot be resolved","statementText":"","entities":[]}"#,
        ),
    });
    let mut client = double.client();
    for (statement, status, words) in [
        ("SHOW x", 2, "X cannot be resolved"),
        ("SHOW later", 1, "starting (50302)"),
        ("SELECT middle FROM s", 1, "broke"),
        ("SELECT cut FROM s", 1, "cut off"),
    ] {
        let error = answers(&mut client, statement).expect_err("an error");
        assert_eq!(
            (error.exit_status(), error.to_string().contains(words)),
            (status, true),
            "{error}"
        );
    }
    assert!(Client::open("127.0.0.1:1", &Interrupt::default()).is_err());
}
