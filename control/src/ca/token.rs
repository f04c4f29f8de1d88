//! Tokens: the proof of identity that a host hands a proxy, as Kubernetes hands a pod its service account
//! token.
//!
//! The table gives each identity one opaque token, drawn from the door's randomness. Only who holds the
//! token is the identity; nothing about it can be guessed from another one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wavetank_platform::{Entropy, RandomStream};

use super::Identity;

/// Most identities that a table holds.
pub const TOKENS_MAX: usize = 65_536;

/// Why a token was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It proves another identity.
    #[error("the token is another account's")]
    Taken,
    /// No more are known than this.
    #[error("more than {TOKENS_MAX} tokens")]
    Full,
}

/// Tokens of known identities.
#[derive(Debug)]
pub struct TokenTable {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    random: RandomStream,
    by_token: BTreeMap<String, Identity>,
    by_identity: BTreeMap<Identity, String>,
}

impl TokenTable {
    /// An empty table that draws from `entropy`.
    pub fn new(entropy: &Entropy) -> Self {
        let random = entropy.stream();
        Self { inner: Mutex::new(Inner { random, by_token: BTreeMap::new(), by_identity: BTreeMap::new() }) }
    }

    /// The token of `identity`, made on first asking; equal identities share one.
    ///
    /// `None` when the table is full ([`TOKENS_MAX`]).
    pub fn issue(&self, identity: &Identity) -> Option<String> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        if let Some(token) = inner.by_identity.get(identity) {
            return Some(token.clone());
        }
        if inner.by_identity.len() >= TOKENS_MAX {
            return None;
        }
        let mut bytes = [0; 24];
        inner.random.fill(&mut bytes);
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        inner.by_token.insert(token.clone(), identity.clone());
        inner.by_identity.insert(identity.clone(), token.clone());
        Some(token)
    }

    /// Makes `token` prove `identity`, beside the tokens that already do.
    ///
    /// Errs when the table is full ([`TOKENS_MAX`]) or the token is another identity's.
    pub fn admit(&self, token: &str, identity: &Identity) -> Result<(), TokenRefused> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.by_token.get(token) {
            Some(known) if known == identity => return Ok(()),
            Some(_) => return Err(TokenRefused::Taken),
            None if inner.by_token.len() >= TOKENS_MAX => return Err(TokenRefused::Full),
            None => {}
        }
        inner.by_token.insert(token.to_owned(), identity.clone());
        inner.by_identity.entry(identity.clone()).or_insert_with(|| token.to_owned());
        Ok(())
    }

    /// Whose token this is; `None` when it is nobody's.
    pub fn authenticate(&self, token: &str) -> Option<Identity> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.by_token.get(token).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_proves_one_identity_and_an_unknown_one_none() {
        let table = TokenTable::new(&Entropy::from_seed(1));
        let [go, node] = ["go", "node"].map(|account| Identity::new("cluster.local", "default", account));
        let token = table.issue(&go).expect("room");
        assert_ne!(table.issue(&node), Some(token.clone()));
        assert_eq!(table.issue(&go), Some(token.clone()));
        assert_eq!(table.authenticate(&token), Some(go));
        assert_eq!(table.authenticate("00"), None);
        assert_eq!(table.authenticate(""), None);
    }

    #[test]
    fn an_admitted_token_proves_its_identity_and_no_second_one() {
        let table = TokenTable::new(&Entropy::from_seed(1));
        let [go, node] = ["go", "node"].map(|account| Identity::new("cluster.local", "default", account));
        assert_eq!(table.admit("t", &go), Ok(()));
        assert_eq!(table.admit("t", &go), Ok(()));
        assert_eq!(table.admit("t", &node), Err(TokenRefused::Taken));
        assert_eq!(table.authenticate("t"), Some(go.clone()));
        assert_eq!(table.issue(&go).as_deref(), Some("t"));
    }
}
