//! One request from its head to the head of its answer: intake, route, and what the route says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use wavetank_platform::BoxFuture;

use super::caller::{Answering, Caller};
use super::forward::{self, Forwarding};
use super::headers::{DownstreamFacts, Trust, mutate, prepare_request};
use super::intake::{Form, Intake, Refused};
use super::names;
use super::open_record::OpenRecord;
use super::progress::Progress;
use super::reply::{Failure, LocalReply};
use super::response_body::ResponseBody;
use crate::record::Grpc;
use crate::route::{RequestHead, redirect, select_route, select_virtual_host};
use crate::snapshot::listener::RouteSource;
use crate::snapshot::route::{Action, ClusterChoice, Route, VirtualHost};
use crate::snapshot::{RouteConfig, Snapshot};

/// Serves one request of `caller`. Dropped when the caller leaves.
///
/// Boxed: hyper keeps room for a request's future on every connection, and one that idles is to hold none.
pub(crate) fn serve(
    caller: Arc<Caller>,
    request: Request<Incoming>,
) -> BoxFuture<'static, Result<Response<ResponseBody>, Infallible>> {
    Box::pin(answer(caller, request))
}

async fn answer(caller: Arc<Caller>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    let shared = &caller.shared;
    caller.count_request();
    let start = shared.platform.clock.now();
    let snapshot = shared.store.current();
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let progress = Arc::new(Progress::new(start, body.is_end_stream()));
    let mut record = caller.open_record(start, snapshot.version, &progress);
    let mut answering = Answering { caller: &caller, form: Form::default(), request_id: None, progress };
    let mut intake = match Intake::read(parts, &caller.manager) {
        Ok(intake) => intake,
        Err(refused) => return Ok(refuse(*refused, answering, record)),
    };
    if !intake.upgrade && !intake.upgrade_refused {
        caller.keep_protocol();
    }
    note_head(&mut record, &intake);
    answering.form = intake.form;
    // To Envoy an upgrade is a request without an end: any answer but 101 closes its connection.
    if intake.upgrade || intake.upgrade_refused {
        answering.form.close = true;
        record.log_unread();
    }
    caller.tell_listener(None);
    let trust = prepare(&caller, &mut intake);
    if let Some(logging) = record.logging.as_mut().filter(|_| trust.named) {
        logging.client(SocketAddr::new(trust.client, 0));
    }
    answering.request_id = intake.headers.get(&names::X_REQUEST_ID).cloned();
    record.record.request_id = answering.request_id.as_ref().and_then(|id| id.to_str().ok()).map(Into::into);

    let config = match &caller.manager.routes {
        RouteSource::Inline(config) => Some(config.clone()),
        RouteSource::Rds(name) => snapshot.routes.get(name).cloned(),
    };
    let Some(config) = config else {
        record.log_request(&head(&caller, &intake), true);
        return Ok(answering.local(Failure::NoRoute.reply(), record, None, &[]));
    };
    let Some((host, route)) = choose_route(&caller, &config, &intake, &mut record) else {
        record.log_request(&head(&caller, &intake), true);
        return Ok(answering.local(Failure::NoRoute.reply(), record, None, &[]));
    };
    if intake.upgrade_refused {
        note_cluster(route, &snapshot, &mut record);
        record.log_request(&head(&caller, &intake), true);
        return Ok(answering.local(Failure::UpgradeRefused.reply(), record, None, &[]));
    }
    match &route.action {
        Action::Forward(forward) => {
            let forwarding =
                Forwarding { answering, snapshot: &snapshot, config: &config, host, route, forward, upgrade };
            Ok(forward::run(forwarding, intake, body, record).await)
        }
        action => {
            record.log_request(&head(&caller, &intake), true);
            Ok(answer_locally(action, &answering, (&config, host, route), &intake, record))
        }
    }
}

