//! Amazon SES: events of configuration sets (`eventType`) and notifications of identities (`notificationType`), after
//! "Contents of event data that Amazon SES publishes to Amazon SNS" in the SES Developer Guide.
//!
//! | SES says | we take it as |
//! |---|---|
//! | `Send` | sent |
//! | `Delivery` | delivered |
//! | `DeliveryDelay` | delayed |
//! | `Bounce` `Permanent`: `General`, `NoEmail`, `Suppressed` (SES's list of addresses that bounced of others) | hard, counts against the address |
//! | `Bounce` `Permanent`: `OnAccountSuppressionList`, `UnsubscribedRecipient` | hard, and says nothing new of the address: SES keeps that list, and why it is there may be a complaint |
//! | `Bounce` `Transient`: `MessageTooLarge`, `ContentRejected`, `AttachmentRejected`, `CustomTimeoutExceeded` | soft, by the message |
//! | `Bounce` `Transient`, others; `Undetermined` | soft, counts against the address |
//! | `Bounce` `Transient` `General` without anything of a delivery report, or `Undetermined` of nobody | nothing: that is how SES tells of an automatic reply, such as of an absence |
//! | `Complaint` | complained |
//! | `Complaint` with the feedback `not-spam`, or `auth-failure`, which no person has sent | nothing |
//! | `Complaint` `OnAccountSuppressionList` | hard, and nothing new of the address: SES did not even try |
//! | `Reject` | rejected |
//! | `Rendering Failure` | render failed |
//! | `Subscription` to `unsubscribeAll` | unsubscribed; any other is nothing |
//! | `Open`, `Click` | nothing: we find out by ourselves |

use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::{MessageId, tags};

use super::json::{Bounce, Complaint, Mail, Recipient, Text, Wire};
use super::{Unread, millis};
use crate::event::ProviderEvent;

/// What is told of a message, by what, when, and of whom; `None` where it is nothing.
type Found<'a> = Option<(Report, Cause, Option<i64>, Vec<String>)>;

pub(super) fn event<D>(kind: &str, wire: &Wire<'_, D>, now_ms: i64) -> Result<Vec<ProviderEvent>, Unread> {
    let found = match kind {
        "Send" => Some((Report::Sent, Cause::Address, None, Vec::new())),
        "Delivery" => {
            let delivery = wire.delivery.as_ref();
            let to = delivery.and_then(|delivery| delivery.recipients.as_deref()).unwrap_or_default();
            let at = delivery.and_then(|delivery| millis(&delivery.timestamp));
            Some((Report::Delivered, Cause::Address, at, texts(to)))
        }
        "DeliveryDelay" => {
            let delay = wire.delivery_delay.as_ref();
            let to = delay.and_then(|delay| delay.delayed_recipients.as_deref()).unwrap_or_default();
            let at = delay.and_then(|delay| millis(&delay.timestamp));
            Some((Report::Delayed, Cause::Address, at, addresses(to)))
        }
        "Bounce" => bounced(wire.bounce.as_ref().ok_or(Unread::Malformed)?),
        "Complaint" => complained(wire.complaint.as_ref().ok_or(Unread::Malformed)?),
        "Reject" => Some((Report::Rejected, Cause::Message, None, Vec::new())),
        "Rendering Failure" | "RenderingFailure" => {
            Some((Report::RenderFailed, Cause::Message, None, Vec::new()))
        }
        "Subscription" => {
            let subscription = wire.subscription.as_ref().ok_or(Unread::Malformed)?;
            let wishes = subscription.new_topic_preferences.as_ref();
            let is_out = wishes.and_then(|wishes| wishes.unsubscribe_all) == Some(true);
            is_out
                .then(|| (Report::Unsubscribed, Cause::Address, millis(&subscription.timestamp), Vec::new()))
        }
        "Open" | "Click" | "AmazonSnsSubscriptionSucceeded" => None,
        _ => return Err(Unread::Unknown),
    };
    let Some((report, cause, at, mut to)) = found else { return Ok(Vec::new()) };
    let mail = wire.mail.as_ref().ok_or(Unread::Malformed)?;
    if to.is_empty() {
        to = texts(mail.destination.as_deref().unwrap_or_default());
    }
    Ok(vec![ProviderEvent {
        of: message(mail),
        cause,
        provider_id: mail.message_id.get().map(str::to_owned),
        addresses: to,
        ..ProviderEvent::new(Channel::Email, report, at.or_else(|| millis(&mail.timestamp)).unwrap_or(now_ms))
    }])
}

/// Which message it is, by its tags; where there are none, as in what an identity notifies of, by its own Message-ID, which
/// SES has replaced but still knows.
fn message(mail: &Mail<'_>) -> Option<MessageId> {
    let tag = |name: &str| mail.tags.as_ref()?.get(name)?.first()?.get();
    tags::read(tag)
        .or_else(|| {
            let headers = mail.headers.as_deref().unwrap_or_default().iter();
            let mut named = headers.filter(|header| {
                header.name.get().is_some_and(|name| name.eq_ignore_ascii_case("message-id"))
            });
            tags::parse(named.next()?.value.get()?)
        })
        .or_else(|| tags::parse(mail.common_headers.as_ref()?.message_id.get()?))
}

fn bounced(bounce: &Bounce<'_>) -> Found<'static> {
    let sub_type = bounce.bounce_sub_type.get().unwrap_or_default();
    let recipients = bounce.bounced_recipients.as_deref().unwrap_or_default();
    // What a server says for good stands in its report.
    let is_reported = recipients.iter().any(|recipient| {
        recipient.action.is_some() || recipient.status.is_some() || recipient.diagnostic_code.is_some()
    });
    let (report, cause) = match (bounce.bounce_type.get(), sub_type) {
        (Some("Permanent"), "OnAccountSuppressionList" | "UnsubscribedRecipient") => {
            (Report::HardBounced, Cause::List)
        }
        (Some("Permanent"), _) => (Report::HardBounced, Cause::Address),
        (
            Some("Transient"),
            "MessageTooLarge" | "ContentRejected" | "AttachmentRejected" | "CustomTimeoutExceeded",
        ) => (Report::SoftBounced, Cause::Message),
        (Some("Transient"), "General") if !is_reported => return None,
        (Some("Transient"), _) => (Report::SoftBounced, Cause::Address),
        _ if recipients.is_empty() => return None,
        _ => (Report::SoftBounced, Cause::Address),
    };
    Some((report, cause, millis(&bounce.timestamp), addresses(recipients)))
}

fn complained(complaint: &Complaint<'_>) -> Found<'static> {
    let to = addresses(complaint.complained_recipients.as_deref().unwrap_or_default());
    let at = millis(&complaint.timestamp);
    if complaint.complaint_sub_type.get() == Some("OnAccountSuppressionList") {
        return Some((Report::HardBounced, Cause::List, at, to));
    }
    match complaint.complaint_feedback_type.get() {
        Some("not-spam" | "auth-failure") => None,
        _ => Some((Report::Complained, Cause::Address, at, to)),
    }
}

fn texts(texts: &[Text<'_>]) -> Vec<String> {
    texts.iter().filter_map(Text::get).map(str::to_owned).collect()
}

fn addresses(recipients: &[Recipient<'_>]) -> Vec<String> {
    recipients.iter().filter_map(|recipient| recipient.email_address.get()).map(str::to_owned).collect()
}
