//! What is measured, and what it may cost: the guest's limits, in one table.
//!
//! A new figure is a row here and one in `firmware/tasks/src/measure.rs`, under the same number (the kernel reports some
//! by itself); one that must not depend on how much there is beside is a curve by its flag, and where Linux can do the
//! same its figure stands beside.

use crate::linux::Figure;

/// A figure of the guest's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its number in the guest's report, of 32 bits.
    pub(super) number: u64,
    /// What it is, for people.
    pub(super) name: &'static str,
    /// Instructions that it may be at most.
    pub(super) limit: u64,
    /// Whether it is measured along the [`CURVES`] too.
    pub(super) is_curve: bool,
    /// What Linux does that is the same.
    pub(super) linux: Option<Figure>,
}

/// The figures.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 1,
        name: "EL0 → SVC → EL0, empty call",
        limit: 60,
        is_curve: false,
        linux: Some(Figure::Call),
    },
    Row {
        number: 2,
        name: "SEA in EL0 → first instruction of the next task",
        limit: 500,
        is_curve: true,
        linux: Some(Figure::Kill),
    },
    Row {
        number: 3,
        name: "SEA in EL0 → page had again, the load runs again",
        limit: 2_500,
        is_curve: true,
        linux: None,
    },
    Row {
        number: 6,
        name: "the same for 4 KiB of text",
        limit: 2_500,
        is_curve: false,
        linux: None,
    },
    Row {
        number: 4,
        name: "SEA in EL0 → first instruction of the task's own handler",
        limit: 350,
        is_curve: true,
        linux: Some(Figure::Handler),
    },
    Row {
        number: 5,
        name: "SError in EL0, UER → first instruction of the next task",
        limit: 450,
        is_curve: true,
        linux: None,
    },
    // Reported by the kernel, for each frame.
    Row {
        number: 0x101,
        name: "one frame of a 2 MiB block out of the linear map",
        limit: 4_000,
        is_curve: false,
        linux: None,
    },
];

/// The boot's figure, which the kernel reports by itself.
pub(super) const BOOT: (&str, u64) = ("first guest instruction → first EL0 instruction, 64 MiB", 300_000);

/// A guest in which the figures are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    /// Its boot arguments.
    pub(super) boot_arguments: &'static str,
    /// Its memory in bytes.
    pub(super) memory: u64,
}

/// The guest in which nothing is beside.
pub(super) const ALONE: Guest = Guest {
    boot_arguments: "seawall.tasks=bench,bystander,bystander",
    memory: 64 << 20,
};

/// Something of which there is more from place to place, in a guest of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    /// Of what there is more.
    pub(super) over: &'static str,
    /// Which guest.
    pub(super) guest: Guest,
    /// The place's number in the guest's report, and how much there is; powers of two, rising.
    pub(super) places: [(u64, u64); 3],
}

/// All curves. The places are those of `firmware/tasks/src/bin/bench_tasks.rs` and `bench_frames.rs`.
pub(super) const CURVES: [Curve; 2] = [
    Curve {
        over: "tasks",
        guest: Guest {
            boot_arguments: "seawall.tasks=bench_tasks",
            memory: 512 << 20,
        },
        places: [(1, 1), (2, 64), (3, 4096)],
    },
    Curve {
        over: "retired frames",
        guest: Guest {
            boot_arguments: "seawall.tasks=bench_frames",
            memory: 256 << 20,
        },
        places: [(1, 1), (2, 1024), (3, 16_384)],
    },
];

/// Instructions by which a figure may grow each time that what is beside doubles: no faster than the logarithm. One that
/// looked at each task or frame would pass this at the second place already.
pub(super) const FOR_EACH_DOUBLING: u64 = 8;

/// What a figure may be at most at this place on its curve, where it was `first` at the first place.
pub(super) fn most_at(row: &Row, curve: &Curve, at: u64, first: Option<u64>) -> u64 {
    let [(_, least), ..] = curve.places;
    let doublings = at.checked_div(least).map_or(0, u64::ilog2);
    let grown = first.map(|first| first.saturating_add(FOR_EACH_DOUBLING * u64::from(doublings)));
    grown.unwrap_or(u64::MAX).min(row.limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_may_grow_with_the_logarithm_and_stays_below_its_limit() {
        let row = Row {
            number: 2,
            name: "",
            limit: 600,
            is_curve: true,
            linux: None,
        };
        let [tasks, frames] = CURVES;
        assert_eq!(most_at(&row, &tasks, 1, Some(500)), 500);
        assert_eq!(most_at(&row, &tasks, 64, Some(500)), 500 + 6 * 8);
        assert_eq!(most_at(&row, &tasks, 4096, Some(500)), 500 + 12 * 8);
        assert_eq!(most_at(&row, &frames, 16_384, Some(500)), 600, "the limit");
        assert_eq!(most_at(&row, &frames, 16_384, None), 600);
        // One instruction for each task is too many at the second place.
        assert!(500 + 64 > most_at(&row, &tasks, 64, Some(500)));
    }

    #[test]
    fn numbers_differ_and_places_are_powers_of_two_that_rise() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(row.number >> 32 == 0 && ROWS[..index].iter().all(|other| other.number != row.number));
        }
        for curve in CURVES {
            assert!(
                curve
                    .places
                    .iter()
                    .all(|(number, at)| *number > 0 && at.is_power_of_two())
            );
            assert!(
                curve
                    .places
                    .windows(2)
                    .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
            );
        }
    }
}
