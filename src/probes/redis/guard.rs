//! What a server may make the client's parser hold: a stream that follows the framing of RESP
//! while bytes pass, and breaks off before a reply is too large, too deep or too many.
//!
//! The client reserves room for the elements that a header announces and recurses for nested
//! ones; here both have bounds of their own, and so has the sum of all bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of replies on one connection.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// The longest line that is not a bulk string.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// The most elements of all replies together.
const MAX_ELEMENTS: u64 = 100_000;
/// How deep replies nest: what is asked here nests three deep.
const MAX_DEPTH: usize = 8;

/// Why a connection was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// More than any answer here needs.
    #[error("the replies are larger than {MAX_BYTES} bytes")]
    Large,
    /// Too many elements.
    #[error("the replies have more than {MAX_ELEMENTS} elements")]
    Many,
    /// Too deep.
    #[error("a reply nests deeper than {MAX_DEPTH}")]
    Deep,
    /// No RESP.
    #[error("what the server sends is not the Redis protocol")]
    Nonsense,
}

/// Where the framing stands.
enum State {
    /// A reply or an element begins.
    Kind,
    /// Within a line; `None`: its text is not ours to read.
    Line {
        kind: u8,
        digits: String,
        length: usize,
        ends: bool,
    },
    /// Within a bulk string, its line end included.
    Bulk(u64),
}

/// Follows the framing of replies.
pub struct Framing {
    state: State,
    /// For each open aggregate, how many elements are missing.
    open: Vec<u64>,
    bytes: u64,
    elements: u64,
    /// How many of the bytes taken last end whole replies.
    whole: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            state: State::Kind,
            open: Vec::new(),
            bytes: 0,
            elements: 0,
            whole: 0,
        }
    }
}

impl Framing {
    /// Takes the next bytes.
    pub fn take(&mut self, mut data: &[u8]) -> Result<(), Breach> {
        let all = data.len();
        self.whole = 0;
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if self.bytes > MAX_BYTES {
            return Err(Breach::Large);
        }
        while let Some((&byte, rest)) = data.split_first() {
            match &mut self.state {
                State::Bulk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    *left -= taken as u64;
                    let done = *left == 0;
                    data = &data[taken..];
                    if done {
                        self.complete();
                    }
                    self.note_whole(all - data.len());
                }
                State::Kind => {
                    if !b"+-:_,#($!=*~>%|".contains(&byte) {
                        return Err(Breach::Nonsense);
                    }
                    self.elements += 1;
                    if self.elements > MAX_ELEMENTS {
                        return Err(Breach::Many);
                    }
                    self.state = State::Line {
                        kind: byte,
                        digits: String::new(),
                        length: 0,
                        ends: false,
                    };
                    data = rest;
                }
                State::Line { .. } => {
                    self.line(byte)?;
                    data = rest;
                    self.note_whole(all - data.len());
                }
            }
        }
        Ok(())
    }

    fn note_whole(&mut self, taken: usize) {
        if self.open.is_empty() && matches!(self.state, State::Kind) {
            self.whole = taken;
        }
    }

    fn line(&mut self, byte: u8) -> Result<(), Breach> {
        let State::Line {
            kind,
            digits,
            length,
            ends,
        } = &mut self.state
        else {
            return Ok(());
        };
        if *ends && byte == b'\n' {
            let (kind, digits) = (*kind, std::mem::take(digits));
            return self.header(kind, &digits);
        }
        *ends = byte == b'\r';
        *length += 1;
        if *length > MAX_LINE_BYTES {
            return Err(Breach::Large);
        }
        if byte != b'\r' && b"$!=*~>%|".contains(kind) {
            const LONGEST_NUMBER: usize = 20;
            if digits.len() == LONGEST_NUMBER || !(byte.is_ascii_digit() || byte == b'-') {
                return Err(Breach::Nonsense);
            }
            digits.push(char::from(byte));
        }
        Ok(())
    }

    /// A line has ended: what follows depends on what it announced.
    fn header(&mut self, kind: u8, digits: &str) -> Result<(), Breach> {
        if b"+-:_,#(".contains(&kind) {
            self.complete();
            return Ok(());
        }
        let announced: i64 = digits.parse().map_err(|_| Breach::Nonsense)?;
        let Ok(announced) = u64::try_from(announced) else {
            // Minus one is nil; the client takes any other as a length.
            if announced != -1 || !matches!(kind, b'$' | b'*') {
                return Err(Breach::Nonsense);
            }
            self.complete();
            return Ok(());
        };
        match kind {
            b'$' | b'!' | b'=' => {
                if announced > MAX_BYTES {
                    return Err(Breach::Large);
                }
                self.state = State::Bulk(announced + 2);
            }
            _ => {
                let count = match kind {
                    b'%' => announced.saturating_mul(2),
                    b'|' => announced.saturating_mul(2).saturating_add(1),
                    _ => announced,
                };
                if count > MAX_ELEMENTS {
                    return Err(Breach::Many);
                }
                if count == 0 {
                    self.complete();
                    return Ok(());
                }
                if self.open.len() == MAX_DEPTH {
                    return Err(Breach::Deep);
                }
                self.open.push(count);
                self.state = State::Kind;
            }
        }
        Ok(())
    }

    /// A value is complete, and with it every aggregate of which it was the last.
    fn complete(&mut self) {
        self.state = State::Kind;
        while let Some(missing) = self.open.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                break;
            }
            self.open.pop();
        }
    }
}

