//! `k watch --web`: what the page shows of a known stream, in a real browser, and who may ask for it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::browser::Browser;
use crate::running::{Running, await_that};
use crate::terminal::on_a_terminal;
use crate::workdir::Workdir;

/// Ten records: one late by a second, one expired; the first window fires when that of 16 s comes.
const LINES: &str = "\
at,seen,who
1000,1500,a
3000,3200,b
8000,8100,a
12000,12500,a
9000,13000,b
16000,16200,b
4000,17000,a
13000,18000,b
14000,18500,a
21000,21500,a
";
const FLAGS: &str = "watch --web --no-open --tumbling 10s --grace 5s --time at --arrival seen";
/// How long an answer may take on a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A page that is served.
pub(crate) struct Site {
    running: Running,
    host: String,
}

impl Site {
    fn start(dir: &Workdir, flags: &str) -> Self {
        Site::of(Running::start(dir, &format!("{FLAGS} {flags}")))
    }

    /// Returns the page of a `k watch --web` that was started.
    pub(crate) fn of(running: Running) -> Self {
        running.await_said("Ctrl-C ends it");
        let said = running.said();
        let (_, url) = said.split_once("http://").expect("its address");
        let host = url.split('/').next().expect("its address").to_owned();
        Site { running, host }
    }

    /// Ends it by a signal.
    pub(crate) fn end(self, signal: Signal) {
        self.running
            .ended_by(signal)
            .assert_status(128 + signal.as_raw());
    }

    fn url(&self) -> String {
        format!("http://{}/", self.host)
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.host).expect("it listens");
        client.set_read_timeout(Some(TIMEOUT)).expect("set");
        client
    }

    /// Returns the status, the head and the body of an answer.
    fn ask(&self, request: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
        let mut client = self.connect();
        let named = headers.iter().any(|(name, _)| *name == "Host");
        let mut head = format!("{request} HTTP/1.1\r\n");
        if !named {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        client
            .write_all(format!("{head}\r\n").as_bytes())
            .expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), head.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> String {
        let (status, head, body) = self.ask(&format!("GET {path}"), &[]);
        assert_eq!(status, 200, "{path}: {head}\n{body}");
        body
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).expect("JSON")
    }

    /// Returns the lines that explain something, as one text.
    fn explained(&self, query: &str) -> String {
        let lines = self.json(&format!("/explain?{query}"));
        let lines = lines.as_array().expect("lines").iter();
        lines
            .map(|line| format!("{}\n", line.as_str().expect("text")))
            .collect()
    }

    /// Waits until the picture has so many records, and returns the frame.
    fn await_records(&self, records: usize) -> Value {
        let mut frame = Value::Null;
        await_that(&format!("{records} records"), || {
            frame = self.json("/frame");
            marks(&frame, "data-record").len() == records
        });
        frame
    }
}

/// Returns the values of an attribute in the picture of a frame.
fn marks(frame: &Value, attribute: &str) -> Vec<String> {
    let svg = frame["svg"].as_str().expect("a picture");
    let document = roxmltree::Document::parse(svg).expect("XML");
    let values = document
        .descendants()
        .filter_map(|node| node.attribute(attribute));
    values.map(str::to_owned).collect()
}

/// Returns what a frame says by a name; nothing where it says none.
pub(crate) fn fact(frame: &Value, name: &str) -> String {
    let facts = frame["facts"].as_array().expect("facts").iter();
    let mut values = facts.filter(|fact| fact[0] == name);
    let value = values.next().map(|fact| fact[1].as_str().expect("text"));
    value.unwrap_or_default().to_owned()
}

fn append(dir: &Workdir, lines: &str) {
    let mut file = File::options()
        .append(true)
        .open(dir.path("calls.csv"))
        .expect("there");
    file.write_all(lines.as_bytes()).expect("written");
}

