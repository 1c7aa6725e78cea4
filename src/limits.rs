//! Caps on what is read from the outside: no read without one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a regular file of at most `max_bytes`.
///
/// # Errors
/// The system's error, or one that says that the file is too large or not a regular file (a
/// FIFO or a device could block or never end).
pub fn read_file(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(max_bytes + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("larger than {max_bytes} bytes")));
    }
    Ok(content)
}
