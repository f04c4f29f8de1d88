//! Accepting and connecting TLS by xDS settings and named secrets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, CommonState, RootCertStore, ServerConfig};
use rustls_pki_types::{DnsName, ServerName};
use tokio_rustls::{StartHandshake, TlsConnector};
use wavetank_platform::{Crypto, Io, Platform};

use super::error::TlsError;
use super::peer::PeerCertificate;
use super::secret::{Certificate, Secrets};
use super::session::TlsSession;
use super::{hello, verify::PeerVerifier};
use crate::record::TlsState;
use crate::snapshot::tls::{DownstreamTls, SanMatcher, SecretName, UpstreamTls, Validation};

/// An open TLS connection over `S`, of either side.
pub type TlsStream<S> = tokio_rustls::TlsStream<S>;

/// Built configurations kept per side; when full, all are dropped and built anew on use.
const CACHED_MAX: usize = 1024;

/// The TLS of one proxy: its secrets and the host's primitives. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    crypto: Crypto,
    secrets: Secrets,
    servers: Arc<Mutex<BTreeMap<Key, Cached<Server>>>>,
    clients: Arc<Mutex<BTreeMap<Key, Cached<Arc<ClientConfig>>>>>,
}

/// What a configuration is built from, secrets by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    certificate: Option<SecretName>,
    roots: Option<SecretName>,
    names: Vec<(u8, Arc<str>)>,
    require: bool,
    alpn: Vec<Arc<str>>,
}

/// A configuration and the secrets it was built with; stale when those are no longer in force.
struct Cached<C> {
    material: Material,
    config: C,
}

#[derive(Clone, Default)]
struct Material {
    certificate: Option<Arc<Certificate>>,
    roots: Option<Arc<RootCertStore>>,
}

/// The same settings with and without ALPN: a client without a protocol in common is served without one,
/// as Envoy does, where rustls would refuse it.
#[derive(Clone)]
struct Server {
    with_alpn: Arc<ServerConfig>,
    without_alpn: Arc<ServerConfig>,
}

impl Tls {
    /// TLS over the host's primitives, with an empty secret store.
    pub fn new(platform: &Platform) -> Self {
        Self {
            crypto: platform.crypto.clone(),
            secrets: Secrets::new(),
            servers: Arc::default(),
            clients: Arc::default(),
        }
    }

    /// The secrets that configurations name.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Takes the server's side of a handshake: TLS 1.3, or 1.2 when the client has no better.
    ///
    /// Has no time limit of its own.
    pub async fn accept<S: Io>(
        &self,
        config: &DownstreamTls,
        mut stream: S,
    ) -> Result<(TlsStream<S>, TlsSession), TlsError> {
        let key = Key::of(Some(&config.certificate), config.validation.as_ref(), &config.alpn)
            .requiring(config.require_client_certificate);
        let material = self.material(&key)?;
        let server = cached(&self.servers, &key, &material, || self.build_server(config, &material))?;
        let accepted = hello::read(&mut stream).await?;
        let common = accepted.client_hello().alpn().is_none_or(|mut offered| {
            offered.any(|protocol| config.alpn.iter().any(|ours| ours.as_bytes() == protocol))
        });
        let chosen = if common { server.with_alpn } else { server.without_alpn };
        let stream = StartHandshake::from_parts(accepted, stream).into_stream(chosen).await;
        let stream = stream.map_err(|error| TlsError::of_handshake(&error))?;
        let (_, connection) = stream.get_ref();
        let sni = connection.server_name().map(Arc::from);
        let session = session(connection, sni, config.validation.is_some(), material.certificate.as_deref());
        Ok((TlsStream::Server(stream), session))
    }

