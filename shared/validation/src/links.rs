//! Links of ours that an email has to have, or can't have.

use campaign::lowered::LoweredContent;
use campaign::model::Finding;
use campaign::{Campaign, CampaignType, Category};
use content::{EmailTemplate, Ours, Part};

/// Checks that who gets marketing can say that they want no more, whichever part of the email they read; and that nobody is
/// sent to a page that can't be shown.
pub(crate) fn check(
    content: &LoweredContent,
    campaign: &Campaign,
    index: usize,
    findings: &mut Vec<Finding>,
) {
    let LoweredContent::Email(email) = content else { return };
    // Where it can't be compiled, that is said elsewhere.
    let Ok(template) = EmailTemplate::from_lowered(email) else { return };
    let parts = [
        (Part::Html, "body", !email.html.trim().is_empty()),
        (Part::Text, "text", !email.text_is_derived && !email.text.trim().is_empty()),
    ];
    for (part, name, is_written) in parts {
        let field = format!("actions[{index}].content.{name}");
        if is_written
            && campaign.category == Category::Marketing
            && !template.mentions(Ours::Unsubscribe, part)
        {
            let message =
                "has no link to unsubscribe by, which marketing needs: put in {{links.unsubscribe}}";
            findings.push(Finding::error("no_unsubscribe_link", field.clone(), message));
        }
        if is_written && campaign.kind == CampaignType::ApiTriggered && template.mentions(Ours::View, part) {
            let message = "{{links.view}} is not for campaigns that calls start: what a call brings is not kept for longer than \
                           it takes to send";
            findings.push(Finding::error("view_link_not_available", field, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use campaign::content::{Content, EmailBody, EmailContent};
    use campaign::model::Actor;
    use jiff::Timestamp;

    use super::*;

    const LINK: &str = "{{links.unsubscribe}}";

    fn found(
        kind: CampaignType,
        category: Category,
        html: &str,
        text: Option<&str>,
    ) -> Vec<(String, String)> {
        let content = Content::Email(EmailContent {
            subject: "s".to_owned(),
            body: EmailBody::Html(html.to_owned()),
            text: text.map(str::to_owned),
            ..EmailContent::default()
        });
        let lowered = crate::contents::lower(&content, 0).unwrap();
        let campaign = Campaign::new("n", kind, category, Actor::envoi(), Timestamp::UNIX_EPOCH);
        let mut findings = Vec::new();
        check(&lowered.content, &campaign, 0, &mut findings);
        findings.into_iter().map(|finding| (finding.code, finding.field)).collect()
    }

    fn missing(field: &str) -> (String, String) {
        ("no_unsubscribe_link".to_owned(), format!("actions[0].content.{field}"))
    }

    #[test]
    fn marketing_has_a_link_to_unsubscribe_by_in_each_part() {
        let of = |html: &str, text| found(CampaignType::Scheduled, Category::Marketing, html, text);
        let html = format!("<a href=\"{LINK}\">no more</a>");
        assert_eq!(of(&html, None), []);
        assert_eq!(of(&html, Some(LINK)), []);
        assert_eq!(of("", Some(LINK)), []);
        assert_eq!(of("<p>x</p>", None), [missing("body")]);
        assert_eq!(of(&html, Some("x")), [missing("text")]);
        assert_eq!(
            of("<a href=\"https://x.io/unsubscribe\">no more</a>", Some("x")),
            [missing("body"), missing("text")]
        );
        assert_eq!(of("", Some("x")), [missing("text")]);
        assert_eq!(found(CampaignType::Scheduled, Category::Transactional, "<p>x</p>", Some("x")), []);
    }

    #[test]
    fn what_a_call_sent_can_not_be_viewed() {
        let html = "<a href=\"{{links.view}}\">x</a>";
        let not_available =
            |field: &str| ("view_link_not_available".to_owned(), format!("actions[0].content.{field}"));
        assert_eq!(
            found(CampaignType::ApiTriggered, Category::Transactional, html, Some("{{links.view}}")),
            [not_available("body"), not_available("text")]
        );
        assert_eq!(found(CampaignType::Scheduled, Category::Transactional, html, None), []);
    }

    #[test]
    fn a_link_without_its_scheme_is_a_warning() {
        let content = Content::Email(EmailContent {
            subject: "s".to_owned(),
            body: EmailBody::Html("<a href=\"www.example.org\">x</a>".to_owned()),
            ..EmailContent::default()
        });
        let lowered = crate::contents::lower(&content, 0).unwrap();
        let mut findings = Vec::new();
        crate::contents::check_renders(&lowered, 0, campaign::content::OnMissing::Blank, &[], &mut findings);
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.code.as_str(), finding.field.as_str())).collect();
        assert_eq!(found, [("link_without_scheme", "actions[0].content.body.html")]);
    }
}
