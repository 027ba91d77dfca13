//! Which brokers there are, who leads which partition, and what was asked and is not answered yet:
//! what reading and writing have in common. A machine that its caller steps.
//!
//! In: the time, what has become of connections, and answers. Out: [`Action`]s, and the answers to
//! questions of the machine that owns this one. `Q` is such a question; what is asked here, what a
//! broker knows and who leads, is answered here.

mod leaders;
mod session;
mod useless;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::security::Login;
use super::super::wire::bytes::{Output, Pieces};
use super::super::wire::connection::{Frame, SECURED};
use super::super::wire::metadata::{self, Found, Metadata};
use super::super::wire::versions::{self, Versions};
use super::super::wire::{self, Api, code};
pub use leaders::Topic;
use session::Session;
pub use useless::{Lasting, Useless};

/// How long is waited before something is tried again, at first and at most.
pub const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);
/// How long no broker may know a topic before it is gone: one that has just started may not yet.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// How brokers are spoken to.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the brokers know this client by.
    pub client: String,
    /// How long an answer may take, beyond what the broker was asked to wait.
    pub patience: Duration,
    /// How often is asked who leads a partition, though all is well.
    pub metadata_age: Duration,
    /// Who logs in, if anyone does.
    pub login: Option<Login>,
}

/// What the caller is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to a broker, and report it by [`Cluster::connected`] or [`Cluster::lost`].
    Connect(usize),
    /// Close the connection to a broker that is not needed, or does not answer for so long.
    Close(usize, Option<Duration>),
    /// Send a request.
    Send(usize, Pieces),
}

/// Why nothing of a topic can be read or written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It is gone.
    Gone,
    /// Another topic has its name now.
    Replaced,
    /// The broker refuses, by this code.
    Refused(i16),
}

/// A broker.
#[derive(Debug)]
struct Node<Q> {
    /// Its number; none for an address that the user has named, until it is known whose that is.
    id: Option<i32>,
    address: String,
    link: Link,
    /// Asked and not answered, in order.
    asked: VecDeque<Asked<Q>>,
    correlation: i32,
    session: Session,
    /// Not to be connected to before, and how long to wait the next time.
    retry_at: Instant,
    backoff: Duration,
    /// Nothing of the owner's is asked before.
    throttled_until: Instant,
    /// Whether the last connection came to nothing.
    has_failed: bool,
    /// Whether it has ever answered more than what it knows.
    has_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Connecting,
    /// Connected, and asked what it knows.
    Greeting,
    /// Logging in, for the first time or again.
    LoggingIn(Versions),
    Up(Versions),
}

#[derive(Debug)]
struct Asked<Q> {
    correlation: i32,
    version: i16,
    since: Instant,
    deadline: Instant,
    question: Question<Q>,
}

#[derive(Debug)]
enum Question<Q> {
    Versions,
    /// Whether a mechanism of logging in is taken.
    Mechanism,
    /// What a login's last message is answered by.
    Login,
    Metadata,
    Own(Q),
}

impl<Q> Node<Q> {
    fn new(id: Option<i32>, address: &str, now: Instant) -> Self {
        Node {
            id,
            address: address.to_owned(),
            link: Link::Down,
            asked: VecDeque::new(),
            correlation: 0,
            session: Session::default(),
            retry_at: now,
            backoff: SOON,
            throttled_until: now,
            has_failed: false,
            has_answered: false,
        }
    }
}

/// When the brokers are asked who leads.
#[derive(Debug)]
struct Lookup {
    is_wanted: bool,
    is_asked: bool,
    last: Option<Instant>,
    /// The broker to be connected to if none is.
    turn: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Cluster<Q> {
    options: Options,
    topics: Vec<Topic>,
    nodes: Vec<Node<Q>>,
    lookup: Lookup,
    actions: VecDeque<Action>,
    /// Questions whose connections are lost, for the owner.
    dropped: VecDeque<Q>,
    /// Topics of which nothing more comes, for the owner.
    losses: VecDeque<(usize, Loss)>,
}

impl<Q> Cluster<Q> {
    /// Returns one that knows these addresses.
    pub fn new(options: Options, brokers: &[String], now: Instant) -> Self {
        let brokers = brokers.iter();
        Cluster {
            options,
            topics: Vec::new(),
            nodes: brokers.map(|broker| Node::new(None, broker, now)).collect(),
            lookup: Lookup {
                is_wanted: true,
                is_asked: false,
                last: None,
                turn: 0,
            },
            actions: VecDeque::new(),
            dropped: VecDeque::new(),
            losses: VecDeque::new(),
        }
    }

