//! A hand-written hello for protocol versions that the TLS library cannot offer, and a reader of
//! the first words of the answer. The hello offers everything that a server of that age could
//! want, so that turning it down says something about the version and not about a cipher.

use super::facts::Protocol;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const SERVER_HELLO: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const WARNING: u8 = 1;
/// Two bytes of version, 32 of random, one each of session id length and compression, two of suite.
const MIN_SERVER_HELLO: usize = 38;
/// RFC 5246: 2^14 of content and at most 2048 of expansion.
const MAX_RECORD_BYTES: usize = 16_384 + 2_048;
/// Some load balancers choke on a hello of 256 to 511 bytes.
const MIN_HELLO_BYTES: usize = 516;
/// Warnings before the hello are passed over; more than these are not a handshake.
const MAX_WARNINGS: usize = 4;

/// No answer to a hello needs more than this to be understood.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// Cipher suites up to TLS 1.2 by number, best first. Left out: pre-shared keys, SRP and Kerberos,
/// which need a secret that is agreed on beforehand.
const CIPHER_SUITES: &[u16] = &[
    // ECDHE with AEAD, which only TLS 1.2 has.
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af,
    // ECDHE with CBC, RC4, 3DES.
    0xc023, 0xc027, 0xc024, 0xc028, 0xc009, 0xc013, 0xc00a, 0xc014, 0xc008, 0xc012, 0xc007, 0xc011,
    // DHE with RSA and DSS.
    0x009e, 0x009f, 0xccaa, 0xc09e, 0xc09f, 0x0067, 0x006b, 0x0033, 0x0039, 0x0016, 0x00a2, 0x00a3,
    0x0040, 0x006a, 0x0032, 0x0038, 0x0013, 0x0066, // RSA key exchange.
    0x009c, 0x009d, 0xc09c, 0xc09d, 0x003c, 0x003d, 0x002f, 0x0035, 0x000a, 0x0005, 0x0004, 0x0007,
    // Static ECDH and DH.
    0xc02d, 0xc031, 0xc02e, 0xc032, 0xc004, 0xc00e, 0xc005, 0xc00f, 0xc003, 0xc00d, 0xc002, 0xc00c,
    0x0030, 0x0031, 0x0036, 0x0037, 0x000d, 0x0010, // Camellia, SEED, ARIA, GOST.
    0x0041, 0x0084, 0x0045, 0x0088, 0x0044, 0x0087, 0x00ba, 0x00c0, 0x00be, 0x00c4, 0xc072, 0xc073,
    0xc076, 0xc077, 0x0096, 0x009a, 0x0099, 0xc03c, 0xc03d, 0xc050, 0xc051, 0x0080, 0x0081, 0xc100,
    0xc101, 0xc102, // DES, export grade, no encryption.
    0x0009, 0x0015, 0x0012, 0x0062, 0x0064, 0x0003, 0x0006, 0x0008, 0x0014, 0x0011, 0x003b, 0x0002,
    0x0001, 0xc006, 0xc010, // Without authentication.
    0x00a6, 0x00a7, 0x006c, 0x006d, 0x0034, 0x003a, 0x001b, 0x0018, 0xc018, 0xc019, 0xc017, 0xc016,
    // "I support secure renegotiation" (RFC 5746).
    0x00ff,
];

const GROUPS: &[u16] = &[
    29, 30, 23, 24, 25, 26, 27, 28, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
    5, 4, 3, 2, 1, 256, 257, 258, 259, 260,
];

const SIGNATURE_SCHEMES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601, 0x0303, 0x0301, 0x0203, 0x0201, 0x0402, 0x0302, 0x0202, 0x0101,
];

/// The version on the wire.
const fn number(version: Protocol) -> u16 {
    match version {
        Protocol::Tls10 => 0x0301,
        Protocol::Tls11 => 0x0302,
        Protocol::Tls12 => 0x0303,
        Protocol::Tls13 => 0x0304,
    }
}