#[test]
fn a_frame_shows_each_record_and_pane_and_grows_with_the_file() {
    let dir = Workdir::new();
    dir.write("calls.csv", LINES);
    let site = Site::start(&dir, "calls.csv");
    let frame = site.await_records(10);
    assert_eq!(marks(&frame, "data-pane"), ["0"], "the first window's");
    assert_eq!(marks(&frame, "data-value"), ["4"]);
    assert_eq!(fact(&frame, "expired"), "1");
    assert_eq!(fact(&frame, "late"), "1");
    assert!(
        fact(&frame, "watermark").starts_with("00:00:21, 500 ms behind"),
        "{frame}"
    );
    assert_eq!(frame["lates"][0][0], 6, "the record of 4 s is the seventh");
    assert!(
        frame["panes"][0]
            .as_str()
            .is_some_and(|pane| pane.contains(": 4 (on time)"))
    );
    // What was seen at a moment: six records had come, one pane had left.
    let before = site.json("/frame?until=16500");
    assert_eq!(marks(&before, "data-record").len(), 6);
    assert_eq!(
        (before["until"].clone(), before["now"].clone()),
        (16_500.into(), 21_500.into())
    );
    assert_eq!(
        before["lates"][0][0], 4,
        "the late one, and not yet the one that has expired"
    );
    let before = site.json("/frame?until=16100");
    assert!(marks(&before, "data-pane").is_empty());
    append(&dir, "26000,26100,b\n");
    let frame = site.await_records(11);
    assert_eq!(marks(&frame, "data-value"), ["4", "4"]);
    site.end(Signal::INT);
}

#[test]
fn what_is_explained_is_what_k_explain_says() {
    let dir = Workdir::new();
    dir.write("calls.csv", LINES);
    let site = Site::start(&dir, "calls.csv --by who");
    site.await_records(10);
    let flags = "--tumbling 10s --grace 5s --time at --arrival seen --by who --from calls.csv";
    // The file may grow: of a window that is open the end is not known.
    let of_record = |line: usize| dir.k(&format!("explain record calls.csv:{line} {flags}"));
    for (number, line) in [(6, 8), (4, 6), (0, 2)] {
        let told = site.explained(&format!("record={number}"));
        assert_eq!(told, of_record(line).stdout(), "line {line}");
    }
    let told = site.explained("start=0&end=10000&key=a");
    let expected = dir.k(&format!("explain window 00:00 --key a {flags}"));
    assert_eq!(told, expected.stdout());
    let told = site.explained("start=20000&end=30000&key=a");
    assert!(
        told.contains("waits for the watermark to reach 1970-01-01T00:00:35Z"),
        "{told}"
    );
    assert!(
        site.explained("record=99")
            .contains("Nothing is known of it")
    );
    // What is near to a place: the one that has expired, 100 ms of event time away, and nothing else.
    let near = site.explained("at=4100&at_most=500&when=17000&when_most=500");
    assert_eq!(near, site.explained("record=6"));
    let nothing = "at=4100&at_most=50&when=17000&when_most=50";
    assert!(site.explained(nothing).contains("Nothing"));
    let or = site.explained(&format!("{nothing}&start=0&end=10000&key=a"));
    assert!(or.starts_with("Window 1970"), "{or}");
    assert_eq!(site.ask("GET /explain?start=0", &[]).0, 400);
}

