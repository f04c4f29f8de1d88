//! Outlier detection: what counts as a failure, who is ejected for it, and how it comes back. Whether an
//! endpoint is out shows in the requests that find none.

use std::time::Duration;

use crate::differential::row::{Act, OK, Row, Step, get};

fn failing(status: u16) -> Act {
    Act::Answer(format!("HTTP/1.1 {status} Oh\r\ncontent-length: 2\r\n\r\nno"))
}

fn good() -> Act {
    Act::Answer(OK.to_owned())
}

/// So many requests to a cluster, one after another on one connection.
fn requests(name: &str, cluster: &str, count: usize, acts: impl IntoIterator<Item = Act>) -> Row {
    more(Row::new(format!("ejection: {name}"), "plain"), cluster, count, "").acts(acts).logs(count)
}

fn more(row: Row, cluster: &str, count: usize, headers: &str) -> Row {
    let ask = |row: Row| row.send(get(&format!("/{cluster}/"), headers)).step(Step::Answers(1));
    (0..count).fold(row, |row, _| ask(row).step(Step::Settled))
}

/// Where the balancer takes two in turn, whichever comes first.
fn balanced(row: Row) -> Row {
    Row { any_host: true, ..row }
}

/// The rows.
pub fn rows() -> Vec<Row> {
    [counted(), shares(), rates(), ended(), origins()].concat()
}

fn counted() -> Vec<Row> {
    vec![
        requests("three 5xx", "od-5xx", 5, [failing(500)]),
        requests(
            "a success between",
            "od-5xx-anew",
            7,
            [failing(500), failing(503), good(), failing(500), failing(501), failing(502), good()],
        ),
        requests("three gateway failures", "od-gateway", 5, [failing(502), failing(503), failing(504)]),
        requests(
            "a 500 between gateway failures",
            "od-gateway-500",
            8,
            [failing(503), failing(503), failing(500), failing(503), failing(503), failing(503)],
        ),
        requests("both counts are 0", "od-off", 12, [failing(503)]),
        requests("not enforced", "od-not-enforced", 12, [failing(503)]),
        requests("defaults eject nobody of one", "od-default", 12, [failing(503)]),
        requests("attempts count, not requests", "od-retried", 2, [failing(503)]),
    ]
}

fn shares() -> Vec<Row> {
    let wait = Step::Wait(Duration::from_millis(1300));
    let both = |name, cluster, count| balanced(requests(name, cluster, count, [failing(500)]));
    vec![
        both("10 % of two is none", "od-few", 14),
        requests("10 % of one is none", "od-few-one", 8, [failing(500)]),
        requests("always one, of one", "od-always-one", 5, [failing(500)]),
        both("always one, of two", "od-always-two", 14),
        both("50 % of two is one", "od-half", 14),
        both("49 % of two is none", "od-less-than-half", 14),
        both("both", "od-both", 8),
        both("both, told together a second later", "od-both-merged", 12),
        both("both, and panic", "od-both-panic", 12),
        both("both, and panic after an odd number of requests", "od-both-panic-odd", 12).acts([good(), failing(500)]),
        more(both("both, and the second is told of", "od-both-told", 8).step(wait), "od-both-told", 2, "").logs(10),
    ]
}

/// Two endpoints in turn, of which one always fails, for four intervals at least; then only the other is asked.
fn rates() -> Vec<Row> {
    let turns = |name, cluster| {
        let acts = (0..60).map(|n| if n % 2 == 0 { failing(500) } else { good() });
        let mut row = Row { last: Some(6), ..balanced(requests(name, cluster, 60, acts)) };
        row.steps = row.steps.into_iter().flat_map(|step| [step, Step::Wait(Duration::from_millis(7))]).collect();
        row
    };
    vec![turns("success rate", "od-rate"), turns("failure percentage", "od-percentage")]
}

fn ended() -> Vec<Row> {
    let again = requests("back after its time", "od-back", 4, [failing(500), failing(500), failing(500), good()]);
    let anew = requests("back, and it must fail as often", "od-back-anew", 4, [failing(500)]);
    let later = |row: Row, cluster, count| more(row.step(Step::Back(cluster)), cluster, count, "").logs(4 + count);
    vec![later(again, "od-back", 2), later(anew, "od-back-anew", 4)]
}

fn origins() -> Vec<Row> {
    let grpc = |status: u16| {
        Act::Answer(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: {status}\r\ncontent-length: 0\r\n\r\n"
        ))
    };
    let garbage = Act::Last("what?\r\n\r\n".to_owned());
    let silent = || Act::Stall(String::new());
    let grpc_row = Row::new("ejection: grpc-status is the status", "plain").acts([grpc(14)]).logs(5);
    let broken = Act::Last("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbroke".to_owned());
    let alone = Row::new("ejection: a response that breaks off", "plain").acts([broken]);
    vec![
        requests("refused connects", "od-gone", 5, []),
        requests("refused connects, split", "od-gone-split", 5, []),
        requests("connections that end", "od-closing", 5, []),
        requests("connections that end, split", "od-closing-split", 5, []),
        requests("500s, split", "od-split-500", 8, [failing(500)]),
        requests("503s, split", "od-split-503", 5, [failing(503)]),
        requests("route timeouts", "od-timeout", 5, [silent()]),
        requests("per-try timeouts", "od-try-timeout", 5, [silent()]),
        requests("garbage", "od-garbage", 5, [garbage]),
        alone.send(get("/od-broken-body/", "")).step(Step::End).logs(1),
        requests("a response that broke off before", "od-broken-body", 1, [good()]),
        more(grpc_row, "od-grpc", 5, "content-type: application/grpc\r\n"),
        Row::new("ejection: tcp, first", "od-tcp").ends(),
        Row::new("ejection: tcp, third", "od-tcp").ends(),
        Row::new("ejection: tcp, no one left", "od-tcp").ends(),
    ]
}
