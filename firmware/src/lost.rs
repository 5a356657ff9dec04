//! The pages that were lost before the guest began, as a replayer names them: one after the other, and not believed.

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Every page that `next` gives, which answers with the first at or above an address. It ends at the first answer that is
/// below what was asked for, and after `most`, whoever answers.
pub fn pages(most: usize, next: impl Fn(u64) -> Option<u64>) -> impl Iterator<Item = u64> {
    let mut from = Some(0);
    core::iter::from_fn(move || {
        let asked = from?;
        let page = next(asked)
            .map(|page| page & !(PAGE - 1))
            .filter(|page| *page >= asked);
        from = page.and_then(|page| page.checked_add(PAGE));
        page
    })
    .take(most)
}

#[cfg(test)]
mod tests {
    use super::pages;

    #[test]
    fn pages_come_in_order_each_once() {
        let lost = [0x8000_0000_u64, 0x8000_1000, 0x9000_0000];
        let next = |from: u64| lost.into_iter().find(|page| *page >= from);
        assert_eq!(pages(100, next).collect::<Vec<_>>(), lost);
        assert_eq!(pages(2, next).collect::<Vec<_>>(), lost[..2]);
        assert_eq!(pages(100, |_| None).count(), 0);
    }

    #[test]
    fn whatever_is_answered_it_ends() {
        // The same page for ever; below what was asked; nonsense at the end of all addresses; every page there is.
        assert_eq!(
            pages(100, |_| Some(0x8000_0000)).collect::<Vec<_>>(),
            [0x8000_0000]
        );
        assert_eq!(pages(100, |from| Some(from / 2)).collect::<Vec<_>>(), [0]);
        assert_eq!(
            pages(100, |_| Some(u64::MAX)).collect::<Vec<_>>(),
            [u64::MAX - 4095]
        );
        assert_eq!(pages(100, Some).count(), 100);
    }
}
