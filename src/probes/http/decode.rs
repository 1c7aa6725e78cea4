//! Undoes the compression of a body as it arrives, never past a cap.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::header::{CONTENT_ENCODING, HeaderMap};

/// How a body is compressed.
#[derive(Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Other(String),
}

impl Encoding {
    /// What the headers of a response say.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(first) = values.next() else {
            return Self::Identity;
        };
        let name = String::from_utf8_lossy(first.as_bytes())
            .trim()
            .to_ascii_lowercase();
        match name.as_str() {
            _ if values.next().is_some() => Self::Other("more than one".to_owned()),
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            _ => Self::Other(name),
        }
    }
}

/// Why no more is taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    TooLarge,
    Corrupt(String),
}

/// What came so far.
pub struct Received {
    decoder: Decoder,
    pub max_bytes: usize,
    /// As they came, compressed.
    pub wire_bytes: usize,
}

impl Received {
    pub fn new(encoding: &Encoding, max_bytes: usize) -> Self {
        let decoder = match encoding {
            Encoding::Identity => Decoder::Identity(Vec::new()),
            Encoding::Gzip => Decoder::GzipUnbegun,
            Encoding::Deflate => Decoder::Deflate(Deflate::new(max_bytes)),
            Encoding::Other(_) => Decoder::Discard,
        };
        Self {
            decoder,
            max_bytes,
            wire_bytes: 0,
        }
    }

    pub fn push(&mut self, data: &[u8]) -> Result<(), Stop> {
        // Compression may add a little; without this cap a stream of empty blocks would never end.
        const OVERHEAD_BYTES: usize = 64 * 1024;
        self.wire_bytes = self.wire_bytes.saturating_add(data.len());
        if self.wire_bytes > self.max_bytes.saturating_add(OVERHEAD_BYTES) {
            return Err(Stop::TooLarge);
        }
        if data.is_empty() {
            return Ok(());
        }
        if let Decoder::GzipUnbegun = self.decoder {
            let capped = Capped::new(self.max_bytes);
            self.decoder = Decoder::Gzip(Box::new(MultiGzDecoder::new(capped)));
        }
        match &mut self.decoder {
            Decoder::Identity(bytes) => {
                if bytes.len() + data.len() > self.max_bytes {
                    return Err(Stop::TooLarge);
                }
                bytes.extend_from_slice(data);
                Ok(())
            }
            Decoder::Gzip(decoder) => decoder
                .write_all(data)
                .map_err(|error| gzip_stop(decoder.get_ref(), &error)),
            Decoder::Deflate(deflate) => deflate.push(data),
            Decoder::GzipUnbegun | Decoder::Discard => Ok(()),
        }
    }

    pub fn finish(self) -> Result<Vec<u8>, Stop> {
        match self.decoder {
            Decoder::Identity(bytes) => Ok(bytes),
            Decoder::GzipUnbegun | Decoder::Discard => Ok(Vec::new()),
            Decoder::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(error) => Err(gzip_stop(decoder.get_ref(), &error)),
            },
            Decoder::Deflate(deflate) => deflate.finish(),
        }
    }
}

enum Decoder {
    Identity(Vec<u8>),
    /// No byte came yet: an empty body is empty, whatever it is said to be compressed with.
    GzipUnbegun,
    Gzip(Box<MultiGzDecoder<Capped>>),
    Deflate(Deflate),
    /// What cannot be decoded is read to its end, for the time it takes, and dropped.
    Discard,
}

fn gzip_stop(sink: &Capped, error: &io::Error) -> Stop {
    if sink.overflowed {
        Stop::TooLarge
    } else {
        Stop::Corrupt(format!("the gzip body is broken: {error}"))
    }
}

/// Takes decompressed bytes up to a cap.
#[derive(Debug)]
struct Capped {
    bytes: Vec<u8>,
    max_bytes: usize,
    overflowed: bool,
}

