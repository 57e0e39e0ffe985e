//! Where secrets are sealed: provider credentials, and the keys that addresses are hashed and links are signed with.
//!
//! A secret is sealed *for a purpose* and opens for no other, so that who may open one channel's secrets can open no
//! other channel's.

use async_trait::async_trait;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::PlatformError;

/// The most bytes that can be sealed at once: what KMS encrypts.
pub const MAX_SECRET_BYTES: usize = 4096;

/// Seals and opens secrets.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Seals `secret`, of 1 to 4,096 bytes, for `purpose`.
    ///
    /// # Errors
    /// [`PlatformError::TooLarge`]; [`PlatformError::Unavailable`] where the engine can't be reached.
    async fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, PlatformError>;

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// [`PlatformError::Corrupt`] where it was sealed for another purpose or under another key, or was changed since;
    /// [`PlatformError::Unavailable`] where the engine can't be reached or does not let us.
    async fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, PlatformError>;
}

/// Refuses what no engine seals.
pub(crate) fn check_secret(secret: &[u8]) -> Result<(), PlatformError> {
    match secret.len() {
        0 => Err(PlatformError::Invalid("an empty secret can't be sealed".to_owned())),
        1..=MAX_SECRET_BYTES => Ok(()),
        size => Err(PlatformError::TooLarge { what: "secret bytes", size, limit: MAX_SECRET_BYTES }),
    }
}

/// What can't be opened.
pub(crate) fn unopenable() -> PlatformError {
    PlatformError::Corrupt("a secret was sealed under another key or for another purpose".to_owned())
}

/// The vault of a program that must neither seal nor open anything: it refuses.
#[derive(Debug, Clone, Copy)]
pub struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn seal(&self, purpose: &str, _: &[u8]) -> Result<Vec<u8>, PlatformError> {
        Err(refused(purpose))
    }

    async fn open(&self, purpose: &str, _: &[u8]) -> Result<Vec<u8>, PlatformError> {
        Err(refused(purpose))
    }
}

fn refused(purpose: &str) -> PlatformError {
    PlatformError::Invalid(format!("this program has no business with secrets for {purpose}"))
}

/// A vault on one key in memory: AES-256-GCM, the purpose authenticated with it.
#[derive(Debug)]
pub struct KeyVault {
    key: LessSafeKey,
}

impl KeyVault {
    /// Over a key that is derived from `secret`, so that the same secret may serve other ends too.
    pub fn new(secret: &[u8; 32]) -> Self {
        let derived = Salt::new(HKDF_SHA256, b"envoi vault").extract(secret);
        let key = UnboundKey::from(
            derived.expand(&[b"aes-256-gcm"], &AES_256_GCM).expect("one block of HKDF is allowed"),
        );
        Self { key: LessSafeKey::new(key) }
    }
}

#[async_trait]
impl Vault for KeyVault {
    async fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, PlatformError> {
        check_secret(secret)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| PlatformError::Unavailable {
            what: "the system's source of randomness",
            source: Box::new(error),
        })?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut sealed,
            )
            .expect("a secret is far shorter than AES-GCM's limit");
        Ok([&nonce[..], &sealed].concat())
    }

    async fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(unopenable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unopenable())?;
        let mut opened = sealed.to_vec();
        let secret = self
            .key
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut opened)
            .map_err(|_| unopenable())?;
        Ok(secret.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opens_for_its_purpose_and_under_its_key_alone() {
        let vault = KeyVault::new(&[7; 32]);
        let sealed = vault.seal("email", b"a password").await.unwrap();
        assert_eq!(vault.open("email", &sealed).await.unwrap(), b"a password");
        assert!(matches!(vault.open("sms", &sealed).await, Err(PlatformError::Corrupt(_))));
        let other = KeyVault::new(&[8; 32]);
        assert!(matches!(other.open("email", &sealed).await, Err(PlatformError::Corrupt(_))));
    }

    #[tokio::test]
    async fn a_changed_byte_is_noticed_and_the_same_secret_is_never_sealed_alike() {
        let vault = KeyVault::new(&[7; 32]);
        let sealed = vault.seal("email", b"a password").await.unwrap();
        assert_ne!(sealed, vault.seal("email", b"a password").await.unwrap());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(vault.open("email", &changed).await.is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(vault.open("email", &sealed[..length]).await.is_err(), "cut to {length}");
        }
    }

    #[tokio::test]
    async fn what_kms_would_not_take_is_not_taken() {
        let vault = KeyVault::new(&[7; 32]);
        assert!(vault.seal("email", &[1; MAX_SECRET_BYTES]).await.is_ok());
        assert!(matches!(
            vault.seal("email", &[1; MAX_SECRET_BYTES + 1]).await,
            Err(PlatformError::TooLarge { limit: MAX_SECRET_BYTES, .. })
        ));
        assert!(matches!(vault.seal("email", b"").await, Err(PlatformError::Invalid(_))));
    }
}