#[test]
fn only_the_page_itself_is_answered() {
    let dir = Workdir::new();
    dir.write("calls.csv", LINES);
    let site = Site::start(&dir, "calls.csv");
    let own = format!("http://{}", site.host);
    let port = site.host.split(':').nth(1).expect("a port");
    let (rebound, local) = (format!("evil.example:{port}"), format!("localhost:{port}"));
    for path in [
        "/",
        "/watch.js",
        "/watch.css",
        "/frame",
        "/explain?record=1",
    ] {
        let ask = |headers: &[(&str, &str)]| site.ask(&format!("GET {path}"), headers).0;
        assert_eq!(ask(&[]), 200);
        assert_eq!(ask(&[("Origin", &own)]), 200);
        assert_eq!(ask(&[("Host", &local)]), 200);
        assert_eq!(ask(&[("Sec-Fetch-Site", "same-origin")]), 200);
        for headers in [
            &[("Origin", "http://evil.example")][..],
            &[("Origin", "null")],
            &[("Origin", "http://127.0.0.1:1")],
            &[("Host", &rebound)],
            &[("Host", "a"), ("Host", &local)],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
        ] {
            assert_eq!(ask(headers), 403, "{path} {headers:?}");
        }
    }
    let refused = site.ask("GET /events", &[("Origin", "http://evil.example")]);
    assert_eq!(refused.0, 403);
    assert_eq!(site.ask("POST /explain?record=1", &[]).0, 405);
    assert_eq!(site.ask("GET /etc/passwd", &[]).0, 404);
    let (_, head, _) = site.ask("GET /", &[]);
    assert!(head.contains("default-src 'none'"), "{head}");
    assert!(!head.contains("access-control-allow"), "{head}");
    let taken = dir.k(&format!("{FLAGS} calls.csv --port {port}"));
    taken.assert_refused(1, &["cannot serve the page at", "in use", "--port"]);
    dir.k("watch --tumbling 10s calls.csv")
        .assert_refused(2, &["not a terminal", "--web"]);
}

#[test]
fn clients_that_take_nothing_hold_nobody_up() {
    let dir = Workdir::new();
    let mut running = Running::start(&dir, FLAGS);
    running.write("at,seen,who\n0,0,a\n");
    let mut site = Site::of(running);
    let asked = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", site.host);
    let clients = (0..100).map(|_| {
        let mut client = site.connect();
        client.write_all(asked.as_bytes()).expect("sent");
        client
    });
    let mut clients: Vec<TcpStream> = clients.collect();
    // Each of these has an event; none takes another.
    for client in &mut clients {
        client
            .read_exact(&mut [0; 16])
            .expect("the head of an answer");
    }
    let count = 40_000;
    for from in (0..count).step_by(1_000) {
        let line = |n: u32| format!("{n},{},a\n", n + 100);
        let lines: String = (from..from + 1_000).map(line).collect();
        site.running.write(&lines);
    }
    await_that("all records", || {
        fact(&site.json("/frame"), "records") == "40,001"
    });
    // One that does gets the latest, and the next ones as they come.
    let mut client = site.connect();
    client.write_all(asked.as_bytes()).expect("sent");
    let mut seen = Vec::new();
    while seen.windows(7).filter(|part| part == b"\"from\":").count() < 2 {
        let mut part = [0; 1 << 14];
        let read = client.read(&mut part).expect("an event");
        assert!(read > 0);
        seen.extend_from_slice(&part[..read]);
        let next = count + seen.len() as u32;
        site.running.write(&format!("{next},{next},a\n"));
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("text/event-stream") && seen.contains("\nevent: frame\n"));
    site.running.close();
    await_that("the end", || site.json("/frame")["ended"] == true);
}

