//! What the template and its scripts promise that neither a linter nor the emulator checks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn template() -> String {
    fs::read_to_string(repository().join("infra/template.yaml")).unwrap()
}

/// The resources of the template, by name: their lines.
fn resources(template: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut resources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for line in
        template.lines().skip_while(|line| *line != "Resources:").take_while(|line| *line != "Outputs:")
    {
        let is_name = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        if is_name {
            name = line.trim().trim_end_matches(':');
        }
        resources.entry(name).or_default().push(line);
    }
    resources
}

/// What one statement of a role allows, as its lines are written: the actions and the resource.
fn allowed(statement: &str) -> (Vec<&str>, &str) {
    let actions = statement
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'))
        .filter(|word| word.starts_with("dynamodb:") && *word != "dynamodb:LeadingKeys");
    let resource = statement.lines().find_map(|line| line.trim().strip_prefix("Resource: "));
    (actions.collect(), resource.unwrap_or(""))
}

#[test]
fn whatever_a_transaction_writes_in_a_table_is_allowed_by_one_statement() {
    let template = template();
    let mut roles = 0;
    for (name, lines) in resources(&template) {
        if !lines.iter().any(|line| line.contains("AWS::IAM::Role")) {
            continue;
        }
        roles += 1;
        let (text, mut seen) = (lines.join("\n"), BTreeMap::new());
        for statement in text.split("- Sid: ").skip(1) {
            let (actions, table) = allowed(statement);
            for action in actions {
                if ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"].contains(&action) {
                    *seen.entry((action, table)).or_insert(0) += 1;
                }
            }
        }
        let split: Vec<_> = seen.iter().filter(|(_, statements)| **statements > 1).collect();
        assert!(split.is_empty(), "{name}: {split:?}");
    }
    assert!(roles > 10, "{roles}");
}

#[test]
fn somebody_is_told_when_a_rule_stops() {
    let template = template();
    let resources = resources(&template);
    let alarms: Vec<String> = resources
        .values()
        .filter(|lines| lines.iter().any(|line| line.contains("AWS::CloudWatch::Alarm")))
        .map(|lines| lines.join("\n"))
        .collect();
    for (rule, _) in resources.iter().filter(|(_, lines)| lines[1].contains("AWS::Events::Rule")) {
        let watched = |alarm: &&String| {
            alarm.contains("FailedInvocations")
                && alarm.contains(&format!("Name: RuleName, Value: !Ref {rule} "))
        };
        assert_eq!(alarms.iter().filter(watched).count(), 1, "{rule}");
    }
}

/// A repository of the scripts alone, and programs in place of those they call: each writes down what it is told.
struct Scripts {
    folder: TempDir,
}

impl Scripts {
    fn new() -> Self {
        let folder = TempDir::with_prefix("with a space").unwrap();
        let scripts = Self { folder };
        fs::create_dir_all(scripts.path("infra")).unwrap();
        fs::create_dir_all(scripts.path("bin")).unwrap();
        for script in ["deploy.sh", "build.sh"] {
            fs::copy(repository().join("infra").join(script), scripts.path("infra").join(script)).unwrap();
        }
        scripts.program("sam", "");
        scripts.program("rustc", "echo 'host: x86_64-unknown-linux-gnu'");
        // As cargo would, it leaves a program for each profile.
        scripts.program(
            "cargo",
            "printf '%s|' $RUSTFLAGS >> \"$LOG\"; target=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu\n\
             mkdir -p \"$target/lambda\" \"$target/lambda-api\"\n\
             echo program > \"$target/lambda/fanout\"; echo program > \"$target/lambda-api/api\"",
        );
        scripts.program("uname", "echo x86_64");
        scripts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;

        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/usr/bin/env bash\necho \"{name} $*\" >> \"$LOG\"\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script; what the programs were told.
    fn run(&self, script: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
        let log = self.path("log");
        fs::write(&log, "").unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(self.path("infra").join(script))
            .args(arguments)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("LOG", &log)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(log).unwrap()
    }
}

#[test]
fn an_update_keeps_the_architecture_that_the_stack_has() {
    let scripts = Scripts::new();
    let told = scripts.run("deploy.sh", &["--no-build", "Concurrency=20"], &[]);
    assert!(told.contains("--parameter-overrides Concurrency=20"), "{told}");
    assert!(!told.contains("Architecture"), "{told}");
    let told = scripts.run("deploy.sh", &["--no-build"], &[]);
    assert!(!told.contains("--parameter-overrides"), "{told}");
    for asked in [&["--no-build", "--arch", "x86_64"][..], &["--no-build", "Architecture=x86_64"]] {
        let told = scripts.run("deploy.sh", asked, &[]);
        assert!(told.contains("--parameter-overrides Architecture=x86_64"), "{told}");
    }
    // What is built is what runs.
    let told = scripts.run("deploy.sh", &["Concurrency=20"], &[]);
    assert!(told.contains("lambda build --arm64"), "{told}");
    assert!(told.contains("--parameter-overrides Concurrency=20 Architecture=arm64"), "{told}");
}

#[test]
fn programs_are_where_the_template_looks_for_them_wherever_cargo_builds() {
    let scripts = Scripts::new();
    let elsewhere = scripts.path("elsewhere");
    let told = scripts.run(
        "build.sh",
        &["--with", "cargo", "fanout", "api"],
        &[("CARGO_TARGET_DIR", &elsewhere), ("RUSTFLAGS", Path::new("-C opt-level=2"))],
    );
    for name in ["fanout", "api"] {
        assert!(scripts.path("target/lambda").join(name).join("bootstrap").is_file(), "{name}: {told}");
    }
    // Each flag is one word, though the repository's own path has spaces; those given are kept.
    assert!(told.contains("-C|opt-level=2|-C|relocation-model=static|"), "{told}");
    assert!(told.contains("|link-arg=-Wl,-T,infra/no-unwind.ld|"), "{told}");
    let told = scripts.run("build.sh", &["--arch", "arm64", "api"], &[("CARGO_TARGET_DIR", &elsewhere)]);
    assert!(told.contains("--lambda-dir target/lambda "), "{told}");
}
