//! A request to a cluster: attempts until one stands, then its answer.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::attempt::{Attempting, Ended, Outgoing, Success};
use super::caller::Answering;
use super::consent::Consent;
use super::exchange::{head, valid};
use super::headers::upstream::{Target, prepare_attempt};
use super::headers::{UpstreamRequest, mutate, prepare_response, prepare_upstream_request};
use super::intake::Intake;
use super::names;
use super::open_record::OpenRecord;
use super::progress::Receiving;
use super::reply::Failure;
use super::request_body::{Replay, RequestBody, Source};
use super::response_body::ResponseBody;
use super::tunnel;
use super::watchdog::{Bounds, Expired, Watchdog};
use crate::cluster::{Avoid, Permit};
use crate::record::Flag;
use crate::route::timeout::Timeouts;
use crate::route::{AttemptOutcome, ResetReason, RetryVerdict, choose_cluster, judge, retry};
use crate::snapshot::route::{Forward, HeaderMutations, RetryOn, RetryPolicy, Route, VirtualHost, WeightedCluster};
use crate::snapshot::{Cluster, RouteConfig, Snapshot};
use crate::upstream::lease::ResponseHead;
use crate::upstream::reset::Reset;

/// A request whose route sends it to a cluster.
pub(crate) struct Forwarding<'a> {
    /// Its answer's side.
    pub(crate) answering: Answering<'a>,
    /// The configuration it sees.
    pub(crate) snapshot: &'a Snapshot,
    /// Its route configuration.
    pub(crate) config: &'a RouteConfig,
    /// Its virtual host.
    pub(crate) host: &'a VirtualHost,
    /// Its route.
    pub(crate) route: &'a Route,
    /// What the route says.
    pub(crate) forward: &'a Forward,
    /// The caller's side of a change of protocol.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// How all attempts together ended.
enum Outcome {
    /// This response stands.
    Response(Box<Success>),
    /// There is none.
    Failed(Failure),
    /// The caller is gone.
    Nobody,
}

/// Sends the request and answers it.
pub(crate) async fn run(
    forwarding: Forwarding<'_>,
    intake: Intake,
    body: Incoming,
    mut record: OpenRecord,
) -> Response<ResponseBody> {
    let answering = &forwarding.answering;
    let Some((cluster, arm)) = find_cluster(&forwarding, &intake, &mut record) else {
        let status = valid(forwarding.forward.cluster_not_found_status);
        record.log_request(&head(answering.caller, &intake), true);
        let levels = mutate::levels(forwarding.config, forwarding.host, forwarding.route, None);
        return answering.local(Failure::ClusterNotFound { status }.reply(), record, None, &levels);
    };
    let levels = mutate::levels(forwarding.config, forwarding.host, forwarding.route, arm);
    let policy = retry_policy(&forwarding, &intake);
    let timeouts = Timeouts::of(forwarding.forward, policy.as_deref(), &intake.headers);
    let request = UpstreamRequest {
        manager: &answering.caller.manager,
        host: forwarding.host,
        matched: &forwarding.route.matches.path,
        forward: forwarding.forward,
        levels: &levels,
        timeouts,
    };
    let clock = answering.caller.shared.platform.clock.clone();
    let progress = answering.progress.clone();
    let activity = answering.caller.activity.clone();
    let bounds = bounds(&forwarding, timeouts);
    let watchdog = Watchdog::new(bounds, progress.clone(), clock.clone(), record.record.start, activity);
    let consent = intake.expects.then(Arc::<Consent>::default);
    let source =
        (progress.receiving() != Receiving::Complete).then(|| Source::new(body, progress, clock, consent.clone()));
    let mut attempts = Attempts { forwarding: &forwarding, cluster, policy, request, watchdog, record };
    let is_upgrade = intake.upgrade;
    let outcome = attempts.run(intake, source, consent).await;
    let Attempts { watchdog, record, .. } = attempts;
    let number = u32::try_from(record.record.attempts.len()).unwrap_or(u32::MAX);
    let shown = forwarding.host.include_attempt_count_in_response.then_some(number);
    match outcome {
        Outcome::Nobody => answering.nobody(record),
        Outcome::Failed(failure) if failure.is_the_routers() => {
            answering.local(failure.reply(), record, shown, &levels)
        }
        Outcome::Failed(failure) => answering.local(failure.reply(), record, None, &[]),
        Outcome::Response(success) if is_upgrade && success.response.status == StatusCode::OK => {
            answering.local(Failure::UpgradeFailed.reply(), record, shown, &[])
        }
        Outcome::Response(success) => answer(forwarding, *success, watchdog, record, (shown, is_upgrade), &levels),
    }
}

