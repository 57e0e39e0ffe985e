//! The provider that the function's environment names. A variable that is empty counts as not set: a template can't leave
//! one out.

use std::env;
#[cfg(any(feature = "ses", feature = "smtp"))]
use std::sync::Arc;

use anyhow::{Context, bail};
#[cfg(feature = "smtp")]
use campaign::Channel;
use store::Secrets;

use crate::Provider;
#[cfg(feature = "smtp")]
use crate::smtp::{Credentials, SmtpConfig, SmtpPool, Tls};

/// The first of these that is set names the provider; where none is, it is Amazon SES:
/// - `ENVOI_OUTBOX`: a folder;
/// - `ENVOI_SMTP_HOST`: an SMTP server, with `ENVOI_SMTP_PORT` (587), `ENVOI_SMTP_TLS` (`starttls`, `implicit`, `none`),
///   `ENVOI_SMTP_USER` and `ENVOI_SMTP_PASSWORD`; without a user, the credentials that the API was given, if any;
/// - `ENVOI_SES_CONFIGURATION_SET`, which may be missing: SES, by the standard AWS variables.
///
/// # Errors
/// Where a variable is missing or wrong, or names a provider that this build is without.
pub(crate) async fn provider(secrets: &Secrets) -> anyhow::Result<Provider> {
    chosen(secrets, |name| match env::var(name) {
        Ok(value) => Ok((!value.is_empty()).then_some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{name} can't be read")),
    })
    .await
}

async fn chosen(
    secrets: &Secrets,
    variable: impl Fn(&str) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Provider> {
    if let Some(folder) = variable("ENVOI_OUTBOX")? {
        return outbox(folder);
    }
    if let Some(host) = variable("ENVOI_SMTP_HOST")? {
        return smtp(host, secrets, variable).await;
    }
    ses(variable("ENVOI_SES_CONFIGURATION_SET")?).await
}

#[cfg(feature = "outbox")]
fn outbox(folder: String) -> anyhow::Result<Provider> {
    Ok(Provider::Outbox(crate::outbox::Outbox::new(folder)?))
}

#[cfg(not(feature = "outbox"))]
fn outbox(_: String) -> anyhow::Result<Provider> {
    // Passing over it would send for real what was meant for a folder.
    bail!("ENVOI_OUTBOX is set, and this build is without an outbox")
}

#[cfg(feature = "smtp")]
async fn smtp(
    host: String,
    secrets: &Secrets,
    variable: impl Fn(&str) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Provider> {
    let is_named = variable("ENVOI_SMTP_USER")?.is_some();
    let server = server(host, secrets, variable).await?;
    Ok(Provider::Smtp(if is_named {
        SmtpPool::new(server)?
    } else {
        SmtpPool::with_kept(server, Arc::new(secrets.clone()))?
    }))
}

#[cfg(feature = "smtp")]
async fn server(
    host: String,
    secrets: &Secrets,
    variable: impl Fn(&str) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<SmtpConfig> {
    let port = match variable("ENVOI_SMTP_PORT")? {
        Some(port) => port.parse().context("ENVOI_SMTP_PORT is no port")?,
        None => 587,
    };
    let mut smtp = SmtpConfig::new(host, port);
    smtp.tls = match variable("ENVOI_SMTP_TLS")?.as_deref() {
        None | Some("starttls") => Tls::StartTls,
        Some("implicit") => Tls::Implicit,
        Some("none") => Tls::None,
        Some(other) => bail!("ENVOI_SMTP_TLS is {other:?}: starttls, implicit or none"),
    };
    if let Some(username) = variable("ENVOI_SMTP_USER")? {
        let password =
            variable("ENVOI_SMTP_PASSWORD")?.context("with ENVOI_SMTP_USER goes ENVOI_SMTP_PASSWORD")?;
        smtp.credentials = Some(Credentials { username, password });
    } else if let Some(stored) = secrets.credentials(Channel::Email).await? {
        smtp.credentials = Some(Credentials { username: stored.username, password: stored.password });
    }
    Ok(smtp)
}

#[cfg(not(feature = "smtp"))]
async fn smtp(
    _: String,
    _: &Secrets,
    _: impl Fn(&str) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Provider> {
    bail!("ENVOI_SMTP_HOST is set, and this build is without SMTP")
}

#[cfg(feature = "ses")]
async fn ses(configuration_set: Option<String>) -> anyhow::Result<Provider> {
    let config = platform::aws::sdk_config().await;
    if config.region().is_none() {
        bail!("the provider is Amazon SES, as no other is named, and the variable AWS_REGION is missing");
    }
    let mut builder = aws_sdk_sesv2::config::Builder::from(&config);
    if let Some(endpoint) = platform::aws::endpoint("AWS_ENDPOINT_URL_SESV2") {
        builder.set_endpoint_url(Some(endpoint));
    }
    let clock = Arc::new(platform::SystemClock);
    Ok(Provider::Ses(crate::ses::Ses::new(builder, configuration_set, clock)))
}

#[cfg(not(feature = "ses"))]
async fn ses(_: Option<String>) -> anyhow::Result<Provider> {
    bail!("no variable names a provider of this build: ENVOI_OUTBOX or ENVOI_SMTP_HOST")
}

#[cfg(all(test, feature = "embedded", feature = "outbox", feature = "smtp", feature = "ses"))]
mod tests {
    use platform::embedded::Embedded;
    use platform::{KeyVault, SystemClock};

    use super::*;

    fn secrets() -> Secrets {
        let engine = Embedded::in_memory(Arc::new(SystemClock));
        Secrets::new(engine.platform(), Arc::new(KeyVault::new(&[7; 32])))
    }

    async fn provider_of(vars: &[(&str, &str)]) -> anyhow::Result<Provider> {
        chosen(&secrets(), |name| {
            let found = vars.iter().find(|(of, value)| *of == name && !value.is_empty());
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
        .await
    }

    #[tokio::test]
    async fn an_outbox_goes_before_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let provider = provider_of(&[("ENVOI_SMTP_HOST", "mail"), ("ENVOI_OUTBOX", folder)]).await.unwrap();
        assert!(matches!(provider, Provider::Outbox(_)), "{provider:?}");
    }

    #[tokio::test]
    async fn a_server_is_named_with_its_details_or_without() {
        let named = [
            ("ENVOI_OUTBOX", ""),
            ("ENVOI_SMTP_HOST", "127.0.0.1"),
            ("ENVOI_SMTP_PORT", "2525"),
            ("ENVOI_SMTP_TLS", "none"),
            ("ENVOI_SMTP_USER", ""),
        ];
        let provider = provider_of(&named).await.unwrap();
        let shown = format!("{provider:?}");
        assert!(shown.contains("port: 2525") && shown.contains("tls: None"), "{shown}");
        assert!(shown.contains("credentials: None"), "{shown}");

        let plain = format!("{:?}", provider_of(&[("ENVOI_SMTP_HOST", "mail.example.com")]).await.unwrap());
        assert!(plain.contains("port: 587") && plain.contains("tls: StartTls"), "{plain}");
    }

    #[tokio::test]
    async fn a_server_without_a_user_gets_the_credentials_that_were_stored() {
        let secrets = secrets();
        let stored = store::secrets::Credentials { username: "ada".to_owned(), password: "pw".to_owned() };
        secrets.set_credentials(Channel::Email, &stored).await.unwrap();
        let username = async |user: Option<&str>| {
            let variable = |name: &str| {
                Ok(match name {
                    "ENVOI_SMTP_USER" => user.map(str::to_owned),
                    "ENVOI_SMTP_PASSWORD" => Some("pw".to_owned()),
                    _ => None,
                })
            };
            server("mail.example.com".to_owned(), &secrets, variable)
                .await
                .unwrap()
                .credentials
                .unwrap()
                .username
        };
        assert_eq!(username(None).await, "ada");
        assert_eq!(username(Some("bob")).await, "bob");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        for (name, value) in
            [("ENVOI_SMTP_PORT", "x"), ("ENVOI_SMTP_TLS", "yes"), ("ENVOI_SMTP_USER", "without a password")]
        {
            let error =
                provider_of(&[("ENVOI_SMTP_HOST", "mail.example.com"), (name, value)]).await.unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }
}
