//! TCP, and callers that leave.

use std::time::Duration;

use crate::differential::row::{Act, OK, Row, Step, get};

fn slow() -> Act {
    Act::Stall(String::new())
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let tcp = |name: &str| Row::new(format!("tcp: {name}"), of(name)).send(get("/", "")).ends();
    let waiting =
        |name: &str| Row::new(name, "sidecar").send(get("/up/", "")).step(Step::Upstream(1, "\r\n\r\n")).acts([slow()]);
    let body = "POST /up/ HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100\r\n\r\nabc";
    let mut rows = vec![
        Row::get("tcp: passes bytes", "tcpok", "/", ""),
        Row::get("tcp: upstream closes", "tcpok", "/", "").acts([Act::Last(OK.to_owned())]).ends(),
        Row::get("tcp: over mutual TLS", "tcptls", "/", ""),
        Row::get("tcp: caller half-closes", "tcpok", "/", "").step(Step::HalfClose).ends(),
        tcp("tcpempty"),
        tcp("tcpref"),
        tcp("tcpmiss"),
        tcp("tcpcb"),
        tcp("tcpbadtls"),
        waiting("leaves: FIN while waiting").step(Step::Leave),
        waiting("leaves: half-close while waiting").step(Step::HalfClose).ends(),
        Row { resets: true, ..waiting("leaves: RST while waiting").step(Step::Leave) },
        Row::get("half-closes: at a gateway", "plain", "/up/", "")
            .before_answer(Step::HalfClose)
            .acts([Act::After(Duration::from_millis(50), OK.to_owned())]),
        Row::new("leaves: in the body", "plain").send(body).step(Step::Upstream(1, "abc")).step(Step::Leave),
        Row::new("leaves: before a byte", "plain").step(Step::Leave).logs(0),
        Row::new("leaves: in the head", "plain").send("GET /up/ HTTP/1.1\r\nho").step(Step::Leave),
        Row::new("leaves: in the answer", "sidecar")
            .send(get("/up/", ""))
            .acts([Act::Stall("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789".to_owned())])
            .step(Step::Until("0123456789"))
            .step(Step::Leave),
        Row::get("leaves: after the answer", "plain", "/up/", "").step(Step::Leave),
        Row::get("keeps the connection", "plain", "/up/", "").send(get("/none", "")).step(Step::Answers(1)).logs(2),
    ];
    for row in &mut rows {
        // The one line of TCP is written when the connection ends.
        if row.listener.starts_with("tcp") {
            row.logs = 1;
        }
    }
    rows
}

impl Row {
    /// Does this before the answer is read.
    fn before_answer(mut self, step: Step) -> Self {
        let answer = self.steps.pop();
        self.steps.push(step);
        self.steps.extend(answer);
        self
    }
}

/// Names of listeners are constants; here they are the name of the row.
fn of(name: &str) -> &'static str {
    ["tcpempty", "tcpref", "tcpmiss", "tcpcb", "tcpbadtls"].into_iter().find(|known| *known == name).unwrap_or("tcpok")
}