    /// Adds a topic whose leaders are to be known; returns its place.
    pub fn add_topic(&mut self, name: &str) -> usize {
        self.topics.push(Topic::new(name));
        self.lookup.is_wanted = true;
        self.topics.len() - 1
    }

    /// Returns a topic.
    pub fn topic(&self, nth: usize) -> &Topic {
        &self.topics[nth]
    }

    /// Returns how many topics there are; they count from 0.
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Returns how many brokers are known; they count from 0.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Returns a broker's address.
    pub fn address(&self, node: usize) -> &str {
        &self.nodes[node].address
    }

    /// Returns a broker's number, once it is known.
    pub fn id(&self, node: usize) -> Option<i32> {
        self.nodes[node].id
    }

    /// Returns whether no broker can be reached.
    pub fn is_cut_off(&self) -> bool {
        self.nodes.iter().all(|node| node.has_failed)
    }

    /// Returns what the owner has asked a broker and is not answered.
    pub fn asked(&self, node: usize) -> impl Iterator<Item = &Q> {
        let asked = self.nodes[node].asked.iter();
        asked.filter_map(|asked| match &asked.question {
            Question::Own(question) => Some(question),
            _ => None,
        })
    }

    /// Returns the version in which a broker is asked something; none where it cannot be asked now.
    pub fn version(&self, node: usize, api: Api) -> Option<i16> {
        match self.nodes[node].link {
            Link::Up(versions) => versions.of(api),
            _ => None,
        }
    }

    /// Returns whether a broker can be asked now.
    pub fn is_up(&self, node: usize) -> bool {
        matches!(self.nodes[node].link, Link::Up(_))
    }

    /// Returns whether there is no connection to a broker, nor is one being made.
    pub fn is_down(&self, node: usize) -> bool {
        self.nodes[node].link == Link::Down
    }

    /// Returns whether a broker wants to be left alone for now.
    pub fn is_throttled(&self, node: usize, now: Instant) -> bool {
        self.nodes[node].throttled_until > now
    }

    /// Leaves a broker alone for some time.
    pub fn throttle(&mut self, node: usize, throttle: Duration, now: Instant) {
        self.nodes[node].throttled_until = now + throttle;
    }

    /// Has the brokers asked who leads.
    pub fn look_up(&mut self) {
        self.lookup.is_wanted = true;
    }

    /// Takes a leader for wrong, and has the brokers asked who leads.
    pub fn forget_leader(&mut self, topic: usize, partition: i32) {
        let nth = usize::try_from(partition).ok();
        if let Some(led) = nth.and_then(|nth| self.topics[topic].leaders.get_mut(nth)) {
            led.by = None;
        }
        self.lookup.is_wanted = true;
    }

    /// Returns what is to be done next.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns a question whose connection was lost: it was not answered, and will not be.
    pub fn dropped(&mut self) -> Option<Q> {
        self.dropped.pop_front()
    }

    /// Returns a topic of which nothing more comes, and why.
    pub fn loss(&mut self) -> Option<(usize, Loss)> {
        self.losses.pop_front()
    }

    /// Takes note that a broker is connected to.
    pub fn connected(&mut self, node: usize, now: Instant) {
        self.nodes[node].link = Link::Greeting;
        let question = Question::Versions;
        self.send(
            node,
            Api::Versions,
            0,
            question,
            (now, Duration::ZERO),
            |_| {},
        );
    }

    /// Returns what a broker most likely means that closes the connection now, without a word.
    pub fn why_closed(&self, node: usize) -> Option<&'static str> {
        match self.nodes[node].link {
            Link::Greeting => Some(SECURED),
            // It answers nobody else.
            Link::Up(_) if self.options.login.is_none() && !self.nodes[node].has_answered => Some(
                "it closed the connection; perhaps it needs a login: `-X security.protocol=sasl_…`",
            ),
            _ => None,
        }
    }

    /// Takes note that there is no connection to a broker, or none any more.
    pub fn lost(&mut self, node: usize, now: Instant) {
        let lost = &mut self.nodes[node];
        lost.has_failed = true;
        lost.retry_at = now + lost.backoff;
        lost.backoff = (2 * lost.backoff).min(LATER);
        self.forget(node);
        self.lookup.is_wanted = true; // another may lead by now
    }

    /// Takes a connection for closed, and what was asked there for not asked.
    fn forget(&mut self, node: usize) {
        self.nodes[node].link = Link::Down;
        self.nodes[node].session = Session::default();
        for asked in std::mem::take(&mut self.nodes[node].asked) {
            match asked.question {
                Question::Versions | Question::Mechanism | Question::Login => {}
                Question::Metadata => {
                    self.lookup.is_asked = false;
                    self.lookup.is_wanted = true;
                }
                Question::Own(question) => self.dropped.push_back(question),
            }
        }
    }

