//! Named secrets: certificates with their keys, and roots. The proxy serves them to itself: its identity
//! client writes `default` and `ROOTCA`, TLS contexts read by name (Envoy: SDS).

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use wavetank_platform::UnixTime;
use wavetank_platform::watch;

use super::peer::PeerCertificate;
use crate::snapshot::tls::SecretName;

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    leaf: PeerCertificate,
}

impl Certificate {
    /// Pairs `chain` (leaf first) with its private `key`.
    ///
    /// Errs when the chain is empty, the leaf does not parse, or the key is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, SecretError> {
        let leaf = chain.first().ok_or(SecretError::Empty)?;
        let leaf = PeerCertificate::parse(leaf).ok_or(SecretError::Malformed)?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(SecretError::Key)?;
        Ok(Self { key: Arc::new(key), leaf })
    }

    /// First URI name of the leaf, e.g. `spiffe://cluster.local/ns/default/sa/default`.
    pub fn uri(&self) -> Option<&Arc<str>> {
        self.leaf.uri_sans.first()
    }

    /// When the leaf begins to be valid.
    pub fn not_before(&self) -> UnixTime {
        self.leaf.not_before
    }

    /// When the leaf ends to be valid.
    pub fn not_after(&self) -> UnixTime {
        self.leaf.not_after
    }
}

/// Why something cannot be a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No certificate was given.
    #[error("no certificate in the secret")]
    Empty,
    /// A certificate does not parse.
    #[error("a certificate of the secret is malformed")]
    Malformed,
    /// The key cannot be used, or is another certificate's.
    #[error("the secret's private key cannot be used: {0}")]
    Key(#[source] rustls::Error),
}

/// Parses trusted roots.
///
/// Errs when there is none or one does not parse.
pub fn roots_from_der(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, SecretError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate).map_err(|_malformed| SecretError::Malformed)?;
    }
    if store.is_empty() { Err(SecretError::Empty) } else { Ok(store) }
}

/// The secrets in force, by name. Cheap to clone; clones are the same store.
#[derive(Debug, Clone)]
pub struct Secrets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Table>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    certificates: BTreeMap<SecretName, Arc<Certificate>>,
    roots: BTreeMap<SecretName, Arc<RootCertStore>>,
}

impl Secrets {
    /// A store without secrets.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { current: ArcSwap::default(), changes: watch::Sender::new(0) }) }
    }

    /// Puts a certificate in force; open connections keep the one they began with.
    pub fn set_certificate(&self, name: SecretName, certificate: Certificate) {
        let certificate = Arc::new(certificate);
        self.change(|table| {
            table.certificates.insert(name, certificate);
        });
    }

    /// Puts roots in force.
    pub fn set_roots(&self, name: SecretName, roots: RootCertStore) {
        let roots = Arc::new(roots);
        self.change(|table| {
            table.roots.insert(name, roots);
        });
    }

    /// Puts a certificate and the roots it came with in force at once.
    pub fn set_identity(&self, certificate: (SecretName, Certificate), roots: (SecretName, RootCertStore)) {
        let (certificate, roots) = ((certificate.0, Arc::new(certificate.1)), (roots.0, Arc::new(roots.1)));
        self.change(|table| {
            table.certificates.insert(certificate.0, certificate.1);
            table.roots.insert(roots.0, roots.1);
        });
    }

    /// The certificate of that name; `None` when it has not come yet.
    pub fn certificate(&self, name: &SecretName) -> Option<Arc<Certificate>> {
        self.shared.current.load().certificates.get(name).cloned()
    }

    /// The roots of that name; `None` when they have not come yet.
    pub fn roots(&self, name: &SecretName) -> Option<Arc<RootCertStore>> {
        self.shared.current.load().roots.get(name).cloned()
    }

    /// Names of the certificates and of the roots that are there.
    pub fn names(&self) -> (Vec<SecretName>, Vec<SecretName>) {
        let table = self.shared.current.load();
        (table.certificates.keys().cloned().collect(), table.roots.keys().cloned().collect())
    }

    /// A count of changes, and a wake-up at each.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut Table)) {
        self.shared.changes.send_modify(|count| {
            let mut table = Table::clone(&self.shared.current.load());
            edit(&mut table);
            self.shared.current.store(Arc::new(table));
            *count += 1;
        });
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}
