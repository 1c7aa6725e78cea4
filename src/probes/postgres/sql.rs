//! Reads a statement of somebody else's just far enough to know where it ends and what it calls.

/// What was read of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch<'a> {
    /// The statement without the semicolon and the comments after it.
    pub(super) text: &'a str,
    /// Its first word, in lower case; empty where it begins with something else.
    pub(super) first: String,
    /// Whether something follows its semicolon.
    pub(super) several: bool,
    /// The names of what is called, in lower case, without their schemas.
    pub(super) calls: Vec<String>,
    /// Whether a name is spelt in Unicode escapes, so that it cannot be read here.
    pub(super) escaped_name: bool,
}

/// Reads a statement by the lexical rules of PostgreSQL, with `standard_conforming_strings` on.
/// What is not closed runs to the end; the server refuses it.
pub(super) fn sketch(text: &str) -> Sketch<'_> {
    let mut sketch = Sketch {
        text: text.trim_end(),
        ..Sketch::default()
    };
    let (mut lexer, mut ended, mut any) = (Lexer { text, at: 0 }, None, false);
    let mut name: Option<String> = None;
    while let Some((start, token)) = lexer.next() {
        if ended.is_some() {
            sketch.several |= token != Token::Semicolon;
            continue;
        }
        if let (Token::Open, Some(name)) = (&token, name.take()) {
            sketch.calls.push(name);
        }
        match token {
            Token::Semicolon => ended = Some(start),
            Token::Word(word) => {
                if !any {
                    sketch.first.clone_from(&word);
                }
                name = Some(word);
            }
            Token::QuotedName(word) => name = Some(word),
            Token::EscapedName => sketch.escaped_name = true,
            Token::Open | Token::Other => {}
        }
        any = true;
    }
    if let Some(end) = ended {
        sketch.text = text.get(..end).unwrap_or(text).trim_end();
    }
    sketch
}

/// Reads a name such as `schema.table`; a part in double quotes is taken as it is, any other in
/// lower case.
pub(super) fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut chars = text.trim().chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                parts.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ if quoted => parts.last_mut()?.push(c),
            _ if c.is_whitespace() => return None,
            _ => parts.last_mut()?.extend(c.to_lowercase()),
        }
    }
    (!quoted && !parts.iter().any(String::is_empty)).then_some(parts)
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    QuotedName(String),
    EscapedName,
    Open,
    Semicolon,
    Other,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

const fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn in_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The next token and where it begins; white space and comments are none.
    fn next(&mut self) -> Option<(usize, Token)> {
        loop {
            match self.rest() {
                [] => return None,
                [b'-', b'-', ..] => self.skip_line(),
                [b'/', b'*', ..] => self.skip_comment(),
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => self.at += 1,
                _ => break,
            }
        }
        let start = self.at;
        Some((start, self.token()))
    }

    fn token(&mut self) -> Token {
        match self.rest() {
            [b'U' | b'u', b'&', b'"', ..] => {
                self.at += 2;
                self.quoted(b'"', false);
                Token::EscapedName
            }
            [b'E' | b'e', b'\'', ..] => {
                self.at += 1;
                self.quoted(b'\'', true);
                Token::Other
            }
            [b'\'', ..] => {
                self.quoted(b'\'', false);
                Token::Other
            }
            [b'"', ..] => {
                let start = self.at;
                self.quoted(b'"', false);
                let inner = self.slice(start + 1, self.at.saturating_sub(1));
                Token::QuotedName(inner.replace("\"\"", "\"").to_lowercase())
            }
            [b'$', ..] => {
                self.dollar();
                Token::Other
            }
            [byte, ..] if begins_word(*byte) => {
                let start = self.at;
                self.take_while(in_word);
                Token::Word(self.slice(start, self.at).to_lowercase())
            }
            // A number, with what is stuck to it, so that no word begins inside.
            [byte, ..] if byte.is_ascii_digit() => {
                self.take_while(in_word);
                Token::Other
            }
            [b'(', ..] => {
                self.at += 1;
                Token::Open
            }
            [b';', ..] => {
                self.at += 1;
                Token::Semicolon
            }
            _ => {
                self.at += 1;
                Token::Other
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) {
        let length = self
            .rest()
            .iter()
            .take_while(|byte| belongs(**byte))
            .count();
        self.at += length;
    }

    fn skip_line(&mut self) {
        self.take_while(|byte| byte != b'\n' && byte != b'\r');
    }

    /// Comments nest.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.rest() {
                [] => return,
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// From one quote to the next that is not doubled or, in a string with escapes, escaped.
    fn quoted(&mut self, quote: u8, escapes: bool) {
        self.at += 1;
        loop {
            match self.rest() {
                [] => return,
                [b'\\', _, ..] if escapes => self.at += 2,
                [one, two, ..] if *one == quote && *two == quote => self.at += 2,
                [one, ..] => {
                    self.at += 1;
                    if *one == quote {
                        return;
                    }
                }
            }
        }
    }

    /// `$tag$ … $tag$`, or a parameter such as `$1`.
    fn dollar(&mut self) {
        let start = self.at;
        self.at += 1;
        self.take_while(|byte| in_word(byte) && byte != b'$');
        let named_by_digit = self
            .text
            .as_bytes()
            .get(start + 1)
            .is_some_and(u8::is_ascii_digit);
        if self.rest().first() != Some(&b'$') || named_by_digit {
            return;
        }
        self.at += 1;
        let tag = self.slice(start, self.at).to_owned();
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest
            .find(&tag)
            .map_or(rest.len(), |found| found + tag.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_a_statement_is_found() {
        for (text, end) in [
            ("select 1", "select 1"),
            ("select 1 ; ", "select 1"),
            ("select 1; -- done; really", "select 1"),
            (
                "select 1 /* a /* b; */ c */ ;;",
                "select 1 /* a /* b; */ c */",
            ),
            (
                "select ';', \";\", $$;$$, $a$;$$;$a$;",
                "select ';', \";\", $$;$$, $a$;$$;$a$",
            ),
            ("select E'\\';' ;", "select E'\\';'"),
        ] {
            let sketch = sketch(text);
            assert_eq!(sketch.text, end, "{text}");
            assert!(!sketch.several, "{text}");
            assert_eq!(sketch.first, "select", "{text}");
        }
    }

    #[test]
    fn a_second_statement_is_seen() {
        for text in [
            "select 1; drop table t",
            "select '\\'; commit --'",
            ";select 1",
        ] {
            assert!(sketch(text).several, "{text}");
        }
    }

    #[test]
    fn calls_are_seen_and_text_is_not_a_call() {
        let calls = |text| sketch(text).calls;
        assert_eq!(
            calls("select pg_catalog . \"Lo_Export\" (1)"),
            ["lo_export"]
        );
        assert_eq!(calls("select DBLINK/* */('x')"), ["dblink"]);
        assert!(calls("select 'dblink(1)', $$f($$ -- g(\n").is_empty());
        assert!(sketch("select U&\"d\\0062link\"('x')").escaped_name);
        assert!(!sketch("select U&'d\\0062link'").escaped_name);
    }

    #[test]
    fn what_comes_first_is_known_behind_comments() {
        assert_eq!(
            sketch("-- a\n/* b */ WITH x as (select 1) table x").first,
            "with"
        );
        assert_eq!(sketch("(select 1)").first, "");
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-zé$'\"\\\\;/*\\- (\n0-9Uu&E]{0,60}") {
            let sketch = sketch(&text);
            prop_assert!(text.starts_with(sketch.text));
        }
    }
}
