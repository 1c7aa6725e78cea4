//! Opens files: makes new ones whole or not at all, refuses what is not ours, sets aside what is damaged.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use super::super::HistoryError;
use super::{schema, wrong};

/// What a path may hold in a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');
/// A file up to this size is checked page by page when it is opened: less than a second.
const CHECKED_BYTES: u64 = 256 << 20;
/// The header of a SQLite file, up to and with the application id.
const HEADER_BYTES: usize = 72;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Readers of other processes hold the writer up this long at most.
const BUSY: Duration = Duration::from_secs(5);

/// Nobody else writes the file for as long as this lives; the kernel ends it with the process.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// What was opened for writing.
pub(super) struct Opened {
    pub(super) conn: Connection,
    /// What became of a damaged file.
    pub(super) notice: Option<String>,
}

/// A store in memory.
pub(super) fn memory() -> Result<Connection, HistoryError> {
    let mut conn = Connection::open_in_memory().map_err(|error| wrong(&error))?;
    schema::migrate(&mut conn)?;
    Ok(conn)
}

/// Takes the lock beside the file. It is a file of its own: closing any descriptor of the database would
/// drop the locks by which SQLite keeps readers and writer apart.
pub(super) fn lock(path: &Path) -> Result<Lock, HistoryError> {
    if path.is_dir() {
        let text = format!("{} is a directory: name a file", path.display());
        return Err(HistoryError::Unavailable(text));
    }
    let beside = with_suffix(path, "-lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&beside)
        .map_err(|error| {
            HistoryError::Unavailable(format!("cannot write {}: {error}", beside.display()))
        })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(HistoryError::Locked(path.to_owned())),
        Err(error) => Err(HistoryError::Unavailable(format!(
            "cannot lock {}: {error}",
            beside.display()
        ))),
    }
}

/// Opens the file for writing, or makes it. The lock is held.
pub(super) fn write(path: &Path, now: Timestamp) -> Result<Opened, HistoryError> {
    if !is_ours(path)? {
        create(path)?;
        return Ok(Opened {
            conn: existing(path)?,
            notice: None,
        });
    }
    match existing(path) {
        Ok(conn) => Ok(Opened { conn, notice: None }),
        Err(HistoryError::Corrupt(why)) => set_aside(path, &why, now),
        Err(other) => Err(other),
    }
}

/// Renames a damaged file, and begins a new one.
pub(super) fn set_aside(path: &Path, why: &str, now: Timestamp) -> Result<Opened, HistoryError> {
    let suffix = format!(".corrupt-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let aside = with_suffix(path, &suffix);
    if aside.exists() {
        let text = format!("{why}; {} exists already", aside.display());
        return Err(HistoryError::Corrupt(text));
    }
    // The log belongs to the file: together they are what somebody may still rescue.
    for part in ["-wal", "-shm", ""] {
        let moved = std::fs::rename(with_suffix(path, part), with_suffix(&aside, part));
        match moved {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let text = format!("{why}; cannot rename {}: {error}", path.display());
                return Err(HistoryError::Corrupt(text));
            }
            _ => {}
        }
    }
    create(path)?;
    let notice = format!(
        "{} was corrupt ({why}): it was set aside as {}, and a new history was begun",
        path.display(),
        aside.display()
    );
    tracing::error!("{notice}");
    Ok(Opened {
        conn: existing(path)?,
        notice: Some(notice),
    })
}

/// Opens the file for reading, and leaves nothing behind.
pub(super) fn read(path: &Path) -> Result<Connection, HistoryError> {
    if !path.exists() {
        return Err(HistoryError::Missing(path.to_owned()));
    }
    if !is_ours(path)? {
        return Err(HistoryError::NotOurs(path.to_owned()));
    }
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, is_quiet(path))?;
    schema::check(&conn)?;
    Ok(conn)
}

/// Whether nobody writes the file. It is then whole without a log, and read without making one: not even
/// a file of locks is left in its directory.
pub(super) fn is_quiet(path: &Path) -> bool {
    !with_suffix(path, "-wal").exists()
}

