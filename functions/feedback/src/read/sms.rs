//! AWS End User Messaging SMS, after "Event types for SMS, MMS, and voice" in its user guide.
//!
//! | AWS says | we take it as |
//! |---|---|
//! | `TEXT_QUEUED`, `TEXT_PENDING`, `TEXT_SENT` | sent |
//! | `TEXT_SUCCESSFUL`, `TEXT_DELIVERED`, where final | delivered: countries have the one or the other |
//! | `TEXT_SUCCESSFUL`, where not | sent |
//! | `TEXT_INVALID` | hard: there is no such number |
//! | `TEXT_UNREACHABLE`, `TEXT_BLOCKED`, `TEXT_CARRIER_BLOCKED`, `TEXT_TTL_EXPIRED` | soft, counts against the number |
//! | `TEXT_CARRIER_UNREACHABLE`, `TEXT_SPAM`, `TEXT_INVALID_MESSAGE` | soft, by the message or its way |
//! | `TEXT_PROTECT_BLOCKED` | rejected: by the account's own rule |
//! | `TEXT_UNKNOWN` | sent: nobody knows more, three days later |

use campaign::Channel;
use campaign::feedback::{Cause, Report};
use delivery::tags;

use super::Unread;
use super::json::Wire;
use crate::event::ProviderEvent;

pub(super) fn event<D>(kind: &str, wire: &Wire<'_, D>, now_ms: i64) -> Result<Vec<ProviderEvent>, Unread> {
    let (report, cause) = match kind {
        "TEXT_SUCCESSFUL" if wire.is_final == Some(false) => (Report::Sent, Cause::Address),
        "TEXT_DELIVERED" | "TEXT_SUCCESSFUL" => (Report::Delivered, Cause::Address),
        "TEXT_QUEUED" | "TEXT_PENDING" | "TEXT_SENT" | "TEXT_UNKNOWN" => (Report::Sent, Cause::Address),
        "TEXT_INVALID" => (Report::HardBounced, Cause::Address),
        "TEXT_UNREACHABLE" | "TEXT_BLOCKED" | "TEXT_CARRIER_BLOCKED" | "TEXT_TTL_EXPIRED" => {
            (Report::SoftBounced, Cause::Address)
        }
        "TEXT_CARRIER_UNREACHABLE" | "TEXT_SPAM" | "TEXT_INVALID_MESSAGE" => {
            (Report::SoftBounced, Cause::Message)
        }
        "TEXT_PROTECT_BLOCKED" => (Report::Rejected, Cause::Message),
        _ => return Err(Unread::Unknown),
    };
    let tag = |name: &str| wire.context.as_ref()?.get(name)?.get();
    Ok(vec![ProviderEvent {
        of: tags::read(tag),
        cause,
        provider_id: wire.message_id.get().map(str::to_owned),
        addresses: wire.destination_phone_number.get().map(str::to_owned).into_iter().collect(),
        ..ProviderEvent::new(Channel::Sms, report, wire.event_timestamp.0.unwrap_or(now_ms))
    }])
}
