//! The GDB remote protocol, as much of it as reaches into QEMU's machine: stop, go on, a register, a word of memory.
//!
//! [GDB manual, appendix E; QEMU `docs/system/gdb.rst`] A packet is `$`, its text, `#` and two digits of checksum; each
//! is acknowledged by `+`. Whatever comes back is bounded in length and in time, and what is not understood is an error.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Bytes of a packet, at most; QEMU's have 4 KiB.
const LONGEST: usize = 64 << 10;
/// Bytes of a register description, at most.
const LONGEST_DESCRIPTION: usize = 1 << 20;
/// Descriptions that may include each other.
const DESCRIPTIONS: usize = 32;

/// What went wrong.
#[derive(Debug)]
pub(super) enum GdbError {
    /// The connection: {0}.
    Connection(io::Error),
    /// No whole answer came in time.
    TimedOut,
    /// An answer that is none: {0}.
    Reply(String),
    /// No register is called {0}.
    NoRegister(&'static str),
}

impl fmt::Display for GdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "QEMU's gdb stub: {error}"),
            Self::TimedOut => f.write_str("QEMU's gdb stub did not answer in time"),
            Self::Reply(text) => write!(f, "QEMU's gdb stub answers {text:?}"),
            Self::NoRegister(name) => write!(f, "QEMU's gdb stub has no register {name}"),
        }
    }
}

impl From<io::Error> for GdbError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A stream with a time limit of its own.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Connection(error),
        }
    }
}

type Result<T> = std::result::Result<T, GdbError>;

/// A connection. Its stream's own time-out is how often the limit is looked at.
#[derive(Debug)]
pub(super) struct Gdb<S> {
    stream: S,
    limit: Duration,
    until: Instant,
}

