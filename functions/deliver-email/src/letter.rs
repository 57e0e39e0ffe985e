//! An email ready to be handed over, and what it is made from.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use campaign::address::EmailAddress;
use campaign::configuration::EmailSender as From;
use campaign::content::OnMissing;
use campaign::link::{Member, Recipient};
use campaign::{Category, Code, ProfileId};
use content::{EmailTemplate, Issuer, Mailbox, MessageHeaders, RenderError, build_message};
use delivery::{JobLinks, MessageId};
use serde_json::{Map, Value};

/// Whom a proof's links are about.
const NOBODY: Recipient = Recipient::Profile(ProfileId::from_bytes([0; 16]));

/// An email ready to be handed over.
#[cfg_attr(not(any(feature = "ses", feature = "smtp")), expect(dead_code, reason = "a file has no envelope"))]
pub struct Letter {
    pub(crate) id: MessageId,
    pub(crate) from: Arc<str>,
    pub(crate) to: String,
    pub(crate) message: Vec<u8>,
}

impl fmt::Debug for Letter {
    /// Without addresses or text: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("id", &self.id)
            .field("message_bytes", &self.message.len())
            .finish_non_exhaustive()
    }
}

/// What a letter is made from.
pub(crate) struct Draft<'a> {
    pub(crate) template: &'a EmailTemplate,
    pub(crate) from: &'a From,
    pub(crate) category: Category,
    pub(crate) to: &'a str,
    /// What templates see as `profile`.
    pub(crate) profile: Map<String, Value>,
    /// What templates see as `context`.
    pub(crate) context: &'a Value,
    pub(crate) on_missing: OnMissing,
    /// Names the logical message: the left part of the Message-ID.
    pub(crate) id: MessageId,
    pub(crate) links: Option<JobLinks<'a>>,
    pub(crate) now_seconds: i64,
}

impl Draft<'_> {
    /// Renders and builds the email.
    ///
    /// # Errors
    /// The `failed` or `excluded` code, and why.
    pub(crate) fn letter(self) -> Result<Letter, (Code, String)> {
        let Self { from, to, id, .. } = self;
        let base = self.links.map(|links| base(from, links.public_url));
        let links = self.links.zip(base.as_deref());
        let links = links.map(|(links, base)| issuer(links, base, from, &id, self.now_seconds));
        let mut rendered = self
            .template
            .render(&Value::Object(self.profile), self.context, self.on_missing, links.as_ref())
            .map_err(|error| (code_of(&error), error.to_string()))?;
        if matches!(id, MessageId::Proof { .. }) {
            rendered.subject.insert_str(0, "[Proof] ");
        }
        let unsubscribe = links.filter(|_| self.category == Category::Marketing);
        let unsubscribe = unsubscribe.map(|links| unsubscribe_urls(&links, from)).unwrap_or_default();
        let unsubscribe: Vec<&str> = unsubscribe.iter().map(String::as_str).collect();
        let message_id = format!("{id}@{}", from.from.domain());
        let headers = MessageHeaders {
            from: Mailbox { name: from.from_name.as_deref(), address: from.from.as_str() },
            to: Mailbox { name: None, address: to },
            reply_to: from.reply_to.as_ref().map(|address| Mailbox { name: None, address: address.as_str() }),
            message_id: &message_id,
            date_unix_seconds: self.now_seconds,
            list_unsubscribe: &unsubscribe,
            extra: origin(self.category),
        };
        let message =
            build_message(&headers, &rendered).map_err(|error| (Code::RenderFailed, error.to_string()))?;
        Ok(Letter { id, from: from.from.as_str().into(), to: to.to_owned(), message })
    }
}

/// What says to other programs that nobody wrote this by hand, so that no vacation notice answers it (RFC 3834, section 5).
/// Old ones go by `Precedence`, which would have servers think little of a message that is not for many.
fn origin(category: Category) -> Vec<(&'static str, &'static str)> {
    let mut headers = vec![("Auto-Submitted", "auto-generated")];
    if category == Category::Marketing {
        headers.push(("Precedence", "bulk"));
    }
    headers
}

/// Where the links of a configuration's messages are.
fn base<'a>(from: &From, public_url: &'a str) -> Cow<'a, str> {
    match &from.tracking.domain {
        Some(domain) => Cow::Owned(format!("https://{domain}")),
        None => Cow::Borrowed(public_url),
    }
}

/// What makes a message's links. What happens to a proof is counted nowhere, and its links say so to whoever follows them.
fn issuer<'a>(
    links: JobLinks<'a>,
    base: &'a str,
    from: &From,
    id: &MessageId,
    now_seconds: i64,
) -> Issuer<'a> {
    let member = match id {
        MessageId::Member(member) => u8::try_from(member.index).ok().map(|index| member.chunk.member(index)),
        MessageId::Proof { .. } => None,
    };
    let counts = member.is_some();
    Issuer {
        base,
        keys: links.keys,
        member: member.unwrap_or(Member::NOBODY),
        recipient: if counts { links.recipient } else { Some(NOBODY) },
        day: links::day_of(now_seconds),
        opens: counts && from.tracking.opens,
        clicks: counts && from.tracking.clicks,
    }
}

/// By what one unsubscribes: the link, and mail with the same token. Nothing where it is not known who would.
fn unsubscribe_urls(links: &Issuer<'_>, from: &From) -> Vec<String> {
    let mut url = String::new();
    links.push_unsubscribe(&mut url);
    if url.is_empty() {
        return Vec::new();
    }
    let token = url.rsplit('/').next().unwrap_or_default();
    let mail = from.unsubscribe_mailto.as_ref().map(|to| {
        let mut mail = "mailto:".to_owned();
        push_address(&mut mail, to);
        mail.extend(["?subject=unsubscribe%20", token]);
        mail
    });
    [Some(url), mail].into_iter().flatten().collect()
}

/// An address as a URL has it (RFC 6068).
fn push_address(out: &mut String, address: &EmailAddress) {
    use std::fmt::Write as _;

    for byte in address.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'*+@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
}

#[cfg(test)]
mod tests;