impl Capped {
    fn new(max_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max_bytes,
            overflowed: false,
        }
    }
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.max_bytes {
            self.overflowed = true;
            return Err(io::Error::other("larger than the cap"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `deflate`: the zlib format, or the bare stream that some servers send under that name.
struct Deflate {
    /// The first two bytes tell which of the two it is.
    begun: Option<Decompress>,
    held: Vec<u8>,
    out: Vec<u8>,
    max_bytes: usize,
    ended: bool,
}

impl Deflate {
    fn new(max_bytes: usize) -> Self {
        Self {
            begun: None,
            held: Vec::new(),
            out: Vec::new(),
            max_bytes,
            ended: false,
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Stop> {
        if self.begun.is_some() {
            return self.inflate(data);
        }
        self.held.extend_from_slice(data);
        let [first, second, ..] = self.held[..] else {
            return Ok(());
        };
        let is_zlib = first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0;
        self.begun = Some(Decompress::new(is_zlib));
        let held = std::mem::take(&mut self.held);
        self.inflate(&held)
    }

    fn inflate(&mut self, mut data: &[u8]) -> Result<(), Stop> {
        let corrupt = |detail: &str| Stop::Corrupt(format!("the deflate body is broken: {detail}"));
        let Some(decompress) = &mut self.begun else {
            return Ok(());
        };
        let mut buffer = [0; 8 * 1024];
        loop {
            if self.ended {
                return if data.is_empty() {
                    Ok(())
                } else {
                    Err(corrupt("more bytes after its end"))
                };
            }
            let (read_before, written_before) = (decompress.total_in(), decompress.total_out());
            let status = decompress
                .decompress(data, &mut buffer, FlushDecompress::None)
                .map_err(|error| corrupt(&error.to_string()))?;
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
            let read = count(decompress.total_in(), read_before);
            let written = count(decompress.total_out(), written_before);
            data = data.get(read..).unwrap_or_default();
            if self.out.len() + written > self.max_bytes {
                return Err(Stop::TooLarge);
            }
            self.out.extend_from_slice(&buffer[..written]);
            self.ended = status == Status::StreamEnd;
            if !self.ended && read == 0 && written == 0 {
                return if data.is_empty() {
                    Ok(())
                } else {
                    Err(corrupt("no progress"))
                };
            }
        }
    }

    fn finish(self) -> Result<Vec<u8>, Stop> {
        if self.ended || (self.begun.is_none() && self.held.is_empty()) {
            Ok(self.out)
        } else {
            Err(Stop::Corrupt("the deflate body is cut off".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoding: &Encoding, wire: &[u8], chunk: usize, cap: usize) -> Result<Vec<u8>, Stop> {
        let mut received = Received::new(encoding, cap);
        for part in wire.chunks(chunk) {
            received.push(part)?;
        }
        received.finish()
    }

    #[test]
    fn what_is_cut_off_is_never_a_body() {
        let plain = b"a body that is long enough to have an inside, an inside, an inside";
        for (encoding, wire) in [
            (Encoding::Gzip, gzip(plain)),
            (Encoding::Deflate, zlib(plain)),
            (Encoding::Deflate, raw_deflate(plain)),
        ] {
            assert_eq!(decode(&encoding, &wire, 7, 1000).unwrap(), plain);
            for length in 1..wire.len() {
                let cut = decode(&encoding, &wire[..length], 7, 1000);
                assert!(
                    matches!(cut, Err(Stop::Corrupt(_))),
                    "{encoding:?} {length}: {cut:?}"
                );
            }
            assert_eq!(decode(&encoding, &[], 7, 1000).unwrap(), b"");
        }
    }

    #[test]
    fn what_follows_the_end_is_broken() {
        for (encoding, mut wire) in [
            (Encoding::Gzip, gzip(b"body")),
            (Encoding::Deflate, zlib(b"body")),
        ] {
            wire.extend_from_slice(b"garbage");
            let decoded = decode(&encoding, &wire, 1000, 1000);
            assert!(
                matches!(decoded, Err(Stop::Corrupt(_))),
                "{encoding:?}: {decoded:?}"
            );
        }
    }

    #[test]
    fn members_of_gzip_are_joined() {
        let wire = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode(&Encoding::Gzip, &wire, 3, 100).unwrap(), b"one two");
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let bomb = vec![0; 4 * 1024 * 1024];
        for (encoding, wire) in [
            (Encoding::Gzip, gzip(&bomb)),
            (Encoding::Deflate, zlib(&bomb)),
        ] {
            let decoded = decode(&encoding, &wire, 16 * 1024, 100_000);
            assert_eq!(decoded, Err(Stop::TooLarge), "{encoding:?}");
        }
        assert_eq!(
            decode(&Encoding::Gzip, &gzip(b"12345"), 99, 5).unwrap(),
            b"12345"
        );
        assert_eq!(
            decode(&Encoding::Gzip, &gzip(b"123456"), 99, 5),
            Err(Stop::TooLarge)
        );
        assert_eq!(
            decode(&Encoding::Identity, b"123456", 2, 5),
            Err(Stop::TooLarge)
        );
    }

    #[test]
    fn empty_blocks_without_end_stop_at_the_cap() {
        // A stored block of length zero, over and over.
        let wire = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(40_000);
        assert_eq!(
            decode(&Encoding::Deflate, &wire, 5000, 100),
            Err(Stop::TooLarge)
        );
    }

    #[test]
    fn the_encoding_is_read_from_one_header() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            Encoding::of(&headers)
        };
        assert_eq!(of(&[]), Encoding::Identity);
        assert_eq!(of(&["GZIP"]), Encoding::Gzip);
        assert_eq!(
            of(&["gzip, gzip"]),
            Encoding::Other("gzip, gzip".to_owned())
        );
        assert_eq!(
            of(&["gzip", "gzip"]),
            Encoding::Other("more than one".to_owned())
        );
        assert_eq!(of(&["br"]), Encoding::Other("br".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_within_the_cap_or_stop(
            wire in proptest::collection::vec(any::<u8>(), 0..400),
            chunk in 1_usize..50,
            cap in 0_usize..500,
        ) {
            for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Deflate] {
                if let Ok(bytes) = decode(&encoding, &wire, chunk, cap) {
                    prop_assert!(bytes.len() <= cap);
                }
            }
        }

        #[test]
        fn what_was_compressed_comes_back(
            plain in proptest::collection::vec(any::<u8>(), 0..2000),
            chunk in 1_usize..100,
        ) {
            for (encoding, wire) in [
                (Encoding::Gzip, gzip(&plain)),
                (Encoding::Deflate, zlib(&plain)),
            ] {
                prop_assert_eq!(decode(&encoding, &wire, chunk, 2000), Ok(plain.clone()));
            }
        }
    }
}