    fn close(&mut self, node: usize, silent_for: Option<Duration>) {
        self.forget(node);
        self.actions.push_back(Action::Close(node, silent_for));
    }

    /// Connects to a broker, unless that is being done, or has just failed; whether it does.
    pub fn connect(&mut self, node: usize, now: Instant) -> bool {
        let connected = &mut self.nodes[node];
        let connects = connected.link == Link::Down && connected.retry_at <= now;
        if connects {
            connected.link = Link::Connecting;
            self.actions.push_back(Action::Connect(node));
        }
        connects
    }

    /// Takes an answer of a broker; returns it where the owner has asked, with the version.
    ///
    /// # Errors
    /// Why its connection is of no use; it is to be closed, and [`Cluster::lost`].
    pub fn answered(
        &mut self,
        node: usize,
        frame: Frame,
        now: Instant,
    ) -> Result<Option<(Q, i16, Frame)>, Useless> {
        let (correlation, _) = wire::answer(&frame)?;
        let asked = &mut self.nodes[node].asked;
        let is_it = |asked: &Asked<Q>| asked.correlation == correlation;
        let asked = if asked.front().is_some_and(is_it) {
            asked.pop_front()
        } else {
            None
        };
        let asked = asked.ok_or("it answers what was not asked")?;
        let version = asked.version;
        self.nodes[node].has_answered |=
            matches!(asked.question, Question::Metadata | Question::Own(_));
        let body = |api| wire::body(api, version, &frame);
        match asked.question {
            Question::Versions => {
                let known = versions::read(body(Api::Versions)?)?;
                let known = known.map_err(|_| "it is older than Kafka 2.1")?;
                self.log_in(node, known, now)?;
            }
            Question::Mechanism => self.take_mechanisms(node, body(Api::SaslHandshake)?, now)?,
            Question::Login => {
                let input = body(Api::SaslAuthenticate)?;
                self.take_login(node, (input, version), now)?;
            }
            Question::Metadata => {
                self.lookup.is_asked = false;
                let found = metadata::read(body(Api::Metadata)?, version)?;
                self.take_metadata(&found, now);
            }
            Question::Own(question) => return Ok(Some((question, version, frame))),
        }
        Ok(None)
    }

    /// Takes up who the brokers are, and who leads.
    fn take_metadata(&mut self, found: &Metadata, now: Instant) {
        self.take_brokers(&found.brokers, now);
        for nth in 0..self.topics.len() {
            let topic = &self.topics[nth];
            let mut all = found.topics.iter();
            if let Some(found) = all.find(|found| found.name == topic.name) {
                self.take_topic(nth, found, now);
            }
        }
    }

    fn take_topic(&mut self, nth: usize, found: &Found, now: Instant) {
        let topic = &mut self.topics[nth];
        let is_other = topic.id.is_some() && found.id.is_some() && topic.id != found.id;
        let loss = match found.error {
            code::NONE if is_other => Some(Loss::Replaced),
            code::NONE => {
                topic.take(found);
                None
            }
            code::UNKNOWN_TOPIC => {
                let since = *topic.forgotten_since.get_or_insert(now);
                self.lookup.is_wanted = true;
                (now.duration_since(since) >= FORGOTTEN).then_some(Loss::Gone)
            }
            error if code::PASSING.contains(&error) => {
                self.lookup.is_wanted = true;
                None
            }
            error => Some(Loss::Refused(error)),
        };
        if let Some(loss) = loss
            && !std::mem::replace(&mut topic.is_lost, true)
        {
            self.losses.push_back((nth, loss));
        }
    }

    /// Takes up who the brokers are.
    pub fn take_brokers(&mut self, brokers: &[metadata::Broker], now: Instant) {
        for broker in brokers {
            self.take_broker(broker, now);
        }
    }

    fn take_broker(&mut self, broker: &metadata::Broker, now: Instant) {
        let mut nodes = self.nodes.iter();
        let known = nodes.position(|node| node.id == Some(broker.id));
        let same = || {
            let is_same = |node: &Node<Q>| node.id.is_none() && node.address == broker.address;
            self.nodes.iter().position(is_same)
        };
        match known.or_else(same) {
            None => {
                let node = Node::new(Some(broker.id), &broker.address, now);
                self.nodes.push(node)
            }
            Some(nth) => {
                let node = &mut self.nodes[nth];
                node.id = Some(broker.id);
                if node.address != broker.address {
                    node.address.clone_from(&broker.address);
                    if node.link != Link::Down {
                        self.close(nth, None);
                    }
                }
            }
        }
    }

