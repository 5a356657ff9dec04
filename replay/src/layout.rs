//! Little-endian fields at checked offsets, for every layout that crosses from one side to the other.

/// The `N` bytes at `offset`, or `None` when they do not all exist.
fn take<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    take(bytes, offset).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    take(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    take(bytes, offset).map(u64::from_le_bytes)
}

/// Writes `field` at `offset`; `None` and no change when it does not fit.
pub(crate) fn put(bytes: &mut [u8], offset: usize, field: &[u8]) -> Option<()> {
    bytes
        .get_mut(offset..offset.checked_add(field.len())?)?
        .copy_from_slice(field);
    Some(())
}
