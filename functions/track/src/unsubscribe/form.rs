//! What is posted.

use super::Scope;
use super::change::{Undo, Was};

/// A form, as far as it is one of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// No more messages: what the page's form says, or one-click unsubscription, which says nothing more.
    Unsubscribe(Option<Scope>),
    /// As it was before.
    Undo {
        /// What shows that this was offered.
        token: String,
        /// What.
        what: Undo,
    },
}

impl Form {
    /// Reads a posted body. Our own forms are URL-encoded, of values that need no encoding; whatever is none of them, a body
    /// in parts (`multipart/form-data`, which RFC 8058 allows as well) among it, is one-click unsubscription.
    pub(super) fn parse(body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).unwrap_or_default();
        let field = |name: &str| {
            body.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
        };
        let scope = field("scope").and_then(Scope::from_name);
        let (token, was) = (field("undo"), field("was").and_then(Was::from_name));
        let state = field("state").and_then(|state| state.parse().ok());
        match (token, scope, was, state) {
            (Some(token), Some(scope), Some(was), Some(state)) => {
                Self::Undo { token: token.to_owned(), what: Undo { scope, was, state } }
            }
            _ => Self::Unsubscribe(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Row E3.
    #[test]
    fn one_click_says_no_more_than_that() {
        let parts =
            "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
        for body in ["List-Unsubscribe=One-Click", parts, "", "scope=none", "undo=x", "a&b=&&="] {
            assert_eq!(Form::parse(body.as_bytes()), Form::Unsubscribe(None), "{body}");
        }
        assert_eq!(Form::parse(b"\xff\xfe"), Form::Unsubscribe(None));
    }

    #[test]
    fn the_page_s_forms_are_read() {
        assert_eq!(Form::parse(b"scope=topic"), Form::Unsubscribe(Some(Scope::Topic)));
        assert_eq!(Form::parse(b"x=1&scope=all\r\n"), Form::Unsubscribe(Some(Scope::All)));
        let what = Undo { scope: Scope::Topic, was: Was::Nothing, state: 7 };
        let undo = Form::Undo { token: "a-_b".to_owned(), what };
        assert_eq!(Form::parse(b"undo=a-_b&scope=topic&was=nothing&state=7"), undo);
    }

    proptest! {
        #[test]
        fn any_body_is_read(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            Form::parse(&body);
        }
    }
}
