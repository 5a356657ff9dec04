//! Memory slots begin and end at pages of the host: where those are larger than the guest's, none can be cut out.

use seawall_replay::plan::Injection;

use crate::backend::Missing;
use crate::doctor::host_page_size;

/// What the guest's pages have.
const GUEST: u64 = 0x1000;

/// Whether this takes a single page of the guest out of its memory, at once or when the guest has met it.
pub(super) const fn is_cut_by(injection: Injection) -> bool {
    match injection {
        Injection::Hole
        | Injection::HoleBesideSError { .. }
        | Injection::Poison(_)
        | Injection::ReadOnly
        | Injection::Mend
        | Injection::Patrol { .. }
        | Injection::HostAbort => true,
        Injection::SError { .. }
        | Injection::SErrorLater { .. }
        | Injection::Abort { .. }
        | Injection::AbortBySErrorVector { .. }
        | Injection::Left
        | Injection::Save(_)
        | Injection::Draw { .. }
        | Injection::Nothing => false,
    }
}

/// What a host lacks that cannot cut single pages.
pub(super) fn missing() -> Option<Missing> {
    missing_with(host_page_size())
}

fn missing_with(size: Option<u64>) -> Option<Missing> {
    let size = size.filter(|size| *size != GUEST)?;
    Some(Missing {
        what: format!(
            "pages of 4 KiB: this host's page size is {size}, and to cut a single page of the guest out of its memory \
             {GUEST} is needed"
        ),
        fix: "boot the host with a kernel of 4 KiB pages (CONFIG_ARM64_4K_PAGES), or use --backend lab"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_larger_pages_is_told_its_size_and_what_it_needs() {
        let here = missing();
        assert!(here.is_none_or(|missing| missing.fix.contains("4 KiB")));
        assert!(missing_with(Some(4096)).is_none());
        assert!(missing_with(None).is_none(), "what is not known is tried");
        for size in [16_384, 65_536] {
            let missing = missing_with(Some(size)).unwrap();
            let told = format!("page size is {size}, ");
            assert!(missing.what.contains(&told) && missing.what.contains("4096 is needed"));
            assert!(missing.fix.contains("CONFIG_ARM64_4K_PAGES"));
        }
    }

    #[test]
    fn what_takes_single_pages_is_told_from_what_takes_none() {
        assert!(is_cut_by(Injection::Hole) && is_cut_by(Injection::Patrol { failing: true }));
        assert!(!is_cut_by(Injection::SError { syndrome: None }) && !is_cut_by(Injection::Left));
    }
}
