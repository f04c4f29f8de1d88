//! A door in memory for tests: connections are pipes, time is paused, the date is set by hand; and a
//! certificate authority.
#![expect(dead_code, reason = "each test crate uses its own part")]
#![expect(clippy::disallowed_methods, reason = "this is the tests' side of the door")]

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;
use wavetank_platform::clock::Sleep;
use wavetank_platform::net::Accept;
use wavetank_platform::{
    BoxFuture, Clock, ConnectOptions, Crypto, Entropy, Instant, ListenOptions, Listener, Net, Platform, Resolver,
    Spawn, Stream, Task, UnixTime,
};
use wavetank_proxy::snapshot::tls::SecretName;
use wavetank_proxy::tls::Tls;
use wavetank_proxy::tls::secret::{Certificate, roots_from_der};

/// 2026-06-01T00:00:00Z.
pub(crate) const JUNE_2026: u64 = 1_780_272_000;

/// A world for one test.
#[derive(Clone)]
pub(crate) struct World {
    /// Set to another date at will.
    pub(crate) clock: Arc<TestClock>,
    net: Arc<MemNet>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = TestClock { start: tokio::time::Instant::now(), epoch: Mutex::new(JUNE_2026) };
        Self { clock: Arc::new(clock), net: Arc::default() }
    }

    /// A process in this world; its random streams follow from `seed`.
    pub(crate) fn platform(&self, seed: u64) -> Platform {
        let provider = CryptoProvider { kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() };
        Platform {
            net: self.net.clone(),
            resolver: Arc::new(Localhost),
            clock: self.clock.clone(),
            entropy: Entropy::from_seed(seed),
            spawn: Arc::new(TokioSpawn),
            crypto: Crypto::new(Arc::new(provider), self.clock.clone()),
        }
    }
}

impl World {
    /// Lets paused time pass.
    pub(crate) async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Paused time from tokio; the date is the given one plus the time that passed.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: tokio::time::Instant,
    epoch: Mutex<u64>,
}

impl TestClock {
    /// Moves the date, not the monotonic time.
    pub(crate) fn set_date(&self, seconds: u64) {
        *self.epoch.lock().unwrap() = seconds;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }

    fn unix(&self) -> UnixTime {
        UnixTime::from_epoch(Duration::from_secs(*self.epoch.lock().unwrap()) + self.start.elapsed())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(self.start + deadline.since_start())
    }
}

/// Connections are pipes of 64 KiB.
#[derive(Default)]
struct MemNet {
    listening: Mutex<BTreeMap<u16, mpsc::UnboundedSender<Stream>>>,
}

impl Net for MemNet {
    fn listen(&self, addr: SocketAddr, _options: ListenOptions) -> BoxFuture<'_, io::Result<Listener>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listening.lock().unwrap().insert(addr.port(), sender);
        Box::pin(async move { Ok(Listener::new(MemListener(tokio::sync::Mutex::new(receiver)), addr)) })
    }

    fn connect(&self, addr: SocketAddr, _options: ConnectOptions) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let listener = self.listening.lock().unwrap().get(&addr.port()).cloned().ok_or_else(refused)?;
            let (near, far) = tokio::io::duplex(64 << 10);
            let here = SocketAddr::new(addr.ip(), 40_000);
            listener.send(Stream::new(far, addr, here, None)).map_err(|_closed| refused())?;
            Ok(Stream::new(near, here, addr, None))
        })
    }
}

struct MemListener(tokio::sync::Mutex<mpsc::UnboundedReceiver<Stream>>);

impl Accept for MemListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(
            async move { self.0.lock().await.recv().await.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) },
        )
    }
}

/// Every name is this host.
struct Localhost;

impl Resolver for Localhost {
    fn resolve<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        Task::new(tokio::spawn(future).abort_handle())
    }
}

/// A root that issues leaves. Valid from 2020 to 2060; leaves from 2026 to 2027 unless said otherwise.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// A leaf with URI and DNS names, valid in 2026.
    pub(crate) fn issue(&self, uris: &[&str], dns: &[&str]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = leaf_params(uris, dns);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// Signs a request as it stands, valid from `from` for `seconds`. PEM: leaf, root.
    pub(crate) fn sign(&self, csr: &str, from: UnixTime, seconds: i64) -> Vec<String> {
        let mut request = rcgen::CertificateSigningRequestParams::from_pem(csr).unwrap();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        request.params.not_before = epoch + from.since_epoch();
        request.params.not_after = request.params.not_before + Duration::from_secs(seconds.unsigned_abs());
        request.params.extended_key_usages = both_uses();
        let leaf = request.signed_by(&self.issuer).unwrap();
        vec![leaf.pem(), self.root_pem()]
    }

    /// The root, PEM.
    pub(crate) fn root_pem(&self) -> String {
        use std::fmt::Write;
        let base64 = base64(&self.root);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in base64.as_bytes().chunks(64) {
            writeln!(pem, "{}", std::str::from_utf8(line).unwrap()).unwrap();
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// TLS with the secrets `default` (a leaf of `own` with these names) and `ROOTCA` (`trusted`'s root).
pub(crate) fn tls(world: &World, own: &Authority, uris: &[&str], dns: &[&str], trusted: &Authority) -> Tls {
    let platform = world.platform(1);
    let tls = Tls::new(&platform);
    let (chain, key) = own.issue(uris, dns);
    tls.secrets().set_certificate(secret("default"), Certificate::new(chain, key, &platform.crypto.provider).unwrap());
    tls.secrets().set_roots(secret("ROOTCA"), roots_from_der(vec![trusted.root.clone()]).unwrap());
    tls
}

pub(crate) fn secret(name: &str) -> SecretName {
    SecretName(name.into())
}

fn leaf_params(uris: &[&str], dns: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    let dns = dns.iter().map(|dns| SanType::DnsName((*dns).try_into().unwrap()));
    params.subject_alt_names = uris.chain(dns).collect();
    params.extended_key_usages = both_uses();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn both_uses() -> Vec<ExtendedKeyUsagePurpose> {
    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, name);
    subject
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let symbol = if at <= chunk.len() { ALPHABET[(word >> (18 - 6 * at) & 63) as usize] } else { b'=' };
            text.push(char::from(symbol));
        }
    }
    text
}
