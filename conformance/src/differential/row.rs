//! One row: what a caller does at which listener, and what the upstream does about it.

use std::time::Duration;

/// What the upstream does with a request. Rows give one for each request in order of arrival; the last one
/// goes on.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers once the request is complete, and keeps the connection.
    Answer(String),
    /// Answers as soon as the head is there, and keeps the connection.
    Early(String),
    /// Answers once the request is complete, and closes.
    Last(String),
    /// Answers once the request is complete, and resets the connection.
    Reset(String),
    /// Answers once the request is complete, and then says nothing more.
    Stall(String),
    /// Answers after a while, and keeps the connection.
    After(Duration, String),
    /// Answers, and sends every further byte back.
    Echo(String),
}

/// What the caller does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Reads this many whole answers, interim ones not counted.
    Answers(usize),
    /// Reads until the text has come.
    Until(&'static str),
    /// Reads to the end of the connection.
    End,
    /// Waits until this many requests have reached the upstream, and the last of them ends with this.
    Upstream(usize, &'static str),
    /// Waits until this many access log lines are there.
    Logged(usize),
    /// Waits so long.
    Wait(Duration),
    /// Waits until every part of the proxy knows what outlier detection made of the answers so far.
    Settled,
    /// Waits until all endpoints of this cluster take part again.
    Back(&'static str),
    /// Says that nothing more will be sent.
    HalfClose,
    /// Leaves, with a FIN or, where [`Row::resets`], with a RST. The last step.
    Leave,
}

/// The caller's side of TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Name of the secret shown; `None`: no certificate.
    pub certificate: Option<&'static str>,
    /// Server name sent.
    pub sni: Option<&'static str>,
    /// Protocols offered.
    pub alpn: &'static [&'static str],
}

/// One HTTP/2 request.
#[derive(Debug, Clone, Default)]
pub struct H2 {
    /// Method.
    pub method: &'static str,
    /// Absolute: `http://a.test/`.
    pub uri: String,
    /// Headers in order.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty: none.
    pub body: &'static str,
    /// Whether the length of the body is told.
    pub sized: bool,
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique; the ledger names it.
    pub name: String,
    /// Listener that is called.
    pub listener: &'static str,
    /// What the upstream does.
    pub acts: Vec<Act>,
    /// What the caller does, where it speaks raw bytes.
    pub steps: Vec<Step>,
    /// The requests, one after another, where it speaks HTTP/2.
    pub h2: Vec<H2>,
    /// TLS of the caller.
    pub tls: Option<Tls>,
    /// Address that the caller calls from.
    pub from: [u8; 4],
    /// Whether the caller leaves by a RST.
    pub resets: bool,
    /// Access log lines that come of it.
    pub logs: usize,
    /// Whether the lines of the log come in any order, for the order is the balancer's or the scheduler's.
    pub unordered: bool,
    /// Whether which endpoint comes first is the balancer's choice: they are told apart by their order.
    pub any_host: bool,
    /// How many of the last lines of the log are compared, where those before depend on real time.
    pub last: Option<usize>,
}

/// Answer of an upstream that has nothing to say.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl Row {
    /// Nothing is sent yet.
    pub fn new(name: impl Into<String>, listener: &'static str) -> Self {
        Self {
            name: name.into(),
            listener,
            acts: vec![Act::Answer(OK.to_owned())],
            steps: Vec::new(),
            h2: Vec::new(),
            tls: None,
            from: [127, 0, 0, 1],
            resets: false,
            logs: 1,
            unordered: false,
            any_host: false,
            last: None,
        }
    }

    /// `GET path` for `a.test` with further header lines, and its answer.
    pub fn get(name: impl Into<String>, listener: &'static str, path: &str, headers: &str) -> Self {
        Self::new(name, listener).send(get(path, headers)).step(Step::Answers(1))
    }

    /// Raw bytes, and one answer.
    pub fn raw(name: impl Into<String>, listener: &'static str, bytes: &str) -> Self {
        Self::new(name, listener).send(bytes).step(Step::Answers(1))
    }

    /// Whether what is logged of it does not depend on real time or on the balancer.
    pub fn has_fixed_log(&self) -> bool {
        !self.unordered && !self.any_host && self.last.is_none()
    }

    /// One more step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Sends bytes.
    #[must_use]
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Send(bytes.as_ref().to_vec()))
    }

    /// What the upstream does.
    #[must_use]
    pub fn acts(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts = acts.into_iter().collect();
        self
    }

    /// The upstream answers this.
    #[must_use]
    pub fn answers(self, bytes: &str) -> Self {
        self.acts([Act::Answer(bytes.to_owned())])
    }

    /// Reads to the end of the connection, which the proxy closes.
    #[must_use]
    pub fn ends(self) -> Self {
        self.step(Step::End)
    }

    /// Access log lines that come of it.
    #[must_use]
    pub fn logs(mut self, count: usize) -> Self {
        self.logs = count;
        self
    }

    /// The caller speaks TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Calls from another loopback address.
    #[must_use]
    pub fn from(mut self, from: [u8; 4]) -> Self {
        self.from = from;
        self
    }

    /// The caller speaks HTTP/2 and asks this.
    #[must_use]
    pub fn asks(mut self, request: H2) -> Self {
        self.h2.push(request);
        self
    }
}

impl H2 {
    /// A request without a body.
    pub fn new(method: &'static str, path: &str) -> Self {
        Self { method, uri: format!("http://a.test{path}"), sized: true, ..Self::default() }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: &'static str, sized: bool) -> Self {
        (self.body, self.sized) = (body, sized);
        self
    }
}

/// `GET path` for `a.test` with further header lines.
pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n{headers}\r\n")
}
