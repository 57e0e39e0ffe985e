//! What a message of SNS is signed by.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};

use super::SnsMessage;

/// What is signed: names and values in turn, in the order of the names, with a line's end behind each, the last one too.
pub fn string_to_sign(message: &SnsMessage<'_>) -> String {
    let is_notification = message.kind == "Notification";
    let (subject, url, token) = if is_notification {
        (message.subject.as_deref(), None, None)
    } else {
        (None, message.subscribe_url.as_deref(), message.token.as_deref())
    };
    let fields = [
        ("Message", Some(&*message.message)),
        ("MessageId", Some(&*message.message_id)),
        ("Subject", subject),
        ("SubscribeURL", url),
        ("Timestamp", Some(&*message.timestamp)),
        ("Token", token),
        ("TopicArn", Some(&*message.topic_arn)),
        ("Type", Some(&*message.kind)),
    ];
    let mut signed = String::with_capacity(message.message.len() + 512);
    for (name, value) in fields {
        if let Some(value) = value {
            signed.extend([name, "\n", value, "\n"]);
        }
    }
    signed
}

/// Whether the message is signed by whose key this is: an `RSAPublicKey`.
pub(super) fn is_valid(message: &SnsMessage<'_>, key: &[u8]) -> bool {
    let algorithm = match &*message.signature_version {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return false,
    };
    let Ok(signature) = STANDARD.decode(message.signature.as_bytes()) else { return false };
    UnparsedPublicKey::new(algorithm, key).verify(string_to_sign(message).as_bytes(), &signature).is_ok()
}
