//! The page of `k watch --web`: what it asks for, and what it is answered.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the page; `/watch.js`, `/watch.css` are its parts |
//! | `/events` | a frame several times a second, as server-sent events |
//! | `/frame?until=MS` | the frame that ends at a moment of processing time |
//! | `/explain?record=N`, `/explain?start=MS&end=MS&key=K` | the explanation of a record, of a window |
//! | `/explain?at=MS&at_most=MS&when=MS&when_most=MS` | the same of the record nearest to an event and a processing time; if none is, of the window that is named behind it |
//!
//! A frame is an object of JSON with the picture as SVG in it. The server keeps nothing of a client: who
//! pauses does so in the page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
};
use hyper::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use tokio::sync::watch;

use super::explanation::Target;
use super::live::{Frame, Live};
use crate::error::{Error, Result};
use crate::journal::Bounds;
use crate::picture::ink::Theme;
use crate::picture::{Medium, Plane, svg};
use crate::plot::cut::Near;
use crate::web::{Answer, Bytes, Request, Response, Server, foreign};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// How large the picture is; the page makes it as large as there is room.
const SIZE: (u32, u32) = (1_200, 640);
/// How often a frame is drawn.
const PERIOD: Duration = Duration::from_millis(350);

/// A page about a run, as long as this lives.
#[derive(Debug)]
pub(crate) struct Site {
    server: Server,
    stop: Arc<AtomicBool>,
    drawer: Option<JoinHandle<()>>,
}

/// What answers need.
struct Desk {
    live: Arc<Live>,
    theme: Theme,
    /// Which run of the program this is: another one counts from 0.
    run: String,
    events: watch::Sender<Bytes>,
}

/// A frame as the page reads it.
#[derive(Serialize)]
struct Sheet<'f> {
    run: &'f str,
    from: i64,
    until: i64,
    since: i64,
    now: i64,
    ended: bool,
    facts: &'f [(&'static str, String)],
    panes: &'f [String],
    lates: Vec<(u64, &'f str)>,
    /// Left, right, lower and upper edge of the axes in the picture, and the values there.
    plane: Option<[f64; 8]>,
    svg: String,
}

impl Site {
    /// Serves a page about a run at an address; port 0 takes one that is free.
    ///
    /// # Errors
    /// `refused` when the address is taken or not of this machine.
    pub(crate) fn serve(address: SocketAddr, live: Arc<Live>, theme: Theme) -> Result<Self> {
        let desk = Arc::new(Desk {
            live,
            theme,
            run: format!(
                "{:x}-{:x}",
                crate::term::units::now_ms(),
                std::process::id()
            ),
            events: watch::Sender::default(),
        });
        let of = desk.clone();
        let server = Server::start(address, move |request| answer(&of, request));
        let server = server.map_err(|source| {
            Error::io(format!("serve the page at `{address}`"), source)
                .hint("without `--port`, a free one is taken")
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let drawer = std::thread::Builder::new()
            .name("drawer".to_owned())
            .spawn(move || draw_on(&desk, &until))
            .map_err(|source| Error::io("start a thread", source))?;
        Ok(Site {
            server,
            stop,
            drawer: Some(drawer),
        })
    }

    /// Returns where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(drawer) = self.drawer.take() {
            let _ = drawer.join(); // a panic has been printed
        }
    }
}

