//! The provider that the function's environment names.

use std::env;

use anyhow::{Context, bail};

use crate::Provider;
use crate::outbox::Outbox;
use crate::smtp::{Credentials, SmtpConfig, SmtpPool, Tls};

/// The provider that the environment names; see [`crate::Context::from_environment`].
pub(crate) fn provider() -> anyhow::Result<Provider> {
    if let Some(folder) = env::var_os("ENVOI_OUTBOX") {
        return Ok(Provider::Outbox(Outbox::new(folder)?));
    }
    let host = env::var("ENVOI_SMTP_HOST").context("neither ENVOI_OUTBOX nor ENVOI_SMTP_HOST is set")?;
    let port = match env::var("ENVOI_SMTP_PORT") {
        Ok(port) => port.parse().context("ENVOI_SMTP_PORT is no port")?,
        Err(_) => 587,
    };
    let mut smtp = SmtpConfig::new(host, port);
    smtp.tls = match env::var("ENVOI_SMTP_TLS").as_deref() {
        Err(_) | Ok("starttls") => Tls::StartTls,
        Ok("implicit") => Tls::Implicit,
        Ok("none") => Tls::None,
        Ok(other) => bail!("ENVOI_SMTP_TLS is {other:?}: starttls, implicit or none"),
    };
    if let Ok(username) = env::var("ENVOI_SMTP_USER") {
        let password =
            env::var("ENVOI_SMTP_PASSWORD").context("with ENVOI_SMTP_USER goes ENVOI_SMTP_PASSWORD")?;
        smtp.credentials = Some(Credentials { username, password });
    }
    Ok(Provider::Smtp(SmtpPool::new(smtp)?))
}
