//! A verdict on its way: the parts of its JSON as they are, joined so that a small one is no write of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::agent::Snapshot;

/// Parts are joined until they have this many bytes; a larger one is sent as it is.
const FRAME_BYTES: usize = 128 * 1024;

/// The body.
pub struct VerdictBody {
    parts: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl VerdictBody {
    /// Of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let parts: Vec<Bytes> = snapshot.chunks().collect();
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self {
            parts: parts.into_iter(),
            left,
        }
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let first = self.parts.next()?;
        if first.len() >= FRAME_BYTES {
            return Some(first);
        }
        let mut joined = BytesMut::with_capacity(FRAME_BYTES);
        joined.extend_from_slice(&first);
        while let Some(next) = self.parts.as_slice().first() {
            if joined.len() + next.len() > FRAME_BYTES {
                break;
            }
            joined.extend_from_slice(next);
            self.parts.next();
        }
        Some(joined.freeze())
    }
}

impl Body for VerdictBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.next_frame();
        if let Some(frame) = &frame {
            self.left -= frame.len() as u64;
        }
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sizes: &[usize]) -> VerdictBody {
        let parts: Vec<Bytes> = sizes.iter().map(|size| vec![b'x'; *size].into()).collect();
        let left = sizes.iter().sum::<usize>() as u64;
        VerdictBody {
            parts: parts.into_iter(),
            left,
        }
    }

    #[test]
    fn small_parts_are_joined_and_large_ones_kept() {
        let mut body = body(&[1, 2, 3, FRAME_BYTES, FRAME_BYTES - 1, 1, 1, FRAME_BYTES + 5]);
        let sizes: Vec<usize> = std::iter::from_fn(|| body.next_frame().map(|f| f.len())).collect();
        assert_eq!(sizes, [6, FRAME_BYTES, FRAME_BYTES, 1, FRAME_BYTES + 5]);
    }
}
