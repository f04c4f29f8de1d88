//! The admin port of the running binary.

#[path = "tls_support/grpc.rs"]
mod grpc;
mod process_support;
#[path = "ads_support/resources.rs"]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod resources;
#[path = "ads_support/script.rs"]
mod script;

use std::time::Duration;

use process_support::*;
use wavetank_platform::{Platform, linux};

struct Story {
    platform: Platform,
    process: Process,
    mesh: u16,
    admin: u16,
}

impl Story {
    async fn open(more: &[&str]) -> Self {
        let platform = linux::platform().expect("the door");
        let [xds, mesh, admin] = free_ports(&platform).await;
        let (origin, _) = serve_origin(&platform, Duration::ZERO).await;
        serve_xds(&platform, xds, mesh, origin).await;
        let process = Process::start(xds, admin, more);
        process.ready(&platform).await;
        Self { platform, process, mesh, admin }
    }

    async fn admin(&self, method: &str, path: &str) -> Answer {
        ask(&self.platform, self.admin, method, path).await.expect("an answer")
    }
}

#[tokio::test]
async fn requests_are_counted_over_all_workers_in_istios_and_envoys_names() {
    let story = Story::open(&["--concurrency", "3"]).await;
    for _ in 0..12 {
        assert_eq!(ask(&story.platform, story.mesh, "GET", "/").await.expect("an answer").status, 200);
    }
    let line = "http.http.downstream_rq_2xx: 12";
    let counted = async || {
        let stats = story.admin("GET", "/stats").await.body;
        stats.lines().any(|one| one == line).then_some(stats)
    };
    let stats = until(&story.platform, line, counted).await;
    for line in [
        "cluster.origin.upstream_rq_total: 12",
        "cluster.origin.upstream_rq_2xx: 12",
        "cluster.origin.membership_healthy: 1",
        "cluster_manager.active_clusters: 1",
        "server.concurrency: 3",
        "server.live: 1",
        "server.state: 0",
    ] {
        assert!(stats.lines().any(|one| one == line), "no `{line}` in {stats}");
    }
    let through = format!("listener.0.0.0.0_{}.downstream_cx_total: 12", story.mesh);
    assert!(stats.lines().any(|one| one == through), "no `{through}` in {stats}");
    let metrics = story.admin("GET", "/stats/prometheus").await.body;
    let requests: Vec<&str> = metrics.lines().filter(|line| line.starts_with("istio_requests_total{")).collect();
    let [requests] = requests[..] else { panic!("{requests:?}") };
    assert!(requests.ends_with(" 12"), "{requests}");
    for label in ["reporter=\"source\"", "response_code=\"200\"", "response_flags=\"-\"", "request_protocol=\"http\""] {
        assert!(requests.contains(label), "no {label} in {requests}");
    }
    let in_time = "istio_request_duration_milliseconds_bucket{reporter=\"source\"";
    assert!(metrics.lines().any(|line| line.starts_with(in_time) && line.ends_with(" 12")), "{metrics}");
    assert!(metrics.contains("envoy_cluster_upstream_rq{response_code_class=\"2xx\",cluster_name=\"origin\"} 12"));
}

#[tokio::test]
async fn the_agent_answers_the_applications_metrics_behind_the_proxys() {
    let platform = linux::platform().expect("the door");
    let metrics = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\norders 17";
    let (app, _) = serve_answer(&platform, Duration::ZERO, metrics).await;
    let broken = "HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\norders 18";
    let (failing, _) = serve_answer(&platform, Duration::ZERO, broken).await;
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\norders 19";
    let (long, _) = serve_answer(&platform, Duration::ZERO, long).await;
    let [agent, nobody] = free_ports(&platform).await;
    for (app, has, failures) in [(app, true, 0), (failing, false, 1), (long, false, 1), (nobody, false, 1)] {
        let (address, port) = (loopback(agent).to_string(), app.to_string());
        let story = Story::open(&["--agent", &address, "--app-metrics-port", &port, "--app-metrics-path", "/m"]).await;
        let merged = ask(&platform, agent, "GET", "/stats/prometheus").await.expect("an answer");
        assert_eq!(merged.status, 200);
        let holds = |line: &str| merged.body.lines().any(|one| one == line);
        assert!(merged.body.contains("istio_build{"), "{}", merged.body);
        assert_eq!(holds("orders 17"), has, "{}", merged.body);
        assert!(!merged.body.contains("orders 18") && !merged.body.contains("orders 19"), "{}", merged.body);
        let failed = format!("istio_agent_scrape_failures_total{{type=\"application\"}} {failures}");
        assert!(holds("istio_agent_scrapes_total 1") && holds(&failed), "{}", merged.body);
        // Of the proxy alone, as ever.
        let own = story.admin("GET", "/stats/prometheus").await.body;
        assert!(own.contains("istio_build{") && !own.contains("orders") && !own.contains("scrapes_total"), "{own}");
        assert_eq!(ask(&platform, agent, "GET", "/healthz/ready").await.expect("an answer").body, "");
    }
}