/// A stream whose replies keep within the bounds.
pub struct Guarded<S> {
    inner: S,
    framing: Framing,
    /// What comes after the replies that were still whole.
    breach: Option<Breach>,
}

impl<S> Guarded<S> {
    /// Guards a stream from its first byte on.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            framing: Framing::default(),
            breach: None,
        }
    }
}

fn refused(breach: Breach) -> Poll<io::Result<()>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, breach)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(breach) = this.breach {
            return refused(breach);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if let Err(breach) = this.framing.take(new) {
                if this.framing.whole == 0 {
                    return refused(breach);
                }
                this.breach = Some(breach);
                buffer.set_filled(before + this.framing.whole);
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(data: &[u8]) -> Result<Framing, Breach> {
        let mut framing = Framing::default();
        framing.take(data)?;
        Ok(framing)
    }

    #[test]
    fn ordinary_replies_pass_in_any_pieces() {
        let replies = b"+PONG\r\n$5\r\na\r\nbc\r\n*2\r\n$-1\r\n*0\r\n-NOAUTH no\r\n:12\r\n*-1\r\n%1\r\n+a\r\n:1\r\n";
        let mut framing = Framing::default();
        for byte in replies {
            framing.take(&[*byte]).expect("within the bounds");
        }
        assert!(framing.open.is_empty() && matches!(framing.state, State::Kind));
    }

    #[test]
    fn what_would_exhaust_the_client_is_broken_off() {
        let refused = |data: &[u8]| take(data).err();
        assert_eq!(refused(b"HTTP/1.1 400\r\n"), Some(Breach::Nonsense));
        assert_eq!(refused(b"$99999999999\r\n"), Some(Breach::Large));
        assert_eq!(refused(b"$-7\r\n"), Some(Breach::Nonsense));
        assert_eq!(refused(b"*4000000000\r\n"), Some(Breach::Many));
        assert_eq!(refused(b"%9223372036854775807\r\n"), Some(Breach::Many));
        assert_eq!(refused(&b"*1\r\n".repeat(50)), Some(Breach::Deep));
        assert_eq!(
            refused(&[b"+".as_slice(), &vec![b'x'; 70_000]].concat()),
            Some(Breach::Large)
        );
        assert_eq!(refused(&b"+\r\n".repeat(100_001)), Some(Breach::Many));
        let mut framing = Framing::default();
        framing.take(b"$8388608\r\n").expect("at the bound");
        let endless = (0..2).try_for_each(|_| framing.take(&vec![0; 8 * 1024 * 1024]));
        assert_eq!(endless, Err(Breach::Large));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = take(&data);
        }

        #[test]
        fn no_reply_like_bytes_break_it(data in "[*$+:%|>=!\\-0-9\r\n]{0,200}") {
            let _ = take(data.as_bytes());
        }
    }
}
