//! From the recipients that a call names to those that are written to.

use campaign::address::Country;
use campaign::call::{Call, CallRecipient};
use campaign::{Profile, ProfileId};
use serde_json::{Map, Value};
use store::StoreError;

use super::recipient::{Named, RecipientIn, RecipientType};
use crate::Context;
use crate::error::{FieldError, Kind, Problem, Result};

/// What is done for a recipient whose profile is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The call is refused.
    Refuse,
    /// A profile is made.
    Create,
}

/// A recipient whose every field is right.
struct Checked {
    named: Option<Named>,
    recipient: CallRecipient,
}

/// The recipients, each with its stored profile where it is to have one. Nothing is written unless every recipient is
/// right. Phone numbers without a country code are of `country`.
pub(super) async fn resolve(
    context: &Context,
    recipients: Vec<RecipientIn>,
    country: Option<Country>,
    unknown: Unknown,
) -> Result<Call> {
    let (mut checked, mut errors) = (Vec::with_capacity(recipients.len()), Vec::new());
    for (index, recipient) in recipients.iter().enumerate() {
        match check(recipient, country) {
            Ok(right) => checked.push(right),
            Err(problem) => errors.extend(problem.within(&format!("recipients[{index}].")).errors()),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(Kind::InvalidField, errors));
    }
    let found = find(context, &checked).await?;
    let missing: Vec<usize> = (0..checked.len())
        .filter(|index| checked[*index].named.is_some() && found[*index].is_none())
        .collect();
    if unknown == Unknown::Refuse && !missing.is_empty() {
        return Err(not_found(&recipients, &missing));
    }
    refuse_doubles(&found)?;
    for (index, (right, id)) in checked.iter_mut().zip(found).enumerate() {
        right.recipient.profile = match (&right.named, id) {
            (Some(named), None) => Some(create(context, index, named, &right.recipient.addresses).await?),
            (_, id) => id,
        };
    }
    let recipients = checked.into_iter().map(|right| right.recipient).collect();
    Ok(Call { recipients, context: Value::Null })
}

fn check(recipient: &RecipientIn, country: Option<Country>) -> Result<Checked> {
    let named = match recipient.r#type {
        RecipientType::Aep => Some(recipient.named(country)?),
        RecipientType::External => None,
    };
    let context = match &recipient.context {
        context if context.is_empty() => Value::Null,
        context => Value::Object(context.clone()),
    };
    let recipient = CallRecipient {
        profile: None,
        addresses: recipient.addresses(country)?,
        attributes: recipient.attributes()?,
        context,
    };
    Ok(Checked { named, recipient })
}

