//! Local replies, by the rows of the Envoy tables: response in wire order, flag, details.

use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::UnixTime;

use super::*;
use crate::http::headers::{Dates, HeaderList, ResponseFacts};
use crate::http::reply::{ReplyFacts, is_grpc};
use crate::record::Protocol;
use crate::snapshot::listener::{HttpManager, RouteSource, ServerHeader};
use crate::snapshot::route::{HeaderChange, HeaderChangeMode, HeaderMutations};

static DATES: Dates = Dates::new();

fn manager() -> HttpManager {
    HttpManager::new("h", RouteSource::Rds(Arc::from("r")))
}

fn facts(manager: &HttpManager) -> ReplyFacts<'_> {
    ReplyFacts {
        response: ResponseFacts {
            manager,
            protocol: Protocol::Http1,
            now: UnixTime::from_epoch(Duration::from_secs(784_111_777)),
            dates: &DATES,
            request_id: None,
            close: false,
            keep_upgrade: false,
        },
        head: false,
        grpc: false,
        request_complete: true,
        attempts: None,
        levels: &[],
    }
}

/// `status · header · header · body`, with `[DS]` for date and server and `[TP n]` for a text body's two.
fn wire(reply: LocalReply, facts: &ReplyFacts<'_>) -> String {
    let response = reply.render(facts);
    let mut text = response.status().as_u16().to_string();
    for (name, value) in response.headers() {
        text += &format!(" · {name}: {}", value.to_str().unwrap());
    }
    text += &format!(" ·· {}", std::str::from_utf8(response.body()).unwrap());
    text.replace("date: Sun, 06 Nov 1994 08:49:37 GMT · server: envoy", "[DS]")
        .replace(" · content-type: text/plain", "]")
        .replace("content-length: ", "[TP ")
        .replace("[TP 0", "content-length: 0")
}

fn reset(reason: ResetReason, retried: bool) -> Failure {
    Failure::Reset { reason, transport: None, retried }
}

const REFUSED: &str = "delayed connect error: Connection refused";

