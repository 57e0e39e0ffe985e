//! Where an action's calls go: only where its configuration lets them.

use campaign::configuration::{Configuration, Sender};
use campaign::hosts;
use campaign::lowered::LoweredContent;
use campaign::model::Finding;
use content::Destination;

/// Whoever can write a profile must not choose where others' data goes.
pub(crate) fn check(
    content: &LoweredContent,
    configuration: &Configuration,
    index: usize,
    findings: &mut Vec<Finding>,
) {
    let (LoweredContent::Webhook(webhook), Sender::Webhook(settings)) = (content, &configuration.sender)
    else {
        return;
    };
    let allowed = &settings.allowed_hosts;
    let (code, message) = match Destination::of(&webhook.url) {
        (Destination::AnyHost, _) if allowed.is_empty() => {
            ("templated_host", "data chooses the URL's host, which needs a configuration with allowed_hosts")
        }
        (_, Some(host)) if !allowed.is_empty() && !hosts::is_allowed(allowed, without_port(host)) => {
            ("host_not_allowed", "the URL's host is not among the configuration's allowed_hosts")
        }
        _ => return,
    };
    findings.push(Finding::error(code, format!("actions[{index}].content.url"), message));
}

/// Without the port; the colons of an IPv6 address are inside its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use campaign::configuration::WebhookSender;
    use campaign::content::WebhookContent;
    use campaign::{Category, ConfigurationId};

    use super::*;

    fn found(url: &str, hosts: &[&str]) -> Option<String> {
        let content =
            LoweredContent::Webhook(WebhookContent { url: url.to_owned(), ..WebhookContent::default() });
        let allowed_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let configuration = Configuration {
            id: ConfigurationId::from_bytes([1; 16]),
            name: "Hooks".to_owned(),
            category: Category::Marketing,
            rate_per_second: None,
            retry_period_seconds: 60,
            disabled: false,
            ignores_suppression: false,
            sender: Sender::Webhook(WebhookSender { allowed_hosts, timeout_seconds: 10 }),
        };
        let mut findings = Vec::new();
        check(&content, &configuration, 2, &mut findings);
        let finding = findings.pop()?;
        assert_eq!(finding.field, "actions[2].content.url");
        Some(finding.code)
    }

    #[test]
    fn data_chooses_a_host_only_where_the_configuration_names_some() {
        let templated = Some("templated_host".to_owned());
        assert_eq!(found("{{{profile.url}}}", &[]), templated);
        assert_eq!(found("https://hooks.example.org{{profile.x}}/", &[]), templated);
        assert_eq!(found("{{{profile.url}}}", &["*.example.org"]), None);
        assert_eq!(found("https://hooks.example.org/{{profile.x}}", &[]), None);
    }

    #[test]
    fn a_host_that_is_written_out_is_one_of_those() {
        let not_allowed = Some("host_not_allowed".to_owned());
        let hosts = ["*.example.org", "[::1]"];
        for url in [
            "https://a.example.org/",
            "https://a.example.org:8443/{{profile.x}}",
            "https://[::1]:8443",
            "https://[::1]/",
        ] {
            assert_eq!(found(url, &hosts), None, "{url}");
        }
        for url in ["https://example.com/", "https://example.com:443/?a.example.org", "https://[::2]/"] {
            assert_eq!(found(url, &hosts), not_allowed, "{url}");
        }
    }
}
