use proptest::prelude::*;

use super::*;
use crate::LinkKey;

fn keys(ids: &[u8]) -> LinkKeys {
    let key = |id: &u8| LinkKey { id: *id, secret: [*id; 32] };
    LinkKeys::new(&ids.iter().map(key).collect::<Vec<_>>()).unwrap()
}

fn any_about() -> impl Strategy<Value = About> {
    prop_oneof![
        Just(About::Open),
        Just(About::View),
        any::<u16>().prop_map(About::Click),
        any::<[u8; 16]>().prop_map(|id| About::Unsubscribe(Recipient::Profile(ProfileId::from_bytes(id)))),
        any::<[u8; 16]>().prop_map(|hash| About::Unsubscribe(Recipient::Address(hash))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(id, address)| {
            About::Unsubscribe(Recipient::Person { profile: ProfileId::from_bytes(id), address })
        }),
    ]
}

fn any_link() -> impl Strategy<Value = Link> {
    let member = (any::<[u8; 16]>(), any::<u16>(), any::<u8>(), any::<u32>(), any::<u8>());
    let member = member.prop_map(|(execution, shard, action, chunk, index)| Member {
        execution: ExecutionId::from_bytes(execution),
        shard,
        action,
        chunk,
        index,
    });
    (member, any::<Day>(), any_about()).prop_map(|(member, day, about)| Link { member, day, about })
}

fn token(link: &Link, keys: &LinkKeys, target: &str) -> String {
    let mut out = String::new();
    link.push_token(keys, target, &mut out);
    out
}

proptest! {
    #[test]
    fn what_was_signed_is_read_and_by_keys_to_come_too(link in any_link(), target in ".{0,40}") {
        let token = token(&link, &keys(&[7]), &target);
        let kind = link.about.kind();
        for known in [keys(&[7]), keys(&[8, 7])] {
            prop_assert_eq!(Link::read(kind, &token, &target, &known, link.day), Ok(link));
        }
        prop_assert_eq!(Link::read(kind, &token, &target, &keys(&[8]), link.day), Err(TokenError::Invalid));
    }

    /// Row D13.
    #[test]
    fn nothing_of_it_can_be_changed(link in any_link(), target in ".{1,40}", at in any::<prop::sample::Index>(), bit in 0..6_u8) {
        let keys = keys(&[7]);
        let signed = token(&link, &keys, &target);
        let kind = link.about.kind();
        let other = format!("{target}x");
        prop_assert_eq!(Link::read(kind, &signed, &other, &keys, link.day), Err(TokenError::Invalid));
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut changed = signed.clone().into_bytes();
        let at = at.index(changed.len());
        let digit = DIGITS.iter().position(|digit| *digit == changed[at]).unwrap();
        changed[at] = DIGITS[digit ^ (1 << bit)];
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(Link::read(kind, &changed, &target, &keys, link.day), Err(TokenError::Invalid));
    }

    #[test]
    fn a_link_of_one_kind_is_none_of_another(link in any_link(), target in ".{0,10}") {
        let keys = keys(&[7]);
        let token = token(&link, &keys, &target);
        for kind in [Kind::Open, Kind::Click, Kind::Unsubscribe, Kind::View] {
            let read = Link::read(kind, &token, &target, &keys, link.day);
            prop_assert_eq!(read.is_ok(), kind == link.about.kind());
        }
    }

    #[test]
    fn anything_else_is_refused(token in "[A-Za-z0-9_-]{0,120}|.{0,80}", target in ".{0,40}") {
        for kind in [Kind::Open, Kind::Click, Kind::Unsubscribe, Kind::View] {
            prop_assert_eq!(Link::read(kind, &token, &target, &keys(&[7]), 0), Err(TokenError::Invalid));
        }
    }
}

#[test]
fn all_but_unsubscriptions_grow_old() {
    let keys = keys(&[7]);
    let link = |about| Link { member: Member::NOBODY, day: 20_000, about };
    let read = |about: About, today| {
        let token = token(&link(about), &keys, "");
        Link::read(about.kind(), &token, "", &keys, today).map(|_| ())
    };
    for about in [About::Open, About::View, About::Click(3)] {
        assert_eq!(read(about, 20_000 + DAYS), Ok(()));
        assert_eq!(read(about, 20_001 + DAYS), Err(TokenError::Expired));
    }
    assert_eq!(read(About::Unsubscribe(Recipient::Address([1; 16])), Day::MAX), Ok(()));
}
