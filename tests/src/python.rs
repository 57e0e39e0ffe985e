//! Programs in Python that the tests use: installed by the tests themselves into the build folder, in pinned versions,
//! with nothing but a Python 3 on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// What is installed into a folder of its own.
#[derive(Debug, Clone, Copy)]
pub struct Installation {
    /// The folder, in the build folder: the program's name and version.
    pub folder: &'static str,
    /// The program and everything that it needs, one a line, in the versions it was tried with.
    pub packages: &'static str,
}

impl Installation {
    /// The Python that the packages are for. They are installed where they are not yet; one process installs, others wait
    /// for it.
    ///
    /// # Errors
    /// Says what is missing on this machine.
    pub fn python(&self) -> anyhow::Result<PathBuf> {
        let target = target()?;
        let folder = target.join(self.folder);
        let python = folder.join("bin").join("python");
        // Written last, so that a half-made installation is not taken for one.
        let list = folder.join("packages.txt");
        let lock = File::create(target.join(format!("{}.lock", self.folder)))?;
        lock.lock().context("the installation can't be locked")?;
        if fs::read_to_string(&list).is_ok_and(|packages| packages == self.packages) && python.is_file() {
            return Ok(python);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
            "install Python 3.10 or newer with its venv module (on Debian: apt install python3 python3-venv)",
        )?;
        run(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(self.packages.lines()),
            &format!(
                "pip could not install {}: it needs the network, or a mirror of PyPI set by PIP_INDEX_URL",
                self.folder
            ),
        )?;
        fs::write(&list, self.packages)?;
        Ok(python)
    }
}

/// The build folder that this program lies in.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where this program lies is not known")?;
    let mut folder = program.parent().context("a program lies in a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in a profile's folder")?;
    }
    folder.parent().map(Path::to_owned).context("a profile's folder lies in the target folder")
}

fn run(command: &mut Command, advice: &str) -> anyhow::Result<()> {
    let output = command.output().with_context(|| advice.to_owned())?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{advice}\n{}{}", String::from_utf8_lossy(&output.stdout), said());
    Ok(())
}
