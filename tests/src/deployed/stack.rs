//! A stack of the template.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, bail, ensure};
use platform::{Clock, SystemClock};

use super::LOOK;
use super::calls::Calls;
use crate::process::GUARD;

/// A stack that was created: what is in it, by logical id.
#[derive(Debug)]
pub(super) struct Stack {
    calls: Calls,
    name: String,
    resources: BTreeMap<String, Resource>,
    outputs: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Resource {
    kind: String,
    id: String,
}

impl Stack {
    /// Creates it and waits until it is.
    pub(super) async fn create(
        calls: Calls,
        name: &str,
        template_url: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut form = vec![
            ("StackName".to_owned(), name.to_owned()),
            ("TemplateURL".to_owned(), template_url.to_owned()),
            ("OnFailure".to_owned(), "DO_NOTHING".to_owned()),
        ];
        for (index, capability) in ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"].iter().enumerate() {
            form.push((format!("Capabilities.member.{}", index + 1), (*capability).to_owned()));
        }
        for (index, (key, value)) in parameters.iter().enumerate() {
            let parameter = format!("Parameters.member.{}", index + 1);
            form.push((format!("{parameter}.ParameterKey"), (*key).to_owned()));
            form.push((format!("{parameter}.ParameterValue"), (*value).to_owned()));
        }
        calls.cloudformation("CreateStack", &form).await?;
        let mut stack =
            Self { calls, name: name.to_owned(), resources: BTreeMap::new(), outputs: BTreeMap::new() };
        let described = stack.until("CREATE_COMPLETE").await?;
        for output in described.split("<member>").filter(|member| member.contains("<OutputKey>")) {
            stack.outputs.insert(text(output, "OutputKey")?, text(output, "OutputValue")?);
        }
        stack.list().await?;
        Ok(stack)
    }

    /// Waits until it has that status; what is said of it then.
    async fn until(&self, status: &str) -> anyhow::Result<String> {
        let until = SystemClock.monotonic() + GUARD;
        loop {
            let described = self.calls.cloudformation("DescribeStacks", &self.named()).await?;
            match &*text(&described, "StackStatus")? {
                found if found == status => return Ok(described),
                found if found.ends_with("_IN_PROGRESS") => {}
                found => bail!("the stack is {found}, not {status}:\n{}", self.failures().await?),
            }
            ensure!(SystemClock.monotonic() < until, "the stack is never {status}: {described}");
            SystemClock.sleep(LOOK).await;
        }
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let mut form = self.named();
        loop {
            let page = self.calls.cloudformation("ListStackResources", &form).await?;
            for member in page.split("<member>").skip(1) {
                let resource =
                    Resource { kind: text(member, "ResourceType")?, id: text(member, "PhysicalResourceId")? };
                self.resources.insert(text(member, "LogicalResourceId")?, resource);
            }
            match text(&page, "NextToken") {
                Ok(next) => form = [self.named(), vec![("NextToken".to_owned(), next)]].concat(),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Which resources were not made or removed, and why.
    async fn failures(&self) -> anyhow::Result<String> {
        let events = self.calls.cloudformation("DescribeStackEvents", &self.named()).await?;
        let mut failures = String::new();
        for event in events.split("<member>").filter(|event| event.contains("_FAILED")) {
            let (id, reason) = (text(event, "LogicalResourceId")?, text(event, "ResourceStatusReason"));
            writeln!(failures, "{id}: {}", reason.unwrap_or_default())?;
        }
        Ok(failures)
    }

    /// Deletes it and waits until it is gone.
    pub(super) async fn delete(&self) -> anyhow::Result<()> {
        self.calls.cloudformation("DeleteStack", &self.named()).await?;
        let until = SystemClock.monotonic() + GUARD;
        loop {
            // By its name it is not found once it is gone.
            match self.calls.cloudformation("DescribeStacks", &self.named()).await {
                Err(error) if format!("{error:#}").contains("does not exist") => return Ok(()),
                Err(error) => return Err(error),
                Ok(described) => match &*text(&described, "StackStatus")? {
                    "DELETE_COMPLETE" => return Ok(()),
                    "DELETE_IN_PROGRESS" => {}
                    status => bail!("the stack is {status}:\n{}", self.failures().await?),
                },
            }
            ensure!(SystemClock.monotonic() < until, "the stack is never deleted");
            SystemClock.sleep(LOOK).await;
        }
    }

    /// What it tells its users under that name.
    pub(super) fn output(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.outputs.get(name).with_context(|| format!("the stack has no output {name}"))?;
        Ok(value)
    }

    /// The physical id of a resource.
    pub(super) fn id(&self, logical: &str) -> anyhow::Result<&str> {
        let resource = self.resources.get(logical).with_context(|| format!("the stack has no {logical}"))?;
        Ok(&resource.id)
    }

    /// The physical ids of all resources of a type.
    pub(super) fn all(&self, kind: &str) -> Vec<&str> {
        self.resources.values().filter(|found| found.kind == kind).map(|found| &*found.id).collect()
    }

    fn named(&self) -> Vec<(String, String)> {
        vec![("StackName".to_owned(), self.name.clone())]
    }
}

/// The text of the first element of that name. The answers are flat enough for it.
fn text(xml: &str, name: &str) -> anyhow::Result<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = xml.split_once(&open).with_context(|| format!("there is no {name} in {xml}"))?;
    let (text, _) = rest.split_once(&close).with_context(|| format!("{name} does not end"))?;
    let characters = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")];
    Ok(characters.iter().fold(text.to_owned(), |text, (name, character)| text.replace(name, character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_read_with_its_special_characters() {
        let xml = "<member><OutputKey>Url</OutputKey><OutputValue>http://x/?a=1&amp;b=&lt;2&gt;</OutputValue></member>";
        assert_eq!(text(xml, "OutputValue").unwrap(), "http://x/?a=1&b=<2>");
        assert!(text(xml, "NextToken").is_err());
    }
}
