//! `envoi backup`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The new folder that the backup becomes; it must not be there yet.
    folder: PathBuf,
    /// Where the database is kept.
    #[arg(long, env = "ENVOI_DATA", default_value = "envoi-data")]
    data: PathBuf,
}

impl Backup {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        envoi_local::backup(&self.data, &self.folder)?;
        println!("{} holds a backup of {}", self.folder.display(), self.data.display());
        Ok(())
    }
}
