//! A mesh of one gateway and one program on this machine: a running control plane, the program behind the
//! Service `web`, and what a gateway needs to join.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_control::ads::{DebounceConfig, NoObserver, ProxyStatus};
use wavetank_control::config::SourceFile;
use wavetank_control::config::access_log::{AccessLog, AccessLogs, LogFormat};
use wavetank_control::model::MeshConfig;
use wavetank_control::{Control, ControlConfig, Dialect, ca};
use wavetank_platform::Platform;
use wavetank_proxy::bootstrap::{
    Bootstrap, CaConfig, KeyType, Limits, NodeIdentity, Token, XdsMode, XdsSecurity, XdsServer,
};
use wavetank_proxy::identity::{Identity, client};
use wavetank_proxy::snapshot::tls::{DownstreamTls, Validation};
use wavetank_proxy::tls::Tls;

use crate::live::{free_port, loopback, until, within};
use crate::origin::Origin;

/// Node id of the gateway.
pub const GATEWAY_NODE: &str = "router~127.0.0.2~edge-0.istio-system~istio-system.svc.cluster.local";
/// Identity of the gateway.
pub const GATEWAY_IDENTITY: &str = "spiffe://cluster.local/ns/istio-system/sa/edge";
/// Identity of the program.
pub const WEB_IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/web";
/// Name of the file with the Gateway and the VirtualService.
pub const ROUTING: &str = "manifests/routing.yaml";
/// Place in it of the match by which `/shop`, and what begins so, is routed.
pub const SHOP_ROUTE: (u32, u32) = (20, 7);

/// Name that the control plane's certificate has.
const CONTROL_NAME: &str = "istiod.istio-system.svc";

/// The mesh. Everything in it ends when this handle is dropped.
#[derive(Debug)]
pub struct Edge {
    /// The control plane.
    pub control: Control,
    /// The program.
    pub web: Origin,
    /// Where the gateway listens once it is configured.
    pub gateway: SocketAddr,
    platform: Platform,
}

impl Edge {
    /// Starts the control plane and the program, and puts their manifests in force.
    ///
    /// # Panics
    /// When anything of it fails.
    pub async fn start(platform: &Platform, dialect: Dialect) -> Self {
        let config = ControlConfig {
            dialect,
            debounce: DebounceConfig { quiet: Duration::ZERO, max: Duration::ZERO },
            // Keys that every proxy understands.
            ca: ca::CaConfig { key_type: ca::KeyType::EcdsaP256, ..ca::CaConfig::default() },
            listen: loopback(0).ip(),
            plaintext_port: 0,
            secure_port: 0,
            mesh: MeshConfig { access_logs: istios_log(), ..MeshConfig::default() },
            ..ControlConfig::default()
        };
        let control = Control::start(platform.clone(), config, Arc::new(NoObserver)).await.expect("a control plane");
        let tls = match dialect {
            Dialect::V1_0 => None,
            Dialect::V1 => Some(web_tls(platform, &control).await),
        };
        let web = Origin::start(platform, "web", tls).await;
        let gateway = loopback(free_port(platform).await);
        for (name, text) in [("manifests/web.yaml", objects(web.address())), (ROUTING, routing(gateway.port()))] {
            let seen = control.generation();
            let applied = control.apply(&SourceFile::new(name, text));
            assert!(!applied.has_errors(), "{name}: {:#?}", applied.diagnostics);
            within(platform, "a push", control.next_generation(seen)).await;
        }
        Self { control, web, gateway, platform: platform.clone() }
    }

    /// What a gateway of ours is told at its start: xDS over mTLS, a certificate against a signing request.
    ///
    /// # Panics
    /// When the authority knows too many identities.
    pub fn bootstrap(&self, mode: XdsMode) -> Bootstrap {
        let labels = [("LABELS".to_owned(), [("istio", "edge")].into_iter().collect())];
        let node = NodeIdentity {
            id: GATEWAY_NODE.to_owned(),
            cluster: "edge.istio-system".to_owned(),
            metadata: labels.into_iter().collect(),
            ..NodeIdentity::default()
        };
        let at = self.control.secure_addr();
        let xds = XdsServer {
            host: at.ip().to_string(),
            port: at.port(),
            mode,
            security: XdsSecurity::Mutual { server_name: CONTROL_NAME.to_owned() },
        };
        let ca = ca_config(&self.control, "istio-system", "edge");
        Bootstrap { ca: Some(ca), ..Bootstrap::new(node, xds) }
    }

