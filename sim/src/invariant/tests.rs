//! A real run breaks no invariant; the same run with one thing doctored breaks the one that is about it.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use wavetank_proxy::ejection::Ejection;
use wavetank_proxy::record::{Direction, Record, TlsState};

use super::broken;
use crate::engine::{Container, Holdings};
use crate::explain::Book;
use crate::observe::{Ack, Decision, Observation, ObservationLog, Push};
use crate::scenario::load;
use crate::target::{RunOutcome, tank};

static RUN: LazyLock<RunOutcome> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ch07-traffic/decision-table.yaml");
    tank::run(&load(&path).unwrap(), 1).unwrap()
});

/// A run with ejections: both of two pods, one after the other.
static EJECTING: LazyLock<RunOutcome> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ch08-resilience/nobody-left.yaml");
    tank::run(&load(&path).unwrap(), 1).unwrap()
});

/// The invariants that break when the run is doctored so.
fn doctored(doctor: impl FnOnce(&mut Vec<Observation>, &mut Book)) -> Vec<&'static str> {
    doctored_run(&RUN, doctor)
}

fn doctored_run(run: &RunOutcome, doctor: impl FnOnce(&mut Vec<Observation>, &mut Book)) -> Vec<&'static str> {
    let (mut entries, mut book) = (run.log.entries().to_vec(), run.book.clone());
    doctor(&mut entries, &mut book);
    let log = ObservationLog::new(run.log.start(), entries);
    broken(&log, &book).into_iter().map(|own| own.name).collect()
}

/// The first record of a sidecar on its way out that was answered by a pod.
fn outbound(book: &mut Book) -> &mut Record {
    book.records
        .iter_mut()
        .find(|own| own.direction == Direction::Outbound && own.attempts.len() == 1 && own.node.starts_with("sidecar"))
        .unwrap()
}

#[test]
fn a_real_run_breaks_nothing() {
    assert_eq!(doctored(|_, _| ()), Vec::<&str>::new());
}

#[test]
fn an_acknowledged_request_without_its_other_end_is_lost() {
    let names = doctored(|_, book| {
        let request = outbound(book).request_id.clone();
        book.records.retain(|own| own.direction != Direction::Inbound || own.request_id != request);
    });
    assert_eq!(names, ["no acknowledged request is lost"]);
}

#[test]
fn a_request_that_arrives_twice_is_found() {
    let names = doctored(|_, book| {
        let twice = book.records.iter().find(|own| own.direction == Direction::Inbound).unwrap().clone();
        book.records.push(twice);
    });
    assert_eq!(names, ["a request is answered once"]);
    let names = doctored(|entries, _| {
        let twice = entries.iter().find(|own| matches!(own, Observation::Call(_))).unwrap().clone();
        entries.push(twice);
    });
    assert_eq!(names, ["a request is answered once"]);
}

#[test]
fn a_retry_after_a_good_answer_is_found() {
    let names = doctored(|_, book| {
        let record = outbound(book);
        let again = record.attempts[0].clone();
        record.attempts.push(again);
    });
    assert_eq!(names, ["nothing is retried that must not be"]);
}

#[test]
fn a_breaker_that_lets_too_many_through_is_found() {
    let names = doctored(|_, book| {
        let record = outbound(book);
        let (node, cluster) = (record.node.to_string(), record.attempts[0].cluster.clone());
        let crowd = vec![record.attempts[0].clone(); 9];
        // Nothing but the crowd: a record of its own that nobody retried.
        let own =
            crowd.into_iter().map(|attempt| Record { request_id: None, attempts: vec![attempt], ..record.clone() });
        let own: Vec<Record> = own.collect();
        book.records.extend(own);
        for (_, snapshot) in book.histories.get_mut(&node).unwrap() {
            let changed = Arc::make_mut(snapshot);
            if let Some(cluster) = changed.clusters.get_mut(&cluster) {
                let breakers = &mut Arc::make_mut(cluster).breakers;
                (breakers.requests_max, breakers.pending_requests_max) = (3, 2);
            }
        }
    });
    assert_eq!(names, ["limits are never exceeded"]);
}

#[test]
fn plaintext_to_an_endpoint_with_tls_is_found() {
    let names = doctored(|_, book| {
        outbound(book).attempts[0].upstream.as_mut().unwrap().tls = TlsState::Plaintext;
    });
    assert_eq!(names, ["no plaintext where mTLS is promised"]);
}