    /// Leaves brokers that do not answer, and asks who leads, where that is due.
    pub fn tick(&mut self, now: Instant) {
        for nth in 0..self.nodes.len() {
            let oldest = self.nodes[nth].asked.front();
            let since = oldest.filter(|oldest| oldest.deadline <= now);
            if let Some(since) = since.map(|oldest| oldest.since) {
                self.close(nth, Some(now.duration_since(since)));
                self.lost(nth, now);
            }
            self.renew_login(nth, now);
        }
        self.ask_who_leads(now);
    }

    /// Returns when something is due next, here or among `others`, if nothing happens until then.
    pub fn wakes_at(&self, now: Instant, others: impl Iterator<Item = Instant>) -> Instant {
        let of_nodes = self.nodes.iter().flat_map(|node| {
            let deadlines = node.asked.iter().map(|asked| asked.deadline);
            let times = [node.retry_at, node.throttled_until].into_iter();
            times.chain(node.session.renews_at()).chain(deadlines)
        });
        let looked_up = self.lookup.last.iter().map(|&last| last + SOON);
        let due = of_nodes.chain(looked_up).chain(others);
        due.filter(|&due| due > now).fold(now + LATER, Instant::min)
    }

    /// Asks a broker something, which may take so long as it was asked to wait, and the patience.
    pub fn ask(
        &mut self,
        node: usize,
        (api, version): (Api, i16),
        question: Q,
        times: (Instant, Duration),
        body: impl FnOnce(&mut Output),
    ) {
        self.send(node, api, version, Question::Own(question), times, body);
    }

    fn send(
        &mut self,
        node: usize,
        api: Api,
        version: i16,
        question: Question<Q>,
        (now, max_wait): (Instant, Duration),
        body: impl FnOnce(&mut Output),
    ) {
        let asked = &mut self.nodes[node];
        asked.correlation = asked.correlation.wrapping_add(1);
        let correlation = asked.correlation;
        // What was asked before is answered first.
        let before = asked.asked.back().map_or(now, |before| before.deadline);
        asked.asked.push_back(Asked {
            correlation,
            version,
            since: now,
            deadline: (now + max_wait + self.options.patience).max(before),
            question,
        });
        let bytes = wire::request(api, version, correlation, &self.options.client, body);
        self.actions.push_back(Action::Send(node, bytes));
    }

    /// Takes a request that gets no answer for answered; returns it.
    pub fn unasked(&mut self, node: usize) -> Option<Q> {
        match self.nodes[node].asked.pop_back()?.question {
            Question::Own(question) => Some(question),
            _ => None,
        }
    }

    /// Returns a broker that can be asked; rather one that has nothing to answer first.
    pub fn any(&self) -> Option<usize> {
        let is_up = |node: &Node<Q>| matches!(node.link, Link::Up(_));
        let mut nodes = self.nodes.iter();
        let idle = nodes.position(|node| is_up(node) && node.asked.is_empty());
        idle.or_else(|| self.nodes.iter().position(is_up))
    }

    /// Asks a broker who leads, if that is to be known and was not asked just now.
    fn ask_who_leads(&mut self, now: Instant) {
        let Lookup { last, is_asked, .. } = self.lookup;
        let waited = last.map(|last| now.duration_since(last));
        let is_old = waited.is_some_and(|waited| waited >= self.options.metadata_age);
        let is_soon = waited.is_some_and(|waited| waited < SOON);
        let is_wanted = self.lookup.is_wanted || is_old;
        if !is_wanted || is_asked || is_soon || self.topics.is_empty() {
            return;
        }
        let found = self
            .any()
            .and_then(|nth| Some((nth, self.version(nth, Api::Metadata)?)));
        if let Some((nth, version)) = found {
            self.lookup = Lookup {
                is_wanted: false,
                is_asked: true,
                last: Some(now),
                ..self.lookup
            };
            let names: Vec<String> = self.topics.iter().map(|topic| topic.name.clone()).collect();
            let question = Question::Metadata;
            self.send(
                nth,
                Api::Metadata,
                version,
                question,
                (now, Duration::ZERO),
                |output| metadata::write(output, version, Some(&names)),
            );
            return;
        }
        self.connect_to_any(now);
    }

    /// Connects to a broker in turn, unless one may answer soon.
    pub fn connect_to_any(&mut self, now: Instant) {
        if self.nodes.iter().any(|node| node.link != Link::Down) {
            return;
        }
        let count = self.nodes.len();
        let mut turns = (0..count).map(|nth| (self.lookup.turn + nth) % count);
        if let Some(nth) = turns.find(|&nth| self.nodes[nth].retry_at <= now) {
            self.lookup.turn = nth + 1;
            self.connect(nth, now);
        }
    }
}
