//! Domain names: as they are configured, asked for, and printed.

use std::net::IpAddr;

use hickory_proto::rr::Name;

/// The longest name in presentation form, without the trailing dot (RFC 1035, 255 octets on the wire).
const MAX_NAME_CHARS: usize = 253;

/// Reads a configured name; names in other scripts become their ASCII form.
pub(super) fn parse_name(text: &str) -> Result<Name, String> {
    let trimmed = text.strip_suffix('.').unwrap_or(text);
    if trimmed.is_empty() {
        return Err(
            "the name is empty: write the name to ask for, such as \"www.example.com\"".into(),
        );
    }
    if trimmed.contains("://") || trimmed.contains('@') {
        return Err(format!(
            "`{text}` is not a domain name: write the host's name alone"
        ));
    }
    let name = if trimmed.is_ascii() {
        ascii_name(trimmed)?
    } else {
        Name::from_utf8(trimmed)
            .map_err(|_| format!("`{text}` is not a valid internationalised name"))?
    };
    let chars = present_name(&name).len();
    if chars > MAX_NAME_CHARS {
        return Err(format!(
            "the name has {chars} characters; a domain name has at most {MAX_NAME_CHARS}"
        ));
    }
    let mut name = name;
    name.set_fqdn(true);
    Ok(name)
}

fn ascii_name(text: &str) -> Result<Name, String> {
    if text.len() > MAX_NAME_CHARS {
        return Err(format!(
            "the name has {} characters; a domain name has at most {MAX_NAME_CHARS}",
            text.len()
        ));
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err(format!(
                "`{text}` has an empty label: there are two dots in a row, or one at the start"
            ));
        }
        if label.len() > 63 {
            return Err(format!(
                "the label `{label}` has {} characters; a label has at most 63",
                label.len()
            ));
        }
        // The slash is used by RFC 2317 for reverse zones smaller than a /24.
        let odd = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '*' | '/');
        if let Some(c) = label.chars().find(|c| odd(*c)) {
            return Err(format!(
                "{c:?} in `{text}` is not a character of a domain name"
            ));
        }
    }
    Name::from_labels(text.split('.').map(str::as_bytes))
        .map_err(|error| format!("`{text}`: {error}"))
}

/// The name under which the reverse record of an address is kept.
pub(super) fn reverse_name(address: IpAddr) -> Name {
    let mut name = Name::from(address);
    name.set_fqdn(true);
    name
}

/// The name without its first label; `None` for the root.
pub(super) fn parent(name: &Name) -> Option<Name> {
    (!name.is_root()).then(|| name.base_name())
}

/// Lower case, without the trailing dot; the root is `.`. Octets with a meaning of their own are
/// escaped as RFC 1035 has it.
pub(super) fn present_name(name: &Name) -> String {
    let mut text = String::new();
    for label in name {
        if !text.is_empty() {
            text.push('.');
        }
        for &octet in label {
            push_octet(&mut text, octet.to_ascii_lowercase(), b".\\\"();@$");
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// Appends an octet: those in `special` behind a backslash, unprintable ones as three decimal digits.
fn push_octet(text: &mut String, octet: u8, special: &[u8]) {
    if special.contains(&octet) {
        text.push('\\');
        text.push(char::from(octet));
    } else if octet.is_ascii_graphic() {
        text.push(char::from(octet));
    } else {
        push_decimal(text, octet);
    }
}

/// Appends an octet as a backslash and three decimal digits.
pub(super) fn push_decimal(text: &mut String, octet: u8) {
    text.push('\\');
    for digit in [octet / 100, octet / 10 % 10, octet % 10] {
        text.push(char::from(b'0' + digit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_printed() {
        let shown = |text: &str| parse_name(text).map(|name| present_name(&name));
        assert_eq!(shown("WWW.Example.com."), Ok("www.example.com".to_owned()));
        assert_eq!(
            shown("_sip._tcp.example.com"),
            Ok("_sip._tcp.example.com".to_owned())
        );
        assert_eq!(shown("*.example.com"), Ok("*.example.com".to_owned()));
        assert_eq!(
            shown("bücher.example"),
            Ok("xn--bcher-kva.example".to_owned())
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.example.com", ["a"; 124].join("."));
        let label = format!("{}.com", "a".repeat(64));
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b.com",
            "a\0b",
            "https://x.com",
            "x@y.com",
            "x.com:53",
            "a\\.b",
            "\u{202e}a.com",
            &long,
            &label,
        ] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_reverse_names() {
        let shown = |text: &str| present_name(&reverse_name(text.parse().unwrap()));
        assert_eq!(shown("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert_eq!(
            shown("2001:db8::1"),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }

    #[test]
    fn odd_octets_are_escaped_in_decimal() {
        let name = Name::from_labels([&b"a.b"[..], b"c\x07\xffd", b"E"]).unwrap();
        assert_eq!(present_name(&name), "a\\.b.c\\007\\255d.e");
    }
}
