//! `envoi key`: the way back in for whoever has the machine, but no key.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use platform::SystemClock;
use platform::embedded::Embedded;
use store::keys::{Keys, Role};

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// Where the database is kept. No server may run on it meanwhile.
    #[arg(long, env = "ENVOI_DATA", default_value = "envoi-data")]
    data: PathBuf,
    /// What its holder may do.
    #[arg(long, default_value = "admin")]
    role: KeyRole,
    /// Its name, for people.
    #[arg(long, default_value = "made by envoi key")]
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyRole {
    /// Reads.
    Viewer,
    /// Edits, too.
    Manager,
    /// Activates, stops and resends, too.
    Publisher,
    /// Makes keys, too.
    Admin,
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Viewer => Self::Viewer,
            KeyRole::Manager => Self::Manager,
            KeyRole::Publisher => Self::Publisher,
            KeyRole::Admin => Self::Admin,
        }
    }
}

impl Key {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        // A slip in the folder's name is not to end in a key of a new, empty database.
        ensure!(self.data.join("envoi.db").exists(), "{} holds no database", self.data.display());
        let engine = Embedded::open(&self.data, Arc::new(SystemClock))?;
        let (key, _) = Keys::new(engine.platform()).create(&self.name, self.role.into()).await?;
        engine.shutdown().await?;
        println!("The key, shown this once: {key}");
        Ok(())
    }
}
