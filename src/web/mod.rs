//! A small HTTP server, for pages about a process that has more important work to do.
//!
//! In: a function that answers a request. Out: its answers, from a thread of their own, whatever
//! clients do: size, time and number of what they may hold are limited, and a panic in an answer
//! ends that connection alone.

mod guard;
mod progress;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::channel::Sender;
use http_body_util::{BodyExt, Channel, Full};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

pub(crate) use guard::foreign;
use progress::{Body, Progress};

pub(crate) use hyper::body::Bytes;

/// What a client asks. Its body is not read.
pub(crate) type Request = hyper::Request<Incoming>;
/// What it is answered.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

/// How a request is answered.
pub(crate) enum Answer {
    /// At once.
    Now(Response),
    /// By another thread: it takes more than a moment.
    Later(Box<dyn FnOnce() -> Response + Send>),
    /// With the events of a page, each as it comes, without an end (`text/event-stream`). A client that
    /// is slower than they are gets the latest.
    Events(watch::Receiver<Bytes>),
}

/// How many clients are served at once. The next one takes the place of the oldest, which is the
/// slowest: others are gone within milliseconds.
const MAX_CONNECTIONS: usize = 256;
/// How many bytes the head of a request may have.
const MAX_HEAD: usize = 16 << 10;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request and its answer may take; of one without end, how long a client may take nothing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a client of events hears something, so that each side notices when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How many threads answer what takes more than a moment.
const MAX_ANSWERING: usize = 2;
/// How long the server waits when the system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server, as long as this lives.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at an address and answers each request with what `answer` returns; port 0 takes
    /// one that is free.
    ///
    /// # Errors
    /// Where the address is taken or not of this machine.
    pub(crate) fn start(
        address: SocketAddr,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(MAX_ANSWERING)
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.spawn(accept(listener, Arc::new(answer)));
            // Nothing is ever sent: it ends when the sender is dropped, and the tasks with it.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(serve)?;
        Ok(Server {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic has been printed
        }
    }
}