    /// Takes the client's side of a handshake, TLS 1.3.
    ///
    /// The SNI is sent as configured, underscores included; one that is no host name even so (a `|` in it)
    /// is left out. Has no time limit of its own. When the server refuses our certificate, the handshake
    /// still succeeds here and the first read fails; see [`TlsError::of_stream`].
    pub async fn connect<S: Io>(
        &self,
        config: &UpstreamTls,
        stream: S,
    ) -> Result<(TlsStream<S>, TlsSession), TlsError> {
        let key = Key::of(config.certificate.as_ref(), config.validation.as_ref(), &config.alpn);
        let material = self.material(&key)?;
        let client = cached(&self.clients, &key, &material, || self.build_client(config, &material))?;
        let name = config.sni.as_deref().and_then(|sni| DnsName::try_from(sni.to_owned()).ok());
        let sni = name.as_ref().map(|name| Arc::from(name.as_ref()));
        // An address is never sent as SNI.
        let name = name.map_or(ServerName::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED)), ServerName::DnsName);
        let stream = TlsConnector::from(client).connect(name, stream).await;
        let stream = stream.map_err(|error| TlsError::of_handshake(&error))?;
        let session = session(stream.get_ref().1, sni, config.validation.is_some(), material.certificate.as_deref());
        Ok((TlsStream::Client(stream), session))
    }

    fn material(&self, key: &Key) -> Result<Material, TlsError> {
        let missing = |name: &SecretName| TlsError::SecretMissing(name.clone());
        let certificate = key.certificate.as_ref();
        let roots = key.roots.as_ref();
        Ok(Material {
            certificate: certificate.map(|n| self.secrets.certificate(n).ok_or_else(|| missing(n))).transpose()?,
            roots: roots.map(|n| self.secrets.roots(n).ok_or_else(|| missing(n))).transpose()?,
        })
    }

    fn verifier(&self, material: &Material, validation: Option<&Validation>, mandatory: bool) -> Arc<PeerVerifier> {
        let names = validation.map_or_else(Vec::new, |validation| validation.subject_alt_names.clone());
        let algorithms = self.crypto.provider.signature_verification_algorithms;
        Arc::new(PeerVerifier::new(material.roots.clone(), names, algorithms, mandatory))
    }

    fn build_server(&self, config: &DownstreamTls, material: &Material) -> Result<Server, TlsError> {
        let builder = ServerConfig::builder_with_details(self.crypto.provider.clone(), self.crypto.time.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Config(error.to_string()))?;
        let asks = config.validation.is_some() || config.require_client_certificate;
        let builder = if asks {
            builder.with_client_cert_verifier(self.verifier(
                material,
                config.validation.as_ref(),
                config.require_client_certificate,
            ))
        } else {
            builder.with_no_client_auth()
        };
        let certificate = material.certificate.as_ref().ok_or(TlsError::SecretMissing(config.certificate.clone()))?;
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.key.clone())));
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let without_alpn = Arc::new(server.clone());
        server.alpn_protocols = wire_protocols(&config.alpn);
        Ok(Server { with_alpn: Arc::new(server), without_alpn })
    }

    fn build_client(&self, config: &UpstreamTls, material: &Material) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_details(self.crypto.provider.clone(), self.crypto.time.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError::Config(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(material, config.validation.as_ref(), true));
        let mut client = match &material.certificate {
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.key.clone())))
            }
            None => builder.with_no_client_auth(),
        };
        client.resumption = Resumption::disabled();
        client.alpn_protocols = wire_protocols(&config.alpn);
        Ok(Arc::new(client))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Key {
    fn of(certificate: Option<&SecretName>, validation: Option<&Validation>, alpn: &[Arc<str>]) -> Self {
        let names = validation.map_or(&[][..], |validation| &validation.subject_alt_names);
        Self {
            certificate: certificate.cloned(),
            roots: validation.map(|validation| validation.roots.clone()),
            names: names.iter().map(key_of_name).collect(),
            require: false,
            alpn: alpn.to_vec(),
        }
    }

    fn requiring(self, require: bool) -> Self {
        Self { require, ..self }
    }
}

fn key_of_name(matcher: &SanMatcher) -> (u8, Arc<str>) {
    match matcher {
        SanMatcher::Exact(name) => (0, name.clone()),
        SanMatcher::Prefix(name) => (1, name.clone()),
        SanMatcher::Suffix(name) => (2, name.clone()),
    }
}

impl Material {
    fn is(&self, other: &Self) -> bool {
        fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
        }
        same(self.certificate.as_ref(), other.certificate.as_ref()) && same(self.roots.as_ref(), other.roots.as_ref())
    }
}

fn cached<C: Clone>(
    cache: &Mutex<BTreeMap<Key, Cached<C>>>,
    key: &Key,
    material: &Material,
    build: impl FnOnce() -> Result<C, TlsError>,
) -> Result<C, TlsError> {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = cache.get(key).filter(|entry| entry.material.is(material)) {
        return Ok(entry.config.clone());
    }
    let config = build()?;
    if cache.len() >= CACHED_MAX {
        cache.clear();
    }
    cache.insert(key.clone(), Cached { material: material.clone(), config: config.clone() });
    Ok(config)
}

fn wire_protocols(alpn: &[Arc<str>]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}

fn session(connection: &CommonState, sni: Option<Arc<str>>, verified: bool, own: Option<&Certificate>) -> TlsSession {
    let peer = connection.peer_certificates().and_then(|chain| chain.first()).and_then(PeerCertificate::parse);
    let state = match &peer {
        Some(peer) if verified && own.is_some() => TlsState::Mutual { peer: peer.principal().clone() },
        _ => TlsState::Simple,
    };
    let alpn = connection.alpn_protocol().map(|protocol| Arc::from(String::from_utf8_lossy(protocol).as_ref()));
    TlsSession {
        state,
        sni,
        alpn,
        peer,
        version: super::session::version(connection.protocol_version()),
        cipher: super::session::cipher(connection.negotiated_cipher_suite().map(|suite| suite.suite())),
        local_uri: own.and_then(Certificate::uri).cloned(),
    }
}