/// A whole record with a ClientHello that offers `version` and no newer one.
pub fn client_hello(version: Protocol, server_name: Option<&str>, random: [u8; 32]) -> Vec<u8> {
    let mut body = Vec::with_capacity(MIN_HELLO_BYTES);
    put16(&mut body, number(version));
    body.extend(random);
    body.push(0);
    prefixed16(&mut body, |body| {
        put_all(body, CIPHER_SUITES);
    });
    body.extend([1, 0]);
    let without_extensions = body.len();
    prefixed16(&mut body, |body| extensions(body, version, server_name));
    let missing = MIN_HELLO_BYTES.saturating_sub(body.len());
    if missing > 0 {
        body.truncate(without_extensions);
        prefixed16(&mut body, |body| {
            extensions(body, version, server_name);
            extension(body, 21, |body| {
                body.resize(body.len() + missing, 0);
            });
        });
    }

    let mut message = vec![1, 0];
    prefixed16(&mut message, |message| message.extend(&body));
    let mut record = vec![HANDSHAKE];
    put16(&mut record, 0x0301);
    prefixed16(&mut record, |record| record.extend(&message));
    record
}

fn extensions(out: &mut Vec<u8>, version: Protocol, server_name: Option<&str>) {
    if let Some(name) = server_name {
        extension(out, 0, |out| {
            prefixed16(out, |out| {
                out.push(0);
                prefixed16(out, |out| out.extend(name.as_bytes()));
            });
        });
    }
    extension(out, 10, |out| {
        prefixed16(out, |out| {
            put_all(out, GROUPS);
        });
    });
    extension(out, 11, |out| out.extend([3, 0, 1, 2]));
    extension(out, 23, |_| {});
    if version >= Protocol::Tls12 {
        extension(out, 13, |out| {
            prefixed16(out, |out| {
                put_all(out, SIGNATURE_SCHEMES);
            });
        });
    }
}

fn extension(out: &mut Vec<u8>, id: u16, content: impl FnOnce(&mut Vec<u8>)) {
    put16(out, id);
    prefixed16(out, content);
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

fn put_all(out: &mut Vec<u8>, values: &[u16]) {
    for value in values {
        put16(out, *value);
    }
}

/// Writes `content` behind its length; what is written here is far below 64 KiB.
fn prefixed16(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    content(&mut inner);
    put16(out, u16::try_from(inner.len()).unwrap_or(u16::MAX));
    out.extend(inner);
}

/// The first words of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It chose this version; `None` for one older than TLS 1.0.
    Hello(Option<Protocol>),
    /// It ended the handshake with this alert.
    Alert(u8),
    /// It said goodbye without an alert.
    Goodbye,
    /// Whatever it speaks, it is not TLS.
    NotTls,
    /// More bytes are needed to tell.
    Incomplete,
}

/// Reads the beginning of what a server sent.
pub fn read_answer(bytes: &[u8]) -> Answer {
    let mut rest = bytes;
    let mut message = Vec::new();
    let mut warnings = 0;
    loop {
        let Some((header, after)) = rest.split_first_chunk::<5>() else {
            return if looks_like_tls(rest) {
                Answer::Incomplete
            } else {
                Answer::NotTls
            };
        };
        let [kind, ..] = *header;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if !looks_like_tls(header) || length == 0 || length > MAX_RECORD_BYTES {
            return Answer::NotTls;
        }
        let content = after.get(..length).unwrap_or(after);
        match kind {
            ALERT if message.is_empty() => match read_alert(content, length) {
                Some(answer) => return answer,
                None => warnings += 1,
            },
            HANDSHAKE => {
                message.extend(content);
                match read_server_hello(&message) {
                    Answer::Incomplete => {}
                    answer => return answer,
                }
            }
            _ => return Answer::NotTls,
        }
        if warnings > MAX_WARNINGS || message.len() > MAX_ANSWER_BYTES {
            return Answer::NotTls;
        }
        rest = match after.get(length..) {
            Some(next) => next,
            None => return Answer::Incomplete,
        };
    }
}

/// An alert or a handshake record of version 3.x, as far as it has arrived.
fn looks_like_tls(header: &[u8]) -> bool {
    let kind = header
        .first()
        .is_none_or(|kind| [ALERT, HANDSHAKE].contains(kind));
    let major = header.get(1).is_none_or(|major| *major == 3);
    kind && major
}

/// `None`: a warning, to be passed over.
fn read_alert(content: &[u8], length: usize) -> Option<Answer> {
    match (content, length) {
        ([_, CLOSE_NOTIFY], 2) => Some(Answer::Goodbye),
        ([WARNING, _], 2) => None,
        ([_, description], 2) => Some(Answer::Alert(*description)),
        ([] | [_], 2) => Some(Answer::Incomplete),
        _ => Some(Answer::NotTls),
    }
}

