use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// Made for these tests.
const KEY: &str = include_str!("test_key.pem");

fn file() -> Value {
    json!({
        "type": "service_account",
        "project_id": "my-app",
        "private_key_id": "k1",
        "private_key": KEY,
        "client_email": "push@my-app.iam.example.com",
        "token_uri": "https://oauth2.example.com/token",
    })
}

fn account(file: &Value) -> Result<ServiceAccount, BadServiceAccount> {
    ServiceAccount::parse(&file.to_string())
}

#[test]
fn the_assertion_is_what_google_asks_for_and_its_signature_is_good() {
    let account = account(&file()).unwrap();
    let request =
        account.request("https://scope.example.com/a b", Timestamp::from_second(1_800_000_000).unwrap());
    assert_eq!(request.uri(), "https://oauth2.example.com/token");
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    let body = std::str::from_utf8(request.body()).unwrap();
    let jwt = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.key.public().as_ref());
    public.verify(signed.as_bytes(), &signature).unwrap();
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(
        parts[1],
        json!({
            "iss": "push@my-app.iam.example.com", "scope": "https://scope.example.com/a b",
            "aud": "https://oauth2.example.com/token", "iat": 1_800_000_000, "exp": 1_800_003_600,
        })
    );
}

#[test]
fn what_is_no_account_is_refused_without_being_told() {
    for (field, value, why) in [
        ("type", json!("authorized_user"), BadServiceAccount::Type),
        ("client_email", json!(""), BadServiceAccount::File),
        ("client_email", json!(7), BadServiceAccount::File),
        ("token_uri", json!("/token"), BadServiceAccount::TokenUri),
        ("token_uri", json!("ftp://hush.example.com/"), BadServiceAccount::TokenUri),
        ("private_key", json!("hush"), BadServiceAccount::Key),
        ("private_key", json!(KEY.replace("MII", "MIJ")), BadServiceAccount::Key),
        ("private_key", json!(KEY.replace("PRIVATE", "RSA PRIVATE")), BadServiceAccount::Key),
    ] {
        let mut file = file();
        file[field] = value;
        let refused = account(&file).unwrap_err();
        assert_eq!(refused, why, "{field}");
        assert!(!format!("{refused} {refused:?}").contains("hush"), "{field}");
    }
    for text in ["", "hush", "[]", "{}"] {
        assert_eq!(ServiceAccount::parse(text).unwrap_err(), BadServiceAccount::File);
    }
    assert_eq!(format!("{:?}", account(&file()).unwrap()), "ServiceAccount(..)");
}

#[test]
fn a_token_is_read_and_never_shown() {
    let body = br#"{"access_token": "ya29.hush", "expires_in": 3599, "token_type": "Bearer"}"#;
    let token = AccessToken::read(body).unwrap();
    assert_eq!(token.bearer.to_str().unwrap(), "Bearer ya29.hush");
    assert_eq!(token.lifetime, Duration::from_secs(3599));
    assert!(!format!("{token:?} {:?}", token.bearer).contains("hush"));
    for body in ["", "{}", r#"{"access_token": "a\nb", "expires_in": 1}"#, r#"{"error": "invalid_grant"}"#] {
        assert!(AccessToken::read(body.as_bytes()).is_none(), "{body}");
    }
}