    /// Waits until the gateway has taken the whole mesh, and returns its standing.
    ///
    /// # Panics
    /// When it refuses anything, or does not come.
    pub async fn settled(&self) -> ProxyStatus {
        let look = || {
            let status = self.control.status().into_iter().find(|status| status.node == GATEWAY_NODE)?;
            let refused: Vec<_> =
                status.types.iter().filter_map(|(kind, of)| Some((kind, of.nack.as_ref()?))).collect();
            assert!(refused.is_empty(), "the gateway refuses {refused:?}");
            (status.settled == Some(self.control.generation())).then_some(status)
        };
        until(&self.platform, "the gateway's last acknowledgement", look).await
    }
}

/// How a proxy of this account gets its certificate from `control` on this machine.
///
/// # Panics
/// When the authority knows too many identities.
pub(crate) fn ca_config(control: &Control, namespace: &str, account: &str) -> CaConfig {
    let at = control.secure_addr();
    CaConfig {
        host: at.ip().to_string(),
        port: at.port(),
        server_name: CONTROL_NAME.to_owned(),
        roots_pem: control.root_certificate_pem().to_owned(),
        identity: format!("spiffe://cluster.local/ns/{namespace}/sa/{account}"),
        token: Token(control.issue_token(namespace, account).expect("room for a token")),
        key_type: KeyType::EcdsaP256,
        lifetime: Duration::from_secs(3600),
        refresh_at: 0.8,
    }
}

/// What stands before the program in today's mesh: its identity, and callers that must show one of the mesh.
async fn web_tls(platform: &Platform, control: &Control) -> (Tls, DownstreamTls) {
    let tls = Tls::new(platform);
    let config = ca_config(control, "default", "web");
    let mut identity = Identity::new(platform.clone(), config, &Limits::default(), tls.clone()).expect("good roots");
    identity.renew().await.expect("a certificate");
    let server = DownstreamTls {
        certificate: client::certificate_name(),
        validation: Some(Validation { roots: client::roots_name(), subject_alt_names: Vec::new() }),
        require_client_certificate: true,
        alpn: vec!["istio".into()],
    };
    (tls, server)
}

/// The Gateway and the VirtualService, as a user writes them.
fn routing(port: u16) -> String {
    format!(
        "\
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata:
  name: edge
spec:
  selector: {{istio: edge}}
  servers:
  - port: {{number: {port}, name: http, protocol: HTTP}}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop.example]
  gateways: [edge]
  http:
  - match:
    - uri: {{prefix: /shop}}
    route:
    - destination: {{host: web, subset: v1}}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: web
spec:
  host: web
  subsets:
  - name: v1
    labels: {{version: v1}}
"
    )
}

/// The program's Kubernetes objects, and the gateway's pod. A program with TLS has the label of a proxy.
fn objects(web: SocketAddr) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  clusterIP: 10.96.0.9
  selector: {{app: web}}
  ports:
  - {{name: http, port: 80, targetPort: {port}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  labels: {{app: web, version: v1, security.istio.io/tlsMode: istio}}
spec: {{serviceAccountName: web}}
status: {{podIP: {ip}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-0
  labels: {{kubernetes.io/service-name: web}}
addressType: IPv4
ports:
- {{name: http, port: {port}, protocol: TCP}}
endpoints:
- addresses: [{ip}]
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: web-0, namespace: default}}
---
apiVersion: v1
kind: Pod
metadata:
  name: edge-0
  namespace: istio-system
  labels: {{istio: edge}}
spec: {{serviceAccountName: edge}}
status: {{podIP: 127.0.0.2}}
",
        port = web.port(),
        ip = web.ip(),
    )
}

/// Istio's access log with its default format, as `--access-log-file` asks for it.
fn istios_log() -> AccessLogs {
    let log = AccessLog { file: "/dev/stdout".to_owned(), format: LogFormat::Text(None) };
    AccessLogs { requests: Some(log), observation: None }
}
