//! Arithmetic, and numbers as people write them.
//!
//! The languages that `locale=` knows: bg, cs, da, de, el, en, es, fi, fr, he, hr, hu, id, it, ja, ko, nb, nl, no, pl, pt, ro,
//! ru, sk, sl, sv, th, tr, uk, zh. A region behind one (`de-AT`, `pt_BR`) makes a difference where it is of Switzerland,
//! Liechtenstein or Latin America. Another locale that is written out is an error, one that comes from data is read as `en`.

use serde_json::{Number, Value};

use super::{Helper, argument, invalid, literal, numeric, text};
use crate::error::RenderError;
use crate::template::eval::{self, Machine, Val};
use crate::template::program::{Call, Expr};

/// How a language writes numbers.
#[derive(Debug, Clone, Copy)]
struct Style {
    group: &'static str,
    decimal: &'static str,
    /// Whether the currency stands before the number.
    currency_first: bool,
}

const NARROW_SPACE: &str = "\u{202f}";
const NO_BREAK_SPACE: &str = "\u{a0}";

/// What is written where nothing else is asked for, or what the data asks for is not known.
const ENGLISH: Style = Style { group: ",", decimal: ".", currency_first: true };

/// The style of a language tag such as `de` or `de-AT`, by CLDR's main conventions of the language, and of those regions
/// that differ from it so much that its numbers would be misread there.
fn style(locale: &str) -> Option<Style> {
    let mut tags = locale.split(['-', '_']);
    let language = tags.next().unwrap_or_default().to_ascii_lowercase();
    let is_region = |tag: &&str| match tag.len() {
        2 => tag.bytes().all(|byte| byte.is_ascii_alphabetic()),
        3 => tag.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    let region = tags.find(is_region).unwrap_or_default().to_ascii_uppercase();
    let (group, decimal, currency_first) = match (language.as_str(), region.as_str()) {
        ("es", "419" | "DO" | "GT" | "HN" | "MX" | "NI" | "PA" | "PE" | "PR" | "SV" | "US") => {
            (",", ".", true)
        }
        ("es", "AR" | "CL" | "CO" | "EC" | "UY" | "VE") => (".", ",", true),
        ("de", "CH" | "LI") => ("\u{2019}", ".", true),
        ("en" | "ja" | "zh" | "ko" | "he" | "th", _) => return Some(ENGLISH),
        ("de" | "es" | "it" | "da" | "id" | "el" | "ro" | "hr" | "sl", _) => (".", ",", false),
        ("nl" | "pt" | "tr", _) => (".", ",", true),
        ("fr", _) => (NARROW_SPACE, ",", false),
        ("pl" | "cs" | "sk" | "sv" | "nb" | "no" | "fi" | "ru" | "uk" | "hu" | "bg", _) => {
            (NO_BREAK_SPACE, ",", false)
        }
        _ => return None,
    };
    Some(Style { group, decimal, currency_first })
}

pub(super) fn prepare(call: &Call) -> Result<(), String> {
    match literal(call, "locale") {
        Some(locale) if style(locale).is_none() => Err(format!("the locale \"{locale}\" is not known")),
        _ => Ok(()),
    }
}

pub(super) fn call<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Val<'r>, RenderError> {
    let value = argument!(machine, call, 0);
    let number = operand(call, &value)?;
    match call.helper {
        Helper::Number => {
            let decimals = match call.named("decimals") {
                None => None,
                Some(expr) => Some(decimals(machine, call, expr)?),
            };
            Ok(Val::Own(format(number, decimals, locale(machine, call)?).into()))
        }
        Helper::Currency => {
            let code = argument!(machine, call, 1);
            let code = text(&code, &call.arguments[1])?;
            Ok(Val::Own(currency(number, &code, locale(machine, call)?).into()))
        }
        _ => {
            let second = argument!(machine, call, 1);
            let integers = integer(&value).zip(integer(&second));
            arithmetic(call, number, operand(call, &second)?, integers).map(|result| Val::Own(result.into()))
        }
    }
}