fn refuse(refused: Refused, mut answering: Answering<'_>, mut record: OpenRecord) -> Response<ResponseBody> {
    let Refused { failure, intake } = refused;
    let mut reply = failure.reply();
    answering.caller.tell_listener(reply.flag);
    if !matches!(failure, Failure::BadRequest(_)) {
        note_head(&mut record, &intake);
        record.log_request(&head(answering.caller, &intake), false);
    }
    // Envoy closes the connection of a CONNECT that it does not serve.
    let connect = intake.method == http::Method::CONNECT;
    reply.close |= connect;
    if !connect {
        answering.caller.keep_protocol();
    }
    answering.form = intake.form;
    answering.local(reply, record, None, &[])
}

fn note_head(record: &mut OpenRecord, intake: &Intake) {
    let record = &mut record.record;
    record.method = intake.method.as_str().into();
    record.authority = intake.authority.as_str().into();
    record.path = intake.received_path.as_str().into();
    record.grpc = intake.form.grpc.then(Grpc::default);
    let agent = intake.headers.get(&http::header::USER_AGENT);
    record.user_agent = agent.and_then(|agent| agent.to_str().ok()).map(Into::into);
}

fn prepare(caller: &Caller, intake: &mut Intake) -> Trust {
    let facts = DownstreamFacts {
        peer: caller.facts.leg.remote,
        node: caller.node_address(),
        tls: caller.facts.session.as_ref(),
    };
    let mut random = caller.shared.random.request_id();
    prepare_request(&mut intake.headers, &caller.manager, &facts, intake.upgrade, &mut random)
}

/// The virtual host and route of a request, noted in its record as far as they are found.
fn choose_route<'a>(
    caller: &Caller,
    config: &'a RouteConfig,
    intake: &Intake,
    record: &mut OpenRecord,
) -> Option<(&'a VirtualHost, &'a Route)> {
    let decision = &mut record.record.decision;
    decision.route_config = Some(config.name.clone());
    let host = select_virtual_host(config, &intake.authority)?;
    decision.virtual_host = Some(host.name.clone());
    decision.virtual_host_from = host.provenance.clone();
    let (position, route) = select_route(host, &head(caller, intake), &mut caller.shared.random.route())?;
    decision.route = Some(route.name.clone());
    decision.route_index = Some(position);
    decision.route_from = route.provenance.clone();
    Some((host, route))
}

/// The cluster of a route that is not gone along.
fn note_cluster(route: &Route, snapshot: &Snapshot, record: &mut OpenRecord) {
    if let Action::Forward(forward) = &route.action
        && let ClusterChoice::Single(name) = &forward.cluster
    {
        record.record.decision.cluster = Some(name.clone());
        if let Some((logging, cluster)) = record.logging.as_mut().zip(snapshot.clusters.get(name)) {
            logging.cluster(cluster);
        }
    }
}

/// The request as routing sees it.
pub(super) fn head<'a>(caller: &Caller, intake: &'a Intake) -> RequestHead<'a> {
    RequestHead {
        method: intake.method.as_str(),
        path_and_query: &intake.path,
        authority: &intake.authority,
        scheme: caller.scheme(),
        headers: &intake.headers,
    }
}

fn answer_locally(
    action: &Action,
    answering: &Answering<'_>,
    (config, host, route): (&RouteConfig, &VirtualHost, &Route),
    intake: &Intake,
    record: OpenRecord,
) -> Response<ResponseBody> {
    let levels = mutate::levels(config, host, route, None);
    let reply = match action {
        Action::Direct { status, body } => LocalReply::direct(valid(*status), body.clone()),
        Action::Redirect(rule) => {
            let mut head = head(answering.caller, intake);
            let forwarded = intake.headers.get(&names::X_FORWARDED_PROTO).and_then(|proto| proto.to_str().ok());
            head.scheme = forwarded.unwrap_or(head.scheme);
            let location = redirect::location(rule, &head, &route.matches.path);
            LocalReply::redirect(valid(rule.status), &location)
        }
        Action::Forward(_) => unreachable!("the caller forwards these"),
    };
    answering.local(reply, record, None, &levels)
}

/// A status out of configuration.
pub(crate) fn valid(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
