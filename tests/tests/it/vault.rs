//! Vaults: that of one key in memory, and KMS, under the same checks.

use campaign::id::random_bytes;
use envoi_tests::ministack;
use platform::aws::KmsVault;
use platform::vault::MAX_SECRET_BYTES;
use platform::{KeyVault, PlatformError, Vault};

async fn a_secret_opens_for_its_purpose_alone(vault: &dyn Vault, other: &dyn Vault) {
    let secret = [random_bytes(), random_bytes()].concat();
    let sealed = vault.seal("email", &secret).await.unwrap();
    assert!(!sealed.windows(secret.len()).any(|part| part == secret));
    assert_eq!(vault.open("email", &sealed).await.unwrap(), secret);
    assert!(matches!(vault.open("sms", &sealed).await, Err(PlatformError::Corrupt(_))));
    assert!(vault.seal("email", &[1; MAX_SECRET_BYTES]).await.is_ok());
    let too_large = vault.seal("email", &[1; MAX_SECRET_BYTES + 1]).await;
    assert!(matches!(too_large, Err(PlatformError::TooLarge { .. })));
    assert!(matches!(vault.seal("email", b"").await, Err(PlatformError::Invalid(_))));
    // The emulator opens it to rubbish, the others not at all.
    assert_ne!(other.open("email", &sealed).await.ok(), Some(secret));
}

#[tokio::test]
async fn of_a_key_in_memory() {
    a_secret_opens_for_its_purpose_alone(&KeyVault::new(&[7; 32]), &KeyVault::new(&[8; 32])).await;
}

#[tokio::test]
async fn of_kms() {
    let config = ministack::shared().await.sdk_config("test").await;
    let kms = aws_sdk_kms::Client::new(&config);
    let key = async || kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let (key, other) = (KmsVault::new(&config, key().await), KmsVault::new(&config, key().await));
    a_secret_opens_for_its_purpose_alone(&key, &other).await;
}
