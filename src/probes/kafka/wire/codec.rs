//! Kafka's encoding, in both of its forms: the first one, and the flexible one with compact lengths
//! and tagged fields. Reading trusts no length: what is not there is an error, not an allocation.

/// What does not read as the answer that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is read.
pub(super) type Read<T> = Result<T, Malformed>;

/// The body of a request.
#[derive(Debug, Clone)]
pub(super) struct Body {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Body {
    /// An empty one.
    pub(super) const fn new(flexible: bool) -> Self {
        Self {
            bytes: Vec::new(),
            flexible,
        }
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A truth value, or a small number.
    pub(super) fn i8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// A number.
    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// A number.
    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// How many elements follow.
    pub(super) fn length(&mut self, count: usize) {
        if self.flexible {
            self.varint(count.saturating_add(1));
        } else {
            self.i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        if self.flexible {
            self.varint(text.len().saturating_add(1));
        } else {
            self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.bytes.extend(text.as_bytes());
    }

    /// Bytes.
    pub(super) fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend(bytes);
    }

    /// The end of a structure: no tagged field.
    pub(super) fn end(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }

    fn varint(&mut self, value: usize) {
        let mut left = value;
        while left >= 0x80 {
            self.bytes.push(left.to_le_bytes()[0] | 0x80);
            left >>= 7;
        }
        self.bytes.push(left.to_le_bytes()[0]);
    }
}

/// An answer that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub(super) const fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { bytes, flexible }
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    /// A small number.
    pub(super) fn i8(&mut self) -> Read<i8> {
        self.array().map(i8::from_be_bytes)
    }

    /// A number.
    pub(super) fn i16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    /// A number.
    pub(super) fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A number.
    pub(super) fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An identity of 16 bytes, which is not kept.
    pub(super) fn skip_uuid(&mut self) -> Read<()> {
        self.take(16).map(drop)
    }

    /// A length; none: null.
    fn length(&mut self, short: bool) -> Read<Option<usize>> {
        let length = if self.flexible {
            i64::from(self.varint()?) - 1
        } else if short {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed),
        }
    }

    fn varint(&mut self) -> Read<u32> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = u32::from(self.array::<1>()?[0]);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Text; nothing for null.
    pub(super) fn text(&mut self) -> Read<&'a str> {
        let length = self.length(true)?.unwrap_or(0);
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }

    /// Bytes; none for null.
    pub(super) fn blob(&mut self) -> Read<&'a [u8]> {
        let length = self.length(false)?.unwrap_or(0);
        self.take(length)
    }

    /// Reads each element of a list.
    pub(super) fn each(&mut self, mut read: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let count = self.length(false)?.unwrap_or(0);
        for _ in 0..count {
            // Every element has one byte at least: a count that is a lie ends here.
            if self.bytes.is_empty() {
                return Err(Malformed);
            }
            read(self)?;
        }
        Ok(())
    }

    /// The elements of a list.
    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut list = Vec::new();
        self.each(|reader| {
            list.push(read(reader)?);
            Ok(())
        })?;
        Ok(list)
    }

    /// The end of a structure: tagged fields, which are not looked at.
    pub(super) fn end(&mut self) -> Read<()> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let size = self.varint()?;
                self.take(size as usize)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_in_both_forms() {
        for flexible in [false, true] {
            let mut body = Body::new(flexible);
            body.i16(-7);
            body.text("group");
            body.length(300);
            for at in 0..300 {
                body.i32(at);
                body.end();
            }
            body.blob(b"\x00\x01");
            body.end();
            let bytes = body.into_bytes();
            let mut reader = Reader::new(&bytes, flexible);
            assert_eq!(reader.i16(), Ok(-7));
            assert_eq!(reader.text(), Ok("group"));
            let list = reader.list(|it| {
                let number = it.i32()?;
                it.end()?;
                Ok(number)
            });
            assert_eq!(list.map(|it| it.len()), Ok(300));
            assert_eq!(reader.blob(), Ok(&b"\x00\x01"[..]));
            assert_eq!(reader.end(), Ok(()));
            assert!(reader.bytes.is_empty());
        }
    }

    #[test]
    fn a_length_that_is_a_lie_allocates_nothing() {
        let mut lie = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0], false);
        assert_eq!(lie.list(Reader::i16), Err(Malformed));
        let mut tagged = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], true);
        assert_eq!(tagged.end(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flexible: bool) {
            let mut reader = Reader::new(&bytes, flexible);
            while reader.text().is_ok() && !reader.bytes.is_empty() {
                reader.list(|it| it.blob().map(<[u8]>::len)).ok();
                reader.end().ok();
            }
        }
    }
}