impl<S: Read + Write> Gdb<S> {
    /// Takes a connection. From a stop, or the greeting, everything is to be over within `limit`.
    pub(super) fn over(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            until: Instant::now() + limit,
        }
    }

    /// The first words: QEMU's machine stands still as soon as somebody connects. Memory is by physical addresses from
    /// now on.
    pub(super) fn greet(&mut self) -> Result<()> {
        self.begin();
        let features = self.ask("qSupported:xmlRegisters=aarch64")?;
        if !features.split(';').any(|word| word == "qXfer:features:read+") {
            return Err(GdbError::Reply(features));
        }
        self.expect_ok("Qqemu.PhyMemMode:1")
    }

    /// Stops the machine, and waits until it stands.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.begin();
        self.stream.write_all(&[3])?;
        let text = self.packet()?;
        if is_stop(&text) {
            Ok(())
        } else {
            Err(GdbError::Reply(text))
        }
    }

    /// Lets the machine go on.
    pub(super) fn go(&mut self) -> Result<()> {
        self.begin();
        // Answered when it stops the next time.
        self.send("c")
    }

    /// The numbers of these registers.
    pub(super) fn numbers<const N: usize>(&mut self, names: [&'static str; N]) -> Result<[u32; N]> {
        let mut found = [None; N];
        let mut left = vec!["target.xml".to_owned()];
        for _ in 0..DESCRIPTIONS {
            let Some(file) = left.pop() else { break };
            let text = self.description(&file)?;
            left.extend(
                tags(&text, "xi:include").filter_map(|tag| attribute(tag, "href").map(str::to_owned)),
            );
            for tag in tags(&text, "reg") {
                let place = names.iter().position(|name| attribute(tag, "name") == Some(name));
                if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                    *slot = attribute(tag, "regnum").and_then(|number| number.parse().ok());
                }
            }
        }
        let mut numbers = [0; N];
        for ((number, found), name) in numbers.iter_mut().zip(found).zip(names) {
            *number = found.ok_or(GdbError::NoRegister(name))?;
        }
        Ok(numbers)
    }

    fn description(&mut self, file: &str) -> Result<String> {
        let mut text = String::new();
        while text.len() < LONGEST_DESCRIPTION {
            let part = self.ask(&format!("qXfer:features:read:{file}:{:x},800", text.len()))?;
            match part.split_at_checked(1) {
                Some(("l", rest)) => {
                    text.push_str(rest);
                    return Ok(text);
                }
                Some(("m", rest)) if !rest.is_empty() => text.push_str(rest),
                _ => return Err(GdbError::Reply(part)),
            }
        }
        Err(GdbError::Reply(format!("{file} without an end")))
    }

    /// A 64-bit register.
    pub(super) fn register(&mut self, number: u32) -> Result<u64> {
        let text = self.ask(&format!("p{number:x}"))?;
        word(text)
    }

    /// A 64-bit word of memory.
    pub(super) fn read(&mut self, address: u64) -> Result<u64> {
        let text = self.ask(&format!("m{address:x},8"))?;
        word(text)
    }

    /// Writes a 64-bit word of memory.
    pub(super) fn write(&mut self, address: u64, value: u64) -> Result<()> {
        // Memory's own order of bytes, which is the machine's: little endian.
        self.expect_ok(&format!("M{address:x},8:{:016x}", value.swap_bytes()))
    }

    fn begin(&mut self) {
        self.until = Instant::now() + self.limit;
    }

    fn expect_ok(&mut self, text: &str) -> Result<()> {
        match self.ask(text)?.as_str() {
            "OK" => Ok(()),
            other => Err(GdbError::Reply(other.to_owned())),
        }
    }

    /// A question's answer. QEMU tells of a stop whenever there is one, and as often as it likes; no answer looks so.
    fn ask(&mut self, text: &str) -> Result<String> {
        self.send(text)?;
        loop {
            let answer = self.packet()?;
            if !is_stop(&answer) {
                return Ok(answer);
            }
        }
    }

    fn send(&mut self, text: &str) -> Result<()> {
        let packet = format!("${text}#{:02x}", checksum(text.as_bytes()));
        Ok(self.stream.write_all(packet.as_bytes())?)
    }

    /// The next packet; acknowledged, and its text without escapes.
    fn packet(&mut self) -> Result<String> {
        while self.byte()? != b'$' {}
        let mut raw = Vec::new();
        loop {
            match self.byte()? {
                b'#' => break,
                _ if raw.len() == LONGEST => return Err(GdbError::Reply("a packet without an end".into())),
                byte => raw.push(byte),
            }
        }
        let sum = [self.byte()?, self.byte()?];
        let bad = || GdbError::Reply(String::from_utf8_lossy(&raw).chars().take(80).collect());
        let sum = std::str::from_utf8(&sum)
            .ok()
            .and_then(|sum| u8::from_str_radix(sum, 16).ok());
        if sum != Some(checksum(&raw)) {
            return Err(bad());
        }
        self.stream.write_all(b"+")?;
        String::from_utf8(unescaped(&raw).ok_or_else(bad)?).map_err(|_| bad())
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        loop {
            if Instant::now() >= self.until {
                return Err(GdbError::TimedOut);
            }
            match self.stream.read(&mut byte) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => return Ok(byte[0]),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// `}` goes before a byte whose bit 5 is flipped; `*` would be a repetition, which QEMU never sends.
fn unescaped(raw: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = raw.iter();
    let mut plain = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'*' => return None,
            b'}' => bytes.next()? ^ 0x20,
            byte => *byte,
        });
    }
    Some(plain)
}

fn is_stop(text: &str) -> bool {
    text.starts_with(['T', 'S'])
}

/// Sixteen digits: eight bytes, lowest first.
fn word(text: String) -> Result<u64> {
    let is_whole = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(&text, 16)
        .ok()
        .filter(|_| is_whole)
        .map(u64::swap_bytes)
        .ok_or(GdbError::Reply(text))
}

/// The tags of this name, from behind the name to the tag's end.
fn tags<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.split('<').filter_map(move |tag| {
        let rest = tag.strip_prefix(name)?;
        rest.starts_with(' ').then(|| rest.split('>').next())?
    })
}

/// An attribute's value, in quotes of either kind.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.match_indices(name).find_map(|(at, _)| {
        let rest = tag
            .get(..at)?
            .ends_with(' ')
            .then(|| tag.get(at + name.len()..))??;
        let rest = rest.strip_prefix('=')?;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.get(1..)?.split(quote).next()
    })
}

#[cfg(test)]
mod tests;
