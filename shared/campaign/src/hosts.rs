//! Which hosts may be called.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether something is a host (a name, an IPv4 address, or an IPv6 address in brackets), or `*.` before a name, for all
/// below it.
pub fn is_pattern(pattern: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(name) => is_name(name) && name.parse::<Ipv4Addr>().is_err(),
        None => is_name(pattern) || is_ipv6(pattern),
    }
}

/// Whether a host fits one of the patterns. Case does not matter, nor a dot at the end.
pub fn is_allowed(patterns: &[String], host: &str) -> bool {
    let host = plain(host);
    patterns.iter().any(|pattern| match plain(pattern).strip_prefix('*') {
        // `.example.org` with its dot, so that `badexample.org` is not below it.
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => plain(pattern) == host,
    })
}

fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_inner)
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_host_or_what_is_below_one() {
        for pattern in
            ["example.org", "*.example.org", "EXAMPLE.org.", "10.0.0.1", "[2001:db8::1]", "a_b-c", "*.org"]
        {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "*",
            "*.",
            "a.*.org",
            "*example.org",
            "https://example.org",
            "example.org/",
            "example.org:443",
            "a b",
            "a..b",
            "user@example.org",
            "żółw.pl",
            "*.10.0.0.1",
            "2001:db8::1",
            "*.[::1]",
        ] {
            assert!(!is_pattern(pattern), "{pattern}");
        }
        assert!(!is_pattern(&"a".repeat(64)) && !is_pattern(&["a.".repeat(127), "b".to_owned()].concat()));
    }

    #[test]
    fn a_host_fits_itself_and_what_it_is_below() {
        let patterns = ["Hooks.example.org".to_owned(), "*.example.com".to_owned(), "[::1]".to_owned()];
        for host in ["hooks.example.org", "HOOKS.EXAMPLE.ORG.", "a.example.com", "b.a.Example.com", "[::1]"] {
            assert!(is_allowed(&patterns, host), "{host}");
        }
        for host in [
            "example.org",
            "a.hooks.example.org",
            "example.com",
            "badexample.com",
            ".example.com",
            "example.com.evil.org",
            "",
        ] {
            assert!(!is_allowed(&patterns, host), "{host}");
        }
        assert!(!is_allowed(&[], "example.org"));
    }
}
