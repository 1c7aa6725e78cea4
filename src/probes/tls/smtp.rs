//! Reads SMTP replies (RFC 5321 section 4.2): one or more lines with a code each.

/// A whole reply may not be longer.
pub const MAX_REPLY_BYTES: usize = 32 * 1024;
/// RFC 5321 allows 512; servers are less strict.
const MAX_LINE_BYTES: usize = 2 * 1024;
const MAX_LINES: usize = 128;
/// Of a refusal, this much is repeated.
const MAX_SHOWN_CHARS: usize = 120;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The code of its lines.
    pub code: u16,
    /// Its lines without their codes.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether an EHLO reply offers an extension; its first line is a greeting.
    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            // "AUTH=LOGIN" is how it was written before RFC 2554, and clients still take it up.
            let offered = line.split([' ', '=']).next().unwrap_or_default();
            offered.eq_ignore_ascii_case(keyword)
        })
    }

    /// The code and the beginning of the text.
    pub fn shown(&self) -> String {
        let text: String = self
            .lines
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_SHOWN_CHARS)
            .collect();
        format!("{} {text}", self.code)
    }
}

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A reply, and how many bytes it took.
    Reply(Reply, usize),
    /// More bytes are needed.
    Incomplete,
    /// This is not SMTP, or more than anybody needs.
    NotSmtp(&'static str),
}

/// Reads the reply at the start of `bytes`.
pub fn parse_reply(bytes: &[u8]) -> Parsed {
    let mut reply: Option<Reply> = None;
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return if rest.len() > MAX_LINE_BYTES {
                Parsed::NotSmtp("a line has no end")
            } else if bytes.len() >= MAX_REPLY_BYTES {
                Parsed::NotSmtp("the reply has no end")
            } else {
                Parsed::Incomplete
            };
        };
        let (line, _) = rest.split_at(end);
        used += end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > MAX_LINE_BYTES {
            return Parsed::NotSmtp("a line is too long");
        }
        let Some((code, last, text)) = split_line(line) else {
            return Parsed::NotSmtp("the answer is not SMTP");
        };
        let reply_so_far = reply.get_or_insert_with(|| Reply {
            code,
            lines: Vec::new(),
        });
        if reply_so_far.code != code {
            return Parsed::NotSmtp("the lines of a reply have different codes");
        }
        reply_so_far.lines.push(text);
        if last {
            return reply.map_or(Parsed::Incomplete, |reply| Parsed::Reply(reply, used));
        }
        if reply_so_far.lines.len() >= MAX_LINES {
            return Parsed::NotSmtp("the reply has too many lines");
        }
    }
}

/// Code, whether it is the last line, and text.
fn split_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_first_chunk::<3>()?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    Some((code, last, String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(text: &str) -> Reply {
        match parse_reply(text.as_bytes()) {
            Parsed::Reply(reply, used) => {
                assert_eq!(used, text.len());
                reply
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn extensions_are_read_from_all_lines_but_the_greeting() {
        let ehlo = reply("250-auth.example\r\n250-STARTTLS\r\n250-AUTH=PLAIN\r\n250 SIZE 1\r\n");
        assert!(ehlo.offers("starttls"));
        assert!(ehlo.offers("AUTH"));
        assert!(!ehlo.offers("PLAIN"));
        let greeting_only = reply("250 AUTH\r\n");
        assert!(!greeting_only.offers("AUTH"));
    }

    #[test]
    fn a_reply_ends_where_it_ends() {
        let bytes = b"220 go ahead\r\n220 injected\r\n";
        let Parsed::Reply(first, used) = parse_reply(bytes) else {
            panic!("no reply");
        };
        assert_eq!(first.code, 220);
        assert_eq!(&bytes[used..], b"220 injected\r\n");
        assert_eq!(parse_reply(b"250-more\r\n"), Parsed::Incomplete);
    }

    #[test]
    fn what_is_not_smtp_is_said_to_be_so() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "22\r\n",
            "2x0 hm\r\n",
            "220_x\r\n",
            "250-a\r\n251 b\r\n",
        ] {
            assert!(
                matches!(parse_reply(text.as_bytes()), Parsed::NotSmtp(_)),
                "{text}"
            );
        }
        let endless_line = vec![b'2'; MAX_LINE_BYTES + 1];
        assert!(matches!(parse_reply(&endless_line), Parsed::NotSmtp(_)));
        let endless_reply = b"250-x\r\n".repeat(MAX_LINES);
        assert!(matches!(parse_reply(&endless_reply), Parsed::NotSmtp(_)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            text in "(25[01][ -]?[a-z]{0,4}\r?\n){0,6}",
        ) {
            parse_reply(&bytes);
            if let Parsed::Reply(reply, used) = parse_reply(text.as_bytes()) {
                prop_assert!(used <= text.len());
                prop_assert!(!reply.lines.is_empty());
            }
        }
    }
}