#[tokio::test]
async fn the_configuration_is_shown_and_secrets_are_not() {
    let file = std::env::temp_dir().join(format!("wavetank-admin-{}.json", std::process::id()));
    let ca = r#"{"host": "127.0.0.1", "port": 1, "serverName": "ca", "rootsPem": "PEM", "identity": "spiffe://a/b",
                 "token": "very-secret-token"}"#;
    let roots = include_str!("process_support/roots.pem").replace('\n', "\\n");
    let bootstrap =
        format!(r#"{{"node": {{"id": "n"}}, "xds": {{"host": "h", "port": 1}}, "ca": {}}}"#, ca.replace("PEM", &roots));
    std::fs::write(&file, bootstrap).expect("a file");
    let story = Story::open(&["--bootstrap", file.to_str().expect("a path")]).await;
    let dump = story.admin("GET", "/config_dump").await;
    std::fs::remove_file(file).expect("it was written");
    let tree: serde_json::Value = serde_json::from_str(&dump.body).expect("JSON");
    assert_eq!(tree["snapshot"]["clusters"]["origin"]["name"], "origin");
    assert_eq!(tree["snapshot"]["listeners"]["mesh"]["bind_to_port"], true);
    assert_eq!(tree["snapshot"]["routes"]["routes"]["virtual_hosts"][0]["domains"][0], "*");
    assert_eq!(tree["bootstrap"]["ca"]["identity"], "spiffe://a/b");
    assert_eq!(tree["bootstrap"]["ca"]["token"], "[redacted]");
    for path in ["/config_dump", "/certs", "/stats", "/clusters", "/listeners", "/"] {
        let page = story.admin("GET", path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("very-secret") && !page.body.contains("PRIVATE KEY"), "{path}: {}", page.body);
    }
    assert!(story.admin("GET", "/clusters").await.body.contains("::health_flags::healthy"));
}

#[tokio::test]
async fn what_changes_the_process_asks_for_post_and_the_rest_for_get() {
    let mut story = Story::open(&["--drain", "2s"]).await;
    assert_eq!(story.admin("GET", "/drain").await.status, 405);
    assert_eq!(story.admin("POST", "/stats").await.status, 405);
    assert_eq!(story.admin("GET", "/nothing").await.status, 404);
    assert_eq!(ask(&story.platform, story.mesh, "GET", "/").await.expect("an answer").status, 200);

    assert_eq!(story.admin("POST", "/drain").await.status, 200);
    let is_refused = async || Peer::connect(&story.platform, story.mesh).await.is_err().then_some(());
    until(&story.platform, "closed sockets", is_refused).await;
    let ready = story.admin("GET", "/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "DRAINING\n"));
    assert!(story.process.is_running(), "it goes on until told to end");
    story.process.signal("TERM");
    assert!(story.process.ended(&story.platform).await.success());
}

#[tokio::test]
async fn a_head_that_is_too_long_or_never_ends_holds_nobody_up() {
    let story = Story::open(&[]).await;
    let long = format!("/{}", "x".repeat(64 * 1024));
    let refused = ask(&story.platform, story.admin, "GET", &long).await;
    assert!(refused.as_ref().is_ok_and(|answer| answer.status == 431) || refused.is_err(), "{refused:?}");
    let mut open = Vec::new();
    for _ in 0..40 {
        open.push(Peer::connect(&story.platform, story.admin).await.expect("it listens"));
    }
    assert_eq!(ask(&story.platform, story.mesh, "GET", "/").await.expect("an answer").status, 200);
    drop(open);
    let back = async || ask(&story.platform, story.admin, "GET", "/ready").await.ok().filter(|said| said.status == 200);
    until(&story.platform, "the admin port", back).await;
}
