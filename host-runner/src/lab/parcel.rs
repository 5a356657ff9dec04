//! Files out of the lab: what the inner command leaves in one folder goes over the serial line, in parts.
//!
//! A part is `name offset base64`, in order. What arrives is not believed: a name that was not asked for, a gap, or too
//! many bytes are an error, and a saved VM has its own digest.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The folder inside.
pub const OUT: &str = "/out";
/// Bytes of a part: few enough that a panic of the lab's kernel spoils little.
const PART: usize = 48 << 10;
/// All parts together; the lab has 1 GiB of memory itself.
const MOST_BYTES: usize = 512 << 20;

/// Sends every file in [`OUT`], the inner half's part.
///
/// # Errors
/// When one cannot be read, or is too long.
pub(super) fn send_all(send: &mut dyn FnMut(String)) -> io::Result<()> {
    send_from(Path::new(OUT), send)
}

fn send_from(folder: &Path, send: &mut dyn FnMut(String)) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut sent = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Half-written ones have such names, and no other file does.
        if !entry.file_type()?.is_file() || name.starts_with('.') || name.contains(char::is_whitespace) {
            continue;
        }
        let mut file = File::open(entry.path())?;
        let mut offset = 0;
        let mut part = vec![0; PART];
        loop {
            let mut length = 0;
            while length < PART {
                match file.read(part.get_mut(length..).unwrap_or_default())? {
                    0 => break,
                    more => length += more,
                }
            }
            if length == 0 {
                break;
            }
            sent += length;
            if sent > MOST_BYTES {
                return Err(io::Error::other(format!("{name}: too long to leave the lab")));
            }
            let text = STANDARD.encode(part.get(..length).unwrap_or_default());
            send(format!("{name} {offset} {text}"));
            offset += length;
        }
    }
    Ok(())
}

/// A file that comes out of the lab.
#[derive(Debug)]
pub struct Parcel {
    name: String,
    bytes: Vec<u8>,
    problem: Option<String>,
}

impl Parcel {
    /// Nothing of this file yet.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bytes: Vec::new(),
            problem: None,
        }
    }

    /// Takes a part.
    pub fn take(&mut self, part: &str) {
        if self.problem.is_none() {
            self.problem = self.add(part).err();
        }
    }

    fn add(&mut self, part: &str) -> Result<(), String> {
        let mut fields = part.splitn(3, ' ');
        let (name, offset, text) = (fields.next(), fields.next(), fields.next());
        if name != Some(self.name.as_str()) {
            return Err("a file came out of the lab that nobody asked for".into());
        }
        if offset.and_then(|offset| offset.parse().ok()) != Some(self.bytes.len()) {
            return Err("a part of the file was lost on its way out of the lab".into());
        }
        let bytes = STANDARD
            .decode(text.unwrap_or_default())
            .map_err(|error| format!("a part of the file came out of the lab broken: {error}"))?;
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            return Err("the file that came out of the lab is too long".into());
        }
        self.bytes.extend(bytes);
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        match self.problem {
            Some(problem) => Err(problem),
            None if self.bytes.is_empty() => Err("no file came out of the lab".into()),
            None => Ok(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_out_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(folder.path().join("vm.seawall"), &bytes).unwrap();
        fs::write(folder.path().join(".half"), b"written").unwrap();
        let mut parts = Vec::new();
        send_from(folder.path(), &mut |part| parts.push(part)).unwrap();
        assert_eq!(parts.len(), 3);
        let mut parcel = Parcel::of("vm.seawall");
        parts.iter().for_each(|part| parcel.take(part));
        assert_eq!(parcel.finish().unwrap(), bytes);
        send_from(&folder.path().join("none"), &mut |_| panic!("nothing is there")).unwrap();
    }

    #[test]
    fn what_is_not_the_next_part_of_the_file_is_an_error() {
        let after = |parts: &[&str]| {
            let mut parcel = Parcel::of("a");
            parts.iter().for_each(|part| parcel.take(part));
            parcel.finish()
        };
        assert_eq!(after(&["a 0 AQI=", "a 2 Aw=="]), Ok(vec![1, 2, 3]));
        for (parts, why) in [
            (&["b 0 AQI="][..], "nobody asked"),
            (&["a 1 AQI="], "lost"),
            (&["a 0 AQI=", "a 0 AQI="], "lost"),
            (&["a 0 ?"], "broken"),
            (&["a"], "lost"),
            (&[""], "nobody"),
            (&[], "no file"),
            (&["a 0 AQI=", "b 0 AQI=", "a 2 Aw=="], "nobody"),
        ] {
            assert!(after(parts).unwrap_err().contains(why), "{parts:?}");
        }
    }
}