/// Passes an endpoint's answer on.
fn answer(
    mut forwarding: Forwarding<'_>,
    success: Success,
    watchdog: Watchdog,
    record: OpenRecord,
    (attempts, is_upgrade): (Option<u32>, bool),
    levels: &[&HeaderMutations],
) -> Response<ResponseBody> {
    let Success { response: ResponseHead { status, mut headers }, lent } = success;
    let upgrade = forwarding.upgrade.take();
    let answering = &forwarding.answering;
    let switched = status == StatusCode::SWITCHING_PROTOCOLS;
    let clock = &answering.caller.shared.platform.clock;
    let manager = &answering.caller.manager;
    // Envoy tells the service time only of requests that were complete, which an upgrade never is.
    let completed = answering.progress.completed_at();
    let service_time = clock.now().saturating_since(completed.unwrap_or_default());
    prepare_response(&mut headers, manager, service_time, attempts, levels);
    if completed.is_none() || is_upgrade {
        headers.remove(&names::UPSTREAM_SERVICE_TIME);
    }
    let length = headers.get(&CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let unsent = length.filter(|length| *length == 0 || status == StatusCode::NOT_MODIFIED);
    answering.upstream(status, headers, record, |record| match upgrade.filter(|_| switched) {
        Some(ours) => {
            answering.caller.passage.open();
            answering.caller.set_tunnel(Box::pin(tunnel::run(ours, record, lent)));
            ResponseBody::Empty
        }
        None => ResponseBody::relay(watchdog, record, lent, unsent),
    })
}

/// The cluster, noted in the record even if it does not exist, with the arm of the split that chose it.
fn find_cluster<'a>(
    forwarding: &Forwarding<'a>,
    intake: &Intake,
    record: &mut OpenRecord,
) -> Option<(&'a Arc<Cluster>, Option<&'a WeightedCluster>)> {
    let mut random = forwarding.answering.caller.shared.random.route();
    let (name, arm) = choose_cluster(&forwarding.forward.cluster, &intake.headers, &mut random)?;
    let decision = &mut record.record.decision;
    decision.cluster = Some(name.clone());
    decision.arm_from = arm.and_then(|arm| arm.provenance.clone());
    let cluster = forwarding.snapshot.clusters.get(&name)?;
    decision.cluster_from = cluster.provenance.clone();
    if let Some(logging) = &mut record.logging {
        logging.cluster(cluster);
    }
    Some((cluster, arm))
}

/// The policy in force, trusted headers included; `None`: no retries.
fn retry_policy(forwarding: &Forwarding<'_>, intake: &Intake) -> Option<Arc<RetryPolicy>> {
    let configured = forwarding.forward.retry_policy.as_ref().or(forwarding.host.retry_policy.as_ref());
    retry::with_headers(configured, &intake.headers)
}

fn bounds(forwarding: &Forwarding<'_>, timeouts: Timeouts) -> Bounds {
    let manager = &forwarding.answering.caller.manager;
    let set = |bound: Duration| (!bound.is_zero()).then_some(bound);
    let idle = match forwarding.forward.idle_timeout {
        Some(of_route) => set(of_route),
        None => manager.stream_idle_within(),
    };
    Bounds { route: timeouts.global, per_try: timeouts.per_try, idle, request: manager.request_timeout.and_then(set) }
}

/// The attempts of one request.
struct Attempts<'f, 'a> {
    forwarding: &'f Forwarding<'a>,
    cluster: &'a Arc<Cluster>,
    policy: Option<Arc<RetryPolicy>>,
    request: UpstreamRequest<'f>,
    watchdog: Watchdog,
    record: OpenRecord,
}

fn avoid<'t>(policy: Option<&RetryPolicy>, tried: &'t [SocketAddr], number: u32) -> Avoid<'t> {
    match policy {
        Some(policy) if number > 1 && policy.avoid_previous_hosts => {
            Avoid { previous: tried, attempts_max: policy.host_selection_attempts_max }
        }
        _ => Avoid::NOTHING,
    }
}

/// Whether an attempt stands.
enum Verdict {
    Stands,
    Retry(Duration, Permit),
}