#[test]
fn every_failure_answers_as_envoy_does() {
    use ResetReason::*;
    let refused =
        |retried| Failure::Reset { reason: RemoteConnectionFailure, transport: Some(REFUSED.into()), retried };
    let connect = "upstream connect error or disconnect/reset before headers.";
    let manager = manager();
    let rows: Vec<(Failure, String, &str)> = vec![
        (Failure::NoRoute, "404 · [DS] · content-length: 0 ·· ".into(), "NR route_not_found"),
        (
            Failure::ClusterNotFound { status: StatusCode::SERVICE_UNAVAILABLE },
            "503 · [DS] · content-length: 0 ·· ".into(),
            "NC cluster_not_found",
        ),
        (Failure::NoHealthyUpstream, "503 · [TP 19] · [DS] ·· no healthy upstream".into(), "UH no_healthy_upstream"),
        (
            refused(false),
            format!("503 · [TP 98] · [DS] ·· {connect} reset reason: remote connection failure"),
            "UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
        (
            refused(true),
            format!(
                "503 · [TP 121] · [DS] ·· {connect} retried and the latest reset reason: remote connection failure"
            ),
            "UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
        (
            reset(ConnectionTimeout, false),
            format!("503 · [TP 91] · [DS] ·· {connect} reset reason: connection timeout"),
            "UF upstream_reset_before_response_started{connection_timeout}",
        ),
        (
            reset(ConnectionTermination, true),
            format!("503 · [TP 118] · [DS] ·· {connect} retried and the latest reset reason: connection termination"),
            "UC upstream_reset_before_response_started{connection_termination}",
        ),
        (
            reset(ProtocolError, false),
            format!("502 · [TP 87] · [DS] ·· {connect} reset reason: protocol error"),
            "UPE upstream_reset_before_response_started{protocol_error}",
        ),
        (
            reset(Overflow, false),
            format!("503 · x-envoy-overloaded: true · [TP 81] · [DS] ·· {connect} reset reason: overflow"),
            "UO upstream_reset_before_response_started{overflow}",
        ),
        (Failure::RouteTimeout, "504 · [TP 24] · [DS] ·· upstream request timeout".into(), "UT response_timeout"),
        (
            reset(PerTryTimeout, true),
            "504 · [TP 24] · [DS] ·· upstream request timeout".into(),
            "UT upstream_per_try_timeout",
        ),
        (
            Failure::StreamIdle { request_complete: true },
            "504 · [TP 14] · [DS] ·· stream timeout".into(),
            "SI stream_idle_timeout",
        ),
        (
            Failure::StreamIdle { request_complete: false },
            "408 · [TP 14] · [DS] · connection: close ·· stream timeout".into(),
            "SI stream_idle_timeout",
        ),
        (
            Failure::RequestTimeout,
            "408 · [TP 15] · [DS] · connection: close ·· request timeout".into(),
            "- request_overall_timeout",
        ),
        (
            Failure::RequestHeaderTimeout,
            "408 · [TP 22] · [DS] · connection: close ·· request header timeout".into(),
            "- request_header_timeout",
        ),
        (
            Failure::StreamDuration,
            "504 · [TP 27] · [DS] ·· downstream duration timeout".into(),
            "- max_duration_timeout",
        ),
        (
            Failure::MissingHost,
            "400 · [DS] · connection: close · content-length: 0 ·· ".into(),
            "- missing_host_header",
        ),
        (
            Failure::HeadersTooLarge,
            "431 · [TP 31] · [DS] · connection: close ·· Request Header Fields Too Large".into(),
            "DPE http1.headers_too_large",
        ),
        (
            Failure::BadRequest("http1.codec_error"),
            "400 · [TP 11] · [DS] · connection: close ·· Bad Request".into(),
            "DPE http1.codec_error",
        ),
        (
            Failure::UnknownTransferCoding,
            "501 · [TP 15] · [DS] · connection: close ·· Not Implemented".into(),
            "DPE http1.invalid_transfer_encoding",
        ),
        (Failure::LowVersion, "426 · [TP 16] · [DS] · connection: close ·· Upgrade Required".into(), "DPE low_version"),
        (
            Failure::PayloadTooLarge,
            "413 · [TP 17] · [DS] · connection: close ·· Payload Too Large".into(),
            "- request_payload_too_large",
        ),
        (Failure::UpgradeRefused, "403 · [DS] · connection: close · content-length: 0 ·· ".into(), "- upgrade_failed"),
        (
            Failure::UpgradeFailed,
            "200 · [DS] · connection: close · content-length: 0 ·· ".into(),
            "- websocket_handshake_unsuccessful",
        ),
        (
            Failure::PathRedirect("/a/b".into()),
            "307 · location: /a/b · [DS] · content-length: 0 ·· ".into(),
            "- path_normalization_failed",
        ),
        (
            Failure::PathRejected,
            "400 · [DS] · connection: close · content-length: 0 ·· ".into(),
            "- path_normalization_failed",
        ),
        (Failure::AbsolutePathRejected, "404 · [DS] · content-length: 0 ·· ".into(), "- absolute_path_rejected"),
    ];
    for (failure, wanted, logged) in rows {
        let reply = failure.reply();
        let flag = reply.flag.map_or("-".to_owned(), |flag| flag.to_string());
        assert_eq!(format!("{flag} {}", reply.details), logged);
        assert_eq!(wire(reply, &facts(&manager)), wanted, "{failure:?}");
    }
}

#[test]
fn a_request_not_received_whole_closes_the_connection_before_a_zero_length() {
    let manager = manager();
    let incomplete = ReplyFacts { request_complete: false, ..facts(&manager) };
    assert_eq!(
        wire(LocalReply::redirect(StatusCode::MOVED_PERMANENTLY, "http://a.test/new"), &incomplete),
        "301 · location: http://a.test/new · [DS] · connection: close · content-length: 0 ·· "
    );
    let direct = || LocalReply::direct(StatusCode::OK, Bytes::from_static(b"hi"));
    assert_eq!(wire(direct(), &incomplete), "200 · [TP 2] · [DS] · connection: close ·· hi");
    let response = ResponseFacts { protocol: Protocol::Http2, ..incomplete.response };
    let http2 = ReplyFacts { response, ..incomplete };
    assert_eq!(wire(direct(), &http2), "200 · [TP 2] · [DS] ·· hi");
    assert_eq!(wire(Failure::NoRoute.reply(), &http2), "404 · [DS] ·· ");
}

#[test]
fn head_gets_the_headers_without_the_body() {
    let manager = manager();
    let head = ReplyFacts { head: true, ..facts(&manager) };
    let failure = reset(ResetReason::RemoteConnectionFailure, false);
    assert_eq!(wire(failure.reply(), &head), "503 · [TP 98] · [DS] ·· ");
}

#[test]
fn grpc_gets_a_trailers_only_response() {
    let manager = manager();
    let grpc = ReplyFacts { grpc: true, ..facts(&manager) };
    let failure = reset(ResetReason::RemoteConnectionFailure, false);
    assert_eq!(
        wire(failure.reply(), &grpc),
        "200 · content-type: application/grpc · grpc-status: 14 · grpc-message: upstream connect error or \
         disconnect/reset before headers. reset reason: remote connection failure · [DS] · content-length: 0 ·· "
    );
    let incomplete = ReplyFacts { request_complete: false, ..grpc };
    assert_eq!(
        wire(Failure::NoRoute.reply(), &incomplete),
        "200 · content-type: application/grpc · grpc-status: 12 · [DS] · connection: close · content-length: 0 ·· "
    );
}

#[test]
fn grpc_is_told_by_its_content_type() {
    for (kind, wanted) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc-web", false),
        ("text/plain", false),
    ] {
        let mut headers = HeaderList::new();
        headers.append(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        assert_eq!(is_grpc(&headers), wanted, "{kind}");
    }
}

#[test]
fn a_direct_response_carries_the_configured_headers_and_its_own_content_type() {
    let manager = manager();
    let change = |name, value| HeaderChange {
        name: HeaderName::from_static(name),
        value: HeaderValue::from_static(value),
        mode: HeaderChangeMode::Overwrite,
    };
    let level = HeaderMutations {
        response_add: vec![change("content-type", "text/html"), change("x-d", "1")],
        ..Default::default()
    };
    let facts = ReplyFacts { levels: &[&level], ..facts(&manager) };
    assert_eq!(
        wire(LocalReply::direct(StatusCode::OK, Bytes::from_static(b"<a>")), &facts),
        "200 · content-type: text/html · x-d: 1 · [TP 3 · [DS] ·· <a>"
    );
}

#[test]
fn pass_through_leaves_local_replies_without_a_server() {
    let manager = HttpManager { server_header: ServerHeader::PassThrough, ..manager() };
    assert_eq!(
        wire(Failure::NoRoute.reply(), &facts(&manager)),
        "404 · date: Sun, 06 Nov 1994 08:49:37 GMT · content-length: 0 ·· "
    );
}

#[test]
fn a_response_that_broke_off_says_why() {
    let broken = Aborted::by_upstream(ResetReason::ProtocolError);
    assert_eq!((broken.flag, &*broken.details), (Flag::UPE, "upstream_reset_after_response_started{protocol_error}"));
    let late = Aborted::by_timeout(&Failure::RouteTimeout.reply()).unwrap();
    assert_eq!((late.flag, &*late.details), (Flag::UT, "response_timeout"));
    assert_eq!(Aborted::by_client().flag, Flag::DC);
}

#[test]
fn the_routers_failures_carry_configured_headers_then_the_attempt_count() {
    let manager = manager();
    let level = |value| HeaderMutations {
        response_add: vec![HeaderChange {
            name: HeaderName::from_static("x-r"),
            value: HeaderValue::from_static(value),
            mode: HeaderChangeMode::Append,
        }],
        ..Default::default()
    };
    let (route, config) = (level("route"), level("rc"));
    let facts = ReplyFacts { levels: &[&route, &config], attempts: Some(1), ..facts(&manager) };
    let failure = reset(ResetReason::Overflow, false);
    assert!(failure.is_the_routers() && !Failure::NoRoute.is_the_routers());
    assert!(wire(failure.reply(), &facts).starts_with(
        "503 · x-envoy-overloaded: true · x-r: route · x-r: rc · x-envoy-attempt-count: 1 · [TP 81] · [DS] ·· "
    ));
}
