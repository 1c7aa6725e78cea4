//! Records as text.

use hickory_proto::rr::{RData, RecordType};

use super::name::{parse_name, present_name, push_decimal};

/// A record's data in presentation form: names in lower case without the trailing dot, the text of
/// a TXT record joined and unquoted. `None` for types that are not asked for.
pub(super) fn present(data: &RData) -> Option<String> {
    let text = match data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(aaaa) => aaaa.0.to_string(),
        RData::CNAME(cname) => present_name(&cname.0),
        RData::NS(ns) => present_name(&ns.0),
        RData::PTR(ptr) => present_name(&ptr.0),
        RData::MX(mx) => format!("{} {}", mx.preference, present_name(&mx.exchange)),
        RData::SRV(srv) => format!(
            "{} {} {} {}",
            srv.priority,
            srv.weight,
            srv.port,
            present_name(&srv.target)
        ),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            present_name(&soa.mname),
            present_name(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::CAA(caa) => format!(
            "{} {} \"{}\"",
            caa.flags(),
            caa.tag.to_ascii_lowercase(),
            quoted(&caa.value)
        ),
        RData::TXT(txt) => readable(&txt.txt_data.concat()),
        _ => return None,
    };
    Some(text)
}

/// UTF-8 as it is; control characters and what is not UTF-8 as decimal escapes.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut octets = [0; 4];
                for octet in c.encode_utf8(&mut octets).bytes() {
                    push_decimal(&mut text, octet);
                }
            } else {
                text.push(c);
            }
        }
        for octet in chunk.invalid() {
            push_decimal(&mut text, *octet);
        }
    }
    text
}

fn quoted(bytes: &[u8]) -> String {
    readable(bytes).replace('"', "\\\"")
}

/// A configured record in the form in which [`present`] gives it, so that the two can be compared.
pub(super) fn normalise(kind: RecordType, text: &str) -> Result<String, String> {
    let text = text.trim();
    let bad = |what: &str| Err(format!("`{text}` is not {what}"));
    match kind {
        RecordType::A => match text.parse::<std::net::Ipv4Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => bad("an IPv4 address"),
        },
        RecordType::AAAA => match text.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => bad("an IPv6 address"),
        },
        RecordType::TXT => Ok(text.to_owned()),
        RecordType::CAA => normalise_caa(text),
        RecordType::MX => normalise_fields(text, 1, 0, "of the form \"10 mail.example.com\""),
        RecordType::SRV => normalise_fields(text, 3, 0, "of the form \"0 5 5060 sip.example.com\""),
        RecordType::SOA => normalise_soa(text),
        _ => normalise_fields(text, 0, 0, "a domain name"),
    }
}

fn normalise_fields(text: &str, before: usize, after: usize, form: &str) -> Result<String, String> {
    let bad = |_| format!("`{text}` is not {form}");
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != before + 1 + after {
        return Err(bad(String::new()));
    }
    let mut out = Vec::with_capacity(fields.len());
    for (index, field) in fields.into_iter().enumerate() {
        out.push(if index == before {
            name_or_root(field).map_err(bad)?
        } else {
            let number: u32 = field.parse().map_err(|_| bad(String::new()))?;
            number.to_string()
        });
    }
    Ok(out.join(" "))
}

fn normalise_soa(text: &str) -> Result<String, String> {
    const FORM: &str =
        "of the form \"ns1.example.com admin.example.com SERIAL REFRESH RETRY EXPIRE MINIMUM\"";
    let Some((mname, rest)) = text.split_once(char::is_whitespace) else {
        return Err(format!("`{text}` is not {FORM}"));
    };
    let mname = name_or_root(mname).map_err(|_| format!("`{text}` is not {FORM}"))?;
    let rest = normalise_fields(rest, 0, 5, FORM)?;
    Ok(format!("{mname} {rest}"))
}

fn normalise_caa(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is not of the form '0 issue \"ca.example.net\"'");
    let (flags, rest) = text.split_once(char::is_whitespace).ok_or_else(bad)?;
    let (tag, value) = rest
        .trim_start()
        .split_once(char::is_whitespace)
        .ok_or_else(bad)?;
    let flags: u8 = flags.parse().map_err(|_| bad())?;
    let value = value.trim();
    let value = value
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(value);
    Ok(format!("{flags} {} \"{value}\"", tag.to_ascii_lowercase()))
}

fn name_or_root(text: &str) -> Result<String, String> {
    if text == "." {
        return Ok(text.to_owned());
    }
    parse_name(text).map(|name| present_name(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::Name;
    use hickory_proto::rr::rdata::{MX, TXT};

    #[test]
    fn text_is_joined_and_never_raw() {
        let txt = TXT::from_bytes(vec![
            b"v=spf1 ",
            b"-all\x1b[2J",
            "é\u{85}".as_bytes(),
            b"\xff",
        ]);
        assert_eq!(
            present(&RData::TXT(txt)).unwrap(),
            "v=spf1 -all\\027[2Jé\\194\\133\\255"
        );
    }

    #[test]
    fn a_null_mx_keeps_its_dot() {
        let mx = RData::MX(MX::new(0, Name::root()));
        assert_eq!(present(&mx).unwrap(), "0 .");
    }

    #[test]
    fn expectations_take_the_form_of_answers() {
        let good = |kind, text: &str| normalise(kind, text).unwrap();
        assert_eq!(good(RecordType::AAAA, "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(
            good(RecordType::MX, "10  Mail.Example.com."),
            "10 mail.example.com"
        );
        assert_eq!(good(RecordType::MX, "0 ."), "0 .");
        assert_eq!(
            good(RecordType::CAA, "0 ISSUE ca.example"),
            "0 issue \"ca.example\""
        );
        assert_eq!(
            good(RecordType::CAA, "0 issue \"ca.example\""),
            "0 issue \"ca.example\""
        );
        assert_eq!(
            good(RecordType::CNAME, "WWW.example.com."),
            "www.example.com"
        );
        assert_eq!(
            good(RecordType::SOA, "NS1.x. admin.x. 1 2 3 4 5"),
            "ns1.x admin.x 1 2 3 4 5"
        );
        for (kind, bad) in [
            (RecordType::A, "::1"),
            (RecordType::AAAA, "1.2.3.4"),
            (RecordType::MX, "mail.example.com"),
            (RecordType::SRV, "0 0 x"),
            (RecordType::SOA, "a b"),
            (RecordType::CAA, "issue ca"),
            (RecordType::NS, "a b"),
        ] {
            assert!(normalise(kind, bad).is_err(), "{bad}");
        }
    }
}
