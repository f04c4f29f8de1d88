//! Certificates: of the mesh, of a stranger, and one of the mesh that has expired; for Envoy and for us.

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use wavetank_platform::Platform;
use wavetank_proxy::snapshot::tls::SecretName;
use wavetank_proxy::tls::Tls;
use wavetank_proxy::tls::secret::{Certificate, roots_from_der};

/// Identity that servers of the mesh show.
pub const SERVER: &str = "spiffe://cluster.local/ns/foo/sa/srv";
/// Identity that callers of the mesh show.
pub const CLIENT: &str = "spiffe://cluster.local/ns/foo/sa/cli";

/// Secrets by name: `server`, `client`, `expired` and `stranger` are certificates, `mesh` and `strangers` roots.
pub struct Pki {
    mesh: Authority,
    strangers: Authority,
    certificates: Vec<(&'static str, rcgen::Certificate, KeyPair)>,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: rcgen::Certificate,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a root");
        Self { issuer: Issuer::new(params, key), root }
    }

    fn issue(&self, uri: &str, dns: &[&str], expired: bool) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "client");
        params.distinguished_name.push(DnType::OrganizationName, "Org");
        params.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI")));
        for name in dns {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into().expect("a name")));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(if expired { 2021 } else { 2060 }, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }
}

impl Pki {
    /// Fresh keys and certificates.
    ///
    /// # Panics
    /// When a certificate cannot be made.
    pub fn new() -> Self {
        let (mesh, strangers) = (Authority::new("mesh"), Authority::new("strangers"));
        let named = |name, (certificate, key)| (name, certificate, key);
        let certificates = vec![
            named("server", mesh.issue(SERVER, &["srv.test"], false)),
            named("client", mesh.issue(CLIENT, &["cli.test", "cli2.test"], false)),
            named("expired", mesh.issue(CLIENT, &["cli.test"], true)),
            named("stranger", strangers.issue(CLIENT, &["cli.test"], false)),
        ];
        Self { mesh, strangers, certificates }
    }

    /// The secrets as our TLS holds them.
    ///
    /// # Panics
    /// When one is refused.
    pub fn ours(&self, platform: &Platform) -> Tls {
        let tls = Tls::new(platform);
        for (name, certificate, key) in &self.certificates {
            let chain = vec![certificate.der().clone()];
            let key = key.serialize_der().try_into().expect("a key");
            let certificate = Certificate::new(chain, key, &platform.crypto.provider).expect("a certificate");
            tls.secrets().set_certificate(SecretName((*name).into()), certificate);
        }
        for (name, authority) in self.authorities() {
            let roots = roots_from_der(vec![authority.root.der().clone()]).expect("a root");
            tls.secrets().set_roots(SecretName(name.into()), roots);
        }
        tls
    }

    /// The secrets as Envoy's bootstrap has them.
    pub fn envoys(&self) -> Vec<tls::Secret> {
        let of = |name: &str, kind| tls::Secret { name: name.to_owned(), r#type: Some(kind) };
        let certificates = self.certificates.iter().map(|(name, certificate, key)| {
            let certificate = tls::TlsCertificate {
                certificate_chain: inline(certificate.pem()),
                private_key: inline(key.serialize_pem()),
                ..Default::default()
            };
            of(name, tls::secret::Type::TlsCertificate(certificate))
        });
        let roots = self.authorities().into_iter().map(|(name, authority)| {
            let context =
                tls::CertificateValidationContext { trusted_ca: inline(authority.root.pem()), ..Default::default() };
            of(name, tls::secret::Type::ValidationContext(context))
        });
        certificates.chain(roots).collect()
    }

    fn authorities(&self) -> [(&'static str, &Authority); 2] {
        [("mesh", &self.mesh), ("strangers", &self.strangers)]
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

fn inline(pem: String) -> Option<DataSource> {
    Some(DataSource { specifier: Some(Specifier::InlineString(pem)), ..Default::default() })
}