/// The ids of those whose profile is stored.
async fn find(context: &Context, checked: &[Checked]) -> Result<Vec<Option<ProfileId>>> {
    let profiles = &context.store.profiles;
    let mut found = vec![None; checked.len()];
    let (mut places, mut names, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (index, right) in checked.iter().enumerate() {
        match &right.named {
            Some(Named::Identity(namespace, name)) => {
                places.push(index);
                names.push((*namespace, name.clone()));
            }
            Some(Named::Id(id)) => ids.push((index, *id)),
            None => {}
        }
    }
    if !names.is_empty() {
        for (index, id) in places.into_iter().zip(profiles.find_many(&names).await?) {
            found[index] = id;
        }
    }
    if !ids.is_empty() {
        let wanted: Vec<_> = ids.iter().map(|(_, id)| *id).collect();
        let stored: Vec<_> = profiles.get_many(&wanted).await?.iter().map(Profile::id).collect();
        for (index, id) in ids.into_iter().filter(|(_, id)| stored.contains(id)) {
            found[index] = Some(id);
        }
    }
    Ok(found)
}

/// Two names of one person are one recipient named twice.
fn refuse_doubles(found: &[Option<ProfileId>]) -> Result<()> {
    let errors: Vec<_> = (1..found.len())
        .filter_map(|index| {
            let first = found[..index].iter().position(|id| id.is_some() && *id == found[index])?;
            let message = format!("is the same profile as recipients[{first}]: each is named once");
            Some(FieldError::new(format!("recipients[{index}].userId"), message))
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}

fn not_found(recipients: &[RecipientIn], missing: &[usize]) -> Problem {
    let errors = missing
        .iter()
        .map(|index| {
            let field = format!("recipients[{index}].userId");
            FieldError::new(field, format!("there is no profile {}", recipients[*index].user_id))
        })
        .collect();
    Problem::fields(Kind::ProfileNotFound, errors)
}

/// Makes a profile of what the call says. Where another call has made it meanwhile, that one is meant.
async fn create(
    context: &Context,
    index: usize,
    named: &Named,
    addresses: &Map<String, Value>,
) -> Result<ProfileId> {
    let field = format!("recipients[{index}].");
    let Named::Identity(namespace, name) = named else {
        // An id is given by us: there is none that is not stored.
        let error = FieldError::new(format!("{field}userId"), "there is no profile with this id");
        return Err(Problem::fields(Kind::ProfileNotFound, vec![error]));
    };
    let mut document = addresses.clone();
    document.insert(namespace.name().to_owned(), Value::String(name.clone()));
    let id = ProfileId::random();
    let profile =
        Profile::new(id, document).map_err(|error| Problem::field(field.clone(), error.to_string()))?;
    match context.store.profiles.put(&profile, None).await {
        Ok(()) => Ok(id),
        Err(StoreError::IdentityTaken { namespace: taken }) => {
            let found = context.store.profiles.find(*namespace, name).await?;
            found.ok_or_else(|| Problem::from(StoreError::IdentityTaken { namespace: taken }).within(&field))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_recipient_is_named() {
        let recipient = |value| serde_json::from_value::<RecipientIn>(value).unwrap();
        let wrong = recipient(serde_json::json!({ "type": "aep", "userId": "ada", "namespace": "email" }));
        assert_eq!(check(&wrong, None).err().unwrap().errors()[0].field, "userId");
        let wrong = recipient(serde_json::json!({ "type": "aep", "userId": "a@x.io", "namespace": "fax" }));
        assert_eq!(check(&wrong, None).err().unwrap().errors()[0].field, "namespace");
        let wrong = recipient(serde_json::json!({ "type": "external", "userId": "17", "namespace": "crm" }));
        assert_eq!(check(&wrong, None).err().unwrap().errors()[0].field, "channelData");
        let wrong = recipient(serde_json::json!({
            "type": "external", "userId": "a@x.io", "namespace": "Email", "profile": { "consent": {} },
        }));
        assert_eq!(check(&wrong, None).err().unwrap().errors()[0].field, "profile.consent");
    }

    #[test]
    fn an_external_recipient_is_reached_by_its_name_or_by_what_the_call_says() {
        let named = serde_json::from_value::<RecipientIn>(serde_json::json!({
            "type": "external", "userId": "Ada@X.io", "namespace": "Email",
        }));
        assert_eq!(named.unwrap().addresses(None).unwrap()["email"], "Ada@x.io");
        let said = serde_json::from_value::<RecipientIn>(serde_json::json!({
            "type": "external", "userId": "17", "namespace": "crm",
            "channelData": { "emailAddress": "b@x.io", "pushInfo": { "appID": "a", "platform": "ios", "token": "t" } },
        }));
        let said = said.unwrap().addresses(None).unwrap();
        assert_eq!(
            (said["email"].clone(), said["push_tokens"][0]["app_id"].clone()),
            ("b@x.io".into(), "a".into())
        );
    }

    /// Row K6.
    #[test]
    fn a_number_without_a_country_code_is_of_the_country_that_is_named() {
        let recipient = serde_json::from_value::<RecipientIn>(serde_json::json!({
            "type": "aep", "userId": "06 12 34 56 78", "namespace": "phone",
            "channelData": { "mobilePhoneNumber": "07 12 34 56 78" },
        }));
        let recipient = recipient.unwrap();
        let checked = check(&recipient, Country::of_letters("FR")).unwrap();
        let Some(Named::Identity(_, name)) = checked.named else { panic!("it is named by its number") };
        assert_eq!(
            (name.as_str(), &checked.recipient.addresses["phone"]),
            ("+33612345678", &"+33712345678".into())
        );
        assert_eq!(check(&recipient, None).err().unwrap().errors()[0].field, "userId");
    }
}
