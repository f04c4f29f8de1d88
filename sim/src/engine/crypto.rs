//! TLS primitives of a container: ring's algorithms, with every random byte from the container's stream.
//!
//! ring draws key-exchange secrets from the operating system whatever the provider's `secure_random` is,
//! so X25519 (RFC 7748) is done here, with its secret from the same stream.

use std::sync::{Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use wavetank_platform::RandomStream;
use x25519_dalek::{PublicKey, StaticSecret};

/// rustls asks for `&'static` randomness, so sources are leaked once and lent to one container after another.
static IDLE: Mutex<Vec<&'static SeededRandom>> = Mutex::new(Vec::new());

/// A source of randomness for one container at a time.
pub(super) struct SeededRandom {
    stream: Mutex<Option<RandomStream>>,
}

impl SeededRandom {
    /// A source that draws from `stream` until it is [released](Self::release).
    pub(super) fn lend(stream: RandomStream) -> &'static Self {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let source = idle.unwrap_or_else(|| Box::leak(Box::new(Self { stream: Mutex::new(None) })));
        *source.lock() = Some(stream);
        source
    }

    /// Gives the source back. It fails from now on, until it is lent again.
    pub(super) fn release(&'static self) {
        *self.lock() = None;
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// ring's provider with X25519 alone, as the door asks, and this randomness.
    pub(super) fn provider(&'static self) -> CryptoProvider {
        CryptoProvider { secure_random: self, kx_groups: vec![self], ..ring::default_provider() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<RandomStream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SeededRandom {
    /// Hides the state.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeededRandom(..)")
    }
}

impl SecureRandom for SeededRandom {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.lock().as_mut().ok_or(GetRandomFailed)?.fill(buf);
        Ok(())
    }
}

impl SupportedKxGroup for SeededRandom {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        self.fill(&mut secret)?;
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer_pub_key: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer_pub_key.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        if !shared.was_contributory() {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(&shared.as_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use wavetank_platform::Entropy;

    /// The first flight of a TLS client.
    fn client_hello(seed: u64) -> Vec<u8> {
        let random = SeededRandom::lend(Entropy::from_seed(seed).stream());
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(random.provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let mut client = rustls::ClientConnection::new(Arc::new(config), "reviews".try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        drop(client);
        random.release();
        bytes
    }

    #[test]
    fn equal_seeds_give_equal_hellos_to_the_byte() {
        assert_eq!(client_hello(1), client_hello(1));
        assert_ne!(client_hello(1), client_hello(2));
    }

    #[test]
    fn two_ends_agree_and_equal_seeds_give_equal_keys() {
        let a = SeededRandom::lend(Entropy::from_seed(1).stream());
        let b = SeededRandom::lend(Entropy::from_seed(1).stream());
        let c = SeededRandom::lend(Entropy::from_seed(2).stream());
        let (x, y, z) = (a.start().unwrap(), b.start().unwrap(), c.start().unwrap());
        assert_eq!(x.pub_key(), y.pub_key());
        assert_ne!(x.pub_key(), z.pub_key());
        let (x_key, z_key) = (x.pub_key().to_vec(), z.pub_key().to_vec());
        let (s, t) = (x.complete(&z_key).unwrap(), z.complete(&x_key).unwrap());
        assert_eq!(s.secret_bytes(), t.secret_bytes());
        assert!(y.complete(&[0; 32]).is_err(), "a point of small order is refused");
        [a, b, c].into_iter().for_each(SeededRandom::release);
    }
}
