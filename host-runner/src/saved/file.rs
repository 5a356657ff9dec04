//! Saved VMs as files: written whole or not at all, and read with a bound.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{MAGIC, MOST_BYTES, Saved, SavedError, decode};

/// Why a file is not written or read.
#[derive(Debug)]
pub enum FileError {
    /// The system refused.
    Io(PathBuf, io::Error),
    /// It is not a saved VM, or a bad one.
    Bad(PathBuf, SavedError),
    /// Something else has that name, and nobody said that it may go.
    InTheWay(PathBuf),
}

impl core::fmt::Display for FileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Bad(path, error) => write!(f, "{}: {error}", path.display()),
            Self::InTheWay(path) => write!(
                f,
                "{} is there already and not a saved VM: name another file, or say --overwrite",
                path.display()
            ),
        }
    }
}

impl core::error::Error for FileError {}

/// Reads and checks a saved VM.
///
/// # Errors
/// See [`FileError`].
pub fn read(path: &Path) -> Result<Saved, FileError> {
    decode(&read_bytes(path)?).map_err(|error| FileError::Bad(path.to_owned(), error))
}

/// Reads the bytes of a saved VM, which are not checked yet.
///
/// # Errors
/// [`FileError::Io`], or that there are too many of them.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error| FileError::Io(path.to_owned(), error);
    let mut bytes = Vec::new();
    // One more than may be: what is longer is found without reading all of it.
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        let error = SavedError::TooLarge(bytes.len() as u64);
        return Err(FileError::Bad(path.to_owned(), error));
    }
    Ok(bytes)
}

/// Whether a saved VM may be written there: nothing is there, or an older one, or anything and `overwrite` was said.
///
/// # Errors
/// [`FileError::InTheWay`].
pub fn may_write(path: &Path, overwrite: bool) -> Result<(), FileError> {
    let in_the_way = || FileError::InTheWay(path.to_owned());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::Io(path.to_owned(), error)),
        Ok(about) if about.is_dir() => return Err(in_the_way()),
        Ok(_) if overwrite => return Ok(()),
        Ok(about) if !about.is_file() => return Err(in_the_way()),
        Ok(_) => {}
    }
    let mut head = [0; MAGIC.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) if head == MAGIC => Ok(()),
        Ok(()) | Err(_) => Err(in_the_way()),
    }
}

/// The same, and that its folder takes files: what is found out later costs the VM.
///
/// # Errors
/// See [`FileError`].
pub fn can_write(path: &Path, overwrite: bool) -> Result<(), FileError> {
    may_write(path, overwrite)?;
    beside(path).map(drop)
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A file in the same folder: mode 0600, and gone again unless it is renamed.
fn beside(path: &Path) -> Result<tempfile::NamedTempFile, FileError> {
    tempfile::Builder::new()
        .prefix(".seawall-")
        .tempfile_in(folder(path))
        .map_err(|error| FileError::Io(path.to_owned(), error))
}

/// Writes a file as a whole: under another name first, readable by its owner alone, and on the disk before it is there.
///
/// # Errors
/// See [`FileError`]; nothing has changed then.
pub fn write(path: &Path, bytes: &[u8], overwrite: bool) -> Result<(), FileError> {
    may_write(path, overwrite)?;
    let failed = |error| FileError::Io(path.to_owned(), error);
    let folder = folder(path);
    let mut file = beside(path)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path)
        .map_err(|error| FileError::Io(path.to_owned(), error.error))?;
    // The name is on the disk once the folder is.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}
