//! Linux's figures beside the guest's.

use crate::command::complain;
use crate::events::Measure;
use crate::linux::{Figure, Linux};
use crate::run::place::PlaceArguments;

/// Measures Linux and puts its figures where it has any; says why where it cannot be had.
pub(super) fn beside(measures: &mut [Measure], place: &PlaceArguments) {
    let figures = Linux::find(&place.folder(), place.kernel.as_deref()).and_then(|linux| linux.figures());
    match figures {
        Ok(figures) => {
            for measure in measures {
                if let Some(figure) = same_in_linux(&measure.name) {
                    measure.linux = figures.of(figure);
                    measure.kernel = Some(figures.kernel.clone());
                }
            }
        }
        Err(missing) => complain::about_missing("linux", &missing),
    }
}

/// What Linux does that is the same, by what the guest's figure is called.
fn same_in_linux(name: &str) -> Option<Figure> {
    [
        ("empty call", Figure::Call),
        ("own handler", Figure::Handler),
        ("next task", Figure::Kill),
    ]
    .into_iter()
    .find(|(words, _)| name.contains(words) && !name.contains("SError"))
    .map(|(_, figure)| figure)
}

#[cfg(test)]
mod tests {
    use super::same_in_linux;
    use crate::command::bench::FIGURES;
    use crate::linux::Figure;

    #[test]
    fn what_linux_can_do_stands_beside_the_same_of_ours() {
        let named: Vec<_> = FIGURES.iter().map(|(_, name, _)| same_in_linux(name)).collect();
        assert_eq!(named, [Some(Figure::Call), Some(Figure::Kill)]);
        assert_eq!(same_in_linux("SError in EL0, UER → next task"), None);
    }
}