impl Attempts<'_, '_> {
    async fn run(&mut self, intake: Intake, source: Option<Source>, consent: Option<Arc<Consent>>) -> Outcome {
        let shared = &self.forwarding.answering.caller.shared;
        let state = shared.clusters.state(&self.cluster.name);
        let may_retry = self.policy.as_ref().is_some_and(|policy| policy.on != RetryOn::default());
        let (mut once, replay) = match source {
            None => (Some(RequestBody::Empty), None),
            Some(source) if may_retry => (None, Some(Replay::new(source))),
            Some(source) => (Some(RequestBody::Once(source)), None),
        };
        let is_empty = matches!(once, Some(RequestBody::Empty));
        let mut outgoing = self.outgoing(intake, consent);
        let scheme = self.forwarding.answering.caller.scheme();
        self.record.log_request(&outgoing.head(scheme), true);
        let policy = self.policy.clone();
        let mut tried = Vec::new();
        let mut permit: Option<Permit> = None;
        let mut number = 1;
        loop {
            let body = match &replay {
                Some(replay) => replay.attempt(),
                None => once.take().unwrap_or(RequestBody::Empty),
            };
            let attempting = Attempting {
                caller: self.forwarding.answering.caller,
                snapshot: self.forwarding.snapshot,
                cluster: self.cluster,
                state: &state,
                number,
                avoid: avoid(policy.as_deref(), &tried, number),
            };
            // Without a policy there is no other attempt that would need the headers.
            let again = policy.is_some() && (is_empty || replay.is_some());
            let ended = attempting.run(&mut outgoing, body, again, &mut self.watchdog, &mut self.record).await;
            drop(permit.take());
            if let Some(address) = self.record.record.attempts.last().and_then(|attempt| attempt.endpoint) {
                tried.push(address);
            }
            let replayable = is_empty || replay.as_ref().is_some_and(Replay::is_whole);
            match self.verdict(&ended, number - 1, replayable) {
                Verdict::Stands => return self.outcome(ended, number),
                Verdict::Retry(after, held) => {
                    drop(ended);
                    permit = Some(held);
                    if let Some(replay) = &replay {
                        replay.supersede();
                    }
                    let sleep = shared.platform.clock.sleep(after);
                    if let Err(expired) = self.watchdog.guard(pin!(sleep)).await {
                        return Outcome::Failed(expired.failure(self.watchdog.progress()));
                    }
                }
            }
            number += 1;
            let elapsed = shared.platform.clock.now().saturating_since(self.record.record.start);
            prepare_attempt(&mut outgoing.headers, &self.request, number, elapsed);
            self.record.log_request(&outgoing.head(scheme), true);
        }
    }

    /// The head of the first attempt.
    fn outgoing(&self, mut intake: Intake, consent: Option<Arc<Consent>>) -> Outgoing {
        let target = Target { authority: intake.authority, path_and_query: intake.path };
        let target = prepare_upstream_request(&mut intake.headers, &self.request, target);
        Outgoing { method: intake.method, target, headers: intake.headers, upgrade: intake.upgrade, consent }
    }

    /// Judges an attempt after `retries` retries, and notes why it stands if it would have been retried.
    fn verdict(&mut self, ended: &Ended, retries: u32, replayable: bool) -> Verdict {
        let Some(policy) = self.policy.as_ref().filter(|_| replayable && !self.caller_left()) else {
            return Verdict::Stands;
        };
        let outcome = match ended {
            Ended::Response(success) => {
                AttemptOutcome::Response { status: success.response.status, headers: &success.response.headers }
            }
            Ended::Reset(reset) => AttemptOutcome::Reset { reason: reset.reason, request_started: reset.request_begun },
            Ended::NoEndpoint | Ended::Expired(_) => return Verdict::Stands,
        };
        let shared = &self.forwarding.answering.caller.shared;
        let verdict = judge(policy, &outcome, retries, &mut shared.random.retry());
        match verdict {
            RetryVerdict::No => Verdict::Stands,
            RetryVerdict::LimitReached => {
                self.record.flag(Flag::URX);
                Verdict::Stands
            }
            RetryVerdict::Retry { after } => {
                let state = shared.clusters.state(&self.cluster.name);
                match state.breakers().try_retry(&self.cluster.breakers) {
                    Some(permit) => Verdict::Retry(after, permit),
                    None => {
                        self.record.flag(Flag::UO);
                        Verdict::Stands
                    }
                }
            }
        }
    }

    fn caller_left(&self) -> bool {
        matches!(self.watchdog.progress().receiving(), Receiving::Disconnected | Receiving::Malformed)
    }

    fn outcome(&self, ended: Ended, number: u32) -> Outcome {
        match ended {
            Ended::Response(success) => Outcome::Response(success),
            Ended::NoEndpoint => Outcome::Failed(Failure::NoHealthyUpstream),
            Ended::Expired(Expired::Try) => unreachable!("an attempt reports its own timeout as a reset"),
            Ended::Expired(expired) => Outcome::Failed(expired.failure(self.watchdog.progress())),
            Ended::Reset(Reset { reason, transport, .. }) => match self.watchdog.progress().receiving() {
                Receiving::Disconnected => Outcome::Nobody,
                Receiving::Malformed => Outcome::Failed(Failure::BadRequest("http1.codec_error")),
                Receiving::Open | Receiving::Complete => {
                    let retried = number > 1 && reason != ResetReason::Overflow;
                    Outcome::Failed(Failure::Reset { reason, transport, retried })
                }
            },
        }
    }
}