/// Draws frames as long as a client is connected.
fn draw_on(desk: &Desk, stop: &AtomicBool) {
    let (mut last, mut number) = (String::new(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        if desk.events.receiver_count() == 0 {
            last.clear();
            desk.events.send_replace(Bytes::new());
        } else {
            let sheet = desk.sheet(None);
            if sheet != last {
                number += 1;
                let event = format!("id: {}.{number}\nevent: frame\ndata: {sheet}\n\n", desk.run);
                desk.events.send_replace(Bytes::from(event));
                last = sheet;
            }
        }
        std::thread::sleep(PERIOD);
    }
}

impl Desk {
    /// Returns a frame as JSON.
    fn sheet(&self, until: Option<i64>) -> String {
        let frame = self.live.frame(until, Medium::page(SIZE.0, SIZE.1));
        let Frame {
            stretch: (from, until),
            since,
            now,
            ..
        } = frame;
        let lates = frame.lates.iter();
        let sheet = Sheet {
            run: &self.run,
            from,
            until,
            since,
            now,
            ended: frame.has_ended,
            facts: &frame.facts,
            panes: &frame.panes,
            lates: lates
                .map(|late| (late.record, late.words.as_str()))
                .collect(),
            plane: frame.scene.plane.map(|Plane { area, across, up }| {
                let edges = [area.left, area.right, area.bottom, area.top];
                let [left, right, lower, upper] = edges;
                [left, right, lower, upper, across.0, across.1, up.0, up.1]
            }),
            svg: svg::draw(&frame.scene, self.theme),
        };
        json(&sheet)
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("\"{error}\""))
}

fn answer(desk: &Arc<Desk>, request: &Request) -> Answer {
    if let Some(refusal) = foreign(request) {
        return Answer::Now(refusal);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Answer::Now(status(
            StatusCode::METHOD_NOT_ALLOWED,
            "it can only be read\n",
        ));
    }
    let query = request.uri().query().unwrap_or_default();
    let part =
        |text: &'static str, format| Answer::Now(page(Bytes::from_static(text.as_bytes()), format));
    match request.uri().path() {
        "/" => part(PAGE, "text/html; charset=utf-8"),
        "/watch.js" => part(SCRIPT, "text/javascript; charset=utf-8"),
        "/watch.css" => part(STYLE, "text/css; charset=utf-8"),
        "/events" => Answer::Events(desk.events.subscribe()),
        "/frame" => {
            let (desk, until) = (desk.clone(), number(query, "until"));
            Answer::Later(Box::new(move || page(desk.sheet(until), JSON)))
        }
        "/explain" => match target(query) {
            Some(target) => {
                let desk = desk.clone();
                Answer::Later(Box::new(move || explain(&desk, &target)))
            }
            None => Answer::Now(status(
                StatusCode::BAD_REQUEST,
                "name a record, or a window by its start and end\n",
            )),
        },
        _ => Answer::Now(status(StatusCode::NOT_FOUND, "the page is at /\n")),
    }
}

const JSON: &str = "application/json";

fn explain(desk: &Desk, target: &Target) -> Response {
    match desk.live.tell(target) {
        Ok(lines) => page(json(&lines), JSON),
        Err(error) => status(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn page(body: impl Into<Bytes>, format: &'static str) -> Response {
    let mut response = Response::new(body.into().into());
    set_headers(response.headers_mut(), format);
    response
}

fn status(status: StatusCode, words: &str) -> Response {
    let mut response = page(words.to_owned(), "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
}

/// Nothing is loaded from elsewhere, and no other page may show this one or read its parts.
fn set_headers(headers: &mut HeaderMap, format: &'static str) {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                          connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    let fields = [
        (CONTENT_TYPE, format),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Returns a value of a query, decoded.
fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, then @ ..] = rest {
        let code = then
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &then[2..];
            }
            (byte, _) => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = then;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn number<N: std::str::FromStr>(query: &str, name: &str) -> Option<N> {
    value(query, name)?.parse().ok()
}

fn target(query: &str) -> Option<Target> {
    if let Some(record) = number(query, "record") {
        return Some(Target::Record(record));
    }
    let window = window(query);
    let (Some(at), Some(when)) = (number(query, "at"), number(query, "when")) else {
        return window;
    };
    let most = |name| number(query, name).unwrap_or(1);
    let near = Near {
        at: (at, most("at_most")),
        when: (when, most("when_most")),
    };
    Some(Target::Near(near, window.map(Box::new)))
}

fn window(query: &str) -> Option<Target> {
    let window = crate::engine::window::Window {
        start: number(query, "start")?,
        end: number(query, "end")?,
    };
    Some(Target::Window {
        window: Bounds::from(window),
        key: value(query, "key"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_decoded() {
        assert_eq!(target("record=17"), Some(Target::Record(17)));
        let asked = target("start=-5&end=10&key=a%2C+%C3%84%");
        let Some(Target::Window { window, key }) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!((window.start, window.end), (Some(-5), Some(10)));
        assert_eq!(key.as_deref(), Some("a, Ä%"));
        for query in ["", "record=x", "start=1", "record", "start=1&end="] {
            assert_eq!(target(query), None, "{query}");
        }
    }
}
