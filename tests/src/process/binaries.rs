//! Where the programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, anyhow, ensure};

/// What is built, and the packages it belongs to.
const PROGRAMS: [(&str, &str); 13] = [
    ("envoi", "envoi-local"),
    ("smtp-sink", "envoi-tests"),
    ("activate", "activate"),
    ("api", "api"),
    ("deliver-email", "deliver-email"),
    ("deliver-push", "deliver-push"),
    ("deliver-sms", "deliver-sms"),
    ("deliver-webhook", "deliver-webhook"),
    ("fanout", "fanout"),
    ("feedback", "feedback"),
    ("jobs", "jobs"),
    ("notify", "notify"),
    ("track", "track"),
];
/// What cargo tells the program it runs about its package. Passed on to another cargo, these make build scripts that
/// watch them run again.
const ABOUT_THE_PACKAGE: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];

/// The path of one of our programs, of the profile that this one was built with.
///
/// Under cargo they are brought up to date first: `cargo test` builds the programs of the package under test only, and an
/// old `envoi` would be worse than none. Without cargo they are taken as they lie beside this program.
///
/// # Errors
/// Where it does not build, or is not there.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| up_to_date().map_err(|error| format!("{error:#}")));
    let folder = folder.as_ref().map_err(|error| anyhow!("{error}"))?;
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(path.is_file(), "{} is not there: build it, or run this by cargo", path.display());
    Ok(path)
}

fn up_to_date() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where this program lies is not known")?;
    let mut folder = program.parent().context("a program lies in a folder")?;
    // Test programs lie one folder deeper.
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in a profile's folder")?;
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(Path::new(&cargo), folder)?;
    }
    Ok(folder.to_owned())
}

fn build(cargo: &Path, folder: &Path) -> anyhow::Result<()> {
    let profile =
        folder.file_name().and_then(|name| name.to_str()).context("a profile's folder has a name")?;
    let target = folder.parent().context("a profile's folder lies in the target folder")?;
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--profile", if profile == "debug" { "dev" } else { profile }])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    // Together, so that all are built with the features that this program was built with.
    for (program, package) in PROGRAMS {
        command.args(["--package", package, "--bin", program]);
    }
    let about_the_package = |name: &str| ABOUT_THE_PACKAGE.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_package)) {
        command.env_remove(name);
    }
    let output = command.output().context("cargo does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