/// Takes clients in, each in a task of its own.
async fn accept<A>(listener: tokio::net::TcpListener, answer: Arc<A>)
where
    A: Fn(&Request) -> Answer + Send + Sync + 'static,
{
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = listener.accept().await;
        connections.retain(|connection| !connection.is_finished());
        if (accepted.is_err() || connections.len() >= MAX_CONNECTIONS)
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        match accepted {
            Ok((stream, _)) => {
                let task = tokio::spawn(serve(stream, answer.clone()));
                connections.push_back(task.abort_handle());
            }
            // The client has hung up, or no file is left to open.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers one request of a client.
async fn serve<A>(stream: TcpStream, answer: Arc<A>)
where
    A: Fn(&Request) -> Answer,
{
    let progress = Progress::new();
    let service = service_fn(|request: Request| {
        let (answer, progress) = (answer(&request), progress.clone());
        async { Ok::<_, Infallible>(begin(answer).await.map(|body| progress.watch(body))) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A client that hangs up, or is too slow, has no need of the answer.
    while tokio::time::timeout_at(progress.last() + TIMEOUT, connection.as_mut())
        .await
        .is_err()
    {
        if progress.last().elapsed() >= TIMEOUT {
            return;
        }
    }
}

/// Returns the head of an answer, and what its body will be.
async fn begin(answer: Answer) -> hyper::Response<Body> {
    let whole = |response: Response| response.map(BodyExt::boxed_unsync);
    match answer {
        Answer::Now(response) => whole(response),
        Answer::Later(make) => match tokio::task::spawn_blocking(make).await {
            Ok(response) => whole(response),
            // It has panicked, which was printed.
            Err(_) => {
                let mut response = Response::default();
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                whole(response)
            }
        },
        Answer::Events(events) => {
            let (sender, body) = Channel::new(1);
            tokio::spawn(send(events, sender));
            let mut response = hyper::Response::new(body.boxed_unsync());
            let format = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, format);
            response
        }
    }
}

/// Sends events until the client is gone, or there will be none.
async fn send(mut events: watch::Receiver<Bytes>, mut client: Sender<Bytes, Infallible>) {
    loop {
        let event = events.borrow_and_update().clone();
        let event = if event.is_empty() {
            Bytes::from_static(b":\n\n")
        } else {
            event
        };
        if client.send_data(event).await.is_err() {
            return;
        }
        loop {
            match tokio::time::timeout(HEARTBEAT, events.changed()).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) => {
                    let beat = client.send_data(Bytes::from_static(b":\n\n"));
                    if beat.await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// Longer than any answer should take.
    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    fn server() -> Server {
        let answer = |request: &Request| {
            assert_ne!(request.uri().path(), "/broken", "an answer that panics");
            Answer::Now(Response::new(Bytes::from_static(b"page").into()))
        };
        Server::start(([127, 0, 0, 1], 0).into(), answer).expect("a free port")
    }

    fn connect(server: &Server) -> TcpStream {
        let stream = TcpStream::connect(server.address()).expect("it listens");
        stream
            .set_read_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
        stream
            .set_write_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
        stream
    }

    /// Sends bytes and returns all that comes back until the server hangs up.
    fn exchange(server: &Server, bytes: &[u8]) -> String {
        let mut stream = connect(server);
        stream.write_all(bytes).expect("sent");
        let mut answer = Vec::new();
        let hung_up = stream.read_to_end(&mut answer);
        // Data that was sent but not read makes the system report a reset.
        let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        assert!(hung_up.is_ok() || hung_up.as_ref().is_err_and(is_reset));
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn assert_answers(server: &Server) {
        let answer = exchange(server, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\npage"), "{answer}");
    }

    #[test]
    fn the_size_of_a_body_is_not_taken_for_true() {
        let server = server();
        for size in ["100000000000", "18446744073709551615"] {
            let head = format!("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {size}\r\n\r\n");
            let answer = exchange(&server, head.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
        let endless = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n\
            ffffffffffffff\r\n";
        let answer = exchange(&server, endless);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_answers(&server);
    }

    #[test]
    fn a_head_without_end_is_cut_off() {
        let server = server();
        for line in ["Name: value\r\n", "x"] {
            let mut stream = connect(&server);
            let start = b"GET / HTTP/1.1\r\n";
            stream.write_all(start).expect("sent");
            let block = line.repeat(4 << 10);
            // The system takes some MiB for a server that reads no more.
            let refused = (0..16 << 10).any(|_| stream.write_all(block.as_bytes()).is_err());
            assert!(refused, "{line:?}");
            assert_answers(&server);
        }
    }

    #[test]
    fn what_is_not_http_is_no_harm() {
        let server = server();
        let all: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
        for garbage in [
            &all[..],
            b"\0\0\0\0\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET http://[::1 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let mut stream = connect(&server);
            // It may hang up before all is sent.
            let _ = stream.write_all(garbage);
            assert_answers(&server);
        }
    }

    #[test]
    fn an_answer_that_panics_leaves_the_server() {
        let server = server();
        let answer = exchange(&server, b"GET /broken HTTP/1.1\r\nHost: here\r\n\r\n");
        assert_eq!(answer, "");
        assert_answers(&server);
    }

    #[test]
    fn clients_that_dawdle_keep_nobody_out() {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        setrlimit(Resource::Nofile, raised).expect("raised to what is allowed");
        let server = server();
        let mut clients: Vec<TcpStream> = Vec::new();
        for nth in 0..1_000 {
            let mut client = connect(&server);
            if nth % 2 == 0 {
                client.write_all(b"GET / HTTP/1.1\r\nNa").expect("sent");
            }
            clients.push(client);
        }
        let began = Instant::now();
        assert_answers(&server);
        assert!(began.elapsed() < HEAD_TIMEOUT, "it need not wait for them");
        // No more than this many are held; the others have been hung up on.
        let held = clients.iter().filter(|client| {
            client.set_nonblocking(true).expect("set");
            let looked = client.peek(&mut [0]);
            looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        });
        assert!(held.count() <= MAX_CONNECTIONS);
    }

    #[test]
    fn a_client_that_dawdles_is_hung_up_on() {
        let server = server();
        let mut client = connect(&server);
        let began = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\n").expect("sent");
        let mut answer = Vec::new();
        // A byte now and then does not help.
        client
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("set");
        while let Err(error) = client.read_to_end(&mut answer) {
            if !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) {
                break;
            }
            assert!(began.elapsed() < TEST_TIMEOUT, "it is still listened to");
            let _ = client.write_all(b"N"); // it may be gone
        }
        assert!(began.elapsed() <= TIMEOUT + HEAD_TIMEOUT);
        assert_answers(&server);
    }

    #[test]
    fn its_port_is_free_when_it_ends() {
        let server = server();
        let waiting = connect(&server);
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        drop(waiting);
    }
}
