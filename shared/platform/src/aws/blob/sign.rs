//! Signatures of calls, as S3 wants them: the path as it stands, and the body's hash in a header.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use http::Request;
use jiff::Timestamp;

use super::call::Failure;
use crate::{Clock, SystemClock};

/// Signs in the name of whoever the credentials are.
pub(super) struct Signer {
    credentials: Option<SharedCredentialsProvider>,
    region: String,
}

impl Signer {
    pub(super) fn new(credentials: Option<SharedCredentialsProvider>, region: &str) -> Self {
        Self { credentials, region: region.to_owned() }
    }

    /// Signs a request with this body, in its headers.
    pub(super) async fn sign<B>(&self, request: &mut Request<B>, body: &[u8]) -> Result<(), Failure> {
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.identity().await?;
        sign(request, SignableBody::Bytes(body), settings, &identity, &self.region, now())
    }

    /// Signs a request with whatever body, in its URL, for so long.
    pub(super) async fn presign<B>(
        &self,
        request: &mut Request<B>,
        expires: Duration,
    ) -> Result<(), Failure> {
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires);
        let identity = self.identity().await?;
        sign(request, SignableBody::UnsignedPayload, settings, &identity, &self.region, now())
    }

    async fn identity(&self) -> Result<Identity, Failure> {
        let provider =
            self.credentials.as_ref().ok_or_else(|| Failure::unasked("there are no credentials"))?;
        Ok(provider.provide_credentials().await.map_err(Failure::unasked)?.into())
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + SystemClock.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
}

fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

fn sign<B>(
    request: &mut Request<B>,
    body: SignableBody<'_>,
    settings: SigningSettings,
    identity: &Identity,
    region: &str,
    at: SystemTime,
) -> Result<(), Failure> {
    let params = SigningParams::builder().identity(identity).region(region).name("s3").time(at);
    let params = params.settings(settings).build().map_err(Failure::unasked)?.into();
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body);
    let signed = aws_sigv4::http_request::sign(signable.map_err(Failure::unasked)?, &params);
    let (instructions, _) = signed.map_err(Failure::unasked)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::Credentials;
    use http::Method;
    use http::header::{AUTHORIZATION, RANGE};

    use super::super::call::Call;
    use super::*;
    use crate::BlobName;

    const BUCKET: &str = "https://examplebucket.s3.amazonaws.com";

    /// Who signs, where and when in the examples of S3's documentation ("Signature Calculations for the Authorization
    /// Header", "Authenticating Requests: Using Query Parameters").
    fn example<B>(request: &mut Request<B>, body: SignableBody<'_>, settings: SigningSettings) {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let identity = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "example").into();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        sign(request, body, settings, &identity, "us-east-1", at).unwrap();
    }

    #[test]
    fn a_call_is_signed_as_in_the_documentation() {
        let name = BlobName::new("test.txt").unwrap();
        let call = Call::new(Method::GET, &name).header(RANGE, "bytes=0-9");
        let mut request = call.request(BUCKET, ()).unwrap();
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        example(&mut request, SignableBody::Bytes(&[]), settings);
        let signature = request.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(
            signature.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{signature}"
        );
    }

    #[test]
    fn a_url_is_signed_as_in_the_documentation() {
        let name = BlobName::new("test.txt").unwrap();
        let mut request = Call::new(Method::GET, &name).request(BUCKET, ()).unwrap();
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(86400));
        example(&mut request, SignableBody::UnsignedPayload, settings);
        let signature = "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(request.uri().to_string().contains(signature), "{}", request.uri());
    }
}
