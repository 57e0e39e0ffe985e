//! From the recipients that a call names to those that are written to.

use std::collections::{BTreeMap, BTreeSet};

use campaign::address::Country;
use campaign::call::{Call, CallRecipient, MAX_CALL_BYTES};
use campaign::profile::Namespace;
use campaign::{Profile, ProfileId};
use serde_json::Value;
use store::StoreError;

use super::recipient::{Named, RecipientIn, RecipientType};
use crate::Context;
use crate::error::{FieldError, Kind, Problem, Result};

/// What the id of its profile adds to what is kept of a recipient, in bytes.
const PROFILE_BYTES: usize = 40;

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

/// A profile that is to be made for a recipient.
struct Newcomer {
    /// Which recipient.
    index: usize,
    /// By what the call names it.
    named: (Namespace, String),
    profile: Profile,
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
    refuse_repeats(&recipients, country)?;
    check_size(&checked)?;
    let mut found = find(context, &checked).await?;
    let missing: Vec<usize> = (0..checked.len())
        .filter(|index| checked[*index].named.is_some() && found[*index].is_none())
        .collect();
    if unknown == Unknown::Refuse && !missing.is_empty() {
        return Err(not_found(&recipients, &missing));
    }
    refuse_doubles(&found)?;
    if !missing.is_empty() {
        create_all(context, &checked, &missing, &mut found).await?;
        // Another call may have made one of them meanwhile.
        refuse_doubles(&found)?;
    }
    for (right, id) in checked.iter_mut().zip(found) {
        right.recipient.profile = id;
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

/// One name given twice is one recipient named twice.
fn refuse_repeats(recipients: &[RecipientIn], country: Option<Country>) -> Result<()> {
    let mut seen = BTreeSet::new();
    let errors: Vec<_> = (recipients.iter().enumerate())
        .filter(|(_, recipient)| !seen.insert(recipient.unique(country)))
        .map(|(index, _)| {
            let message = "is another recipient's too: each is named once";
            FieldError::new(format!("recipients[{index}].userId"), message)
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}

/// All recipients are kept together, so what they need has a limit together.
fn check_size(checked: &[Checked]) -> Result<()> {
    let mut bytes = 0;
    for (index, right) in checked.iter().enumerate() {
        bytes +=
            serde_json::to_vec(&right.recipient).map_or(MAX_CALL_BYTES, |json| json.len()) + PROFILE_BYTES;
        if bytes > MAX_CALL_BYTES {
            let message = format!("all recipients together have at most {MAX_CALL_BYTES} bytes of JSON");
            return Err(Problem::field(format!("recipients[{index}]"), message));
        }
    }
    Ok(())
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
            Some(same_profile(index, first))
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Kind::InvalidField, errors)) }
}

fn same_profile(index: usize, first: usize) -> FieldError {
    let message = format!("is the same profile as recipients[{first}]: each is named once");
    FieldError::new(format!("recipients[{index}].userId"), message)
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

/// Makes the profiles of the recipients that have none. Whatever would refuse one of them is looked for before the first is
/// made, so that a call which is refused leaves nobody behind.
async fn create_all(
    context: &Context,
    checked: &[Checked],
    missing: &[usize],
    found: &mut [Option<ProfileId>],
) -> Result<()> {
    let newcomers = missing.iter().map(|index| newcomer(*index, &checked[*index]));
    let newcomers: Vec<Newcomer> = newcomers.collect::<Result<_>>()?;
    refuse_shared(&newcomers)?;
    refuse_taken(context, &newcomers).await?;
    for newcomer in &newcomers {
        found[newcomer.index] = Some(create(context, newcomer).await?);
    }
    Ok(())
}

/// The profile of what the call says of a recipient.
fn newcomer(index: usize, right: &Checked) -> Result<Newcomer> {
    let field = format!("recipients[{index}].userId");
    let Some(Named::Identity(namespace, name)) = &right.named else {
        // An id is given by us: there is none that is not stored.
        let error = FieldError::new(field, "there is no profile with this id");
        return Err(Problem::fields(Kind::ProfileNotFound, vec![error]));
    };
    let mut document = right.recipient.addresses.clone();
    document.insert(namespace.name().to_owned(), Value::String(name.clone()));
    let profile = Profile::new(ProfileId::random(), document);
    let profile = profile.map_err(|error| Problem::field(field, error.to_string()))?;
    Ok(Newcomer { index, named: (*namespace, name.clone()), profile })
}

/// Two newcomers with one identity are one person.
fn refuse_shared(newcomers: &[Newcomer]) -> Result<()> {
    let (mut owners, mut errors) = (BTreeMap::new(), BTreeMap::new());
    for newcomer in newcomers {
        for (namespace, name) in newcomer.profile.identities() {
            let first = *owners.entry((namespace.name(), name)).or_insert(newcomer.index);
            if first != newcomer.index {
                errors.entry(newcomer.index).or_insert_with(|| same_profile(newcomer.index, first));
            }
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Problem::fields(Kind::InvalidField, errors.into_values().collect()))
}

/// A newcomer can't have the identity of somebody who is stored.
async fn refuse_taken(context: &Context, newcomers: &[Newcomer]) -> Result<()> {
    let claims = newcomers.iter().flat_map(|newcomer| {
        // Who is found under the name of the call by now is the one who is meant.
        let others = newcomer.profile.identities().into_iter().filter(|identity| *identity != newcomer.named);
        others.map(|identity| (newcomer.index, identity))
    });
    let (places, names): (Vec<usize>, Vec<_>) = claims.unzip();
    let profiles = &context.store.profiles;
    let owners = profiles.find_many(&names).await?;
    let taken = (places.into_iter().zip(&names).zip(owners)).filter(|(_, owner)| owner.is_some());
    for ((index, (namespace, _)), _) in taken {
        let newcomer = newcomers.iter().find(|newcomer| newcomer.index == index);
        // Another call may have made this very person meanwhile, with all that it says of them.
        let is_made = match newcomer {
            Some(Newcomer { named: (by, name), .. }) => profiles.find(*by, name).await?.is_some(),
            None => false,
        };
        if !is_made {
            return Err(identity_taken(index, *namespace));
        }
    }
    Ok(())
}

fn identity_taken(index: usize, namespace: Namespace) -> Problem {
    Problem::from(StoreError::IdentityTaken { namespace: namespace.name() })
        .within(&format!("recipients[{index}]."))
}

/// Stores a newcomer. Where another call has made the profile meanwhile, that one is meant.
async fn create(context: &Context, newcomer: &Newcomer) -> Result<ProfileId> {
    let profiles = &context.store.profiles;
    let (namespace, name) = &newcomer.named;
    match profiles.put(&newcomer.profile, None).await {
        Ok(()) => Ok(newcomer.profile.id()),
        Err(StoreError::IdentityTaken { .. }) => {
            let found = profiles.find(*namespace, name).await?;
            found.ok_or_else(|| identity_taken(newcomer.index, *namespace))
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
