//! Reads Python just far enough to know what a module assigns to its variables as literals.

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assigned {
    /// `None`.
    Nothing,
    /// A string.
    Text(String),
    /// A tuple or a list of strings.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// The assignments at the top level of a module, in their order, with or without annotations.
pub(super) fn assignments(text: &str) -> Vec<(String, Assigned)> {
    let tokens = Lexer { text, at: 0 }.tokens();
    tokens
        .split(|token| *token == Token::End)
        .filter_map(assignment)
        .collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Symbol(char),
    /// The beginning of a line that belongs to a block.
    Indent,
    /// The end of a statement.
    End,
    Other,
}

fn assignment(statement: &[Token]) -> Option<(String, Assigned)> {
    let [Token::Name(name), rest @ ..] = statement else {
        return None;
    };
    let value = match rest {
        [Token::Symbol('='), value @ ..] => value,
        [Token::Symbol(':'), annotated @ ..] => {
            let equals = annotated
                .iter()
                .position(|token| *token == Token::Symbol('='))?;
            annotated.get(equals + 1..)?
        }
        _ => return None,
    };
    // A comparison is no assignment.
    if value.first() == Some(&Token::Symbol('=')) {
        return None;
    }
    Some((name.clone(), literal(value)))
}

fn literal(value: &[Token]) -> Assigned {
    let value = without_parentheses(value);
    match value {
        [Token::Name(name)] if name == "None" => Assigned::Nothing,
        [Token::Symbol('['), items @ .., Token::Symbol(']')]
        | [Token::Symbol('('), items @ .., Token::Symbol(')')] => texts(items),
        _ if value.contains(&Token::Symbol(',')) => texts(value),
        _ => text(value).map_or(Assigned::Other, Assigned::Text),
    }
}

/// Takes off parentheses that make no tuple, a few deep.
fn without_parentheses(mut value: &[Token]) -> &[Token] {
    for _ in 0..4 {
        match value {
            [Token::Symbol('('), inner @ .., Token::Symbol(')')]
                if !inner.is_empty() && !inner.contains(&Token::Symbol(',')) =>
            {
                value = inner;
            }
            _ => break,
        }
    }
    value
}

fn texts(items: &[Token]) -> Assigned {
    let comma = [Token::Symbol(',')];
    let items = items.strip_suffix(&comma).unwrap_or(items);
    if items.is_empty() {
        return Assigned::Texts(Vec::new());
    }
    items
        .split(|token| *token == Token::Symbol(','))
        .map(text)
        .collect::<Option<_>>()
        .map_or(Assigned::Other, Assigned::Texts)
}

/// Strings beside one another are one.
fn text(tokens: &[Token]) -> Option<String> {
    let part = |token: &Token| match token {
        Token::Text(text) => Some(text.clone()),
        _ => None,
    };
    let parts: Option<Vec<String>> = tokens.iter().map(part).collect();
    parts
        .filter(|parts| !parts.is_empty())
        .map(|parts| parts.concat())
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Vec<Token> {
        let (mut tokens, mut depth, mut line_begins) = (Vec::new(), 0_usize, true);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\x0c' | '\r' => {
                    self.at += 1;
                    if line_begins && depth == 0 {
                        tokens.push(Token::Indent);
                        line_begins = false;
                    }
                    continue;
                }
                '\n' => {
                    self.at += 1;
                    if depth == 0 {
                        tokens.push(Token::End);
                        line_begins = true;
                    }
                    continue;
                }
                '#' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.find('\n').unwrap_or(rest.len());
                    continue;
                }
                '\\' if self
                    .text
                    .get(self.at + 1..)
                    .is_some_and(|rest| rest.starts_with('\n') || rest.starts_with("\r\n")) =>
                {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.find('\n').map_or(1, |end| end + 1);
                    continue;
                }
                ';' if depth == 0 => {
                    self.at += 1;
                    tokens.push(Token::End);
                }
                '\'' | '"' => {
                    let token = self.string(false);
                    tokens.push(token);
                }
                c if c.is_alphabetic() || c == '_' => {
                    let token = self.word();
                    tokens.push(token);
                }
                c if c.is_ascii_digit() => {
                    self.take_word();
                    tokens.push(Token::Other);
                }
                c => {
                    self.at += c.len_utf8();
                    match c {
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    tokens.push(Token::Symbol(c));
                }
            }
            line_begins = false;
        }
        tokens
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take_word(&mut self) -> &str {
        let start = self.at;
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            self.at += c.len_utf8();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A name, or a string with a prefix.
    fn word(&mut self) -> Token {
        let word = self.take_word().to_owned();
        let is_prefix = word.len() <= 2 && word.chars().all(|c| "rRbBuUfF".contains(c));
        if !is_prefix || !matches!(self.peek(), Some('\'' | '"')) {
            return Token::Name(word);
        }
        let lower = word.to_ascii_lowercase();
        let string = self.string(lower.contains('r'));
        // Neither bytes nor what is put together at run time is a string to be read here.
        if lower.contains(['b', 'f']) {
            Token::Other
        } else {
            string
        }
    }

    fn string(&mut self, raw: bool) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| rest.starts_with(quote))
            .unwrap_or("'");
        self.at += quote.len();
        let (mut value, mut plain) = (String::new(), true);
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let mut chars = rest.chars();
            let Some(c) = chars.next() else {
                return Token::Other;
            };
            if rest.starts_with(quote) {
                self.at += quote.len();
                break;
            }
            if c == '\n' && quote.len() == 1 {
                return Token::Other;
            }
            self.at += c.len_utf8();
            if c != '\\' {
                value.push(c);
                continue;
            }
            let Some(escaped) = chars.next() else {
                return Token::Other;
            };
            self.at += escaped.len_utf8();
            match escaped {
                '\\' | '\'' | '"' if !raw => value.push(escaped),
                '\n' if !raw => {}
                _ => plain = false,
            }
        }
        if plain {
            Token::Text(value)
        } else {
            Token::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn last(text: &str, name: &str) -> Option<Assigned> {
        let mut all = assignments(text);
        all.retain(|(assigned, _)| assigned == name);
        all.pop().map(|(_, value)| value)
    }

    fn texts(items: &[&str]) -> Assigned {
        Assigned::Texts(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn what_alembic_generates_is_read() {
        let text = "\"\"\"add users\n\nRevision ID: 1a\nRevises: \n\nrevision = 'no'\n\"\"\"\n\
            from typing import Sequence, Union\nimport sqlalchemy as sa\n\n# revision identifiers\n\
            revision: str = '1a'\ndown_revision: Union[str, Sequence[str], None] = None\n\
            branch_labels: Union[str, Sequence[str], None] = ('x',)\n\n\
            def upgrade() -> None:\n    revision = 'inner'\n    op.execute('''\nrevision = 'sql'\n''')\n";
        assert_eq!(
            last(text, "revision"),
            Some(Assigned::Text("1a".to_owned()))
        );
        assert_eq!(last(text, "down_revision"), Some(Assigned::Nothing));
        assert_eq!(last(text, "branch_labels"), Some(texts(&["x"])));
    }

    #[test]
    fn every_form_of_a_literal_is_read() {
        for (text, value) in [
            ("d = ('a', 'b')", Some(texts(&["a", "b"]))),
            (
                "d = (\n  'a',  # one\n  \"b\",\n)",
                Some(texts(&["a", "b"])),
            ),
            ("d = ['a']", Some(texts(&["a"]))),
            ("d = 'a', 'b'", Some(texts(&["a", "b"]))),
            ("d = ()", Some(texts(&[]))),
            ("d = ((('a')))", Some(Assigned::Text("a".to_owned()))),
            ("x = [1]\n  # a comment\nd = ['a',]", Some(texts(&["a"]))),
            ("d = ('a' 'b')", Some(Assigned::Text("ab".to_owned()))),
            ("x = 1; d = u'a'", Some(Assigned::Text("a".to_owned()))),
            (
                "d = \\\r\n r\"a\"\r\n",
                Some(Assigned::Text("a".to_owned())),
            ),
            ("d = f'a{b}'", Some(Assigned::Other)),
            ("d = make('a')", Some(Assigned::Other)),
            ("d = other", Some(Assigned::Other)),
            ("d == 'a'", None),
            ("d: str", None),
            ("if x:\n\td = 'a'", None),
            ("d = 'a\n", Some(Assigned::Other)),
        ] {
            assert_eq!(last(text, "d"), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-z é='\"\\\\#;:(){}\\[\\],\r\n\t0-9]{0,60}") {
            assignments(&text);
        }
    }
}
