use campaign::link::{Member, Recipient};
use data_encoding::BASE64URL_NOPAD;

use crate::keys::LinkKeys;
use crate::token::{About, Day, Kind, Link};

/// Makes the links of one message.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// Where links are: scheme and host, without a slash at the end.
    pub base: &'a str,
    /// What they are signed with.
    pub keys: &'a LinkKeys,
    /// Which message.
    pub member: Member,
    /// Who gets it, where that is known.
    pub recipient: Option<Recipient>,
    /// The day it is sent on.
    pub day: Day,
    /// Whether it holds a picture that tells that it is opened.
    pub opens: bool,
    /// Whether its links are counted.
    pub clicks: bool,
}

impl Issuer<'_> {
    /// Appends the URL of the picture.
    pub fn push_open(&self, out: &mut String) {
        self.push(Kind::Open, About::Open, "", out);
    }

    /// Appends a URL that leads to `target`, one of the content's links by its number.
    pub fn push_click(&self, link: u16, target: &str, out: &mut String) {
        self.push(Kind::Click, About::Click(link), target, out);
        out.push('/');
        BASE64URL_NOPAD.encode_append(target.as_bytes(), out);
    }

    /// Appends the URL to unsubscribe by. Nothing where the recipient is not known.
    pub fn push_unsubscribe(&self, out: &mut String) {
        if let Some(recipient) = self.recipient {
            self.push(Kind::Unsubscribe, About::Unsubscribe(recipient), "", out);
        }
    }

    /// Appends the URL of the message as a page.
    pub fn push_view(&self, out: &mut String) {
        self.push(Kind::View, About::View, "", out);
    }

    fn push(&self, kind: Kind, about: About, target: &str, out: &mut String) {
        out.push_str(self.base);
        out.push_str(kind.path());
        Link { member: self.member, day: self.day, about }.push_token(self.keys, target, out);
    }
}

/// The target behind a click's token, as it was written: see [`Issuer::push_click`].
pub fn target_of(segment: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(segment.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkKey;

    #[test]
    fn a_click_survives_exactly() {
        let keys = LinkKeys::new(&[LinkKey { id: 1, secret: [3; 32] }]).unwrap();
        let issuer = Issuer {
            base: "https://links.example.org",
            keys: &keys,
            member: Member::NOBODY,
            recipient: None,
            day: 20_000,
            opens: true,
            clicks: true,
        };
        for target in [
            "https://x.io/v?a=1&signature=ab",
            "https://x.io/v?a=1&amp;b=[2]#frag(ment)",
            "https://x.io/ä/%C3%A4?q=ż ółć&u=a+b@x.io",
        ] {
            let mut url = String::new();
            issuer.push_click(5, target, &mut url);
            let rest = url.strip_prefix("https://links.example.org/t/c/").unwrap();
            let (token, segment) = rest.split_once('/').unwrap();
            assert_eq!(target_of(segment).as_deref(), Some(target));
            let link = Link::read(Kind::Click, token, target, &keys, 20_000).unwrap();
            assert_eq!((link.about, link.member), (About::Click(5), Member::NOBODY));
            assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
