//! What a provider says of a message ends in the ledger, which holds no address and outlives the erasure of a profile.

/// Whether a word holds a part of an address, or all of it without what parts it: `jane.doe:` and `JaneDoe` hold one of
/// `jane.doe`. Too many words are taken for one rather than too few.
pub(crate) fn holds_part_of(word: &str, address: &str) -> bool {
    if parts(word).any(|part| parts(address).any(|of| of.eq_ignore_ascii_case(part))) {
        return true;
    }
    let (word, address) = (squeezed(word), squeezed(address));
    address.len() >= LEAST_SQUEEZED && word.contains(&address)
}

/// What is shorter stands in words that have nothing to do with an address.
const LEAST_SQUEEZED: usize = 4;

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty())
}

fn squeezed(text: &str) -> String {
    parts(text).flat_map(str::chars).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_holds_a_part_of_the_address_is_found() {
        for word in ["jane", "jane.doe:", "<JANE>", "janedoe", "\"jane-doe-1\"", "/home/doe/Mail"] {
            assert!(holds_part_of(word, "jane.doe"), "{word}");
        }
        for word in ["user", "unknown", "janet", "5.1.1", "", ":"] {
            assert!(!holds_part_of(word, "jane.doe"), "{word}");
        }
        assert!(holds_part_of("j\u{fc}rgen", "j\u{fc}rgen"));
        assert!(!holds_part_of("anything", ""));
        assert!(!holds_part_of("user", "us"));
    }
}