#[test]
fn a_terminal_shows_the_picture_and_is_given_back() {
    let dir = Workdir::new();
    dir.write("calls.csv", LINES);
    let flags = "watch --tumbling 10s --grace 5s --time at --arrival seen calls.csv";
    let flags: Vec<&str> = flags.split(' ').collect();
    for (keys, status) in [(" \\x1b[D\\x1b[Cq", 0), ("\\x03", 130)] {
        let Some((ended, seen)) = on_a_terminal(&dir, &flags, "expired", keys) else {
            return;
        };
        assert_eq!(ended, status, "{seen}");
        let entered = seen.find("\u{1b}[?1049h").expect("a screen of its own");
        let left = seen.rfind("\u{1b}[?1049l").expect("the old screen again");
        assert!(entered < left, "{seen}");
        for part in ["watermark", "×", "▲", "•", "last panes", "event"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
    }
}

/// How many records and panes the page shows.
const DOTS: &str = "document.querySelectorAll('#picture [data-record]').length";
const PANES: &str = "document.querySelectorAll('#picture [data-pane]').length";

#[test]
fn a_browser_shows_pauses_looks_back_explains_and_connects_again() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let dir = Workdir::new();
    dir.write("calls.csv", LINES);
    let site = Site::start(&dir, "calls.csv");
    let port = site.host.split(':').nth(1).expect("a port").to_owned();
    browser.open(&site.url());
    browser.await_so(&format!("{DOTS} === 10 && {PANES} === 1"));
    browser.await_so("document.querySelector('#state').textContent === 'live'");
    let watermark = browser.eval("document.querySelector('[data-fact=watermark]').textContent");
    assert!(
        watermark
            .as_str()
            .is_some_and(|at| at.starts_with("00:00:21, 500 ms behind"))
    );
    // Words are as dark as they should be, whatever their ink and group do to boxes.
    browser.await_so(
        "[...document.querySelectorAll('#picture text')].every((words) => \
         getComputedStyle(words).fillOpacity === '1' && getComputedStyle(words).fill !== 'none')",
    );
    browser.shoot("live");

    // The record that was dropped, and the window that it was too late for.
    browser.click("#picture .expired[data-record]");
    browser.await_so("document.querySelector('#lines').textContent.includes('Dropped.')");
    let told = browser.eval("document.querySelector('#lines').textContent");
    assert_eq!(told, site.explained("record=6").trim_end(), "{told}");
    browser.shoot("explained");
    browser.click("#close");
    browser.click("#picture [data-pane]");
    browser.await_so("document.querySelector('#lines').textContent.startsWith('Window 1970')");
    browser.press("Escape");
    browser.await_so("document.querySelector('#told').hidden");

    // What comes while it is paused is there afterwards.
    browser.click("#pause");
    browser.await_so("document.querySelector('#state').textContent === 'paused'");
    append(&dir, "26000,26100,b\n");
    browser.await_so("Number(document.querySelector('#scrub').max) === 26100");
    assert_eq!(browser.eval(DOTS), 10);
    browser.press("ArrowLeft");
    browser.await_so("document.querySelector('#state').textContent === 'looking back'");
    let scrub = "(() => { const scrub = document.querySelector('#scrub'); scrub.value = 16100; \
                 scrub.dispatchEvent(new Event('input')); return true; })()";
    browser.eval(scrub);
    browser.await_so(&format!("{DOTS} === 5 && {PANES} === 0"));
    browser.press("End");
    browser.await_so(&format!("{DOTS} === 11 && {PANES} === 2"));

    // Of thousands a shade stands for many; a click means one of them.
    let line = |n: usize| format!("{},{},b\n", 30_000 + n, 30_100 + n);
    append(&dir, &(0..2_000).map(line).collect::<String>());
    browser.await_so("document.querySelectorAll('#picture [data-fate]').length > 0");
    browser.await_so("document.querySelector('[data-fact=records]').textContent === '2,011'");
    // The strongest of its shades: the others are of records that lie alone.
    browser.click("#picture .records path:last-of-type");
    browser.await_so("document.querySelector('#lines').textContent.startsWith('calls.csv:')");
    browser.press("Escape");

    // A page from elsewhere gets nothing; nothing else went wrong.
    assert_eq!(browser.wrong(), [""; 0]);
    let url = site.url();
    browser.open("data:text/html,<p>elsewhere");
    let stolen = format!("fetch('{url}frame').then(() => true, () => false)");
    assert_eq!(browser.eval(&stolen), false);
    browser.wrong();

    // The program is started again; the page goes on.
    browser.open(&url);
    browser.await_so("document.querySelector('#state').textContent === 'live'");
    site.end(Signal::INT);
    browser.await_so("document.querySelector('#state').textContent.includes('trying again')");
    dir.write("calls.csv", LINES);
    let again = Site::start(&dir, &format!("calls.csv --port {port}"));
    browser.await_so(&format!("{DOTS} === 10"));
    browser.await_so("document.querySelector('#state').textContent === 'live'");
    drop(again);
}
