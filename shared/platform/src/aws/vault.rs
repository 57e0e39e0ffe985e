//! A vault on KMS: the purpose is the encryption context, by which a role's rights are narrowed.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;

use super::failure::failure;
use crate::PlatformError;
use crate::vault::{Vault, check_secret, unopenable};

/// What KMS is called in messages.
const KMS: &str = "KMS";
/// The key of the encryption context under which the purpose stands; roles narrow
/// `kms:EncryptionContext:envoi`.
const CONTEXT: &str = "envoi";

/// [`Vault`] on a KMS key.
#[derive(Debug, Clone)]
pub struct KmsVault {
    kms: aws_sdk_kms::Client,
    key: String,
}

impl KmsVault {
    /// Over the key with this id, ARN or alias. It sends nothing yet.
    pub fn new(config: &SdkConfig, key: impl Into<String>) -> Self {
        Self { kms: aws_sdk_kms::Client::new(config), key: key.into() }
    }
}

#[async_trait]
impl Vault for KmsVault {
    async fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, PlatformError> {
        check_secret(secret)?;
        let output = self
            .kms
            .encrypt()
            .key_id(&self.key)
            .encryption_context(CONTEXT, purpose)
            .plaintext(Blob::new(secret))
            .send()
            .await
            .map_err(|error| failure(KMS, error))?;
        output.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| incomplete("Encrypt"))
    }

    async fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let output = self
            .kms
            .decrypt()
            .key_id(&self.key)
            .encryption_context(CONTEXT, purpose)
            .ciphertext_blob(Blob::new(sealed))
            .send()
            .await;
        match output {
            Ok(output) => output.plaintext.map(Blob::into_inner).ok_or_else(|| incomplete("Decrypt")),
            Err(error) if is_foreign(&error) => Err(unopenable()),
            Err(error) => Err(failure(KMS, error)),
        }
    }
}

/// Whether KMS says that this was not sealed so.
fn is_foreign<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    matches!(code, Some("InvalidCiphertextException" | "IncorrectKeyException"))
}

fn incomplete(call: &str) -> PlatformError {
    PlatformError::Corrupt(format!("KMS answered {call} without its result"))
}