fn read_server_hello(message: &[u8]) -> Answer {
    let [kind, high, middle, low, body @ ..] = message else {
        return match message.first() {
            Some(&kind) if kind != SERVER_HELLO => Answer::NotTls,
            _ => Answer::Incomplete,
        };
    };
    let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if *kind != SERVER_HELLO || !(MIN_SERVER_HELLO..=MAX_RECORD_BYTES).contains(&length) {
        return Answer::NotTls;
    }
    let Some((version, rest)) = body.split_first_chunk::<2>() else {
        return Answer::Incomplete;
    };
    // The whole fixed part must be there: a lone header is not yet a hello.
    if rest.len() < MIN_SERVER_HELLO - 2 {
        return Answer::Incomplete;
    }
    let version = u16::from_be_bytes(*version);
    if version == 0x0300 {
        return Answer::Hello(None);
    }
    Protocol::ALL
        .into_iter()
        .find(|known| number(*known) == version)
        .map_or(Answer::NotTls, |version| Answer::Hello(Some(version)))
}

/// The name of an alert, for people.
pub fn alert_name(code: u8) -> String {
    let name = match code {
        10 => "unexpected_message",
        40 => "handshake_failure",
        42 => "bad_certificate",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        50 => "decode_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        109 => "missing_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return format!("alert {code}"),
    };
    format!("alert {code} ({name})")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 1];
        prefixed16(&mut record, |out| out.extend(content));
        record
    }

    fn server_hello(version: u16) -> Vec<u8> {
        let mut message = vec![SERVER_HELLO, 0, 0, 38];
        put16(&mut message, version);
        message.extend([7; 32]);
        message.extend([0, 0xc0, 0x13, 0]);
        message
    }

    #[test]
    fn a_hello_says_which_version_was_chosen_also_in_pieces() {
        let whole = record(HANDSHAKE, &server_hello(0x0302));
        assert_eq!(read_answer(&whole), Answer::Hello(Some(Protocol::Tls11)));
        for cut in 0..whole.len() {
            assert_eq!(read_answer(&whole[..cut]), Answer::Incomplete, "{cut}");
        }
        let hello = server_hello(0x0301);
        let mut fragments = record(HANDSHAKE, &hello[..3]);
        fragments.extend(record(HANDSHAKE, &hello[3..]));
        assert_eq!(
            read_answer(&fragments),
            Answer::Hello(Some(Protocol::Tls10))
        );
        let ssl3 = record(HANDSHAKE, &server_hello(0x0300));
        assert_eq!(read_answer(&ssl3), Answer::Hello(None));
    }

    #[test]
    fn alerts_are_told_apart_and_warnings_passed_over() {
        assert_eq!(read_answer(&record(ALERT, &[2, 70])), Answer::Alert(70));
        assert_eq!(read_answer(&record(ALERT, &[1, 0])), Answer::Goodbye);
        let mut warned = record(ALERT, &[1, 112]);
        assert_eq!(read_answer(&warned), Answer::Incomplete);
        warned.extend(record(HANDSHAKE, &server_hello(0x0301)));
        assert_eq!(read_answer(&warned), Answer::Hello(Some(Protocol::Tls10)));
        let endless = record(ALERT, &[1, 112]).repeat(9);
        assert_eq!(read_answer(&endless), Answer::NotTls);
    }

    #[test]
    fn other_protocols_are_not_tls() {
        for other in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"220 mail ESMTP\r\n",
            &[HANDSHAKE, 3, 1, 0xff, 0xff],
            &[HANDSHAKE, 3, 1, 0, 0],
            &[23, 3, 1, 0, 1, 0],
        ] {
            assert_eq!(read_answer(other), Answer::NotTls, "{other:?}");
        }
    }

    #[test]
    fn the_hello_is_long_enough_and_its_lengths_agree() {
        for version in Protocol::ALL {
            for name in [None, Some("example.org")] {
                let hello = client_hello(version, name, [0; 32]);
                assert!(hello.len() > 511, "{}", hello.len());
                let record = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
                assert_eq!(record + 5, hello.len());
                let message = usize::from(u16::from_be_bytes([hello[7], hello[8]]));
                assert_eq!(message + 9, hello.len());
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            read_answer(&bytes);
        }

        #[test]
        fn damaged_answers_are_never_an_acceptance_of_what_was_not_said(
            at in 0_usize..47, value: u8,
        ) {
            let mut bytes = record(HANDSHAKE, &server_hello(0x0301));
            bytes[at] = value;
            if read_answer(&bytes) == Answer::Hello(Some(Protocol::Tls11)) {
                prop_assert_eq!(&bytes[9..11], &[3, 2]);
            }
        }
    }
}
