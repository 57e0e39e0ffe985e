//! What `sam build` and `sam package` do: programs become zip files, and the template says where those are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::binary;

/// Where the template says a function's code is: before its name.
const CODE: &str = "CodeUri: ../target/lambda/";
/// In haste: the emulator keeps a copy of it for each stack, and unpacks it at once.
const ZIP: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as file:
    file.write(sys.argv[1], 'bootstrap')
";

/// The template as it is in the repository.
pub(super) fn template() -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))
}

/// The names of the functions whose code the template expects.
pub(super) fn functions(template: &str) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = template
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix(CODE))
        .map(|folder| folder.trim_end().trim_end_matches('/').to_owned())
        .collect();
    ensure!(!names.is_empty(), "the template has no {CODE}<function>/");
    Ok(names)
}

/// The template with the functions' code where `uri_of` says, by the functions' names.
pub(super) fn packaged(template: &str, uri_of: impl Fn(&str) -> String) -> String {
    let mut packaged = String::with_capacity(template.len());
    for line in template.lines() {
        match line.split_once(CODE) {
            Some((indent, folder)) => {
                let uri = uri_of(folder.trim_end().trim_end_matches('/'));
                packaged.extend([indent, "CodeUri: ", &uri]);
            }
            None => packaged.push_str(line),
        }
        packaged.push('\n');
    }
    packaged
}

/// The zip file of a function, with its program as `bootstrap`; `python` makes it.
pub(super) fn zip(name: &str, python: &Path) -> anyhow::Result<Vec<u8>> {
    let program = binary(name)?;
    let folder = tempfile::tempdir()?;
    let (bootstrap, zip) = (folder.path().join("bootstrap"), folder.path().join("function.zip"));
    // Without what debuggers want it is a quarter as large. Where there is no `strip`, it goes as it is.
    let stripped = Command::new("strip").arg("-o").arg(&bootstrap).arg(&program).output();
    if !stripped.is_ok_and(|output| output.status.success()) {
        fs::copy(&program, &bootstrap)?;
    }
    let output = Command::new(python).args(["-c", ZIP]).arg(&bootstrap).arg(&zip).output()?;
    ensure!(output.status.success(), "{name} can't be zipped: {}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::read(zip)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packaging_changes_where_the_code_is_and_nothing_else() {
        let template = "A:\n  CodeUri: ../target/lambda/deliver-email/\n  B: 1\nC:\n    CodeUri: ../target/lambda/api/\n";
        assert_eq!(functions(template).unwrap(), ["deliver-email", "api"]);
        let packaged = packaged(template, |name| format!("s3://code/{name}.zip"));
        assert_eq!(
            packaged,
            "A:\n  CodeUri: s3://code/deliver-email.zip\n  B: 1\nC:\n    CodeUri: s3://code/api.zip\n"
        );
    }
}
