//! Dates and instants.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::Value;

use super::{argument, invalid, text};
use crate::error::RenderError;
use crate::template::eval::{Machine, Val};
use crate::template::program::{Call, Expr};

/// The longest pattern. A few of its bytes can ask for hundreds of the result.
const LONGEST_PATTERN: usize = 1000;

/// Looks the zone up once, and tries the pattern, where they are written out in the template.
pub(super) fn prepare(call: &mut Call) -> Result<(), String> {
    if let Some(Expr::Literal(Value::String(name))) = zone_argument(call) {
        let zone = TimeZone::get(name).map_err(|_| format!("the time zone \"{name}\" is not known"))?;
        call.zone = Some(zone);
    }
    if let Some(Expr::Literal(Value::String(pattern))) = call.arguments.get(1) {
        if pattern.len() > LONGEST_PATTERN {
            return Err(format!("the pattern has more than {LONGEST_PATTERN} bytes"));
        }
        let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        strtime::format(pattern, &sample).map_err(|_| format!("\"{pattern}\" is not a strftime pattern"))?;
    }
    Ok(())
}

pub(super) fn call<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    let value = argument!(machine, call, 0);
    let pattern = argument!(machine, call, 1);
    let source = text(&value, &call.arguments[0])?;
    let pattern = text(&pattern, &call.arguments[1])?;
    if pattern.len() > LONGEST_PATTERN {
        return Err(invalid(call, format!("the pattern has more than {LONGEST_PATTERN} bytes")));
    }
    let zone = zone(machine, call)?;
    let when = parse(source.trim(), &zone)
        .ok_or_else(|| invalid(call, "the value is neither an ISO 8601 date nor an instant"))?;
    strtime::format(pattern.as_bytes(), &when)
        .map(|formatted| Val::Own(formatted.into()))
        .map_err(|_| invalid(call, "the pattern does not fit the value"))
}

/// `zone=` or the third argument.
fn zone_argument(call: &Call) -> Option<&Expr> {
    call.named("zone").or_else(|| call.arguments.get(2))
}

fn zone<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<TimeZone, RenderError> {
    if let Some(zone) = &call.zone {
        return Ok(zone.clone());
    }
    let Some(expr) = zone_argument(call) else {
        return Ok(TimeZone::UTC);
    };
    match machine.eval(expr)?.json() {
        // A profile without a zone of its own gets UTC, as if none had been asked for.
        None => Ok(TimeZone::UTC),
        Some(Value::String(name)) => {
            TimeZone::get(name).map_err(|_| invalid(call, "the time zone is not known"))
        }
        Some(_) => Err(invalid(call, "the time zone must be a name such as Europe/Berlin")),
    }
}

/// An instant is shown in the zone. A date or a local time has no instant: it is shown as it stands.
fn parse(source: &str, zone: &TimeZone) -> Option<ZonedDateTime> {
    if let Ok(instant) = source.parse::<Timestamp>() {
        return Some(instant.to_zoned_datetime(zone.clone()));
    }
    let local = source.parse::<DateTime>().or_else(|_| source.parse::<Date>().map(Date::into)).ok()?;
    local.to_zoned_datetime(TimeZone::UTC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_move_into_the_zone_and_dates_stay() {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let shown = |source| parse(source, &zone).map(|when| when.strftime("%Y-%m-%d %H:%M").to_string());
        assert_eq!(shown("2026-03-01T02:30:00Z").as_deref(), Some("2026-02-28 21:30"));
        assert_eq!(shown("2026-03-01T02:30:00+02:00").as_deref(), Some("2026-02-28 19:30"));
        assert_eq!(shown("2026-03-01").as_deref(), Some("2026-03-01 00:00"));
        assert_eq!(shown("2026-03-01T02:30").as_deref(), Some("2026-03-01 02:30"));
        assert_eq!(shown("yesterday"), None);
    }
}