#[test]
fn ejections_beyond_their_percentage_are_found() {
    const NAME: &str = "ejections stay within their percentage";
    assert_eq!(doctored_run(&EJECTING, |_, _| ()), Vec::<&str>::new());
    let set = |percent: u32, always: bool| {
        doctored_run(&EJECTING, |_, book| {
            for (_, snapshot) in book.histories.values_mut().flatten() {
                for cluster in Arc::make_mut(snapshot).clusters.values_mut() {
                    if let Some(detection) = &mut Arc::make_mut(cluster).outlier_detection {
                        let detection = Arc::make_mut(detection);
                        (detection.max_ejection_percent, detection.always_eject_one_host) = (percent, always);
                    }
                }
            }
        })
    };
    // Of two pods both were ejected: the first takes 50 %, the second 100 %.
    assert_eq!(set(100, false), Vec::<&str>::new());
    assert_eq!(set(99, false), [NAME]);
    assert_eq!(set(10, true), [NAME]);
}

#[test]
fn an_endpoint_that_is_ejected_twice_or_comes_back_from_nowhere_is_found() {
    let takes_out = |own: &Ejection| own.takes_out();
    let first = EJECTING.book.ejections.iter().position(takes_out).unwrap();
    let again = doctored_run(&EJECTING, |_, book| {
        let again = book.ejections[first].clone();
        book.ejections.insert(first + 1, again);
    });
    assert_eq!(again, ["ejections stay within their percentage"]);
    let nowhere = doctored_run(&EJECTING, |_, book| {
        book.ejections.remove(first);
    });
    assert_eq!(nowhere, ["ejections stay within their percentage"]);
}

#[test]
fn a_push_that_is_refused_or_never_answered_is_found() {
    let proxy = RUN.log.entries().iter().find_map(|own| match own {
        Observation::Ack(ack) => Some(ack.proxy.clone()),
        _ => None,
    });
    let proxy = proxy.unwrap();
    let end = RUN.log.start() + Duration::from_secs(60);
    let push = Push { at: end, proxy: proxy.clone(), kind: "cds".into(), version: "x".into() };
    let refused =
        Ack { at: end, proxy: proxy.clone(), kind: "cds".into(), version: "x".into(), refused: Some("no".into()) };
    let later = Ack { at: end + Duration::from_secs(40), kind: "rds".into(), refused: None, ..refused.clone() };
    assert_eq!(doctored(|entries, _| entries.push(Observation::Push(push.clone()))), Vec::<&str>::new());
    let names = doctored(|entries, _| entries.extend([Observation::Push(push), Observation::Ack(later)]));
    assert_eq!(names, ["configuration converges"]);
    assert_eq!(doctored(|entries, _| entries.push(Observation::Ack(refused))), ["configuration converges"]);
}

#[test]
fn a_record_that_never_closed_is_found() {
    let names = doctored(|entries, _| {
        let call = entries.iter().find_map(|own| match own {
            Observation::Call(call) if &*call.destination.name == "ingress" => Some(call.clone()),
            _ => None,
        });
        let call = call.unwrap();
        // What the log has of a call that no record is found for.
        for entry in entries.iter_mut() {
            if let Observation::Hop(hop) = entry
                && hop.request == call.request
                && hop.source == call.source
            {
                hop.decision = Decision::default();
            }
        }
    });
    assert_eq!(names, ["nothing is left open"]);
}

#[test]
fn a_success_that_no_endpoint_told_is_found() {
    let names = doctored(|_, book| outbound(book).attempts.clear());
    assert!(names.contains(&"no acknowledged request is lost"), "{names:?}");
}

#[test]
fn a_request_on_a_connection_that_never_carried_it_is_found() {
    let names = doctored(|_, book| {
        let (request, leg) = {
            let record = outbound(book);
            (record.request_id.clone(), record.attempts[0].upstream.clone().unwrap())
        };
        let arrived = book.records.iter().find(|own| {
            own.direction == Direction::Inbound && own.request_id == request && own.downstream.remote == leg.local
        });
        let mut again = arrived.unwrap().clone();
        again.downstream.remote.set_port(1);
        book.records.push(again);
    });
    assert_eq!(names, ["a request is answered once"]);
}

