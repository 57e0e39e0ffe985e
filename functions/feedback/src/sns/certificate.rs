//! The key in a certificate. Where the certificate lies says whose it is, so nothing else of it is read; a crate that reads
//! all of a certificate would be more than the rest of this function.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
/// `rsaEncryption`: 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The `RSAPublicKey` in the first certificate of a PEM file; `None` where there is none.
pub(super) fn rsa_key(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (base64, _) = rest.split_once(END)?;
    let base64: String = base64.split_ascii_whitespace().collect();
    key_in(&STANDARD.decode(base64).ok()?).map(<[u8]>::to_vec)
}

/// The key in a certificate (RFC 5280, section 4.1).
fn key_in(certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = Reader(certificate).value(SEQUENCE)?;
    let mut signed = certificate.value(SEQUENCE)?;
    if signed.0.first() == Some(&VERSION) {
        signed.value(VERSION)?;
    }
    // Its number; the signature's algorithm, the issuer, the time of validity, the subject.
    signed.value(INTEGER)?;
    for _ in 0..4 {
        signed.value(SEQUENCE)?;
    }
    let mut info = signed.value(SEQUENCE)?;
    let mut algorithm = info.value(SEQUENCE)?;
    if algorithm.value(OBJECT)?.0 != RSA {
        return None;
    }
    match info.value(BIT_STRING)?.0 {
        // No bits are unused at the end.
        [0, key @ ..] => Some(key),
        _ => None,
    }
}

/// Bytes in DER, from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The value of the next element, which must have this tag.
    fn value(&mut self, tag: u8) -> Option<Reader<'a>> {
        let [found, first, rest @ ..] = self.0 else { return None };
        if *found != tag {
            return None;
        }
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Reader(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn a_key_of_another_kind_is_none() {
        let certificate = generate_simple_self_signed(vec!["sns.example".to_owned()]).unwrap();
        assert_eq!(rsa_key(certificate.cert.pem().as_bytes()), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = key_in(&bytes);
            let pem = format!("{BEGIN}\n{}\n{END}", STANDARD.encode(&bytes));
            let _ = rsa_key(pem.as_bytes());
            let _ = rsa_key(&bytes);
        }

        #[test]
        fn a_certificate_that_is_cut_or_changed_is_refused_or_read(
            cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut der = generate_simple_self_signed(vec!["sns.example".to_owned()]).unwrap().cert.der().to_vec();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = key_in(&der);
            let _ = key_in(&der[..cut.index(der.len())]);
        }
    }
}
