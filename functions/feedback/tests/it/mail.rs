//! What is read of mail that came back to the sender.

use campaign::feedback::{Cause, Report};
use feedback::ProviderEvent;
use feedback::read::report::events;
use proptest::prelude::*;

use crate::fixtures::{NOW_MS, SENT_MS, fixture, member};

fn read(name: &str) -> Vec<ProviderEvent> {
    events(fixture(&format!("mail/{name}.eml")).as_bytes(), NOW_MS).unwrap()
}

#[test]
fn a_report_says_what_became_of_which_message() {
    let (address, message) = (Cause::Address, Cause::Message);
    for (name, report, cause) in [
        ("failed", Report::HardBounced, address),
        ("failed-headers-only", Report::HardBounced, address),
        ("failed-answering", Report::HardBounced, address),
        ("failed-full", Report::SoftBounced, address),
        ("failed-too-large", Report::SoftBounced, message),
        ("delayed", Report::Delayed, address),
        ("delivered", Report::Delivered, address),
        ("complaint", Report::Complained, address),
        ("complaint-without-recipient", Report::Complained, address),
    ] {
        let found = read(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!((found[0].report, found[0].cause), (report, cause), "{name}");
        assert_eq!(found[0].of, Some(member()), "{name}");
        assert_eq!(found[0].addresses, ["ada@reader.example"], "{name}");
        assert!((SENT_MS..SENT_MS + 2 * 3_600_000).contains(&found[0].at_ms), "{name}");
    }
}

/// Row H10.
#[test]
fn an_answer_whoever_gives_it_is_no_bounce() {
    for name in ["auto-reply", "answer", "not-spam"] {
        assert_eq!(read(name), Vec::new(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_mail_comes_is_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = events(&bytes, NOW_MS);
    }

    #[test]
    fn a_report_that_is_broken_is_read_or_not(
        which in 0..9_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
    ) {
        let names = [
            "failed", "failed-headers-only", "failed-answering", "failed-full", "delayed", "delivered", "complaint",
            "auto-reply", "not-spam",
        ];
        let mut bytes = fixture(&format!("mail/{}.eml", names[which])).into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, byte),
            }
        }
        let _ = events(&bytes, NOW_MS);
    }
}
