//! A real browser without a window, driven over DevTools' own pipe: Chromium, with nothing but this machine
//! to reach.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::running::await_that;
use crate::skip::{Need, skipped};

/// How long an answer is waited for that comes at once on a machine at rest.
const DEADLINE: Duration = Duration::from_secs(120);
/// The names of the program.
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];

/// A page in a browser.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// What went wrong in the page.
    wrong: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page; `None` where there is none.
    pub fn start() -> Option<Self> {
        let runs = |name: &&str| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|run| run.status.success())
        };
        let Some(name) = NAMES.into_iter().find(|name| runs(name)) else {
            skipped(Need::Program("chromium"), "no chromium to open pages with");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        let folder = format!("--user-data-dir={}", profile.path().display());
        // Messages come in by descriptor 3 and go out by 4.
        let line = format!("exec {name} \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null");
        let mut child = Command::new("sh")
            .args(["-c", &line, "sh", "--headless=new", "--no-sandbox"])
            .args(["--remote-debugging-pipe", "--disable-gpu", "--no-first-run"])
            .args(["--window-size=1280,1000", "--disable-dev-shm-usage"])
            .args([
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                &folder,
            ])
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            input,
            messages,
            session: None,
            calls: 0,
            wrong: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attached);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Page"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Asks the browser for something, and returns its answer.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let bytes = [message.to_string().as_bytes(), b"\0"].concat();
        self.input.write_all(&bytes).expect("it listens");
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = match self.messages.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer"),
                Err(RecvTimeoutError::Disconnected) => panic!("{method}: the browser has ended"),
            };
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.hear(&message);
        }
    }

    /// Takes note of what goes wrong in the page.
    fn hear(&mut self, message: &Value) {
        let params = &message["params"];
        let is_wrong = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => params["type"] == "error",
            Some("Log.entryAdded") => params["entry"]["level"] == "error",
            _ => false,
        };
        if is_wrong {
            self.wrong.push(params.to_string());
        }
    }

    /// Returns what went wrong in the page since this was last asked.
    pub fn wrong(&mut self) -> Vec<String> {
        self.eval("0"); // what came before has come
        std::mem::take(&mut self.wrong)
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
    }

    /// Returns the value of an expression in the page; a promise's is waited for.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let evaluated = self.call("Runtime.evaluate", params);
        let thrown = &evaluated["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        evaluated["result"]["value"].clone()
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub fn await_so(&mut self, expression: &str) {
        let what = format!(
            "{expression}: {}",
            self.eval("document.body?.innerText ?? ''")
        );
        await_that(&what, || self.eval(expression) == Value::Bool(true));
    }

    /// Clicks with the mouse on the middle of the first element that a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [(box.left + box.right) / 2, (box.top + box.bottom) / 2]; }})()"
        );
        let middle = self.eval(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left",
                               "clickCount": 1});
            self.call("Input.dispatchMouseEvent", click);
        }
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": key}),
            );
        }
    }

    /// Writes what the page looks like to a file, if `K_SHOTS` names a folder for that.
    pub fn shoot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("K_SHOTS") else {
            return;
        };
        use base64::Engine;
        let shot = self.call("Page.captureScreenshot", json!({}));
        let data = shot["data"].as_str().expect("an image");
        let image = base64::engine::general_purpose::STANDARD.decode(data);
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, image.expect("base64")).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when its pipe does; waiting for that keeps its profile until then.
        let closing = json!({"id": self.calls + 1, "method": "Browser.close"});
        let _ = self
            .input
            .write_all(&[closing.to_string().as_bytes(), b"\0"].concat());
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > deadline {
                self.child.kill().unwrap_or(());
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