fn operand(call: &Call, value: &Val<'_>) -> Result<f64, RenderError> {
    value.json().and_then(numeric).ok_or_else(|| invalid(call, "the value is not a number"))
}

fn integer(value: &Val<'_>) -> Option<i64> {
    value.json().and_then(Value::as_i64)
}

fn decimals<'r>(machine: &Machine<'r>, call: &'r Call, expr: &'r Expr) -> Result<usize, RenderError> {
    let wanted = machine.eval(expr)?.json().and_then(numeric);
    wanted
        .filter(|wanted| (0.0..=12.0).contains(wanted))
        .map(|wanted| wanted as usize)
        .ok_or_else(|| invalid(call, "decimals must be 0 to 12"))
}

/// The style that `locale=` asks for. Data may ask for any language there is: one that is not known gets English, as a
/// profile that says nothing does.
fn locale<'r>(machine: &Machine<'r>, call: &'r Call) -> Result<Style, RenderError> {
    let Some(expr) = call.named("locale") else { return Ok(ENGLISH) };
    let value = machine.eval(expr)?;
    let Some(name) = value.json().and_then(eval::text_of) else { return Ok(ENGLISH) };
    match style(&name) {
        None if matches!(expr, Expr::Literal(_)) => Err(invalid(call, "the locale is not known")),
        style => Ok(style.unwrap_or(ENGLISH)),
    }
}

/// Whole numbers stay exact as long as they fit; the rest is rounded to the 15 digits a double really has.
fn arithmetic(
    call: &Call,
    first: f64,
    second: f64,
    integers: Option<(i64, i64)>,
) -> Result<Number, RenderError> {
    let exact = integers.and_then(|(first, second)| match call.helper {
        Helper::Add => first.checked_add(second),
        Helper::Sub => first.checked_sub(second),
        Helper::Mul => first.checked_mul(second),
        _ => first.checked_rem(second).filter(|rest| *rest == 0).and_then(|_| first.checked_div(second)),
    });
    if let Some(exact) = exact {
        return Ok(exact.into());
    }
    let result = match call.helper {
        Helper::Add => first + second,
        Helper::Sub => first - second,
        Helper::Mul => first * second,
        _ if second == 0.0 => return Err(invalid(call, "division by zero")),
        _ => first / second,
    };
    let rounded = format!("{result:.14e}").parse().unwrap_or(result);
    Number::from_f64(rounded).ok_or_else(|| invalid(call, "the result is out of range"))
}

fn format(number: f64, decimals: Option<usize>, style: Style) -> String {
    let plain = match decimals {
        Some(decimals) => format!("{number:.decimals$}"),
        None => format!("{}", number + 0.0),
    };
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) if digits.contains(|digit: char| matches!(digit, '1'..='9')) => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", plain.as_str()),
    };
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let mut out = String::with_capacity(plain.len() + 8);
    out.push_str(sign);
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push_str(style.group);
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push_str(style.decimal);
        out.push_str(fraction);
    }
    out
}

/// How many decimals an amount has: the minor units of ISO 4217.
fn minor_units(code: &str) -> usize {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

fn currency(number: f64, code: &str, style: Style) -> String {
    let symbol = match code {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        "KRW" => "₩",
        "PLN" => "zł",
        "INR" => "₹",
        _ => code,
    };
    let decimals = minor_units(code);
    let amount = format(number.abs(), Some(decimals), style);
    let negative = number < 0.0 && amount.contains(|digit: char| matches!(digit, '1'..='9'));
    let sign = if negative { "-" } else { "" };
    if !style.currency_first {
        format!("{sign}{amount}{NO_BREAK_SPACE}{symbol}")
    } else if symbol.chars().all(char::is_alphabetic) {
        format!("{sign}{symbol}{NO_BREAK_SPACE}{amount}")
    } else {
        format!("{sign}{symbol}{amount}")
    }
}
