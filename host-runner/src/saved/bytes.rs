//! Bytes that are read with every bound checked.

use super::{SavedError, Section};

/// What is left of a section.
pub(super) struct Reader<'a> {
    section: Section,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(section: Section, rest: &'a [u8]) -> Self {
        Self { section, rest }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], SavedError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(SavedError::Short(self.section))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SavedError> {
        self.take(N)?
            .try_into()
            .map_err(|_| SavedError::Short(self.section))
    }

    pub(super) fn byte(&mut self) -> Result<u8, SavedError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn half(&mut self) -> Result<u16, SavedError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn word(&mut self) -> Result<u32, SavedError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, SavedError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, SavedError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.bad(what, other.into())),
        }
    }

    /// A count of items of at least `each` bytes. No more than can be there is ever allocated for.
    pub(super) fn count(&mut self, each: usize) -> Result<usize, SavedError> {
        let count = usize::try_from(self.word()?).unwrap_or(usize::MAX);
        match count.checked_mul(each) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(SavedError::Short(self.section)),
        }
    }

    /// A list of items of at least `each` bytes.
    pub(super) fn list<T>(
        &mut self,
        each: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, SavedError>,
    ) -> Result<Vec<T>, SavedError> {
        let count = self.count(each)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, SavedError> {
        let count = self.count(1)?;
        self.take(count).map(<[u8]>::to_vec)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<String, SavedError> {
        let bytes = self.bytes()?;
        let length = bytes.len() as u64;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| text.len() <= 256 && !text.chars().any(char::is_control))
            .ok_or_else(|| self.bad(what, length))
    }

    pub(super) const fn bad(&self, what: &'static str, value: u64) -> SavedError {
        SavedError::Value(self.section, what, value)
    }

    pub(super) const fn end(&self) -> Result<(), SavedError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(SavedError::Rest(self.section, self.rest.len() as u64))
        }
    }
}