/// Sets the limits of the cluster that the first outbound request went to, in every configuration.
fn limit(book: &mut Book, set: impl Fn(&mut wavetank_proxy::snapshot::Cluster)) -> Record {
    let record = outbound(book).clone();
    for (_, snapshot) in book.histories.get_mut(&*record.node).unwrap() {
        if let Some(cluster) = Arc::make_mut(snapshot).clusters.get_mut(&record.attempts[0].cluster) {
            set(Arc::make_mut(cluster));
        }
    }
    record
}

#[test]
fn retries_pending_requests_and_connections_beyond_their_limits_are_found() {
    let limits = ["limits are never exceeded"];
    let crowd = |book: &mut Book, of: &Record, change: &dyn Fn(u16, &mut Record)| {
        for n in 0..4 {
            let mut one = Record { request_id: Some(format!("crowd-{n}").into()), ..of.clone() };
            one.attempts[0].duration = Duration::from_secs(1);
            (one.status, one.attempts[0].status) = (500, Some(500));
            change(n, &mut one);
            book.records.push(one);
        }
    };
    let retries = doctored(|_, book| {
        let record = limit(book, |cluster| cluster.breakers.retries_max = 3);
        crowd(book, &record, &|_, own| own.attempts[0].number = 2);
    });
    assert_eq!(retries, limits);
    let pending = doctored(|_, book| {
        let record = limit(book, |cluster| cluster.breakers.pending_requests_max = 3);
        crowd(book, &record, &|_, own| own.attempts[0].upstream = None);
    });
    assert_eq!(pending, limits);
    let connections = doctored(|_, book| {
        let record = limit(book, |cluster| cluster.breakers.connections_max = 3);
        crowd(book, &record, &|n, own| {
            let leg = own.attempts[0].upstream.as_mut().unwrap();
            leg.local.set_port(1 + n);
            let (mut earlier, mut later) = (own.attempts[0].clone(), own.attempts[0].clone());
            earlier.duration = Duration::ZERO;
            later.status = Some(500);
            own.attempts = vec![earlier, later];
        });
    });
    assert!(connections.contains(&limits[0]), "{connections:?}");
    let of_one = doctored(|_, book| {
        let record = limit(book, |cluster| cluster.requests_per_connection_max = Some(3));
        crowd(book, &record, &|_, own| own.attempts[0].duration = Duration::ZERO);
    });
    assert_eq!(of_one, limits);
}

#[test]
fn what_stays_open_when_all_is_over_is_found() {
    let left = ["nothing is left open"];
    let proxy = |all: &[Holdings]| {
        all.iter().position(|own| own.container == Container::Sidecar && !own.streams.is_empty()).unwrap()
    };
    let idling = doctored(|_, book| {
        let idle = book.remains.idle.as_mut().unwrap();
        let at = proxy(idle);
        idle[at].streams[0].peer = "10.1.2.3:80".parse().unwrap();
    });
    assert_eq!(idling, left);
    let half_closed = doctored(|_, book| {
        let at = proxy(&book.remains.quiet);
        book.remains.quiet[at].streams[0].half_closed = true;
    });
    assert_eq!(half_closed, left);
    let tasks = doctored(|_, book| {
        let idle = book.remains.idle.as_mut().unwrap();
        let at = proxy(idle);
        idle[at].tasks += 3;
    });
    assert_eq!(tasks, left);
    let retired = doctored(|_, book| {
        let record = outbound(book).clone();
        let leg = record.attempts[0].upstream.clone().unwrap();
        let ip: std::net::IpAddr = record.node.split('~').nth(1).unwrap().parse().unwrap();
        let own = book.remains.quiet.iter_mut().find(|own| own.ip == ip && own.container == Container::Sidecar);
        let stream = &mut own.unwrap().streams[0];
        (stream.local, stream.peer) = (leg.local, leg.remote);
        let history = book.histories.get_mut(&*record.node).unwrap();
        let mut last = (*history.last().unwrap().1).clone();
        last.clusters.remove(&record.attempts[0].cluster);
        history.push((record.start + Duration::from_secs(20), Arc::new(last)));
    });
    assert_eq!(retired, left);
}

#[test]
fn a_proxy_that_stays_behind_is_found() {
    let names = doctored(|_, book| book.remains.behind.push(("sidecar~10.0.0.1".into(), "it has no stream".into())));
    assert_eq!(names, ["configuration converges"]);
}
