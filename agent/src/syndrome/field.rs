//! Fields as something to draw: a register cut into named bits, each with its meaning or the reason why it has none.

/// One field of a register, as it stands in one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Arm's name in lower case; `"res0"` for bits that have no name, `"impdef"` for those that are the
    /// implementation's own.
    pub name: &'static str,
    /// The highest bit.
    pub high: u8,
    /// The lowest bit.
    pub low: u8,
    /// The bits as found, shifted down to bit 0, even when they mean nothing.
    pub value: u64,
    /// What the value says, where it says more than a number.
    pub meaning: Option<&'static str>,
    /// Why the field means nothing in this value; `None` when it does mean something.
    pub absent: Option<&'static str>,
}

/// More than any one register here has.
const CAPACITY: usize = 24;

const EMPTY: Field = Field {
    name: "",
    high: 0,
    low: 0,
    value: 0,
    meaning: None,
    absent: Some(""),
};

/// The fields of one value, highest bit first. Together they cover every bit; those that mean something never share
/// one. Two that do share bits (`sf` and `fnp`, say) stand one after the other, and at most one of them is present.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    register: u64,
    items: [Field; CAPACITY],
    count: usize,
}

impl Fields {
    pub(crate) const fn new(register: u64) -> Self {
        Self {
            register,
            items: [EMPTY; CAPACITY],
            count: 0,
        }
    }

    /// The fields as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Field] {
        self.items.get(..self.count).unwrap_or(&[])
    }

    /// Goes through the fields, highest bit first.
    pub fn iter(&self) -> core::slice::Iter<'_, Field> {
        self.as_slice().iter()
    }

    /// The field of this name. Of several called `"res0"`, the highest.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.iter().find(|field| field.name == name)
    }

    fn push(
        &mut self,
        name: &'static str,
        bits: (u8, u8),
        meaning: Option<&'static str>,
        absent: Option<&'static str>,
    ) {
        let (high, low) = bits;
        let value = bits_of(self.register, u32::from(high), u32::from(low));
        // Dropping one too many is out of reach: the unit tests count the bits that are covered.
        if let Some(slot) = self.items.get_mut(self.count) {
            *slot = Field {
                name,
                high,
                low,
                value,
                meaning,
                absent,
            };
            self.count = self.count.saturating_add(1);
        }
    }

    /// A field whose value is a plain number.
    pub(crate) fn number(&mut self, name: &'static str, bits: (u8, u8)) {
        self.push(name, bits, None, None);
    }

    /// A field whose value always means something.
    pub(crate) fn means(&mut self, name: &'static str, bits: (u8, u8), meaning: &'static str) {
        self.push(name, bits, Some(meaning), None);
    }

    /// A field that means nothing here.
    pub(crate) fn absent(&mut self, name: &'static str, bits: (u8, u8), reason: &'static str) {
        self.push(name, bits, None, Some(reason));
    }

    /// Bits without a name.
    pub(crate) fn reserved(&mut self, bits: (u8, u8)) {
        self.push("res0", bits, None, Some("reserved; kept as found"));
    }

    /// A field that has a meaning, or none for `reason`.
    pub(crate) fn optional(
        &mut self,
        name: &'static str,
        bits: (u8, u8),
        meaning: Option<&'static str>,
        reason: &'static str,
    ) {
        let absent = if meaning.is_none() { Some(reason) } else { None };
        self.push(name, bits, meaning, absent);
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = core::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Bit `number` of `value`.
#[inline]
pub(crate) const fn bit(value: u64, number: u32) -> bool {
    value.wrapping_shr(number) & 1 != 0
}

/// Bits `high` to `low` of `value`, shifted down.
#[inline]
pub(crate) const fn bits_of(value: u64, high: u32, low: u32) -> u64 {
    let top = 63_u32.saturating_sub(high);
    value.wrapping_shl(top).wrapping_shr(top.saturating_add(low))
}

/// Up to eight bits of `value` from `low` on, those of `mask`.
#[inline]
pub(crate) const fn small(value: u64, low: u32, mask: u8) -> u8 {
    let [byte, ..] = value.wrapping_shr(low).to_le_bytes();
    byte & mask
}

/// Picks the text for a flag.
pub(crate) const fn either(flag: bool, no: &'static str, yes: &'static str) -> &'static str {
    if flag { yes } else { no }
}