/// A further connection beside the writer's, in its process.
pub(super) fn beside_writer(path: &Path) -> Result<Connection, HistoryError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, false)
}

fn open(path: &Path, mode: OpenFlags, immutable: bool) -> Result<Connection, HistoryError> {
    use std::os::unix::ffi::OsStrExt as _;
    let absolute = std::path::absolute(path)
        .map_err(|error| HistoryError::Unavailable(format!("{}: {error}", path.display())))?;
    let uri = format!(
        "file:{}?immutable={}",
        percent_encode(absolute.as_os_str().as_bytes(), PATH),
        u8::from(immutable)
    );
    let flags = mode | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(uri, flags).map_err(|error| wrong(&error))?;
    conn.busy_timeout(BUSY).map_err(|error| wrong(&error))?;
    Ok(conn)
}

/// Opens a file that has our header, and looks whether it holds together.
fn existing(path: &Path) -> Result<Connection, HistoryError> {
    let mut conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, false)?;
    if conn.is_readonly("main").map_err(|error| wrong(&error))? {
        let text = format!("{} cannot be written", path.display());
        return Err(HistoryError::Unavailable(text));
    }
    settle(&conn).map_err(|error| wrong(&error))?;
    let bytes = std::fs::metadata(path).map_or(0, |data| data.len());
    if bytes <= CHECKED_BYTES {
        let found: String = conn
            .query_row("pragma quick_check(1)", [], |row| row.get(0))
            .map_err(|error| wrong(&error))?;
        if found != "ok" {
            return Err(HistoryError::Corrupt(found.replace('\n', " ")));
        }
    }
    schema::migrate(&mut conn)?;
    Ok(conn)
}

fn settle(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("pragma journal_mode = wal", [], |_| Ok(()))?;
    // A commit goes to the log without waiting for the disk. A process that is killed loses no commit,
    // because the system has it; a machine that loses power loses the last ones, and the file still
    // holds together. Waiting would cost an fsync each second, for runs that are repeated anyway.
    conn.pragma_update(None, "synchronous", "normal")?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.pragma_update(None, "temp_store", "memory")
}

/// Makes a file with everything in it that tells it from others, then gives it its name: whoever is
/// killed meanwhile leaves none that is half a history.
fn create(path: &Path) -> Result<(), HistoryError> {
    let draft = with_suffix(path, ".new");
    std::fs::remove_file(&draft).ok();
    let make = || {
        let conn = Connection::open(&draft)?;
        conn.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        conn.pragma_update(None, "auto_vacuum", "incremental")?;
        // The pragmas above are written with the first page.
        conn.execute_batch("vacuum")?;
        conn.close().map_err(|(_, error)| error)
    };
    make().map_err(|error| unusable(path, &wrong(&error)))?;
    std::fs::rename(&draft, path)
        .map_err(|error| HistoryError::Unavailable(format!("{}: {error}", path.display())))
}

fn unusable(path: &Path, error: &HistoryError) -> HistoryError {
    HistoryError::Unavailable(format!("cannot make {}: {error}", path.display()))
}

/// Whether there is a history of ours; `false`: there is nothing yet. Anything else is left alone.
fn is_ours(path: &Path) -> Result<bool, HistoryError> {
    let unreadable = |error: &std::io::Error| {
        HistoryError::Unavailable(format!("cannot read {}: {error}", path.display()))
    };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| unreadable(&error))?,
    };
    let data = file.metadata().map_err(|error| unreadable(&error))?;
    if !data.is_file() {
        let text = format!("{} is not a file", path.display());
        return Err(HistoryError::Unavailable(text));
    }
    if data.len() == 0 {
        return Ok(false);
    }
    let mut header = [0; HEADER_BYTES];
    let whole = file.read_exact(&mut header).is_ok();
    let id = schema::APPLICATION_ID.to_be_bytes();
    if whole && header.starts_with(MAGIC) && header.ends_with(&id) {
        Ok(true)
    } else {
        Err(HistoryError::NotOurs(path.to_owned()))
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
